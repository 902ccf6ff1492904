//! A bug for each case. A bug is listed once, below, with the case that must catch it and what it does wrong.

mod accounts;
mod asking;
mod confirming;
mod conflicts;
mod crashes;
mod dropped;
mod failed;
mod handles;
mod histories;
mod keys;
mod leading;
mod outbox;
mod pages;
mod payloads;
mod records;
mod resync;
mod revocation;
mod settling;
mod taking;
mod touching;
mod wiping;

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
    accounts {
        a_database_is_bound_to_its_first_account: BindsOnceAndIgnoresTheRest, "binding to another account is passed over in silence";
        a_database_is_bound_to_its_first_account: ForgetsItsAccount, "the account is not stored";
        a_database_that_is_not_bound_has_no_leader_and_no_edits: BindsWithTheFirstLeader, "leading binds the database";
        only_the_account_of_a_database_leads_it: LeadsForAnybody, "the account of a leader is not compared";
        each_leader_gets_a_newer_token_also_after_reopening: CountsTokensAnew, "the token is counted anew when the database is opened";
    }
    outbox {
        an_edit_is_in_the_view_and_in_the_outbox: EnqueuesTwice, "an edit is enqueued twice";
        edits_enqueued_together_are_enqueued_all_or_none: EnqueuesOneByOne, "each edit is a transaction of its own";
        entries_keep_the_order_of_the_store_over_scopes_and_after_reopening: ListsScopeByScope, "entries are read from an index of scopes, and come by scope";
        an_edit_merges_into_the_unsent_last_entry_of_its_record: NeverReplacesAnEntry, "an entry that is there already is not written over";
        an_edit_merges_into_the_last_pending_entry_past_settled_ones: TakesAnyLastEntryForTheTail, "the last entry of a scope is taken for its tail, whatever its state";
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
    taking {
        mutations_go_out_in_the_order_of_their_enqueueing: TakesScopeByScope, "a batch is read from an index of scopes, and comes by scope";
        what_was_taken_is_never_merged_into_also_after_reopening: LosesTheMarkOfSending, "the mark of sending is not durable when a taking returns";
        what_was_taken_is_taken_again_until_it_is_settled: KeepsWhatIsInFlight, "what is in flight is remembered, and not taken again";
        each_taking_is_counted_and_the_first_is_remembered: MarksOnlyWhatWasUnsent, "an entry that was sent before is not stored again";
        a_batch_holds_no_more_than_was_asked_for: BoundsByCountAlone, "a batch is bounded by its count alone";
        an_entry_that_is_too_large_for_a_batch_goes_alone_and_in_its_turn: PassesLargeEntriesOver, "an entry that is too large for the batch is passed over";
        only_what_may_go_is_taken_and_marked_as_sent: MarksAllAndPicksLater, "all entries are marked as sent, then those that may go are picked";
        a_batch_names_the_cursor_of_each_of_its_scopes: LeavesUnpulledScopesOut, "a scope that was never pulled is left out of the cursors";
        a_server_that_handles_a_record_once_a_batch_gets_one_mutation_of_it: KnowsOneKindOfServer, "what the server can do is not passed on";
        what_the_server_has_forgotten_is_left_out_with_its_scope: SendsForEver, "the age of a sending is taken for nothing";
        a_payload_is_brought_up_to_date_before_it_first_goes_and_never_after: UpgradesOnlyTheBatch, "an upgraded payload goes out and is not stored";
    }
    settling {
        an_applied_mutation_leaves_the_outbox_and_stays_in_the_view: DeletesWhatWasApplied, "what was applied is deleted before a pull has shown it";
        the_record_that_an_answer_carries_is_shown_in_the_place_of_what_was_sent: ForgetsWhatAnswersCarry, "the record that an answer carries is not stored";
        an_answer_for_an_unknown_mutation_does_nothing: RefusesUnknownMutations, "a mutation that is not found is taken for a damaged database";
        a_settlement_that_is_repeated_does_nothing: DeletesWhatIsAnsweredAgain, "an answer deletes whatever entry has its id, be it pending or failed";
        the_answers_of_a_batch_are_settled_together: SettlesOneScope, "the answers of other scopes than the first one's are left out";
        edits_made_while_a_push_is_in_flight_are_not_settled_by_its_answer: SettlesTheWholeRecord, "an answer settles all that its record has in the outbox";
        the_tick_rises_with_a_settlement_and_tells_pulls_apart: NeverRaisesTheTick, "the tick is not stored";
        how_long_the_server_keeps_verdicts_is_kept_with_the_scopes_of_its_answers: ForgetsTheRetention, "how long the server keeps verdicts is not stored";
        what_the_server_has_forgotten_ends_as_outcome_unknown: LoadsOnlyWhatWasAnswered, "only the records of answers are loaded";
        a_refusal_by_a_server_without_verdicts_waits_for_a_pull_that_began_after_it: ReportsDoubtsAndKeepsNone, "a doubt is reported and not stored";
        a_doubted_create_whose_record_was_pulled_since_was_applied: JudgesByTheRefusal, "a refusal in doubt stands, whatever was pulled";
        a_doubted_conflict_that_a_pull_bears_out_keeps_both_sides: ForgetsTheirsOfADoubt, "what a doubted refusal says of their state is not stored";
    }
    failed {
        a_rejected_create_and_its_dependent_update_are_set_aside_together: SetsAsideOnlyWhatWasNamed, "of the entries that are set aside, only the one named is written";
        what_was_refused_stays_in_the_view_marked: HidesWhatWasRefused, "failed entries are left out of the view";
        retrying_makes_one_new_mutation_at_the_end_of_the_queue: RetriesUnderTheOldId, "what is retried keeps its id";
        a_new_edit_takes_the_failed_ones_up: LeavesFailedEntriesBehind, "failed entries stay beside the edit that has taken them up";
        discarding_restores_the_view_as_it_was: LeavesTheViewOfWhatWasDiscarded, "the entries are discarded, and the view is not written";
        discarding_leaves_what_is_not_failed: DiscardsTheWholeScope, "the failed entries of the whole scope are discarded";
        a_failed_delete_stays_listed_with_the_state_beneath_it: CarriesFailedDeletesOut, "a failed delete removes the record from the view";
        what_was_set_aside_keeps_its_reason_and_message: LosesTheReason, "of the reasons, only one is stored";
    }
    conflicts {
        a_conflict_keeps_both_sides_until_it_is_acknowledged: KeepsConflictsInMemory, "conflicts are kept in memory";
        an_edit_that_lost_to_a_delete_is_gone_from_the_view_and_kept: KeepsOnlyConflictsWithARecord, "a conflict with a delete is not listed";
        a_conflict_that_is_kept_already_stays_as_it_is: ReplacesConflicts, "a conflict replaces the one of the same mutation";
        conflicts_are_listed_by_scope_and_oldest_first: ListsConflictsById, "conflicts come by id";
        acknowledging_a_conflict_leaves_the_others: AcknowledgesTheWholeRecord, "all conflicts of a record are acknowledged with one";
        mine_again_is_a_new_mutation_at_the_end_of_the_queue: StoresNoNewEntryOfASettlement, "a settlement stores no entry that is new";
        an_edit_is_put_again_a_bounded_number_of_times: ForgetsHowOftenItWasPutAgain, "how often an edit was put again is not stored";
        a_merge_is_put_in_the_place_of_both: PutsMineInPlaceOfAMerge, "mine is put again in the place of the merge";
        what_lost_a_conflict_hands_what_it_was_based_on_to_its_follower: WritesOnlyWhatWasAnswered, "of a record's pending entries, only the one answered is written";
    }
    pages {
        a_page_brings_its_records_and_its_cursor_together: CursorFirst, "a cursor is durable before the records of its page are";
        a_repeated_page_is_stale_and_changes_nothing: CallsRepeatedApplied, "a page whose cursor is stored already counts as applied";
        a_page_that_was_asked_from_another_cursor_is_stale: IgnoresFrom, "the cursor that a page was asked with is not compared";
        a_page_of_another_generation_is_stale: IgnoresGeneration, "the generation of a page is not compared";
        a_page_of_another_epoch_changes_nothing: IgnoresEpoch, "the epoch of a page is not compared";
        a_page_of_ten_thousand_changes_is_applied_whole: DropsTheLastChunk, "a page is written in chunks, and the last one is lost";
        of_a_record_that_comes_twice_in_a_page_the_last_change_stands: KeepsTheFirst, "a record is written once a page, with its first change";
        a_delete_and_a_create_in_one_page_stand_in_their_order: RemovesLast, "the removes of a page are done after its puts";
        a_deleted_record_comes_back_with_a_later_page: NeverRevives, "a record that was removed is never written again";
        a_remove_of_what_is_not_there_leaves_nothing: KeepsTombstonesAsNull, "a tombstone is a record that is null";
        pages_of_two_scopes_with_the_same_ids_do_not_mix: FindsWithoutScope, "records are found by type and id alone";
        what_a_page_says_of_its_scope_is_kept: ForgetsTheRetention, "a column of the scope's row is not read";
        an_overwritten_edit_becomes_a_conflict_once: TellsAgain, "a conflict is written whenever its mark comes";
    }
    confirming {
        a_pulled_change_does_not_show_over_a_pending_edit: WritesOverEdits, "a page is written over the views of edited records";
        what_was_pulled_under_an_edit_shows_once_the_edit_is_discarded: PassesOverEditedRecords, "a page's changes of edited records are left out";
        an_own_mutation_in_a_page_settles_it: ForgetsTheMaker, "the maker of a change is not read";
        an_applied_edit_shows_until_its_change_comes: LeavesWithAnyChange, "any change of its record lets an applied edit go";
        an_applied_edit_leaves_when_a_drained_pull_has_passed_it: LoadsOnlyThePage, "the last page of a pull loads only its own records";
        an_applied_delete_does_not_come_back: LeavesWithTheFirstEcho, "the echo of one edit lets all of its record go";
        without_versions_an_applied_edit_waits_for_a_pull_that_began_after_its_answer: ReadsTheTickLate, "the tick is read when a page is applied";
    }
    payloads {
        numbers_keep_every_digit: SendsDoubles, "a number is sent as a double";
        strings_keep_every_character: LeavesNulOut, "an escaped NUL is left out";
        any_json_keeps_its_shape: ReadsEmptyArraysAsObjects, "an empty array is read as an empty object";
        a_payload_of_null_is_not_a_missing_one: ReadsNullAsNothing, "a side of a conflict that is null is read as one that is missing";
        a_payload_of_five_megabytes_is_kept_whole: CutsAtOneMegabyte, "text is cut after a megabyte";
        the_format_version_of_a_payload_is_kept: ForgetsTheSchema, "the format version is not read";
        versions_keep_every_digit: NumbersInDoubles, "the number of a change is kept as a double";
    }
    records {
        a_list_goes_step_by_step_through_everything_once: ListsFromAnId, "a list goes on with the last id instead of after it";
        a_list_is_of_one_scope_and_one_type: ListsByPrefix, "a list takes in scopes whose names begin alike";
        a_count_is_of_what_the_app_sees: CountsWhatIsDeleted, "deleted records are counted until their delete is synced";
        what_is_not_there_is_none_and_looking_leaves_nothing: KeepsWhatIsAskedFor, "asking about a scope makes a row";
        changes_of_unknown_types_are_kept: DropsUnknownTypes, "changes of unknown types are dropped";
    }
    keys {
        any_text_is_a_scope_a_type_and_an_id: EndsAtNul, "an id ends at its first NUL";
        texts_that_differ_only_by_case_are_different: IgnoresCase, "ids are compared without regard to case";
        texts_that_differ_only_by_normalisation_are_different: Normalises, "ids are normalised";
        texts_that_differ_only_by_what_they_begin_or_end_with_are_different: PadsWithSpaces, "spaces at the end of an id do not count";
        uuids_are_text_too: ParsesUuids, "ids that are UUIDs are kept as numbers, whatever their case";
        very_long_texts_are_told_apart_by_their_ends: ComparesAPrefix, "only the first 255 characters of an id are compared";
        the_parts_of_a_key_do_not_run_into_one_another: JoinsTypeAndId, "type and id are joined with a slash";
    }
    resync {
        a_resync_keeps_the_records_and_the_edits: ReadsOneGeneration, "only records of the scope's generation are read";
        a_resync_begins_with_no_cursor_and_a_new_generation: KeepsTheCursor, "the cursor stays";
        a_sweep_removes_only_what_the_resync_did_not_bring: SkipsWhatIsThere, "a change that changes nothing is not written, and its generation neither";
        a_sweep_goes_in_steps_of_its_limit: SweepsAllAtOnce, "the limit of a sweep is not read";
        a_sweep_goes_on_after_reopening: ForgetsTheSweep, "that a sweep is under way is kept in memory";
        a_sweep_without_a_resync_does_nothing: SweepBeginsAResync, "a sweep begins a resync if there is none";
        a_sweep_before_the_pull_has_drained_removes_nothing: SweepsTooEarly, "a sweep does not wait for the end of the pull";
        a_new_epoch_puts_applied_edits_back_at_their_old_place: LeavesThemAcknowledged, "the records with applied edits are not loaded";
        a_new_epoch_puts_an_edit_back_with_the_payload_as_sent: KeepsTheCarriedOnly, "the record that an answer carries is written over what was sent";
    }
    revocation {
        a_purge_of_one_scope_leaves_the_others_as_they_were: PurgesByPrefix, "scopes whose names begin alike are purged too";
        a_page_on_its_way_is_stale_after_a_purge: BeginsAgainAtOne, "the generation goes with the scope's row";
        a_purge_hands_over_what_was_not_synced: DropsWhatHasFailed, "only what is in the outbox is handed over";
        revoked_mutations_stay_until_they_are_acknowledged: RevokesInMemory, "the list of revoked mutations is kept in memory";
        conflicts_outlive_the_purge_of_their_scope: PurgesConflicts, "a purge takes the scope's conflicts along";
        a_purged_scope_begins_anew: KeepsTheEpoch, "the scope's epoch outlives a purge";
    }
    wiping {
        a_wipe_is_refused_while_an_edit_is_not_synced: CountsOnlyTheOutbox, "applied edits are not counted before a wipe";
        a_wipe_is_refused_while_the_app_has_something_to_acknowledge: CountsOnlyEntries, "conflicts and revoked mutations are not counted before a wipe";
        a_forced_wipe_leaves_nothing: LeavesTheRevoked, "one table is not emptied";
        a_wipe_unbinds_the_database: StaysBound, "the account stays";
        a_wipe_ends_the_lead: LeavesTheFence, "the fence stays";
        a_page_on_its_way_is_stale_after_a_wipe: BeginsAgainAtOne, "the generations begin at one again";
    }
    touching {
        a_page_says_which_views_it_has_changed: ReportsEditedRecordsOnly, "what a page writes past the rules is not reported";
        settling_and_discarding_say_which_views_they_have_changed: ReportsWhatIsAskedFor, "a discard reports its record, changed or not";
        a_sweep_says_which_views_it_has_changed: SweepsInSilence, "what a sweep removes is not reported";
        a_purge_and_a_wipe_say_which_views_they_have_changed: ReportsPurgedEditsOnly, "a purge reports edits, and not records";
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
