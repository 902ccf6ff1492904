//! Pages, as a test writes them down.

use sync_core::{
    model::{Change, ChangeOp, Cursor, MutationId, Overwritten, Page, RecordKey, Schema},
    store::{Applied, ApplyOutcome},
};

use crate::device::{Asked, Device, json, key};

/// A page in the making. Its position is that of its last change, unless it says another.
pub(crate) struct PageOf<'d> {
    device: &'d mut Device,
    asked: Asked,
    page: Page,
}

impl<'d> PageOf<'d> {
    pub(crate) fn new(device: &'d mut Device, asked: Asked, next: Cursor) -> Self {
        Self {
            device,
            asked,
            page: Page {
                changes: Vec::new(),
                next,
                has_more: false,
                through: None,
                epoch: Some("e1".into()),
                verdict_retention: None,
            },
        }
    }

    pub(crate) fn put(self, id: &str, text: &str, seq: u64) -> Self {
        self.change(id, ChangeOp::Put(json(text)), Some(seq))
    }

    pub(crate) fn remove(self, id: &str, seq: u64) -> Self {
        self.change(id, ChangeOp::Remove, Some(seq))
    }

    fn change(mut self, id: &str, op: ChangeOp, seq: Option<u64>) -> Self {
        let RecordKey {
            entity_type,
            entity_id,
            ..
        } = key(id);
        self.page.changes.push(Change {
            entity_type,
            entity_id,
            op,
            schema: Schema(1),
            seq,
            mutation_id: None,
            overwritten: Vec::new(),
        });
        self.page.through = seq.or(self.page.through);
        self
    }

    /// The last change was made by this mutation.
    pub(crate) fn made_by(mut self, id: MutationId) -> Self {
        self.page.changes.last_mut().unwrap().mutation_id = Some(id);
        self
    }

    /// The last change, or one before it, has overwritten this mutation.
    pub(crate) fn overwrote(mut self, id: MutationId, account: &str, by: u64) -> Self {
        let change = self.page.changes.last_mut().unwrap();
        change.overwritten.push(Overwritten {
            mutation_id: id,
            account: account.into(),
            payload: Some(json("overwritten")),
            by,
        });
        self
    }

    pub(crate) fn more(mut self) -> Self {
        self.page.has_more = true;
        self
    }

    pub(crate) fn through(mut self, seq: u64) -> Self {
        self.page.through = Some(seq);
        self
    }

    pub(crate) fn epoch(mut self, epoch: &str) -> Self {
        self.page.epoch = Some(epoch.into());
        self
    }

    /// As a server sends it that has neither versions nor epochs.
    pub(crate) fn bare(mut self) -> Self {
        self.page.epoch = None;
        self.page.through = None;
        for change in &mut self.page.changes {
            change.seq = None;
        }
        self
    }

    pub(crate) fn parts(self) -> (Asked, Page) {
        (self.asked, self.page)
    }

    pub(crate) fn outcome(self) -> ApplyOutcome {
        self.device.apply(self.asked, self.page).unwrap()
    }

    pub(crate) fn apply(self) -> Applied {
        match self.outcome() {
            ApplyOutcome::Applied(applied) => applied,
            other => panic!("not applied: {other:?}"),
        }
    }
}
