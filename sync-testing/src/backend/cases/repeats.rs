//! Sending again: what a client does that has lost an answer.

use futures::future::join_all;
use sync_core::transport::Verdict;

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds, shown},
        session::{applied, word},
        trial::{Trial, after, over},
    },
    Case, Feeds, Need, case,
};

/// How often the same push is sent at once.
const AT_ONCE: usize = 8;

const FEEDS: Feeds = Feeds::Unpromised("a feed's server knows no mutation again");

pub(super) const CASES: &[Case] = &[
    case!(
        "sending again",
        a_mutation_that_is_sent_again_is_answered_the_same_and_applied_once,
        "create, update and delete, each sent twice: the same answers, and one change of each"
    )
    .feeds(FEEDS),
    case!(
        "sending again",
        a_batch_that_is_sent_many_times_at_once_is_applied_once,
        "the same answers to each, and one change of each mutation in the log"
    )
    .feeds(FEEDS),
    case!(
        "sending again",
        a_verdict_is_repeated_after_others_have_written,
        "the first answer, version and all, though the record has been edited since; and the later edit stays"
    )
    .feeds(FEEDS),
    case!(
        "sending again",
        a_refusal_is_repeated,
        "a rejected mutation is rejected again, and a conflict stays a conflict with the record as it is now"
    )
    .feeds(FEEDS),
    case!(
        "sending again",
        an_id_that_comes_again_with_something_else_is_rejected,
        "with another payload, operation or record: rejected each time, and nothing of it is applied"
    )
    .feeds(FEEDS),
    case!(
        "sending again",
        a_change_names_the_mutation_that_made_it,
        "`mutationId` in the pulled change of each: where a client has lost the answer, it is settled by that"
    )
    .feeds(Feeds::Unpromised("a feed's records may leave it out")),
    case!(
        "sending again",
        a_verdict_is_not_shown_to_another_account,
        "the id of another account's mutation is not answered as applied without being applied"
    )
    .feeds(FEEDS)
    .needs(&[Need::OtherAccount, Need::OtherScope]),
];

async fn a_mutation_that_is_sent_again_is_answered_the_same_and_applied_once(
    trial: &Trial<'_>,
) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    let id = trial.id();
    let mut version = None;
    for name in ["create", "update", "delete"] {
        trial.a_moment().await;
        let edit = match name {
            "create" => trial.create(&scope, &id, "made"),
            "update" => trial.update(&scope, &id, "changed"),
            _ => trial.delete(&scope, &id),
        };
        let edit = over(edit, version.as_ref());
        let first = me.push_one(&edit).await?;
        version = applied(&first).map_err(|broken| broken.at(name))?;
        let again = me.push_one(&edit).await?;
        same(&first, &again).map_err(|broken| broken.at(name))?;
    }
    let log = me.since(&scope, &from).await?;
    let changes = log.of(&id).len();
    holds(changes <= 3, || {
        format!("{changes} changes of three mutations")
    })?;
    Ok("the same answers".to_owned())
}

async fn a_batch_that_is_sent_many_times_at_once_is_applied_once(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let version = me.apply_one(&trial.create(&scope, &id, "made")).await?;
    let from = me.end(&scope).await?;
    trial.a_moment().await;
    let new = trial.id();
    let batch = [
        over(trial.update(&scope, &id, "changed"), version.as_ref()),
        trial.create(&scope, &new, "new"),
    ];
    let answers = join_all((0..AT_ONCE).map(|_| me.push(&batch))).await;
    let answers = answers.into_iter().collect::<Outcome<Vec<_>>>()?;
    for verdicts in &answers {
        for (verdict, first) in verdicts.iter().zip(&answers[0]) {
            applied(verdict)?;
            same(first, verdict)?;
        }
    }
    let log = me.since(&scope, &from).await?;
    equal("changes of the update", log.of(&id).len(), 1)?;
    equal("changes of the create", log.of(&new).len(), 1)?;
    Ok(format!(
        "{AT_ONCE} times the same answers, and one change of each"
    ))
}

async fn a_verdict_is_repeated_after_others_have_written(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let create = trial.create(&scope, &id, "made");
    let first = me.push_one(&create).await?;
    let version = applied(&first)?;
    trial.a_moment().await;
    let edit = over(trial.update(&scope, &id, "edited since"), version.as_ref());
    me.apply_one(&edit).await?;
    trial.fill(&scope, 3).await?;
    let again = me.push_one(&create).await?;
    same(&first, &again)?;
    let newest = me.newest(&scope, &id).await?;
    equal(
        "the record after that",
        trial.text_put(newest.as_ref()).as_deref(),
        Some("edited since"),
    )?;
    Ok("the first answer, and the later edit stays".to_owned())
}

async fn a_refusal_is_repeated(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let (bad, gone) = (trial.id(), trial.id());
    let mut body = me.json(&[trial.create(&scope, &bad, "bad")])?;
    trial.spoil_op(&mut body, 0);
    for round in ["first", "again"] {
        let seen = me.push_body(body.to_string()).await?;
        let answers = me.answers(&seen)?;
        match answers.first().map(|answer| &answer.verdict) {
            Some(Verdict::Rejected { .. }) => {}
            other => {
                let found = other.map_or("no answer".to_owned(), word);
                return Err(Broken::new(format!("an unknown op, {round}: {found}")));
            }
        }
    }
    let update = trial.update(&scope, &gone, "of nothing");
    let first = me.push_one(&update).await?;
    let Verdict::Conflict { .. } = first else {
        let found = word(&first);
        return Err(Broken::new(format!(
            "an update of a record that is not there: {found}"
        )));
    };
    let again = me.push_one(&update).await?;
    equal("the second answer", word(&again), word(&first))?;
    Ok("rejected twice, and in conflict twice".to_owned())
}

async fn an_id_that_comes_again_with_something_else_is_rejected(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let (id, elsewhere) = (trial.id(), trial.id());
    let create = trial.create(&scope, &id, "made");
    me.apply_one(&create).await?;
    let others = [
        ("another payload", trial.create(&scope, &id, "other")),
        ("another operation", trial.delete(&scope, &id)),
        ("another record", trial.create(&scope, &elsewhere, "made")),
    ];
    for (what, mut other) in others {
        other.mutation.id = create.mutation.id;
        let verdict = me.push_one(&other).await?;
        holds(matches!(verdict, Verdict::Rejected { .. }), || {
            format!("{what}: {}", word(&verdict))
        })?;
    }
    let newest = me.newest(&scope, &id).await?;
    let text = trial.text_put(newest.as_ref());
    equal("the record after that", text.as_deref(), Some("made"))?;
    let stray = me.newest(&scope, &elsewhere).await?;
    holds(stray.is_none(), || {
        "the log has the other record".to_owned()
    })?;
    Ok("rejected three times".to_owned())
}

async fn a_change_names_the_mutation_that_made_it(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let (put, gone) = (trial.id(), trial.id());
    let doomed = trial.create(&scope, &gone, "doomed");
    let edits = [
        trial.create(&scope, &put, "made"),
        after(trial.delete(&scope, &gone), &doomed),
    ];
    me.apply_one(&doomed).await?;
    me.apply(&edits).await?;
    for (what, edit) in ["a put", "a remove"].into_iter().zip(&edits) {
        let change = me.newest(&scope, &edit.mutation.key.entity_id).await?;
        let named = change.and_then(|change| change.mutation_id);
        equal(what, named, Some(edit.mutation.id))?;
    }
    Ok("a put and a remove name theirs".to_owned())
}

async fn a_verdict_is_not_shown_to_another_account(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let theirs = trial.others_scope().await?;
    let (me, other) = (trial.me(), trial.other()?);
    let mine = trial.create(&scope, &trial.id(), "mine");
    me.apply_one(&mine).await?;
    let id = trial.id();
    let mut stolen = trial.create(&theirs, &id, "theirs");
    stolen.mutation.id = mine.mutation.id;
    let verdict = other.push_one(&stolen).await?;
    if let Verdict::Applied { .. } = verdict {
        let change = other.newest(&theirs, &id).await?;
        holds(change.is_some(), || {
            "applied, and not in the log".to_owned()
        })?;
    }
    Ok(word(&verdict))
}

/// Demands that two answers say the same: verdict, version and record.
fn same(first: &Verdict, again: &Verdict) -> Outcome<()> {
    holds(first == again, || match (first, again) {
        (Verdict::Applied { version: a, .. }, Verdict::Applied { version: b, .. }) => {
            format!("applied again, as {} instead of {}", shown(b), shown(a))
        }
        _ => format!("{} first, then {}", word(first), word(again)),
    })
}
