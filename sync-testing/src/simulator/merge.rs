//! The one merge of the simulated world, made by a server or by an app.

use serde::{Deserialize, Serialize};
use sync_core::model::Payload;

/// What apps write, as far as a merge looks at it.
#[derive(Debug, Serialize, Deserialize)]
struct Numbered {
    n: u64,
    /// The newest of what it was merged with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beside: Option<u64>,
}

/// The one payload with the number of the other beside its own; none where it cannot be read, or says so already.
pub(crate) fn beside(one: &Payload, other: &Payload) -> Option<Payload> {
    let mut one: Numbered = serde_json::from_str(one.as_str()).ok()?;
    let other: Numbered = serde_json::from_str(other.as_str()).ok()?;
    let merged = Some(other.n).max(other.beside).max(one.beside);
    if one.beside == merged {
        return None;
    }
    one.beside = merged;
    Payload::parse(serde_json::to_string(&one).ok()?).ok()
}
