//! Folding: the view is the base with the overlay over it; the last one wins.

use super::rows::Stack;
use crate::{
    model::{Op, Payload, RecordKey, Schema},
    store::{EntryState, Marks, RecordRow},
};

/// The view of a record; none when the app sees no such record.
///
/// Create over present replaces; update replaces the whole; update over absent creates, marked as revived;
/// delete over absent is nothing. A failed delete leaves what is beneath it, marked as failed.
#[must_use]
pub fn fold(key: &RecordKey, stack: &Stack) -> Option<RecordRow> {
    let mut state: Option<(Payload, Schema)> = stack.base.payload.clone();
    let mut marks = Marks::default();
    for entry in stack.entries() {
        let mutation = &entry.mutation;
        marks = marks.with(match &entry.state {
            EntryState::Acknowledged(_) => Marks::ACKNOWLEDGED,
            EntryState::Pending(_) => Marks::PENDING,
            EntryState::Failed(_) => Marks::FAILED,
        });
        state = match (&entry.state, &mutation.op) {
            (EntryState::Acknowledged(ack), _) if let Some(carried) = &ack.carried => {
                marks = marks.without(Marks::REVIVED);
                carried.payload.clone().map(|p| (p, carried.schema))
            }
            (EntryState::Failed(_), Op::Delete) => state,
            (_, Op::Delete) => None,
            (_, Op::Create(payload)) => {
                marks = marks.without(Marks::REVIVED);
                Some((payload.clone(), mutation.schema))
            }
            (_, Op::Update(payload)) => {
                if state.is_none() {
                    marks = marks.with(Marks::REVIVED);
                }
                Some((payload.clone(), mutation.schema))
            }
        };
    }
    state.map(|(payload, schema)| RecordRow {
        key: key.clone(),
        payload,
        schema,
        seq: stack.base.seq,
        generation: stack.base.generation,
        marks,
    })
}
