//! A bug for each case. A bug is listed once, below, with the case that must catch it and what it does wrong.

mod crashes;
mod dropped;
mod handles;
mod histories;
mod leading;
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
    handles {
        what_one_handle_has_written_every_handle_reads: ReadsWhatItFound, "a handle reads the state that it found when it was opened";
        edits_of_several_handles_are_numbered_as_one: ListsByTime, "entries are listed by the time of the edit";
        calls_take_effect_in_the_order_in_which_they_were_first_polled: WaitsForAConnection, "calls wait for connections of a pool, and some for longer than others";
        a_read_sees_no_half_of_edits_enqueued_together: EnqueuesInSteps, "each edit is a transaction of its own";
        a_read_sees_no_half_of_a_page: AppliesInSteps, "a page is applied in two transactions";
    }
    leading {
        who_led_before_takes_no_batch: TakesForAnybody, "take does not look at the token";
        who_led_before_settles_nothing: SettlesForAnybody, "settle does not look at the token";
        who_led_before_applies_no_page: AppliesForAnybody, "apply does not look at the token";
        who_led_before_begins_and_sweeps_no_resync: ResyncsForAnybody, "resync does not look at the token";
        who_led_before_begins_and_sweeps_no_resync: SweepsForAnybody, "sweep does not look at the token";
        who_led_before_purges_nothing: PurgesForAnybody, "purge does not look at the token";
        one_leads_at_a_time: LeadsPerHandle, "each handle has a lead of its own";
        a_lead_passes_on_when_it_is_released_or_dropped: KeepsTheLead, "a lease that goes leaves its lock behind";
        who_gives_up_waiting_is_not_given_the_lead: WaitsOn, "who has given up waiting stays in the queue";
        a_notice_reaches_the_other_handle: NoticesPerHandle, "each handle has a channel of its own";
        an_engine_does_not_hear_its_own_notices: HearsItself, "a notice is sent to everybody";
    }
    crashes {
        edits_survive_a_crash: ReturnsBeforeTheCommit, "an enqueue returns before it is committed";
        what_was_sent_is_known_to_be_sent_after_a_crash: KeepsTheMarkInMemory, "that an entry was sent is known in memory alone";
        answers_survive_a_crash: KeepsAnswersInMemory, "answers are written with the next call";
        a_page_and_its_cursor_survive_a_crash_together: SavesTheCursorFirst, "the cursor is saved first, the records in another transaction";
        a_resync_goes_on_after_a_crash_at_each_of_its_steps: KeepsTheSweepInMemory, "that a sweep is due is known in memory alone";
        what_the_app_decides_survives_a_crash: HidesConflictsInMemory, "acknowledged conflicts are hidden, not removed";
        a_crash_sets_no_counter_back: CountsLeadsInMemory, "leads are counted in memory";
    }
    dropped {
        a_call_that_was_never_polled_has_no_effect: BeginsWhenCalled, "an enqueue is made when it is called, not when it is polled";
        an_enqueue_that_was_dropped_is_whole_or_absent: EnqueuesInSteps, "waits between two edits of a call";
        a_take_that_was_dropped_is_whole_or_absent: TakesInSteps, "waits between two entries of a batch";
        a_settlement_that_was_dropped_is_whole_or_absent: SettlesInSteps, "waits between two answers of a call";
        a_retry_or_a_discard_that_was_dropped_is_whole_or_absent: RetriesInSteps, "drops the failed entries, waits, enqueues their edit";
        a_retry_or_a_discard_that_was_dropped_is_whole_or_absent: DiscardsInSteps, "puts the failed entries back, waits, deletes the record";
        a_binding_or_a_lead_that_was_dropped_is_whole_or_absent: BindsInSteps, "makes the row of the account, waits, fills it in";
        a_page_that_was_dropped_is_applied_whole_or_not_at_all: AppliesInSteps, "waits in the middle of a page";
        a_resync_that_was_dropped_has_begun_or_has_not: ResyncsInSteps, "raises the generation, waits, puts acknowledged entries back";
        a_step_of_a_sweep_that_was_dropped_is_whole_or_absent: SweepsInSteps, "waits between two records";
        a_purge_that_was_dropped_is_whole_or_absent: PurgesInSteps, "forgets the cursor, waits, removes the records";
        a_wipe_that_was_dropped_is_whole_or_absent: WipesInSteps, "empties the tables one after the other";
        an_acknowledgement_that_was_dropped_is_whole_or_absent: AcknowledgesConflictsInSteps, "waits between two conflicts";
        an_acknowledgement_that_was_dropped_is_whole_or_absent: AcknowledgesRevokedInSteps, "waits between two revoked mutations";
    }
    histories {
        random_histories_give_the_answers_and_the_rows_of_the_memory_store: GathersAnswersById, "a second answer for a mutation replaces the first";
    }
}
