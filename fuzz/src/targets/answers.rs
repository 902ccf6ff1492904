//! The answers to a push, and refusals, in each dialect.

use std::sync::Arc;

use serde_json::Value;
use sync_core::transport::{PushAnswer, Verdict};
use sync_http::{
    Malformed,
    dialect::{Dialect, Feed},
    wire::{AnswersBody, ErrorBody, ErrorCode},
};

use crate::{memory::bounded, named, text, words::assert_names_a_place};

/// Every code that a refusal may have.
const CODES: [ErrorCode; 9] = [
    ErrorCode::BadRequest,
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::NotFound,
    ErrorCode::OtherAccount,
    ErrorCode::CursorExpired,
    ErrorCode::TooLarge,
    ErrorCode::RateLimited,
    ErrorCode::Unavailable,
];

/// Decodes the input as answers, and as a refusal.
pub fn run(input: &[u8]) {
    let Some(body) = text(input) else { return };
    let own = decode(&body, AnswersBody::decode, |answer| {
        AnswersBody::encode(answer).unwrap()
    });
    if let Some((answer, json)) = own {
        assert_records(&answer, &json["answers"], &["record", "payload"]);
    }
    refusal(&body, &Dialect::Own, |code, message| {
        serde_json::to_string(&ErrorBody::new(code, message)).unwrap()
    });
    for feed in [Feed::since(), Feed::cursor()] {
        let decoded = decode(
            &body,
            |body| feed.decode_answers(body),
            |answer| feed.encode_answers(answer).unwrap(),
        );
        if let Some((answer, json)) = decoded {
            let results = &json[&feed.push.results];
            assert_records(&answer, results, &[&feed.push.record]);
        }
        let dialect = Dialect::from(feed.clone());
        refusal(&body, &dialect, |code, message| {
            feed.encode_refusal(code, message)
        });
    }
}

/// The answers, and the same JSON as serde_json reads it, if it does.
fn decode(
    body: &Arc<str>,
    decode: impl Fn(&Arc<str>) -> Result<PushAnswer, Malformed>,
    encode: impl Fn(&PushAnswer) -> String,
) -> Option<(PushAnswer, Value)> {
    match bounded(body, || decode(body)) {
        Ok(answer) => {
            assert_eq!(decode(&encode(&answer).into()).unwrap(), answer);
            Some((answer, named(body)?))
        }
        Err(error) => {
            assert_names_a_place(&error);
            None
        }
    }
}

/// Records are what the JSON says, on this way into each entry; there is one answer for each.
fn assert_records(answer: &PushAnswer, json: &Value, way: &[&str]) {
    let json = json.as_array().unwrap();
    assert_eq!(answer.answers.len(), json.len());
    for (answer, json) in answer.answers.iter().zip(json) {
        let theirs = match &answer.verdict {
            Verdict::Conflict { theirs } => Some(theirs),
            Verdict::Applied { record, .. } => record.as_ref(),
            _ => None,
        };
        if let Some(theirs) = theirs {
            let payload = theirs.payload.as_ref();
            let payload = payload.map(|payload| payload.decode().unwrap());
            let record = way.iter().fold(json, |json, name| &json[name]);
            assert_eq!(payload.unwrap_or(Value::Null), *record);
        }
    }
}

/// A refusal's code is believed only under its own status; one that is written is read again.
fn refusal(body: &str, dialect: &Dialect, encode: impl Fn(ErrorCode, &str) -> String) {
    for code in CODES {
        let read = bounded(body, || dialect.refusal(code.status(), body));
        assert!(read.is_none_or(|read| read == code));
        let again = dialect.refusal(code.status(), &encode(code, "why"));
        if read.is_some() {
            assert_eq!(again, read);
        }
    }
}
