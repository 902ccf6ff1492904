//! What must hold in every history, one file each. An invariant sees everything and says no to what it must not see.

mod access;
mod blame;
mod built_on;
mod convergence;
mod counts;
mod cursor;
mod deleted;
mod exactly_once;
mod flicker;
mod kept;
mod later_edit;
mod order;
mod overwrites;
mod own_edits;
mod pending;
mod permission;
mod purge;
mod requests;
mod resync;
mod sender;
mod stall;
mod taken_up;
mod terminal;
mod told;

use super::{seen::Seen, truth::Truth};

/// Something that must hold in every history.
pub(crate) trait Invariant: Send {
    /// Its name, as in a report.
    fn name(&self) -> &'static str;

    /// The guarantee that it stands for.
    fn guarantee(&self) -> &'static str;

    /// Takes in what was seen, after the truth has.
    ///
    /// # Errors
    /// What it must not see, for people.
    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String>;
}

/// A fresh one of each.
pub(crate) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(access::Access::default()),
        Box::new(blame::Blame::default()),
        Box::new(built_on::BuiltOn),
        Box::new(convergence::Convergence),
        Box::new(counts::Counts),
        Box::new(cursor::Cursor),
        Box::new(deleted::Deleted::default()),
        Box::new(exactly_once::ExactlyOnce::default()),
        Box::new(flicker::Flicker::default()),
        Box::new(kept::Kept::default()),
        Box::new(later_edit::LaterEdit::default()),
        Box::new(order::Order::default()),
        Box::new(own_edits::OwnEdits::default()),
        Box::new(pending::Pending),
        Box::new(permission::Permission::default()),
        Box::new(purge::Purge),
        Box::new(requests::Requests::default()),
        Box::new(resync::Resync::default()),
        Box::new(sender::Sender::default()),
        Box::new(stall::Stall),
        Box::new(taken_up::TakenUp),
        Box::new(terminal::Terminal::default()),
        Box::new(told::Told::default()),
    ]
}

/// Those that say when a history may end.
pub(crate) fn at_the_end() -> [Box<dyn Invariant>; 2] {
    [Box::new(convergence::Convergence), Box::new(stall::Stall)]
}
