//! Pages as a server would send them.

use std::time::Duration;

use sync_core::model::{
    Account, Change, ChangeOp, Cursor, EntityId, EntityType, MutationId, Overwritten, Page,
    Payload, Schema,
};

use super::{database::state, failure::Outcome};

/// A page in the making. Its position scanned is that of its newest change, unless a case says otherwise.
pub(crate) struct PageOf {
    page: Page,
    through: Option<u64>,
}

impl PageOf {
    pub(crate) fn new(next: Cursor) -> Self {
        Self {
            page: Page {
                changes: Vec::new(),
                next,
                has_more: false,
                through: None,
                epoch: Some("e1".into()),
                verdict_retention: None,
            },
            through: None,
        }
    }

    /// A record of the type `log` in this state.
    pub(crate) fn put(self, id: &str, word: &str, seq: u64) -> Outcome<Self> {
        Ok(self.put_as("log", id, state(word)?, seq))
    }

    pub(crate) fn put_as(self, entity_type: &str, id: &str, payload: Payload, seq: u64) -> Self {
        self.change(entity_type, id, ChangeOp::Put(payload), seq)
    }

    /// A record of the type `log` is gone.
    pub(crate) fn remove(self, id: &str, seq: u64) -> Self {
        self.change("log", id, ChangeOp::Remove, seq)
    }

    fn change(mut self, entity_type: &str, id: &str, op: ChangeOp, seq: u64) -> Self {
        self.page.changes.push(Change {
            entity_type: EntityType::from(entity_type),
            entity_id: EntityId::from(id),
            op,
            schema: Schema(1),
            seq: Some(seq),
            mutation_id: None,
            overwritten: Vec::new(),
        });
        self
    }

    /// The last change was made by this mutation.
    pub(crate) fn by(mut self, id: MutationId) -> Self {
        if let Some(change) = self.page.changes.last_mut() {
            change.mutation_id = Some(id);
        }
        self
    }

    /// The payload of the last change is of this format version.
    pub(crate) fn schema(mut self, schema: Schema) -> Self {
        if let Some(change) = self.page.changes.last_mut() {
            change.schema = schema;
        }
        self
    }

    /// The last change, or one that it supersedes, has overwritten this account's mutation.
    pub(crate) fn overwrote(
        mut self,
        id: MutationId,
        account: &str,
        mine: Payload,
        by: u64,
    ) -> Self {
        if let Some(change) = self.page.changes.last_mut() {
            change.overwritten.push(Overwritten {
                mutation_id: id,
                account: Account::from(account),
                payload: Some(mine),
                by,
            });
        }
        self
    }

    /// The server says how long it keeps verdicts.
    pub(crate) fn keeping_verdicts(mut self, retention: Duration) -> Self {
        self.page.verdict_retention = Some(retention);
        self
    }

    /// As a server without versions and histories would send it.
    pub(crate) fn bare(mut self) -> Self {
        self.page.epoch = None;
        for change in &mut self.page.changes {
            change.seq = None;
        }
        self
    }

    /// The log was scanned up to here.
    pub(crate) fn through(mut self, seq: u64) -> Self {
        self.through = Some(seq);
        self
    }

    /// There is more after this page.
    pub(crate) fn more(mut self) -> Self {
        self.page.has_more = true;
        self
    }

    /// The page is of this history.
    pub(crate) fn epoch(mut self, epoch: &str) -> Self {
        self.page.epoch = Some(epoch.into());
        self
    }
}

impl From<PageOf> for Page {
    fn from(page: PageOf) -> Self {
        let newest = page
            .page
            .changes
            .iter()
            .filter_map(|change| change.seq)
            .max();
        Self {
            through: page.through.or(newest),
            ..page.page
        }
    }
}
