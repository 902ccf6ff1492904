//! What the server of a history says.

use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{Payload, Schema, Version},
    policy::{Choice, Contest, Resolve},
    transport::{ServerRecord, ServerTraits, Verdict},
};

use super::dice::Dice;

/// Few, so that what is written is often what is there already; the second is the first, spelt differently.
const PAYLOADS: [&str; 7] = [
    r#"{"n":0}"#,
    r#"{ "n" : 0 }"#,
    r#"{"n":1}"#,
    r#"{"n":2}"#,
    r#"{"big":123456789012345678901234567890,"f":1.0}"#,
    r#"{"text":"zo\u00eb \u0000 ∞","n":[null,true]}"#,
    "-0",
];

pub(super) fn payload(dice: &Dice) -> Result<Payload, StoreError> {
    parse(dice.name(&PAYLOADS))
}

pub(super) fn parse(text: &str) -> Result<Payload, StoreError> {
    Payload::parse(text).map_err(|error| {
        let context = "a payload of the history's own";
        StoreError::new(StoreErrorKind::Invalid, context).with_source(error)
    })
}

/// The verdict for a mutation that would make this version.
pub(super) fn verdict(dice: &Dice, version: Version) -> Result<Verdict, StoreError> {
    let theirs = |payload: Option<Payload>| ServerRecord {
        payload,
        schema: Schema(2),
        version: Some(version.clone()),
    };
    Ok(match dice.below(10) {
        0..=2 => Verdict::Applied {
            version: Some(version),
            record: None,
        },
        3 => Verdict::Applied {
            version: None,
            record: None,
        },
        4 => Verdict::Applied {
            record: Some(theirs(Some(payload(dice)?))),
            version: Some(version),
        },
        5 => Verdict::Conflict {
            theirs: theirs(Some(payload(dice)?)),
        },
        6 => Verdict::Conflict {
            theirs: theirs(None),
        },
        7 => Verdict::Rejected {
            reason: "no".to_owned(),
        },
        8 => Verdict::Forbidden,
        _ => Verdict::Retry {
            after: None,
            resync: dice.one_in(2),
        },
    })
}

/// A server of this project's protocol, or of a dialect that repeats no verdicts.
pub(super) fn traits(dialect: bool) -> ServerTraits {
    ServerTraits {
        idempotent: !dialect,
        ordered: !dialect,
        stamped_fields: Vec::new(),
        edit_time_field: dialect.then(|| "updatedAt".to_owned()),
    }
}

/// Decides each conflict by the id of the mutation.
#[derive(Debug)]
pub(super) struct ByTheId;

impl Resolve for ByTheId {
    fn resolve(&self, contest: &Contest<'_>) -> Choice {
        match contest.mutation_id.as_uuid().as_u128() % 3 {
            0 => Choice::Theirs,
            1 => Choice::Mine,
            _ => parse(r#"{"merged":1}"#).map_or(Choice::Mine, Choice::Merged),
        }
    }
}
