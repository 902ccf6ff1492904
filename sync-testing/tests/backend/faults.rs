//! Our own server with one thing wrong: it fails at just the point about that.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use sync_http::wire::ACCOUNT_HEADER;
use sync_server::{Limits, router::RouterSettings};
use sync_testing::backend::{Finding, Report, check};

use crate::{
    json::{self, Object},
    served,
    taught::Taught,
};

/// A body that is longer goes through as it is.
const LONGEST: usize = 8 << 20;

/// What is wrong with a server.
#[derive(Clone, Debug)]
enum Fault {
    ForgetsOverwritten,
    MisnamesOverwritten,
    LeavesSchemaOutOfChanges,
    LeavesSchemaOutOfConflicts,
    HonoursAfterOfAnother(Taught),
    IgnoresTheEpochOfBase(Taught),
    AsksForNoName,
    DecodesNoName,
    BelievesEncodedNames,
    TakesWrongTypes,
    SaysScannedTooFar,
    RepeatsWhateverItSays(Taught),
    LooksAtVerdictsFirst(Taught),
    ForgetsWhatItRejected,
    NamesNoDelete,
    LeavesVersionsOut,
}

impl Fault {
    fn on_headers(&self, request: &mut Request) {
        let named = request.headers().get(ACCOUNT_HEADER).cloned();
        let encoded = |name: &HeaderValue| name.as_bytes().contains(&b'%');
        let instead = match (self, named) {
            (Self::AsksForNoName, None) => json::account_of(request.headers()),
            (Self::BelievesEncodedNames, Some(name)) if encoded(&name) => {
                json::account_of(request.headers())
            }
            (Self::DecodesNoName, Some(name)) if encoded(&name) => {
                name.to_str().unwrap().replace('%', "%25")
            }
            _ => return,
        };
        let instead = HeaderValue::from_str(&instead).unwrap();
        request.headers_mut().insert(ACCOUNT_HEADER, instead);
    }

    fn on_push(&self, account: &str, body: &mut Object) {
        match self {
            Self::HonoursAfterOfAnother(taught) => {
                json::each(body, "mutations", |mutation| taught.believe_after(mutation));
            }
            Self::IgnoresTheEpochOfBase(taught) => {
                json::each(body, "mutations", |mutation| taught.believe_base(mutation));
            }
            Self::RepeatsWhateverItSays(taught) => {
                json::each(body, "mutations", |mutation| taught.believe_id(mutation));
            }
            Self::LooksAtVerdictsFirst(taught) if taught.knows(body) => {
                body.insert("cursors".to_owned(), json::raw(&Object::new()));
            }
            Self::TakesWrongTypes => json::mend(body, account),
            _ => {}
        }
    }

    fn on_answer(&self, asked: &Object, body: &mut Object) {
        match self {
            Self::ForgetsOverwritten => json::each(body, "changes", |change| {
                let seq = change["seq"].get().to_owned();
                if change.contains_key("overwritten") {
                    json::retain(change, "overwritten", |mark| mark["by"].get() == seq);
                }
            }),
            Self::MisnamesOverwritten => json::each(body, "changes", |change| {
                json::each(change, "overwritten", |mark| {
                    mark.insert("account".to_owned(), json::raw(&"nobody"));
                });
            }),
            Self::LeavesSchemaOutOfChanges => json::each(body, "changes", |change| {
                change.remove("schema");
            }),
            Self::LeavesSchemaOutOfConflicts => json::each(body, "answers", |answer| {
                if let Some(record) = answer.get_mut("record") {
                    let mut fields = json::object(record.get().as_bytes()).unwrap();
                    fields.remove("schema");
                    *record = json::raw(&fields);
                }
            }),
            Self::SaysScannedTooFar if json::read(body, "hasMore") == Some(true) => {
                let through: Option<u64> = json::read(body, "through");
                let beyond = through.map(|through| through + 1);
                body.insert("through".to_owned(), json::raw(&beyond));
            }
            Self::ForgetsWhatItRejected => json::apply_unnamed(asked, body),
            Self::NamesNoDelete => json::each(body, "changes", |change| {
                if json::read::<String>(change, "op").as_deref() == Some("remove") {
                    change.remove("mutationId");
                }
            }),
            Self::LeavesVersionsOut => json::each(body, "answers", |answer| {
                answer.remove("version");
            }),
            Self::HonoursAfterOfAnother(taught)
            | Self::IgnoresTheEpochOfBase(taught)
            | Self::RepeatsWhateverItSays(taught)
            | Self::LooksAtVerdictsFirst(taught) => taught.learn(asked, body),
            _ => {}
        }
    }
}

async fn spoil(State(fault): State<Fault>, mut request: Request, next: Next) -> Response {
    fault.on_headers(&mut request);
    let length = json::length(request.headers());
    let packed = request.headers().contains_key(header::CONTENT_ENCODING);
    let mut asked = Object::new();
    if !packed && length.is_some_and(|length| length <= LONGEST) {
        let account = json::account_of(request.headers());
        let (head, body) = request.into_parts();
        let body = whole(body).await;
        let spoilt = json::object(&body).map(|mut object| {
            fault.on_push(&account, &mut object);
            let text = json::raw(&object).get().to_owned();
            asked = object;
            Bytes::from(text)
        });
        request = Request::from_parts(head, Body::from(spoilt.unwrap_or(body)));
        request.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let response = next.run(request).await;
    if response.status() != 200 || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let body = whole(body).await;
    let mut object = json::object(&body).unwrap();
    fault.on_answer(&asked, &mut object);
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(json::raw(&object).get().to_owned()))
}

async fn whole(body: Body) -> Bytes {
    to_bytes(body, usize::MAX).await.unwrap()
}

async fn report_on(routes: Router) -> Report {
    let target = served::target(routes).await.load(2, 3);
    let report = check(&target).await.unwrap();
    println!("{report}");
    assert_eq!(report.count(Finding::Skipped), 0);
    report
}

/// Demands that a server with this fault fails at this point alone.
async fn fails_alone(fault: Fault, point: &str) -> Report {
    let routes = served::our_routes(RouterSettings::default(), |server| server);
    let report = report_on(routes.layer(from_fn_with_state(fault, spoil))).await;
    assert_eq!(report.named(Finding::Failed), [point]);
    report
}

#[tokio::test]
async fn a_server_that_forgets_who_was_overwritten_at_the_next_edit_is_found_out() {
    let point = "whoever_lost_stays_named_when_the_winner_edits_on";
    fails_alone(Fault::ForgetsOverwritten, point).await;
}

#[tokio::test]
async fn a_server_that_does_not_say_whose_the_overwritten_edit_was_is_found_out() {
    let point = "whoever_loses_after_the_fact_is_named_in_the_winners_change";
    fails_alone(Fault::MisnamesOverwritten, point).await;
}

#[tokio::test]
async fn a_server_that_leaves_the_schema_out_is_found_out() {
    let point = "the_format_version_of_a_payload_comes_back_with_it";
    fails_alone(Fault::LeavesSchemaOutOfChanges, point).await;
    fails_alone(Fault::LeavesSchemaOutOfConflicts, point).await;
}

#[tokio::test]
async fn a_server_that_honours_after_of_anothers_mutation_is_found_out() {
    let point = "an_edit_on_top_of_anothers_is_judged_by_its_base_alone";
    fails_alone(Fault::HonoursAfterOfAnother(Taught::default()), point).await;
}

#[tokio::test]
async fn a_server_that_ignores_the_epoch_of_a_base_is_found_out() {
    let point = "a_base_of_another_epoch_is_no_knowledge_of_this_one";
    fails_alone(Fault::IgnoresTheEpochOfBase(Taught::default()), point).await;
}

#[tokio::test]
async fn a_server_that_asks_for_no_name_is_found_out() {
    let point = "a_pull_that_names_no_account_is_refused";
    fails_alone(Fault::AsksForNoName, point).await;
}

#[tokio::test]
async fn a_server_that_does_not_decode_names_or_believes_encoded_ones_is_found_out() {
    let point = "the_name_of_an_account_is_percent_decoded";
    fails_alone(Fault::DecodesNoName, point).await;
    fails_alone(Fault::BelievesEncodedNames, point).await;
}

#[tokio::test]
async fn a_server_that_takes_fields_of_wrong_types_is_found_out_at_each() {
    let point = "a_field_of_a_wrong_type_is_refused";
    let report = fails_alone(Fault::TakesWrongTypes, point).await;
    let mut points = report.points.iter();
    let seen = &points.find(|found| found.name == point).unwrap().seen;
    assert_eq!(seen.matches("status 200").count(), 29, "{seen}");
}

#[tokio::test]
async fn a_server_that_says_it_has_scanned_what_it_has_not_sent_is_found_out() {
    let point = "changes_are_numbered_in_the_order_of_the_log";
    fails_alone(Fault::SaysScannedTooFar, point).await;
}

#[tokio::test]
async fn a_server_that_repeats_a_verdict_whatever_comes_under_its_id_is_found_out() {
    let point = "an_id_that_comes_again_with_something_else_is_rejected";
    fails_alone(Fault::RepeatsWhateverItSays(Taught::default()), point).await;
}

#[tokio::test]
async fn a_server_that_looks_at_verdicts_before_cursors_is_found_out() {
    let point = "an_expired_cursor_goes_before_a_stored_verdict";
    fails_alone(Fault::LooksAtVerdictsFirst(Taught::default()), point).await;
}

#[tokio::test]
async fn a_server_that_rejects_only_followers_that_say_so_is_found_out() {
    let point = "what_follows_a_rejected_mutation_of_its_record_is_rejected";
    fails_alone(Fault::ForgetsWhatItRejected, point).await;
}

#[tokio::test]
async fn a_server_that_does_not_say_which_mutation_deleted_a_record_is_found_out() {
    let point = "a_change_names_the_mutation_that_made_it";
    fails_alone(Fault::NamesNoDelete, point).await;
}

#[tokio::test]
async fn a_server_that_leaves_versions_out_hears_so_at_the_first_point() {
    let routes = served::our_routes(RouterSettings::default(), |server| server);
    let routes = routes.layer(from_fn_with_state(Fault::LeavesVersionsOut, spoil));
    let target = served::target(routes).await;
    let report = check(&target).await.unwrap();
    let seen = &report.points[0].seen;
    assert!(
        seen.ends_with("applied without a version in answers[0]"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_server_without_a_bound_of_a_pages_bytes_is_found_out() {
    let routes = served::our_routes(RouterSettings::default(), |server| {
        server.with_limits(Limits {
            page_bytes: u64::MAX,
            ..Limits::default()
        })
    });
    let failed = report_on(routes).await.named(Finding::Failed);
    assert_eq!(failed, ["a_page_of_large_records_is_bounded"]);
}

#[tokio::test]
async fn a_server_without_a_bound_of_a_bodys_bytes_is_found_out() {
    let settings = RouterSettings {
        body_bytes: usize::MAX,
        ..RouterSettings::default()
    };
    let routes = served::our_routes(settings, |server| server);
    let failed = report_on(routes).await.named(Finding::Failed);
    let points = [
        "a_body_beyond_all_bounds_is_refused",
        "a_small_body_that_unpacks_to_a_huge_one_is_refused",
    ];
    assert_eq!(failed, points);
}
