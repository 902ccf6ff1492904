//! Whether anything works at all.

use sync_core::transport::{PullRequest, PushRequest, Transport, Verdict};

use super::{
    super::{
        failure::{Broken, Outcome, equal},
        session::{MANY, word},
        trial::Trial,
    },
    Case, case,
};

pub(super) const CASES: &[Case] = &[
    case!(
        "basics",
        a_record_that_was_pushed_is_pulled,
        "a new record, pushed as an app pushes it, is applied, and the next pull brings it as it was sent"
    ),
    case!(
        "basics",
        an_empty_batch_has_no_answers,
        "a push without mutations is answered with no answers"
    ),
];

/// Through the transport of an app: what it can read, an app can.
async fn a_record_that_was_pushed_is_pulled(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let cursor = me.end(&scope).await?;
    let transport = trial.transport()?;
    let account = trial.target.login.account.clone();
    let id = trial.id();
    let create = trial.create(&scope, &id, "hello");
    let pushed = transport
        .push(PushRequest {
            account: account.clone(),
            cursors: vec![(scope.clone(), Some(cursor.clone()))],
            mutations: vec![create],
        })
        .await
        .map_err(|error| Broken::new(error.to_string()))?;
    match pushed.answers.first().map(|answer| &answer.verdict) {
        Some(Verdict::Applied { version: None, .. }) if trial.feed().is_none() => {
            return Err(Broken::new("applied without a version in answers[0]"));
        }
        Some(Verdict::Applied { .. }) => {}
        Some(other) => return Err(Broken::new(word(other))),
        None => return Err(Broken::new("no answer to the mutation")),
    }
    let page = transport
        .pull(PullRequest {
            account,
            scope,
            cursor: Some(cursor),
            limit: MANY,
        })
        .await
        .map_err(|error| Broken::new(error.to_string()))?;
    let change = page.changes.iter().find(|change| change.entity_id == id);
    equal(
        "the text of the record",
        trial.text_put(change).as_deref(),
        Some("hello"),
    )?;
    Ok("pushed, applied and pulled".to_owned())
}

async fn an_empty_batch_has_no_answers(trial: &Trial<'_>) -> Outcome {
    let answers = trial.me().push(&[]).await?;
    equal("answers", answers.len(), 0)?;
    Ok("no answers".to_owned())
}
