//! Edits as both sides are given them.

use benches::records::{ENTITY_TYPE, Random, payload};
use sync_core::model::{Op, Payload, RecordKey};
use uuid::Uuid;

use crate::{SCOPE, baseline};

/// What an edit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Update,
    Create,
    Delete,
}

/// An edit of one record.
pub(crate) struct Queued {
    id: String,
    mutation_id: String,
    op: Op,
}

impl Queued {
    pub(crate) fn new(random: &mut Random, kind: Kind, id: Uuid) -> Self {
        Self {
            id: id.to_string(),
            mutation_id: random.uuid().to_string(),
            op: match kind {
                Kind::Update => Op::Update(payload(random, id, 0)),
                Kind::Create => Op::Create(payload(random, id, 0)),
                Kind::Delete => Op::Delete,
            },
        }
    }

    pub(crate) fn ours(&self) -> (RecordKey, Op) {
        let key = RecordKey::new(SCOPE, ENTITY_TYPE, self.id.as_str());
        (key, self.op.clone())
    }

    pub(crate) fn by_hand(&self) -> baseline::Edit<'_> {
        baseline::Edit {
            mutation_id: &self.mutation_id,
            entity_type: ENTITY_TYPE,
            entity_id: &self.id,
            scope: SCOPE,
            op: self.op.name(),
            payload: self.op.payload().map(Payload::as_str),
            edited_at: 1_790_000_000_000,
        }
    }
}
