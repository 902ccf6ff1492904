//! How large a batch may be.

use super::super::Settings;

/// How large a batch may be now.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) count: u32,
    pub(super) bytes: u64,
    /// How many were answered at this size.
    answered: u32,
}

impl Batch {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            count: settings.batch_count,
            bytes: settings.batch_bytes,
            answered: 0,
        }
    }

    pub(super) fn halve(&mut self, sent: usize) {
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        self.count = (self.count.min(sent) / 2).max(1);
        self.bytes = (self.bytes / 2).max(1);
        self.answered = 0;
    }

    pub(super) fn answered(&mut self, settings: &Settings) {
        self.answered = self.answered.saturating_add(1);
        if self.answered >= settings.regrow_after {
            self.answered = 0;
            self.count = self.count.saturating_mul(2).min(settings.batch_count);
            self.bytes = self.bytes.saturating_mul(2).min(settings.batch_bytes);
        }
    }
}
