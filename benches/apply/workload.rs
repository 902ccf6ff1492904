//! The bytes that a server sends: pages of changes in its protocol's JSON.

use sync_core::{
    model::{Change, ChangeOp, Cursor, MutationId, Page, Payload, Schema},
    time::Timestamp,
};
use sync_http::wire::PageBody;
use uuid::{Builder, Uuid};

pub(crate) const SCOPE: &str = "baby-1";
pub(crate) const ENTITY_TYPE: &str = "feed_log";
/// The history that the numbers of the changes belong to.
const EPOCH: &str = "b7f6c0de";

/// How long a payload is, in bytes.
const PAYLOAD: usize = 250;

/// What happens to the records of a workload, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Insert,
    Update,
    Delete,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Records with random ids, and what happens to them: each operation in another random order.
pub(crate) struct Workload {
    random: Random,
    ids: Vec<Uuid>,
    seq: u64,
    page: usize,
}

impl Workload {
    /// So many records, in pages of so many changes; another seed makes other records. Changes are numbered from
    /// `seq` on.
    pub(crate) fn new(seed: u64, records: usize, page: usize, seq: u64) -> Self {
        let mut random = Random(seed);
        let ids = (0..records).map(|_| random.uuid()).collect();
        Self {
            random,
            ids,
            seq,
            page,
        }
    }

    /// The pages of the next operation, one after another.
    pub(crate) fn pages(&mut self, operation: Operation) -> impl Iterator<Item = Vec<u8>> {
        self.random.shuffle(&mut self.ids);
        let Self {
            random,
            ids,
            seq,
            page,
        } = self;
        let pages = ids.len().div_ceil(*page);
        ids.chunks(*page).enumerate().map(move |(at, ids)| {
            let changes = ids.iter().map(|id| {
                *seq += 1;
                change(random, *id, operation, *seq)
            });
            let page = Page {
                changes: changes.collect(),
                next: Cursor::from(format!("{EPOCH}.{seq}")),
                has_more: at + 1 < pages,
                through: Some(*seq),
                epoch: Some(EPOCH.into()),
                verdict_retention: None,
            };
            PageBody::encode(&page).unwrap().into_bytes()
        })
    }
}

fn change(random: &mut Random, id: Uuid, operation: Operation, seq: u64) -> Change {
    let op = match operation {
        Operation::Insert | Operation::Update => ChangeOp::Put(payload(random, id, seq)),
        Operation::Delete => ChangeOp::Remove,
    };
    let minted = Timestamp::from_millis(1_790_000_000_000 + seq.cast_signed());
    Change {
        entity_type: ENTITY_TYPE.into(),
        entity_id: id.to_string().into(),
        op,
        schema: Schema(1),
        seq: Some(seq),
        mutation_id: Some(MutationId::following(None, minted, random.wide())),
        overwritten: Vec::new(),
    }
}

/// A record such as an app keeps, filled up to its length with notes.
pub(crate) fn payload(random: &mut Random, id: Uuid, seq: u64) -> Payload {
    let amount = random.next() % 1_000;
    let head = format!(
        r#"{{"id":"{id}","kind":"bottle","amountMl":{amount},"rev":{seq},"breast":null,"notes":""#
    );
    let tail = "\"}";
    let mut notes = String::new();
    while notes.len() + head.len() + tail.len() < PAYLOAD {
        notes.push_str(&format!("{:016x} ", random.next()));
    }
    notes.truncate(PAYLOAD - head.len() - tail.len());
    Payload::parse(format!("{head}{notes}{tail}")).unwrap()
}

/// Numbers that look random and are the same in every run (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        Builder::from_random_bytes(self.wide().to_be_bytes()).into_uuid()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = (self.next() % (at as u64 + 1)) as usize;
            items.swap(at, other);
        }
    }
}
