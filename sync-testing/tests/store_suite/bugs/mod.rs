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
        entries_keep_the_order_of_the_store_over_scopes_and_after_reopening: ListsScopeByScope, "entries are read from an index of scopes, and come by scope";
        an_edit_merges_into_the_unsent_last_entry_of_its_record: NeverReplacesAnEntry, "an entry that is there already is not written over";
        an_edit_is_not_merged_past_another_record: MergesPastOthers, "an edit merges into any unsent entry of its record";
        a_create_and_its_delete_that_were_never_sent_leave_nothing: NeverDeletesAnEntry, "entries that are to go are not deleted";
        a_create_and_its_delete_over_what_was_sent_stay_a_delete: CancelsOverWhatWasSent, "an unsent create and its delete cancel, whatever lies beneath";
        ids_ascend_while_the_wall_clock_steps_back: MakesIdsOfTheClock, "the newest id that was given out is not loaded";
        what_an_edit_was_based_on_is_kept_whatever_is_pulled_since: ForgetsTheVersion, "the version that an edit was based on is not stored";
        an_edit_for_another_account_is_refused_and_leaves_no_trace: AsksForNoAccount, "an edit is made for whichever account asks";
        what_an_edit_expects_is_compared_by_meaning_not_by_spelling: ComparesText, "what an edit expects is compared as text";
        the_counts_are_those_of_the_entries: CountsAllScopes, "the counts of a scope are those of all";
        entries_are_listed_by_scope_and_record_and_state: ListsByOneCondition, "a record's entries are listed whatever their state";
    }
}
