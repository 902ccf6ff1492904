//! Batches: their order, and what one bad mutation does to the others.

use serde_json::json;
use sync_core::transport::Verdict;

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        session::{MANY, applied, word},
        trial::{Trial, after},
    },
    Case, Feeds, case,
};

const ORDER: &str = "order in a batch";
const POISON: &str = "poison";
const ONE_A_RECORD: Feeds = Feeds::Unpromised(
    "a feed's batch carries one mutation of a record, and goes on whatever happens",
);

pub(super) const CASES: &[Case] = &[
    case!(
        ORDER,
        answers_come_in_the_order_of_the_batch,
        "one answer for each mutation, in the batch's order"
    ),
    case!(
        ORDER,
        mutations_of_a_batch_are_handled_in_their_order,
        "a chain of create, update, delete and create of one record in one batch: each applied, versions ascend"
    )
    .feeds(ONE_A_RECORD),
    case!(
        ORDER,
        what_follows_a_rejected_mutation_of_its_record_is_rejected,
        "in the batch, whether it names the rejected one or not, and later where it does; nothing of it is applied, and other records go on"
    )
    .feeds(ONE_A_RECORD),
    case!(
        POISON,
        a_bad_mutation_does_not_spoil_the_others,
        "it alone is rejected and the others are applied (in a feed also: 400, and nothing of the batch is applied)"
    ),
    case!(
        POISON,
        a_batch_with_a_malformed_mutation_is_refused_whole,
        "a mutation without an id: 400 in the server's own format, and nothing of the batch is applied"
    )
    .feeds(Feeds::Unpromised("a feed does not say what becomes of the rest")),
];

async fn answers_come_in_the_order_of_the_batch(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let mut batch: Vec<_> = (0..20)
        .map(|n| trial.create(&scope, &trial.id(), &format!("{n}")))
        .collect();
    // In no order of their ids.
    batch.reverse();
    batch.swap(3, 11);
    trial.me().apply(&batch).await?;
    Ok("20 answers in order".to_owned())
}

async fn mutations_of_a_batch_are_handled_in_their_order(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let create = trial.create(&scope, &id, "one");
    let update = after(trial.update(&scope, &id, "two"), &create);
    let delete = after(trial.delete(&scope, &id), &update);
    let anew = after(trial.create(&scope, &id, "three"), &delete);
    let versions = me.apply(&[create, update, delete, anew]).await?;
    let numbers: Vec<_> = versions
        .iter()
        .flatten()
        .map(|version| version.seq)
        .collect();
    holds(numbers.is_sorted_by(|a, b| a < b), || {
        format!("versions {numbers:?}")
    })?;
    let newest = me.newest(&scope, &id).await?;
    let text = trial.text_put(newest.as_ref());
    equal("the record at the end", text.as_deref(), Some("three"))?;
    Ok(format!("versions {numbers:?}"))
}

async fn what_follows_a_rejected_mutation_of_its_record_is_rejected(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let (bad, good) = (trial.id(), trial.id());
    let spoilt = trial.create(&scope, &bad, "spoilt");
    let follower = after(trial.update(&scope, &bad, "follower"), &spoilt);
    let unnamed = trial.create(&scope, &bad, "follower without a name");
    let beside = trial.create(&scope, &good, "beside");
    let mut body = me.json(&[spoilt.clone(), follower.clone(), unnamed, beside])?;
    trial.spoil_op(&mut body, 0);
    let answers = me.answers(&me.push_body(body.to_string()).await?)?;
    let verdicts: Vec<_> = answers.iter().map(|answer| &answer.verdict).collect();
    let [
        Verdict::Rejected { .. },
        Verdict::Rejected { .. },
        Verdict::Rejected { .. },
        Verdict::Applied { .. },
    ] = verdicts[..]
    else {
        let words: Vec<_> = verdicts.into_iter().map(word).collect();
        return Err(Broken::new(words.join(", ")));
    };
    let later = after(trial.create(&scope, &bad, "later"), &follower);
    let verdict = me.push_one(&later).await?;
    holds(matches!(verdict, Verdict::Rejected { .. }), || {
        format!(
            "a later one that names it as its predecessor: {}",
            word(&verdict)
        )
    })?;
    let newest = me.newest(&scope, &bad).await?;
    holds(newest.is_none(), || "the log has the record".to_owned())?;
    Ok("rejected thrice, applied; a later follower: rejected".to_owned())
}

async fn a_bad_mutation_does_not_spoil_the_others(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let ids = [(); 4].map(|()| trial.id());
    let batch = [0, 1, 2, 3].map(|n| trial.create(&scope, &ids[n], &format!("{n}")));
    let mut body = me.json(&batch)?;
    trial.spoil_op(&mut body, 1);
    let (mutations, payload) = (trial.names().0, trial.payload_name());
    body[mutations][2][payload] = json!(null);
    let seen = me.push_body(body.to_string()).await?;
    let there = |wanted: [bool; 4]| async move {
        let log = me.drain(&scope, None, MANY).await?;
        let found = ids.each_ref().map(|id| !log.of(id).is_empty());
        equal("which of the four are in the log", found, wanted)
    };
    if trial.feed().is_some() && seen.status == 400 {
        seen.clients_fault(trial.dialect())?;
        there([false; 4]).await?;
        return Ok("refused whole, with nothing applied: a client narrows it down".to_owned());
    }
    let answers = me.answers(&seen)?;
    equal("answers", answers.len(), 4)?;
    for (n, answer) in answers.iter().enumerate() {
        match n {
            0 | 3 => drop(applied(&answer.verdict).map_err(|broken| broken.at("a good one"))?),
            _ => holds(matches!(answer.verdict, Verdict::Rejected { .. }), || {
                format!("a bad one: {}", word(&answer.verdict))
            })?,
        }
    }
    there([true, false, false, true]).await?;
    Ok("applied, rejected, rejected, applied".to_owned())
}

async fn a_batch_with_a_malformed_mutation_is_refused_whole(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let good = trial.id();
    let batch = [
        trial.create(&scope, &good, "good"),
        trial.create(&scope, &trial.id(), "without an id"),
    ];
    let mut body = me.json(&batch)?;
    if let Some(mutation) = body[trial.names().0][1].as_object_mut() {
        mutation.remove(trial.mutation_id_name());
    }
    let seen = me.push_body(body.to_string()).await?;
    equal("the status", seen.status, 400)?;
    let refusal = seen.clients_fault(trial.dialect())?;
    let newest = me.newest(&scope, &good).await?;
    holds(newest.is_none(), || {
        "400, and the good one is applied all the same".to_owned()
    })?;
    Ok(refusal)
}
