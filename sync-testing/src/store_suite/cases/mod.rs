//! The cases, by what they are about. A case is listed once, below.

mod accounts;
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

use std::{fmt, future::Future, panic::AssertUnwindSafe, pin::Pin};

use futures::FutureExt;

use super::{Failure, Subject, database::Database, failure::Outcome};

type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// One promise that every store keeps, and how it is tested.
pub struct Case {
    name: &'static str,
    group: &'static str,
    run: for<'a> fn(&'a Database<'a>) -> Running<'a>,
}

impl Case {
    /// What the store does, as a sentence: the name of the test.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The part of a store that it is about.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// Runs the case on a database of its name.
    ///
    /// # Errors
    /// What the store did instead.
    pub async fn run(&self, subject: &dyn Subject) -> Result<(), Failure> {
        let database = Database::new(subject, self.name);
        // What the store has left behind is not looked at again: each case has databases of its own.
        let ran = AssertUnwindSafe((self.run)(&database)).catch_unwind().await;
        ran.unwrap_or_else(|panic| Err(Failure::panicked(&*panic)))
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({}: {})", self.group, self.name)
    }
}

/// All cases, in the order in which [`check`](super::check) runs them.
#[must_use]
pub fn all() -> &'static [Case] {
    ALL
}

/// The case of this name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn named(name: &str) -> &'static Case {
    let case = ALL.iter().find(|case| case.name == name);
    case.unwrap_or_else(|| panic!("the suite has no case `{name}`"))
}

/// Hands the list of cases to another macro, after what that macro wants to have again.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ([$($then:tt)*] [$($pass:tt)*]) => {
        $($then)*! { [$($pass)*]
            accounts {
                a_database_is_bound_to_its_first_account
                a_database_that_is_not_bound_has_no_leader_and_no_edits
                only_the_account_of_a_database_leads_it
                each_leader_gets_a_newer_token_also_after_reopening
            }
            outbox {
                an_edit_is_in_the_view_and_in_the_outbox
                edits_enqueued_together_are_enqueued_all_or_none
                entries_keep_the_order_of_the_store_over_scopes_and_after_reopening
                an_edit_merges_into_the_unsent_last_entry_of_its_record
                an_edit_merges_into_the_last_pending_entry_past_settled_ones
                an_edit_is_not_merged_past_another_record
                a_create_and_its_delete_that_were_never_sent_leave_nothing
                a_create_and_its_delete_over_what_was_sent_stay_a_delete
                ids_ascend_while_the_wall_clock_steps_back
                what_an_edit_was_based_on_is_kept_whatever_is_pulled_since
                an_edit_for_another_account_is_refused_and_leaves_no_trace
                what_an_edit_expects_is_compared_by_meaning_not_by_spelling
                the_counts_are_those_of_the_entries
                entries_are_listed_by_scope_and_record_and_state
            }
            taking {
                mutations_go_out_in_the_order_of_their_enqueueing
                what_was_taken_is_never_merged_into_also_after_reopening
                what_was_taken_is_taken_again_until_it_is_settled
                each_taking_is_counted_and_the_first_is_remembered
                a_batch_holds_no_more_than_was_asked_for
                an_entry_that_is_too_large_for_a_batch_goes_alone_and_in_its_turn
                only_what_may_go_is_taken_and_marked_as_sent
                a_batch_names_the_cursor_of_each_of_its_scopes
                a_server_that_handles_a_record_once_a_batch_gets_one_mutation_of_it
                what_the_server_has_forgotten_is_left_out_with_its_scope
                a_payload_is_brought_up_to_date_before_it_first_goes_and_never_after
            }
            settling {
                an_applied_mutation_leaves_the_outbox_and_stays_in_the_view
                the_record_that_an_answer_carries_is_shown_in_the_place_of_what_was_sent
                an_answer_for_an_unknown_mutation_does_nothing
                a_settlement_that_is_repeated_does_nothing
                the_answers_of_a_batch_are_settled_together
                edits_made_while_a_push_is_in_flight_are_not_settled_by_its_answer
                the_tick_rises_with_a_settlement_and_tells_pulls_apart
                how_long_the_server_keeps_verdicts_is_kept_with_the_scopes_of_its_answers
                what_the_server_has_forgotten_ends_as_outcome_unknown
                a_refusal_by_a_server_without_verdicts_waits_for_a_pull_that_began_after_it
                a_doubted_create_whose_record_was_pulled_since_was_applied
                a_doubted_conflict_that_a_pull_bears_out_keeps_both_sides
            }
            failed {
                a_rejected_create_and_its_dependent_update_are_set_aside_together
                what_was_refused_stays_in_the_view_marked
                retrying_makes_one_new_mutation_at_the_end_of_the_queue
                a_new_edit_takes_the_failed_ones_up
                discarding_restores_the_view_as_it_was
                discarding_leaves_what_is_not_failed
                a_failed_delete_stays_listed_with_the_state_beneath_it
                what_was_set_aside_keeps_its_reason_and_message
            }
            conflicts {
                a_conflict_keeps_both_sides_until_it_is_acknowledged
                an_edit_that_lost_to_a_delete_is_gone_from_the_view_and_kept
                a_conflict_that_is_kept_already_stays_as_it_is
                conflicts_are_listed_by_scope_and_oldest_first
                acknowledging_a_conflict_leaves_the_others
                mine_again_is_a_new_mutation_at_the_end_of_the_queue
                an_edit_is_put_again_a_bounded_number_of_times
                a_merge_is_put_in_the_place_of_both
                what_lost_a_conflict_hands_what_it_was_based_on_to_its_follower
            }
            pages {
                a_page_brings_its_records_and_its_cursor_together
                a_repeated_page_is_stale_and_changes_nothing
                a_page_that_was_asked_from_another_cursor_is_stale
                a_page_of_another_generation_is_stale
                a_page_of_another_epoch_changes_nothing
                a_page_of_ten_thousand_changes_is_applied_whole
                of_a_record_that_comes_twice_in_a_page_the_last_change_stands
                a_delete_and_a_create_in_one_page_stand_in_their_order
                a_deleted_record_comes_back_with_a_later_page
                a_remove_of_what_is_not_there_leaves_nothing
                pages_of_two_scopes_with_the_same_ids_do_not_mix
                what_a_page_says_of_its_scope_is_kept
                an_overwritten_edit_becomes_a_conflict_once
            }
            confirming {
                a_pulled_change_does_not_show_over_a_pending_edit
                what_was_pulled_under_an_edit_shows_once_the_edit_is_discarded
                an_own_mutation_in_a_page_settles_it
                an_applied_edit_shows_until_its_change_comes
                an_applied_edit_leaves_when_a_drained_pull_has_passed_it
                an_applied_delete_does_not_come_back
                without_versions_an_applied_edit_waits_for_a_pull_that_began_after_its_answer
            }
            payloads {
                numbers_keep_every_digit
                strings_keep_every_character
                any_json_keeps_its_shape
                a_payload_of_null_is_not_a_missing_one
                a_payload_of_five_megabytes_is_kept_whole
                the_format_version_of_a_payload_is_kept
                versions_keep_every_digit
            }
            records {
                a_list_goes_step_by_step_through_everything_once
                a_list_is_of_one_scope_and_one_type
                a_count_is_of_what_the_app_sees
                what_is_not_there_is_none_and_looking_leaves_nothing
                changes_of_unknown_types_are_kept
            }
            keys {
                any_text_is_a_scope_a_type_and_an_id
                texts_that_differ_only_by_case_are_different
                texts_that_differ_only_by_normalisation_are_different
                texts_that_differ_only_by_what_they_begin_or_end_with_are_different
                uuids_are_text_too
                very_long_texts_are_told_apart_by_their_ends
                the_parts_of_a_key_do_not_run_into_one_another
            }
            resync {
                a_resync_keeps_the_records_and_the_edits
                a_resync_begins_with_no_cursor_and_a_new_generation
                a_sweep_removes_only_what_the_resync_did_not_bring
                a_sweep_goes_in_steps_of_its_limit
                a_sweep_goes_on_after_reopening
                a_sweep_without_a_resync_does_nothing
                a_sweep_before_the_pull_has_drained_removes_nothing
                a_new_epoch_puts_applied_edits_back_at_their_old_place
                a_new_epoch_puts_an_edit_back_with_the_payload_as_sent
            }
            revocation {
                a_purge_of_one_scope_leaves_the_others_as_they_were
                a_page_on_its_way_is_stale_after_a_purge
                a_purge_hands_over_what_was_not_synced
                revoked_mutations_stay_until_they_are_acknowledged
                conflicts_outlive_the_purge_of_their_scope
                a_purged_scope_begins_anew
            }
            wiping {
                a_wipe_is_refused_while_an_edit_is_not_synced
                a_wipe_is_refused_while_the_app_has_something_to_acknowledge
                a_forced_wipe_leaves_nothing
                a_wipe_unbinds_the_database
                a_wipe_ends_the_lead
                a_page_on_its_way_is_stale_after_a_wipe
            }
            touching {
                a_page_says_which_views_it_has_changed
                settling_and_discarding_say_which_views_they_have_changed
                a_sweep_says_which_views_it_has_changed
                a_purge_and_a_wipe_say_which_views_they_have_changed
            }
            handles {
                what_one_handle_has_written_every_handle_reads
                edits_of_several_handles_are_numbered_as_one
                calls_take_effect_in_the_order_in_which_they_were_first_polled
                a_read_sees_no_half_of_edits_enqueued_together
                a_read_sees_no_half_of_a_page
            }
            leading {
                who_led_before_takes_no_batch
                who_led_before_settles_nothing
                who_led_before_applies_no_page
                who_led_before_begins_and_sweeps_no_resync
                who_led_before_purges_nothing
                one_leads_at_a_time
                a_lead_passes_on_when_it_is_released_or_dropped
                who_gives_up_waiting_is_not_given_the_lead
                a_notice_reaches_the_other_handle
                an_engine_does_not_hear_its_own_notices
            }
            crashes {
                edits_survive_a_crash
                what_was_sent_is_known_to_be_sent_after_a_crash
                answers_survive_a_crash
                a_page_and_its_cursor_survive_a_crash_together
                a_resync_goes_on_after_a_crash_at_each_of_its_steps
                what_the_app_decides_survives_a_crash
                a_crash_sets_no_counter_back
            }
            dropped {
                a_call_that_was_never_polled_has_no_effect
                an_enqueue_that_was_dropped_is_whole_or_absent
                a_take_that_was_dropped_is_whole_or_absent
                a_settlement_that_was_dropped_is_whole_or_absent
                a_retry_or_a_discard_that_was_dropped_is_whole_or_absent
                a_binding_or_a_lead_that_was_dropped_is_whole_or_absent
                a_page_that_was_dropped_is_applied_whole_or_not_at_all
                a_resync_that_was_dropped_has_begun_or_has_not
                a_step_of_a_sweep_that_was_dropped_is_whole_or_absent
                a_purge_that_was_dropped_is_whole_or_absent
                a_wipe_that_was_dropped_is_whole_or_absent
                an_acknowledgement_that_was_dropped_is_whole_or_absent
            }
            histories {
                random_histories_give_the_answers_and_the_rows_of_the_memory_store
            }
        }
    };
}

macro_rules! table {
    ([] $($group:ident { $($case:ident)* })*) => {
        const ALL: &[Case] = &[$($(
            Case {
                name: stringify!($case),
                group: stringify!($group),
                run: |database| Box::pin($group::$case(database)),
            },
        )*)*];
    };
}

__store_cases! { [table] [] }
