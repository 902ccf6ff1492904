//! A server as one writes it who has not thought of it: each of its sins is a common one, and each is found.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sync_testing::backend::{Finding, check};

use crate::served;

#[derive(Clone, Default)]
struct Naive {
    serial: Arc<AtomicU64>,
    tables: Arc<Mutex<Tables>>,
}

#[derive(Default)]
struct Tables {
    owners: HashMap<String, String>,
    rows: HashMap<String, Row>,
}

/// One row a record, whatever its scope; a deleted one is simply gone.
struct Row {
    scope: String,
    serial: u64,
    mutation: Value,
}

#[derive(Deserialize)]
struct Pull {
    scope: String,
    cursor: Option<String>,
    limit: Option<usize>,
}

fn account(headers: &HeaderMap) -> Option<String> {
    let token = headers.get("authorization")?.to_str().ok()?;
    let token = token.strip_prefix("Bearer ")?.strip_suffix("-token")?;
    matches!(token, "alice" | "bob").then(|| token.to_owned())
}

fn refusal(status: StatusCode, code: &str) -> Response {
    let body = json!({"error": {"code": code, "message": "no"}});
    (status, Json(body)).into_response()
}

fn unauthorized() -> Response {
    refusal(StatusCode::UNAUTHORIZED, "unauthorized")
}

async fn pull(
    State(naive): State<Naive>,
    headers: HeaderMap,
    Query(pull): Query<Pull>,
) -> Response {
    let Some(account) = account(&headers) else {
        return unauthorized();
    };
    let tables = naive.tables.lock().unwrap();
    if tables.owners.get(&pull.scope) != Some(&account) {
        return refusal(StatusCode::FORBIDDEN, "forbidden");
    }
    // What it cannot read, it takes for the start; and a cursor is the last serial number seen.
    let since = pull
        .cursor
        .and_then(|cursor| cursor.parse().ok())
        .unwrap_or(0);
    let limit = pull.limit.unwrap_or(100);
    let mut rows: Vec<_> = tables
        .rows
        .values()
        .filter(|row| row.scope == pull.scope && row.serial > since)
        .collect();
    rows.sort_by_key(|row| row.serial);
    rows.truncate(limit);
    let last = rows.last().map_or(since, |row| row.serial);
    let changes: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "type": row.mutation["type"], "id": row.mutation["entityId"], "op": "put", "seq": row.serial,
                "payload": row.mutation["payload"], "mutationId": row.mutation["id"],
            })
        })
        .collect();
    let page = json!({
        // A full page, it guesses, has more after it.
        "hasMore": changes.len() == limit, "changes": changes, "next": last.to_string(), "through": last,
        "epoch": "the only one",
    });
    Json(page).into_response()
}

async fn push(State(naive): State<Naive>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let Some(account) = account(&headers) else {
        return unauthorized();
    };
    let Some(mutations) = body["mutations"].as_array() else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    let known = |mutation: &Value| {
        let op = mutation["op"].as_str();
        let whole = op == Some("delete") || !mutation["payload"].is_null();
        mutation["id"].is_string() && matches!(op, Some("create" | "update" | "delete")) && whole
    };
    if !mutations.iter().all(known) {
        return refusal(StatusCode::BAD_REQUEST, "bad_request");
    }
    // The numbers are handed out as a sequence of a database hands them out: before the commit, which takes its time.
    let count = mutations.len() as u64;
    let first = naive.serial.fetch_add(count, Ordering::SeqCst) + 1;
    tokio::time::sleep(Duration::from_millis(first % 5 * 3)).await;
    let mut tables = naive.tables.lock().unwrap();
    let answers: Vec<_> = (first..)
        .zip(mutations)
        .map(|(serial, mutation)| {
            let verdict = tables.handle(&account, serial, mutation);
            let version = json!({"epoch": "the only one", "seq": serial});
            match verdict {
                "applied" => json!({"id": mutation["id"], "verdict": verdict, "version": version}),
                "rejected" => {
                    json!({"id": mutation["id"], "verdict": verdict, "reason": "duplicate key"})
                }
                _ => json!({"id": mutation["id"], "verdict": verdict}),
            }
        })
        .collect();
    Json(json!({"answers": answers})).into_response()
}

impl Tables {
    fn handle(&mut self, account: &str, serial: u64, mutation: &Value) -> &'static str {
        // Who claims a scope of their own, or none, may do everything.
        if let Some(scope) = mutation["scope"].as_str() {
            let owner = self.owners.entry(scope.to_owned());
            if owner.or_insert_with(|| account.to_owned()) != account {
                return "forbidden";
            }
        }
        let id = mutation["entityId"].as_str().unwrap_or_default();
        match (mutation["op"].as_str(), self.rows.get_mut(id)) {
            (Some("create"), Some(_)) => return "rejected",
            (Some("delete"), _) => drop(self.rows.remove(id)),
            (_, Some(row)) if row.serial < serial => {
                row.serial = serial;
                row.mutation = mutation.clone();
            }
            (_, Some(_)) => {}
            (_, None) => {
                let row = Row {
                    scope: mutation["scope"].as_str().unwrap_or_default().to_owned(),
                    serial,
                    mutation: mutation.clone(),
                };
                self.rows.insert(id.to_owned(), row);
            }
        }
        "applied"
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_naive_server_fails_at_exactly_what_it_gets_wrong() {
    let naive = Naive::default();
    let empty = (served::EMPTY.to_owned(), "alice".to_owned());
    naive.tables.lock().unwrap().owners.extend([empty]);
    let routes = Router::new()
        .route("/v1/pull", get(pull))
        .route("/v1/push", post(push))
        .layer(DefaultBodyLimit::disable())
        .with_state(naive);
    let target = served::target(routes).await;
    let report = check(&target).await.unwrap();
    println!("{report}");
    assert_eq!(
        report.named(Finding::Failed),
        [
            // It guesses from a full page.
            "there_is_more_exactly_if_more_comes",
            // Its numbers are handed out before they commit.
            "every_mutation_of_many_writers_is_pulled_exactly_once",
            "batches_and_single_mutations_at_once_leave_no_gap",
            // It knows no mutation again.
            "a_mutation_that_is_sent_again_is_answered_the_same_and_applied_once",
            "a_batch_that_is_sent_many_times_at_once_is_applied_once",
            "a_verdict_is_repeated_after_others_have_written",
            "a_refusal_is_repeated",
            "an_id_that_comes_again_with_something_else_is_rejected",
            "a_change_names_the_mutation_that_made_it",
            // It takes a batch whole or not at all.
            "what_follows_a_rejected_mutation_of_its_record_is_rejected",
            "a_bad_mutation_does_not_spoil_the_others",
            // The last write wins, and nobody is told.
            "the_loser_of_two_concurrent_edits_gets_the_current_record",
            "whoever_loses_after_the_fact_is_named_in_the_winners_change",
            "a_base_of_another_epoch_is_no_knowledge_of_this_one",
            "an_edit_on_top_of_anothers_is_judged_by_its_base_alone",
            "an_update_of_a_deleted_record_is_a_conflict_and_brings_nothing_back",
            // It keeps no tombstones.
            "a_delete_is_pulled_as_a_tombstone",
            // It looks at the token, and believes the rest.
            "a_token_of_another_account_than_the_request_names_is_refused",
            "a_pull_that_names_no_account_is_refused",
            "the_name_of_an_account_is_percent_decoded",
            "a_claimed_scope_opens_no_record_of_another",
            "a_delete_that_claims_nothing_deletes_nobody_elses_record",
            // A cursor is any number.
            "a_cursor_that_was_never_given_out_is_refused_as_expired",
            "a_cursor_of_another_scope_is_refused_as_expired",
            "a_push_from_an_expired_cursor_is_told_to_resync_and_other_scopes_go_on",
            "an_expired_cursor_goes_before_a_stored_verdict",
            // It counts no bytes.
            "a_body_beyond_all_bounds_is_refused",
            "a_page_of_large_records_is_bounded",
            // What its framework says to nonsense is not in its own format.
            "broken_json_is_refused",
            "wrong_types_are_refused",
            "a_field_of_a_wrong_type_is_refused",
            "a_pull_that_makes_no_sense_is_refused",
            "deep_nesting_is_refused_or_stored_and_harms_nobody",
            "what_is_not_there_is_not_found",
            // It reads numbers as doubles, and writes payloads anew.
            "a_payload_comes_back_character_by_character",
            "the_format_version_of_a_payload_comes_back_with_it",
            "answers_are_not_to_be_cached",
            // It has never heard of gzip.
            "answers_are_compressed_for_clients_that_offer_it_and_for_no_others",
            "a_compressed_body_is_taken",
            "a_compressed_body_is_applied_or_refused_and_nothing_between",
            "a_body_that_cannot_be_unpacked_is_refused",
            "a_small_body_that_unpacks_to_a_huge_one_is_refused",
        ]
    );
    assert_eq!(report.count(Finding::Skipped), 0);
    assert!(!report.passed());
}
