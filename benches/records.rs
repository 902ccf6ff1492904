//! Records such as an app keeps, and the changes that bring them.

use std::fmt::Write;

use sync_core::model::{Change, ChangeOp, Cursor, MutationId, Page, Payload, Schema};
use sync_core::time::Timestamp;
use uuid::{Builder, Uuid};

/// The type of all records.
pub const ENTITY_TYPE: &str = "feed_log";
/// The history that the numbers of the changes belong to.
pub const EPOCH: &str = "b7f6c0de";
/// How long a payload is, in bytes.
pub const PAYLOAD: usize = 250;

/// A page of a scope's log that puts so many records, from the change after `seq` on.
#[must_use]
pub fn page(random: &mut Random, ids: &[Uuid], seq: u64, has_more: bool) -> Page {
    let last = seq + ids.len() as u64;
    let changes = ids.iter().zip(seq + 1..).map(|(id, seq)| {
        let minted = Timestamp::from_millis(1_790_000_000_000 + seq.cast_signed());
        Change {
            entity_type: ENTITY_TYPE.into(),
            entity_id: id.to_string().into(),
            op: ChangeOp::Put(payload(random, *id, seq)),
            schema: Schema(1),
            seq: Some(seq),
            mutation_id: Some(MutationId::following(None, minted, random.wide())),
            overwritten: Vec::new(),
        }
    });
    Page {
        changes: changes.collect(),
        next: Cursor::from(format!("{EPOCH}.{last}")),
        has_more,
        through: Some(last),
        epoch: Some(EPOCH.into()),
        verdict_retention: None,
    }
}

/// A record filled up to its length with notes.
#[must_use]
pub fn payload(random: &mut Random, id: Uuid, rev: u64) -> Payload {
    let amount = random.draw() % 1_000;
    let mut json = format!(
        r#"{{"id":"{id}","kind":"bottle","amountMl":{amount},"rev":{rev},"breast":null,"notes":""#
    );
    while json.len() < PAYLOAD {
        // Writing to a string does not fail.
        let _ = write!(json, "{:016x} ", random.draw());
    }
    json.truncate(PAYLOAD - 2);
    json.push_str("\"}");
    Payload::parse(json).expect("JSON")
}

/// Numbers that look random and are the same in every run (SplitMix64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next two numbers.
    pub fn wide(&mut self) -> u128 {
        u128::from(self.draw()) << 64 | u128::from(self.draw())
    }

    /// A random UUID.
    pub fn uuid(&mut self) -> Uuid {
        Builder::from_random_bytes(self.wide().to_be_bytes()).into_uuid()
    }
}
