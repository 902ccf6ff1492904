//! From this project's own protocol into a feed and back, as a client and a server of a feed do it together.

use std::sync::Arc;

use sync_core::{
    model::{Page, Payload},
    time::Timestamp,
    transport::{PushAnswer, PushRequest, Verdict},
};
use sync_http::{
    dialect::{ChangeNote, Feed, Form},
    wire::{AnswersBody, PageBody, PushBody},
};

use crate::text;

/// Translates whatever the input is, into each feed.
pub fn run(input: &[u8]) {
    let Some(body) = text(input) else { return };
    let feeds = [Feed::since(), Feed::cursor(), numbers()];
    if let Ok(page) = PageBody::decode(&body) {
        feeds.iter().for_each(|feed| translate_page(feed, &page));
    }
    if let Ok(answer) = AnswersBody::decode(&body) {
        feeds
            .iter()
            .for_each(|feed| translate_answers(feed, &answer));
    }
    if let Ok(batch) = PushBody::decode(&body, Timestamp::default()) {
        let mut mutations: Vec<_> = batch.mutations.into_iter().filter_map(Result::ok).collect();
        for at in 1..mutations.len() {
            mutations[at].over = mutations[at - 1].mutation.op.payload().cloned();
        }
        let request = PushRequest {
            account: batch.account,
            cursors: batch.cursors,
            mutations,
        };
        feeds.iter().for_each(|feed| translate_push(feed, &request));
    }
}

/// A feed with the forms that the presets do not use.
fn numbers() -> Feed {
    let mut feed = Feed::since();
    feed.entity_id = Form::Number;
    feed.cursor = Form::Text;
    feed.scope = Form::Text;
    feed.scope_field = "project \"\\ id".to_owned();
    feed.push.denied.clear();
    feed.push.new_cursor = None;
    feed.pull.has_more = None;
    feed
}

fn translate_page(feed: &Feed, page: &Page) {
    let note = |at: u64| ChangeNote {
        // The ends of what a clock can show are dates, too.
        made_at: Timestamp::from_millis(at.cast_signed()),
        is_new: at.is_multiple_of(2),
    };
    let body: Arc<str> = feed
        .encode_page(page, |change| note(change.seq.unwrap_or_default()))
        .unwrap()
        .into();
    let came = feed.decode_page(&body).unwrap();
    assert_eq!(came.next, page.next);
    assert_eq!(came.has_more, page.has_more && feed.pull.has_more.is_some());
    assert_eq!(came.changes.len(), page.changes.len());
    for (came, went) in came.changes.iter().zip(&page.changes) {
        assert_eq!(
            (&came.entity_type, &came.entity_id, &came.op),
            (&went.entity_type, &went.entity_id, &went.op)
        );
    }
}

fn translate_answers(feed: &Feed, answer: &PushAnswer) {
    let body: Arc<str> = feed.encode_answers(answer).unwrap().into();
    let came = feed.decode_answers(&body).unwrap();
    assert_eq!(came.answers.len(), answer.answers.len());
    for (came, went) in came.answers.iter().zip(&answer.answers) {
        assert_eq!(came.id, went.id);
        let is_denied = |reason: &String| feed.push.denied.contains(reason);
        match (&came.verdict, &went.verdict) {
            (Verdict::Applied { .. }, Verdict::Applied { .. })
            | (Verdict::Rejected { .. }, Verdict::Retry { .. }) => {}
            (Verdict::Conflict { theirs: came }, Verdict::Conflict { theirs: went }) => {
                assert_eq!(came.payload, went.payload);
            }
            (Verdict::Rejected { reason: came }, Verdict::Rejected { reason: went }) => {
                assert_eq!(came, went);
            }
            (Verdict::Forbidden, Verdict::Rejected { reason }) => assert!(is_denied(reason)),
            (Verdict::Forbidden, Verdict::Forbidden) => {}
            // A feed without a word for it.
            (Verdict::Rejected { .. }, Verdict::Forbidden) => {
                assert!(feed.push.denied.is_empty());
            }
            (came, went) => panic!("{went:?} became {came:?}"),
        }
    }
}

fn translate_push(feed: &Feed, request: &PushRequest) {
    let body: Arc<str> = feed.encode_push(request).unwrap().into();
    let came = feed.decode_push(&body).unwrap();
    assert_eq!(came.len(), request.mutations.len());
    for (came, went) in came.iter().zip(&request.mutations) {
        let (mutation, key) = (&went.mutation, &went.mutation.key);
        assert_eq!(came.id, mutation.id);
        assert_eq!(
            (&came.entity_type, &came.entity_id),
            (&key.entity_type, &key.entity_id)
        );
        let op = came.op.as_ref().unwrap();
        assert_eq!(op.name(), mutation.op.name());
        match (op.payload(), mutation.op.payload()) {
            (Some(came), Some(went_payload)) => {
                if came != went_payload {
                    assert!(went.over.is_some(), "nothing was to be changed");
                    assert_only_time(feed, came, went_payload);
                }
            }
            (came, went) => {
                assert_eq!(came, went);
            }
        }
        if mutation.op.payload().is_none() {
            assert_eq!(came.scope.as_ref(), Some(&key.scope));
        }
    }
}

/// Only the field of the edit time may differ from what the app wrote.
fn assert_only_time(feed: &Feed, came: &Payload, went: &Payload) {
    let time: Vec<String> = feed.edit_time_field.iter().cloned().collect();
    assert!(came.same_json_except(went, &time));
}
