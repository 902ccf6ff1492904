//! Pages of changes, as the text that a server answers with.

use sync_core::model::{Change, ChangeOp, Page, Payload, Schema};
use sync_http::wire::PageBody;

/// What a page does to its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Insert,
    Update,
    Delete,
}

/// The id of a record: random, as ids are, and the same for the same number.
fn id(record: usize) -> String {
    let mix = (record as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (high, low) = (mix >> 32, mix & 0xffff_ffff);
    format!("{high:08x}-7e1f-4abc-8def-{low:08x}{:04x}", record & 0xffff)
}

/// About 250 bytes of JSON.
fn payload(record: usize, what: What) -> Payload {
    let (minute, amount, id) = (record % 60, 60 + record % 200, id(record));
    let json = format!(
        r#"{{"id":"{id}","startedAt":"2026-11-01T08:{minute:02}:00Z","amountMl":{amount},"kind":"bottle","note":"{what:?}: a few words about how it went","by":"0190a5c4-7e1f-7abc-8def-000000000001","left":true,"unit":"ml"}}"#
    );
    Payload::parse(json).unwrap()
}

/// The text of a page about these records, the last of which has the number `seq`.
pub(crate) fn text(
    records: impl Iterator<Item = usize>,
    what: What,
    seq: usize,
    has_more: bool,
) -> String {
    let changes = records.map(|record| Change {
        entity_type: "feed_log".into(),
        entity_id: id(record).into(),
        op: match what {
            What::Insert | What::Update => ChangeOp::Put(payload(record, what)),
            What::Delete => ChangeOp::Remove,
        },
        schema: Schema(1),
        seq: Some(seq as u64),
        mutation_id: None,
        overwritten: Vec::new(),
    });
    let page = Page {
        changes: changes.collect(),
        next: format!("cursor-{seq}").into(),
        has_more,
        through: Some(seq as u64),
        epoch: Some("1".into()),
        verdict_retention: None,
    };
    PageBody::encode(&page).unwrap()
}
