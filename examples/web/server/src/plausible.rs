//! What the server refuses, whoever writes it.

use serde::Deserialize;
use sync_core::model::{Account, Op, RecordKey};
use sync_server::decide::Validate;

/// The most that a feed can be.
const MOST_ML: u64 = 1_000;

/// Takes what can be true of a baby.
#[derive(Debug)]
pub(crate) struct Plausible;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feed {
    amount_ml: u64,
}

impl Validate for Plausible {
    fn validate(&self, _: &Account, key: &RecordKey, op: &Op) -> Result<(), String> {
        let Some(payload) = op
            .payload()
            .filter(|_| key.entity_type.as_str() == "feed_log")
        else {
            return Ok(());
        };
        match payload.decode::<Feed>() {
            Ok(feed) if feed.amount_ml <= MOST_ML => Ok(()),
            Ok(feed) => Err(format!(
                "No baby drinks {} ml: up to {MOST_ML} are taken.",
                feed.amount_ml
            )),
            Err(_) => Err("A feed has an amount in whole millilitres.".to_owned()),
        }
    }
}
