//! The core of a sync engine: outbox, overlay, change application, scheduler and engine, behind traits.
