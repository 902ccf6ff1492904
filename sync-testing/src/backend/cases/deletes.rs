//! Deletes, and the tombstones that tell of them.

use serde_json::{Value, json};
use sync_core::{
    model::{ChangeOp, EntityId, Scope},
    transport::Verdict,
};

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        session::{applied, word},
        trial::{Trial, over},
    },
    Case, Feeds, case,
};

const GROUP: &str = "deletes and tombstones";

pub(super) const CASES: &[Case] = &[
    case!(
        GROUP,
        a_delete_is_pulled_as_a_tombstone,
        "applied, and whoever had the record gets a remove of it"
    ),
    case!(
        GROUP,
        a_deleted_record_is_gone_for_whoever_starts_anew,
        "a pull from the start has no change of it, or a remove as its last"
    ),
    case!(
        GROUP,
        a_delete_with_a_payload_is_applied_or_refused,
        "a delete that carries a whole record: applied, and the record is gone; or refused, and it is there"
    ),
    case!(
        GROUP,
        a_delete_without_a_payload_is_applied_or_refused,
        "a delete whose payload is null: applied, and the record is gone; or refused, and it is there"
    ),
    case!(
        GROUP,
        a_delete_of_what_is_not_there_is_applied,
        "applied: what it wants is so"
    )
    .feeds(Feeds::Unpromised("a feed does not say what becomes of it")),
    case!(
        GROUP,
        a_record_may_be_made_again_after_its_delete,
        "a create by a user who has seen the delete: applied, and the record is there"
    )
    .feeds(Feeds::Unpromised("a feed does not say what becomes of it")),
];

async fn a_delete_is_pulled_as_a_tombstone(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let ids = trial.fill(&scope, 3).await?;
    let end = me.end(&scope).await?;
    let version = trial.version(&scope, &ids[1]).await?;
    trial.a_moment().await;
    me.apply_one(&over(trial.delete(&scope, &ids[1]), version.as_ref()))
        .await?;
    let log = me.since(&scope, &end).await?;
    equal("the records that changed", log.ids(), [ids[1].as_str()])?;
    let removed = log
        .changes
        .iter()
        .all(|change| change.op == ChangeOp::Remove);
    holds(removed, || "its change is no remove".to_owned())?;
    Ok("one remove".to_owned())
}

async fn a_deleted_record_is_gone_for_whoever_starts_anew(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let version = me.apply_one(&trial.create(&scope, &id, "made")).await?;
    trial.a_moment().await;
    me.apply_one(&over(trial.delete(&scope, &id), version.as_ref()))
        .await?;
    match me.newest(&scope, &id).await?.map(|change| change.op) {
        None => Ok("no change of it".to_owned()),
        Some(ChangeOp::Remove) => Ok("a remove".to_owned()),
        Some(ChangeOp::Put(_)) => Err(Broken::new("the record is there")),
    }
}

async fn a_delete_with_a_payload_is_applied_or_refused(trial: &Trial<'_>) -> Outcome {
    delete_carrying(trial, |trial, scope, id| {
        let payload = trial.payload(scope, id, "made");
        payload.decode().unwrap_or_default()
    })
    .await
}

async fn a_delete_without_a_payload_is_applied_or_refused(trial: &Trial<'_>) -> Outcome {
    delete_carrying(trial, |_, _, _| json!(null)).await
}

/// Deletes with this payload, and demands that the answer and the log say the same.
async fn delete_carrying(
    trial: &Trial<'_>,
    payload: fn(&Trial<'_>, &Scope, &EntityId) -> Value,
) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let version = me.apply_one(&trial.create(&scope, &id, "made")).await?;
    trial.a_moment().await;
    let delete = over(trial.delete(&scope, &id), version.as_ref());
    let mut body = me.json(&[delete])?;
    body[trial.names().0][0][trial.payload_name()] = payload(trial, &scope, &id);
    let seen = me.push_body(body.to_string()).await?;
    let newest = me.newest(&scope, &id).await?;
    let gone = newest.is_none_or(|change| change.op == ChangeOp::Remove);
    if seen.status == 400 {
        let refusal = seen.clients_fault(trial.dialect())?;
        holds(!gone, || "400, and the record is gone".to_owned())?;
        return Ok(refusal);
    }
    let answers = me.answers(&seen)?;
    let verdict = answers.first().map(|answer| &answer.verdict);
    match verdict.ok_or_else(|| Broken::new("no answer"))? {
        Verdict::Applied { .. } => {
            holds(gone, || "applied, and the record is still there".to_owned())?;
            Ok("applied".to_owned())
        }
        Verdict::Rejected { reason } => {
            holds(!gone, || "rejected, and the record is gone".to_owned())?;
            Ok(format!("rejected ({reason})"))
        }
        other => Err(Broken::new(word(other))),
    }
}

async fn a_delete_of_what_is_not_there_is_applied(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let verdict = trial
        .me()
        .push_one(&trial.delete(&scope, &trial.id()))
        .await?;
    applied(&verdict)?;
    Ok("applied".to_owned())
}

async fn a_record_may_be_made_again_after_its_delete(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let version = me.apply_one(&trial.create(&scope, &id, "made")).await?;
    trial.a_moment().await;
    let version = me
        .apply_one(&over(trial.delete(&scope, &id), version.as_ref()))
        .await?;
    trial.a_moment().await;
    me.apply_one(&over(trial.create(&scope, &id, "again"), version.as_ref()))
        .await?;
    let newest = me.newest(&scope, &id).await?;
    let text = trial.text_put(newest.as_ref());
    equal("the record at the end", text.as_deref(), Some("again"))?;
    Ok("made, deleted and made again".to_owned())
}
