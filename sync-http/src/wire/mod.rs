//! The bodies of this project's own protocol, as both sides use them.
//!
//! Unknown fields are ignored, so that either side may be newer. Decoding takes the whole body in an
//! `Arc<str>`: ids and payloads are cut out of it, not copied.

mod answers;
mod failure;
mod pull;
mod push;

pub use answers::{AnswerBody, AnswersBody, RecordBody, VerdictKind};
pub use failure::{ErrorBody, ErrorCode, ErrorDetail};
pub use pull::{ChangeBody, ChangeKind, OverwrittenBody, PageBody, PullQuery};
pub use push::{InvalidMutation, MutationBody, PushBody, ReceivedPush, VersionBody};

/// The path of a pull, below the server's base address.
pub const PULL_PATH: &str = "v1/pull";

/// The path of a push, below the server's base address.
pub const PUSH_PATH: &str = "v1/push";

/// The request header that names the account for which a request is made, as [`encode_account`] writes it; the
/// server refuses it with [`ErrorCode::OtherAccount`] when the token is another account's.
pub const ACCOUNT_HEADER: &str = "sync-account";

use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sync_core::{
    json,
    model::{Account, InvalidPayload, Payload},
};

use crate::Malformed;

/// A field that may hold nothing in our types, and must be there on the wire.
fn required<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Every name of a field in these bodies.
const NAMES: [&str; 31] = [
    "account",
    "after",
    "ageMs",
    "answers",
    "base",
    "by",
    "changes",
    "cursors",
    "entityId",
    "epoch",
    "group",
    "hasMore",
    "id",
    "mutationId",
    "mutations",
    "next",
    "op",
    "overwritten",
    "payload",
    "reason",
    "record",
    "resync",
    "retryAfterMs",
    "schema",
    "scope",
    "seq",
    "through",
    "type",
    "verdict",
    "verdictRetentionMs",
    "version",
];

/// A body of the project's own protocol.
fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Malformed> {
    json::from_str(body).map_err(|error| Malformed::of(body, &error, |name| NAMES.contains(&name)))
}

/// The payload as a part of a body that is being written.
fn raw(payload: Option<&Payload>) -> Result<Option<&RawValue>, InvalidPayload> {
    payload
        .map(|payload| serde_json::from_str(payload.as_str()))
        .transpose()
        .map_err(InvalidPayload::from)
}

/// The value of [`ACCOUNT_HEADER`]: percent-encoded where a header cannot hold a character.
#[must_use]
pub fn encode_account(account: &Account) -> String {
    const UNFIT: &AsciiSet = &CONTROLS.add(b'%').add(b' ');
    utf8_percent_encode(account.as_str(), UNFIT).to_string()
}

/// The account in a value of [`ACCOUNT_HEADER`]; `None` when it is not UTF-8.
#[must_use]
pub fn decode_account(value: &str) -> Option<Account> {
    let account = percent_decode_str(value).decode_utf8().ok()?;
    Some(Account::from(&*account))
}

/// The query that follows a path.
pub(crate) fn query_of(path: &str) -> form_urlencoded::Serializer<'static, String> {
    let target = format!("{path}?");
    let start = target.len();
    form_urlencoded::Serializer::for_suffix(target, start)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(schema: &u32) -> bool {
    *schema == 0
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
