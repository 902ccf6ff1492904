//! Who may do what: proven by the token, and judged by where a record really is.

use serde_json::json;
use sync_core::{
    model::{EntityId, Op, Scope},
    transport::{Outgoing, PullRequest, Verdict},
};
use sync_http::{
    dialect::Dialect,
    wire::{ACCOUNT_HEADER, ErrorCode},
};

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        http::{Ask, Seen},
        session::{MANY, word},
        trial::Trial,
    },
    Case, Feeds, Need, case,
};

const GROUP: &str = "access";
const NO_NAMES: Feeds = Feeds::Inexpressible("a feed's requests do not name their account");
const OTHER: &[Need] = &[Need::OtherAccount, Need::OtherScope];
/// What is written into the other account's records: nobody else may ever see it.
const SECRET: &str = "a secret of the other account";

pub(super) const CASES: &[Case] = &[
    case!(
        GROUP,
        a_request_without_a_good_token_is_refused,
        "401 in the server's own format: without a token, and with one that is nobody's"
    ),
    case!(
        GROUP,
        a_token_of_another_account_than_the_request_names_is_refused,
        "409 other_account: a pull, and a push that names another account in its header or its body"
    )
    .feeds(NO_NAMES)
    .needs(&[Need::OtherAccount]),
    case!(
        GROUP,
        a_pull_that_names_no_account_is_refused,
        "400 without the header Sync-Account: a proxy that drops it would switch the comparison off, unseen"
    )
    .feeds(NO_NAMES),
    case!(
        GROUP,
        the_name_of_an_account_is_percent_decoded,
        "a header with each byte of the name as %XX is the account's; with those of another name, 409 other_account"
    )
    .feeds(NO_NAMES),
    case!(
        GROUP,
        a_pull_without_access_is_refused,
        "403 in the server's own format, by which a client tells it from a proxy's"
    )
    .needs(OTHER),
    case!(
        GROUP,
        a_push_without_access_is_forbidden_and_changes_nothing,
        "create, update and delete in a scope of another account: each answered forbidden in a 200, the log unchanged"
    )
    .needs(OTHER),
    case!(
        GROUP,
        a_claimed_scope_opens_no_record_of_another,
        "update, delete and create of another account's record under a claim of one's own scope: the record unchanged"
    )
    .needs(OTHER),
    case!(
        GROUP,
        a_delete_that_claims_nothing_deletes_nobody_elses_record,
        "a delete with an empty payload, of another account's record: refused, or no effect on it"
    )
    .needs(OTHER),
    case!(
        GROUP,
        a_refusal_shows_nothing_of_the_record,
        "no answer to any of these holds anything of the other account's record"
    )
    .needs(OTHER),
];

async fn a_request_without_a_good_token_is_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let pull = trial.dialect().pull_target(&PullRequest {
        account: me.login.account.clone(),
        scope: scope.clone(),
        cursor: None,
        limit: MANY,
    });
    let create = trial.create(&scope, &trial.id(), "by nobody");
    let body = me.body(&me.request(&[create]))?;
    let asks = [
        Ask::get(pull),
        Ask::post(trial.dialect().push_target(), body),
    ];
    let mut refusal = String::new();
    for ask in asks {
        for ask in [ask.clone(), ask.token("nobodys-token")] {
            let seen = me.send(ask).await?;
            refusal = seen.refused(trial.dialect(), ErrorCode::Unauthorized)?;
        }
    }
    Ok(refusal)
}

async fn a_token_of_another_account_than_the_request_names_is_refused(
    trial: &Trial<'_>,
) -> Outcome {
    let scope = trial.scope().await?;
    let (me, other) = (trial.me(), trial.other()?);
    let (mine, theirs) = (&me.login.account, &other.login.account);
    let create = trial.create(&scope, &trial.id(), "whose?");
    let body = me.body(&me.request(std::slice::from_ref(&create)))?;
    let foreign_body = other.body(&other.request(std::slice::from_ref(&create)))?;
    let asks = [
        ("a pull", me.pull_ask(&scope, None, MANY).named(theirs)),
        ("a push's header", me.post(body).named(theirs)),
        ("a push's body", me.post(foreign_body).named(mine)),
    ];
    let mut refusal = String::new();
    for (place, ask) in asks {
        let seen = me.send(ask).await?;
        let refused = seen.refused(trial.dialect(), ErrorCode::OtherAccount);
        refusal = refused.map_err(|broken| broken.at(place))?;
    }
    let newest = me.newest(&scope, &create.mutation.key.entity_id).await?;
    holds(newest.is_none(), || {
        "the refused mutation is in the log".to_owned()
    })?;
    Ok(refusal)
}

async fn a_pull_that_names_no_account_is_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let ask = me.pull_ask(&scope, None, MANY).without(ACCOUNT_HEADER);
    me.send(ask)
        .await?
        .refused(trial.dialect(), ErrorCode::BadRequest)
}

async fn the_name_of_an_account_is_percent_decoded(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let named = |account: &str| {
        let bytes = account.bytes().map(|byte| format!("%{byte:02X}"));
        let ask = me.pull_ask(&scope, None, MANY);
        ask.header(ACCOUNT_HEADER, bytes.collect::<String>())
    };
    let mine = me.login.account.as_str();
    let seen = me.send(named(mine)).await?;
    me.page(&seen).map_err(|broken| broken.at("its own name"))?;
    let seen = me.send(named(&format!("not {mine}"))).await?;
    seen.refused(trial.dialect(), ErrorCode::OtherAccount)
        .map_err(|broken| broken.at("another name"))
}

async fn a_pull_without_access_is_refused(trial: &Trial<'_>) -> Outcome {
    let theirs = trial.others_scope().await?;
    let me = trial.me();
    let seen = me.send(me.pull_ask(&theirs, None, MANY)).await?;
    seen.refused(trial.dialect(), ErrorCode::Forbidden)
}

/// A record of the other account, and everything that the first tries on it.
struct Attempts {
    theirs: Scope,
    id: EntityId,
    answers: Vec<(String, Seen)>,
}

impl Attempts {
    async fn make(
        trial: &Trial<'_>,
        attempts: impl FnOnce(&Trial<'_>, &Scope, &Scope, &EntityId) -> Vec<Outgoing>,
    ) -> Outcome<Self> {
        let mine = trial.scope().await?;
        let theirs = trial.others_scope().await?;
        let id = trial.id();
        let secret = trial.create(&theirs, &id, SECRET);
        trial.other()?.apply_one(&secret).await?;
        trial.a_moment().await;
        let me = trial.me();
        let mut answers = Vec::new();
        for attempt in attempts(trial, &mine, &theirs, &id) {
            let name = attempt.mutation.op.name().to_owned();
            let body = me.body(&me.request(&[attempt]))?;
            answers.push((name, me.push_body(body).await?));
        }
        Ok(Self {
            theirs,
            id,
            answers,
        })
    }

    /// Demands that the record is as its owner wrote it.
    async fn left_no_trace(&self, trial: &Trial<'_>) -> Outcome<()> {
        let newest = trial.other()?.newest(&self.theirs, &self.id).await?;
        let text = trial.text_put(newest.as_ref());
        equal("the other account's record", text.as_deref(), Some(SECRET))
    }
}

/// Create, update and delete of a record in this scope.
fn all_ops(trial: &Trial<'_>, scope: &Scope, id: &EntityId) -> Vec<Outgoing> {
    vec![
        trial.update(scope, id, "overwritten by somebody else"),
        trial.create(scope, id, "made by somebody else"),
        trial.delete(scope, id),
    ]
}

async fn a_push_without_access_is_forbidden_and_changes_nothing(trial: &Trial<'_>) -> Outcome {
    let attempts = Attempts::make(trial, |trial, _, theirs, id| {
        let mut attempts = all_ops(trial, theirs, id);
        attempts.push(trial.create(theirs, &trial.id(), "new"));
        attempts
    })
    .await?;
    for (op, seen) in &attempts.answers {
        let answers = trial.me().answers(seen)?;
        let verdict = answers.first().map(|answer| &answer.verdict);
        let verdict = verdict.ok_or_else(|| Broken::new("no answer"))?;
        holds(*verdict == Verdict::Forbidden, || {
            format!("{op}: {}", word(verdict))
        })?;
    }
    attempts.left_no_trace(trial).await?;
    Ok("forbidden, four times, and the record is as it was".to_owned())
}

async fn a_claimed_scope_opens_no_record_of_another(trial: &Trial<'_>) -> Outcome {
    let attempts = Attempts::make(trial, |trial, mine, _, id| all_ops(trial, mine, id)).await?;
    attempts.left_no_trace(trial).await?;
    let verdicts = words(trial, &attempts)?;
    Ok(format!("{verdicts}; the record is as it was"))
}

async fn a_delete_that_claims_nothing_deletes_nobody_elses_record(trial: &Trial<'_>) -> Outcome {
    let mut attempts = Attempts::make(trial, |_, _, _, _| Vec::new()).await?;
    let me = trial.me();
    let mut seen = Vec::new();
    for payload in [json!(null), json!({})] {
        let delete = trial.edit(&attempts.theirs, &attempts.id, Op::Delete);
        let mut body = me.json(&[delete])?;
        let mutation = &mut body[trial.names().0][0];
        mutation[trial.payload_name()] = payload;
        if let (Dialect::Own, Some(mutation)) = (trial.dialect(), mutation.as_object_mut()) {
            mutation.remove("scope");
        }
        let answer = me.push_body(body.to_string()).await?;
        holds(answer.status < 500, || answer.describe())?;
        seen.push(answer.describe());
        attempts.answers.push(("delete".to_owned(), answer));
    }
    attempts.left_no_trace(trial).await?;
    Ok(format!("{}; the record is as it was", seen.join(", ")))
}

async fn a_refusal_shows_nothing_of_the_record(trial: &Trial<'_>) -> Outcome {
    let attempts = Attempts::make(trial, |trial, mine, theirs, id| {
        let mut attempts = all_ops(trial, theirs, id);
        attempts.extend(all_ops(trial, mine, id));
        attempts
    })
    .await?;
    for (op, seen) in &attempts.answers {
        holds(!seen.text()?.contains(SECRET), || {
            format!("the answer to {op} holds the other account's record")
        })?;
    }
    Ok(format!("{} answers without it", attempts.answers.len()))
}

/// What each attempt was answered.
fn words(trial: &Trial<'_>, attempts: &Attempts) -> Outcome {
    let mut words = Vec::new();
    for (op, seen) in &attempts.answers {
        let answers = trial.me().answers(seen)?;
        let word = answers.first().map(|answer| word(&answer.verdict));
        words.push(format!("{op}: {}", word.unwrap_or_default()));
    }
    Ok(words.join(", "))
}
