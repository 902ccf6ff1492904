//! Concurrent edits: who loses is told, and with what.

use std::time::Duration;

use sync_core::{
    model::{Change, ChangeOp, EntityId, MutationId, Op, Scope, Version},
    time::Timestamp,
    transport::Verdict,
};

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        session::{applied, word},
        trial::{Trial, after, over},
    },
    Case, Feeds, Need, case,
};

const GROUP: &str = "conflicts";
const BY_ITS_RULE: Feeds = Feeds::Unpromised("in a feed, who loses is up to the server's own rule");
const NO_VERSIONS: Feeds = Feeds::Inexpressible("a feed cannot say what an edit was based on");

pub(super) const CASES: &[Case] = &[
    case!(
        GROUP,
        the_loser_of_two_concurrent_edits_gets_the_current_record,
        "the older edit that comes later: conflict, with the record as it is (or applied with the record as merged)"
    )
    .feeds(BY_ITS_RULE),
    case!(
        GROUP,
        an_edit_of_the_current_version_is_no_conflict,
        "applied, however old it is"
    )
    .feeds(NO_VERSIONS),
    case!(
        GROUP,
        an_edit_on_top_of_ones_own_is_no_conflict,
        "a chain of edits of one device, made before its first was answered: all applied"
    )
    .feeds(NO_VERSIONS),
    case!(
        GROUP,
        whoever_loses_after_the_fact_is_named_in_the_winners_change,
        "an applied edit that a later concurrent one overwrites is in its change's overwritten (or the later one lost)"
    )
    .feeds(NO_VERSIONS),
    case!(
        GROUP,
        whoever_lost_stays_named_when_the_winner_edits_on,
        "overwritten stays with the record's newest change: the next edit of the record carries it on"
    )
    .feeds(NO_VERSIONS),
    case!(
        GROUP,
        a_base_of_another_epoch_is_no_knowledge_of_this_one,
        "an edit over the current number of an unknown epoch is concurrent: the older one that comes later loses"
    )
    .feeds(NO_VERSIONS),
    case!(
        GROUP,
        an_edit_on_top_of_anothers_is_judged_by_its_base_alone,
        "after counts only where it names the author's own mutation: with another account's, the edit is concurrent"
    )
    .feeds(NO_VERSIONS)
    .needs(&[Need::OtherAccount, Need::SharedScope]),
    case!(
        GROUP,
        an_edit_of_any_age_is_taken,
        "a create whose age is the largest number there is: applied, and it can be edited"
    )
    .feeds(NO_VERSIONS),
    case!(
        GROUP,
        an_update_of_a_deleted_record_is_a_conflict_and_brings_nothing_back,
        "conflict with a record that is null, and the log has the delete as its newest change"
    )
    .feeds(Feeds::Unpromised("a feed does not say what such an update does")),
];

async fn the_loser_of_two_concurrent_edits_gets_the_current_record(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let version = me.apply_one(&trial.create(&scope, &id, "base")).await?;
    trial.a_moment().await;
    let first = over(trial.update(&scope, &id, "first"), version.as_ref());
    me.apply_one(&first).await?;
    // An hour older, by its age and by what a feed's record says.
    let an_hour_ago = trial.wall().as_millis() - 3_600_000;
    let older = trial.payload_at(&scope, &id, "older", Timestamp::from_millis(an_hour_ago));
    let mut older = over(trial.edit(&scope, &id, Op::Update(older)), version.as_ref());
    older.age = Duration::from_secs(3_600);
    match me.push_one(&older).await? {
        Verdict::Conflict { theirs } => {
            let text = theirs.payload.and_then(|payload| trial.text(&payload));
            equal("the record in the answer", text.as_deref(), Some("first"))?;
            Ok("conflict, with the record that had come first".to_owned())
        }
        Verdict::Applied {
            record: Some(_), ..
        } => Ok("applied, with the record as merged".to_owned()),
        other => Err(Broken::new(word(&other))),
    }
}

async fn an_edit_of_the_current_version_is_no_conflict(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let mut version = me.apply_one(&trial.create(&scope, &id, "0")).await?;
    for days in [0, 30, 3] {
        let mut edit = over(
            trial.update(&scope, &id, &format!("{days}")),
            version.as_ref(),
        );
        edit.age = Duration::from_secs(days * 86_400);
        version = me.apply_one(&edit).await?;
    }
    Ok("applied, at ages of 0, 30 and 3 days".to_owned())
}

async fn an_edit_on_top_of_ones_own_is_no_conflict(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let base = me.apply_one(&trial.create(&scope, &id, "0")).await?;
    let one = over(trial.update(&scope, &id, "1"), base.as_ref());
    let mut two = after(over(trial.update(&scope, &id, "2"), base.as_ref()), &one);
    let mut three = after(over(trial.update(&scope, &id, "3"), base.as_ref()), &two);
    // Made before the first, by clocks that step back.
    two.age = Duration::from_secs(60);
    three.age = Duration::from_secs(600);
    for (n, edit) in [&one, &two, &three].into_iter().enumerate() {
        let verdict = me.push_one(edit).await?;
        applied(&verdict).map_err(|broken| broken.at(&format!("edit {}", n + 1)))?;
    }
    let newest = me.newest(&scope, &id).await?;
    let text = trial.text_put(newest.as_ref());
    equal("the record at the end", text.as_deref(), Some("3"))?;
    Ok("three edits, all applied".to_owned())
}

/// A record whose first edit, an hour old, was overwritten by a later one that did not know of it.
struct Overwritten {
    scope: Scope,
    id: EntityId,
    early: MutationId,
    /// The answer to the later edit.
    verdict: Verdict,
}

impl Overwritten {
    async fn make(trial: &Trial<'_>) -> Outcome<Self> {
        let scope = trial.scope().await?;
        let me = trial.me();
        let id = trial.id();
        let base = me.apply_one(&trial.create(&scope, &id, "base")).await?;
        let mut early = over(trial.update(&scope, &id, "early"), base.as_ref());
        early.age = Duration::from_secs(3_600);
        me.apply_one(&early).await?;
        let late = over(trial.update(&scope, &id, "late"), base.as_ref());
        Ok(Self {
            verdict: me.push_one(&late).await?,
            early: early.mutation.id,
            scope,
            id,
        })
    }

    /// The newest change of the record.
    async fn change(&self, trial: &Trial<'_>) -> Outcome<Change> {
        let change = trial.me().newest(&self.scope, &self.id).await?;
        change.ok_or_else(|| Broken::new("the log has lost the record"))
    }

    /// The numbers of the changes that are said to have overwritten the early edit.
    fn by(&self, change: &Change) -> Vec<u64> {
        let marks = change.overwritten.iter();
        let marks = marks.filter(|mark| mark.mutation_id == self.early);
        marks.map(|mark| mark.by).collect()
    }
}

async fn whoever_loses_after_the_fact_is_named_in_the_winners_change(trial: &Trial<'_>) -> Outcome {
    let case = Overwritten::make(trial).await?;
    let version = match &case.verdict {
        Verdict::Conflict { .. } => return Ok("the later edit lost, and was told so".to_owned()),
        Verdict::Applied {
            record: Some(_), ..
        } => return Ok("the two were merged".to_owned()),
        other => applied(other)?,
    };
    let change = case.change(trial).await?;
    equal(
        "by which number the earlier edit is said to be overwritten",
        case.by(&change),
        version
            .map(|version| version.seq)
            .into_iter()
            .collect::<Vec<_>>(),
    )?;
    for mark in &change.overwritten {
        equal("whose it was", &mark.account, &trial.me().login.account)?;
        let text = mark
            .payload
            .as_ref()
            .and_then(|payload| trial.text(payload));
        equal("what it had written", text.as_deref(), Some("early"))?;
    }
    Ok("the earlier edit is named in the later one's change".to_owned())
}

async fn whoever_lost_stays_named_when_the_winner_edits_on(trial: &Trial<'_>) -> Outcome {
    let case = Overwritten::make(trial).await?;
    let won = case.by(&case.change(trial).await?);
    if won.is_empty() {
        return Ok("nobody was overwritten".to_owned());
    }
    let (scope, id) = (&case.scope, &case.id);
    trial.edit_newest(scope, id, "edited on").await?;
    let after = case.change(trial).await?;
    let text = trial.text_put(Some(&after));
    equal("the record then", text.as_deref(), Some("edited on"))?;
    equal(
        "by which number the earlier edit is said to be overwritten, in the next edit's change",
        case.by(&after),
        won,
    )?;
    Ok("named in the next edit's change, too".to_owned())
}

async fn a_base_of_another_epoch_is_no_knowledge_of_this_one(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let base = me.apply_one(&trial.create(&scope, &id, "base")).await?;
    let first = over(trial.update(&scope, &id, "first"), base.as_ref());
    let current = me.apply_one(&first).await?;
    let number = current.map_or(0, |version| version.seq);
    let foreign = Version::new("an epoch that no server has", number);
    let mut older = over(trial.update(&scope, &id, "older"), Some(&foreign));
    older.age = Duration::from_secs(3_600);
    concurrent(me.push_one(&older).await?)
}

async fn an_edit_on_top_of_anothers_is_judged_by_its_base_alone(trial: &Trial<'_>) -> Outcome {
    let scope = trial.target.shared_scope.clone();
    let scope = scope.ok_or_else(|| Broken::new("no shared scope"))?;
    let (me, other) = (trial.me(), trial.other()?);
    let id = trial.id();
    let base = me.apply_one(&trial.create(&scope, &id, "base")).await?;
    let theirs = over(trial.update(&scope, &id, "theirs"), base.as_ref());
    other.apply_one(&theirs).await?;
    let mut mine = after(
        over(trial.update(&scope, &id, "mine"), base.as_ref()),
        &theirs,
    );
    mine.age = Duration::from_secs(3_600);
    concurrent(me.push_one(&mine).await?)
}

/// Demands that an older edit that came later was judged as concurrent.
fn concurrent(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Conflict { .. } => Ok("conflict".to_owned()),
        Verdict::Applied {
            record: Some(_), ..
        } => Ok("applied, with the record as merged".to_owned()),
        other => Err(Broken::new(word(&other))),
    }
}

async fn an_edit_of_any_age_is_taken(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let mut create = trial.create(&scope, &id, "long ago");
    create.age = Duration::from_millis(u64::MAX);
    let version = me.apply_one(&create).await?;
    let edit = over(trial.update(&scope, &id, "now"), version.as_ref());
    me.apply_one(&edit).await?;
    Ok("applied at the greatest age there is, and edited since".to_owned())
}

async fn an_update_of_a_deleted_record_is_a_conflict_and_brings_nothing_back(
    trial: &Trial<'_>,
) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let base = me.apply_one(&trial.create(&scope, &id, "base")).await?;
    trial.a_moment().await;
    me.apply_one(&over(trial.delete(&scope, &id), base.as_ref()))
        .await?;
    trial.a_moment().await;
    let update = over(trial.update(&scope, &id, "back again"), base.as_ref());
    match me.push_one(&update).await? {
        Verdict::Conflict { theirs } => {
            holds(theirs.payload.is_none(), || {
                "a conflict with a record that is not gone".to_owned()
            })?;
        }
        other => return Err(Broken::new(word(&other))),
    }
    let newest = me.newest(&scope, &id).await?;
    holds(
        newest.is_none_or(|change| change.op == ChangeOp::Remove),
        || "the record is back in the log".to_owned(),
    )?;
    Ok("a conflict, and the record stays gone".to_owned())
}
