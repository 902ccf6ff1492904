//! A bug for each case. A bug is listed once, below, with the case that must catch it and what it does wrong.

mod outbox;

use crate::bent::Bug;

pub(crate) struct Planted {
    pub(crate) case: &'static str,
    pub(crate) wrong: &'static str,
    pub(crate) bug: fn() -> Box<dyn Bug>,
}

macro_rules! planted {
    ($($group:ident { $($case:ident: $bug:ident, $wrong:literal;)* })*) => {
        pub(crate) const ALL: &[Planted] = &[$($(
            Planted {
                case: stringify!($case),
                wrong: $wrong,
                bug: || Box::new($group::$bug::default()),
            },
        )*)*];
    };
}

planted! {
    outbox {
        an_edit_is_in_the_view_and_in_the_outbox: EnqueuesTwice, "an edit is enqueued twice";
        edits_enqueued_together_are_enqueued_all_or_none: EnqueuesOneByOne, "each edit is a transaction of its own";
    }
}
