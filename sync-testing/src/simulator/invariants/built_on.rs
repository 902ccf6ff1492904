//! An edit that was made of what is shown is made of what is shown when it is stored.

use serde::Deserialize;
use sync_core::model::Payload;

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{seen::Seen, truth::Truth},
};

pub(crate) struct BuiltOn;

/// What the apps write; an edit that was made of another says of which.
#[derive(Deserialize)]
struct Written {
    n: u64,
    on: Option<u64>,
}

fn written(payload: &Payload) -> Option<Written> {
    serde_json::from_str(payload.as_str()).ok()
}

impl Invariant for BuiltOn {
    fn name(&self) -> &'static str {
        "made of what is shown"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 4: nothing that is shown is overwritten unseen"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Truth) -> Result<(), String> {
        let Seen::Stored {
            tab,
            call: StoreCall::Enqueue,
            before,
            after,
        } = seen
        else {
            return Ok(());
        };
        for entry in after.entries.iter() {
            let (key, op) = (&entry.mutation.key, &entry.mutation.op);
            let Some(made) = op.payload().and_then(written) else {
                continue;
            };
            let (Some(on), was) = (made.on, before.entry(entry.mutation.id)) else {
                continue;
            };
            if was.is_some_and(|was| was.mutation.op == *op) {
                continue;
            }
            let shown = before.record(key).and_then(|row| written(&row.payload));
            if shown.as_ref().is_none_or(|shown| shown.n != on) {
                return Err(format!(
                    "{tab}: edit {} of {key} was made of {on}, and {:?} was shown",
                    made.n,
                    shown.map(|shown| shown.n)
                ));
            }
        }
        Ok(())
    }
}
