//! Making a page of a scope's log.

use crate::{
    cursor::{Position, Standing},
    log::{LogPage, ReadOutcome, ReadRequest, RecordRow, ScopeRow},
};

/// How a read goes on once the scope's row is known.
#[derive(Debug)]
pub enum Reading {
    /// There is nothing to read.
    Done(ReadOutcome),
    /// The scope's records are put in, in the order of their numbers, from the first after
    /// [`PageBuilder::after`].
    Records(PageBuilder),
}

/// Takes in records until the page is full.
#[derive(Debug)]
pub struct PageBuilder {
    position: Position,
    head: u64,
    limit: usize,
    max_bytes: u64,
    bytes: u64,
    records: Vec<RecordRow>,
    has_more: bool,
}

impl Reading {
    /// Judges the client's cursor. The scope's row and its records must be read at one moment.
    #[must_use]
    pub fn begin(request: &ReadRequest, scope: Option<&ScopeRow>) -> Self {
        let Some(scope) = scope else {
            return Self::Done(ReadOutcome::NoScope);
        };
        match Standing::of(request.cursor.as_ref(), scope) {
            Standing::At(position) => Self::Records(PageBuilder {
                position,
                head: scope.head,
                limit: usize::try_from(request.limit.max(1)).unwrap_or(usize::MAX),
                max_bytes: request.max_bytes,
                bytes: 0,
                records: Vec::new(),
                has_more: false,
            }),
            Standing::Expired => Self::Done(ReadOutcome::Expired),
            Standing::Beyond => Self::Done(ReadOutcome::Beyond(scope.epoch.clone())),
        }
    }
}

impl PageBuilder {
    /// The number after which the page begins.
    #[must_use]
    pub fn after(&self) -> u64 {
        self.position.through
    }

    /// Puts the next record in; `false` when the page was full, and no more are wanted.
    pub fn push(&mut self, record: RecordRow) -> bool {
        let bytes = self.bytes.saturating_add(record.bytes());
        let full = self.records.len() >= self.limit || bytes > self.max_bytes;
        if full && !self.records.is_empty() {
            self.has_more = true;
            return false;
        }
        self.bytes = bytes;
        self.records.push(record);
        true
    }

    /// The page. Where the log was read to its end, all of it has been scanned; else up to the last record.
    #[must_use]
    pub fn finish(self) -> LogPage {
        let through = match self.records.last() {
            Some(last) if self.has_more => last.seq,
            _ => self.head,
        };
        LogPage {
            after: self.position.through,
            next: self.position.advanced(through).encode(),
            through,
            has_more: self.has_more,
            epoch: self.position.epoch,
            records: self.records,
        }
    }
}
