//! Requests that make no sense: the client's fault, said in the server's own format, and nobody is harmed.

use serde_json::{Value, json};
use sync_core::transport::{PullRequest, Verdict};
use sync_http::{dialect::Dialect, wire::ErrorCode};

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        http::Ask,
        session::{MANY, word},
        trial::Trial,
    },
    Case, Feeds, case,
};

const GROUP: &str = "malformed input";

/// Deeper than any parser goes that recurses.
const DEPTH: usize = 20_000;

pub(super) const CASES: &[Case] = &[
    case!(
        GROUP,
        broken_json_is_refused,
        "400 in the server's own format: cut off, no JSON at all, empty, not UTF-8"
    ),
    case!(
        GROUP,
        wrong_types_are_refused,
        "400 in the server's own format: a body, a list, a mutation or an id of another type than it should be"
    ),
    case!(
        GROUP,
        a_field_of_a_wrong_type_is_refused,
        "400 in the server's own format, whichever field it is, and nothing of the batch is applied"
    )
    .feeds(Feeds::Inexpressible("a feed's mutations have other fields")),
    case!(
        GROUP,
        a_pull_that_makes_no_sense_is_refused,
        "400 in the server's own format: without a scope, or with a limit that is no number"
    ),
    case!(
        GROUP,
        unknown_fields_are_ignored,
        "fields that nobody knows yet, in a body and in a mutation: applied as if they were not there"
    )
    .feeds(Feeds::Unpromised("a feed does not say what it does with fields that it does not know")),
    case!(
        GROUP,
        deep_nesting_is_refused_or_stored_and_harms_nobody,
        "as a body: refused; as a payload: refused, or stored as it was sent; the server and the log stay usable"
    ),
    case!(
        GROUP,
        what_is_not_there_is_not_found,
        "404 not_found in the server's own format, by which a client tells a wrong address from lost access"
    )
    .feeds(Feeds::Unpromised("a feed does not say what it answers beside its two paths")),
];

async fn broken_json_is_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let good = me.body(&me.request(&[trial.create(&scope, &trial.id(), "good")]))?;
    let cut = good.as_bytes()[..good.len() / 2].to_vec();
    let trailing = format!("{good}}}").into_bytes();
    let mut not_utf8 = good.clone().into_bytes();
    let text = good.find("good").unwrap_or(0);
    not_utf8[text] = 0xff;
    let bodies = [
        ("cut off", cut),
        ("no JSON", b"mutations=1".to_vec()),
        ("empty", Vec::new()),
        ("something after it", trailing),
        ("not UTF-8", not_utf8),
    ];
    refuse_all(trial, bodies).await
}

async fn wrong_types_are_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let good = me.json(&[trial.create(&scope, &trial.id(), "good")])?;
    let (list, id) = (trial.names().0, trial.mutation_id_name());
    let spoilt = |spoil: fn(&mut Value, &str, &str)| {
        let mut body = good.clone();
        spoil(&mut body, list, id);
        body.to_string().into_bytes()
    };
    let bodies = [
        ("a list for the body", b"[]".to_vec()),
        ("a number for the body", b"7".to_vec()),
        (
            "a number for the list",
            spoilt(|body, list, _| body[list] = json!(7)),
        ),
        (
            "an object for the list",
            spoilt(|body, list, _| body[list] = json!({})),
        ),
        (
            "a number for a mutation",
            spoilt(|body, list, _| body[list][0] = json!(7)),
        ),
        (
            "null for a mutation",
            spoilt(|body, list, _| body[list][0] = json!(null)),
        ),
        (
            "a number for an id",
            spoilt(|body, list, id| body[list][0][id] = json!(7)),
        ),
        (
            "no UUID for an id",
            spoilt(|body, list, id| body[list][0][id] = json!("7")),
        ),
        (
            "no list at all",
            spoilt(|body, list, _| {
                if let Some(body) = body.as_object_mut() {
                    body.remove(list);
                }
            }),
        ),
    ];
    refuse_all(trial, bodies).await
}

/// Fields of a mutation, and what none of them may hold.
fn misfits() -> Vec<(&'static str, Value)> {
    vec![
        ("ageMs", json!("1200")),
        ("ageMs", json!(-1)),
        ("ageMs", json!(1.5)),
        ("ageMs", json!(null)),
        ("base", json!("1.42")),
        ("base", json!(42)),
        ("base", json!({"epoch": "e7"})),
        ("base", json!({"epoch": 7, "seq": 42})),
        ("base", json!({"epoch": "e7", "seq": "42"})),
        ("base", json!({"epoch": "e7", "seq": -1})),
        ("after", json!(7)),
        ("after", json!("no UUID")),
        ("entityId", json!(7)),
        ("entityId", json!(null)),
        ("scope", json!(7)),
        ("type", json!(["feed_log"])),
        ("op", json!(7)),
        ("schema", json!("1")),
        ("schema", json!(-1)),
    ]
}

async fn a_field_of_a_wrong_type_is_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let (good, bad) = (trial.id(), trial.id());
    let batch = [
        trial.create(&scope, &good, "good"),
        trial.create(&scope, &bad, "bad"),
    ];
    let mut bodies = Vec::new();
    for (field, value) in misfits() {
        let mut body = me.json(&batch)?;
        body["mutations"][1][field] = value.clone();
        bodies.push((format!("{field}: {value}"), body));
    }
    for field in ["ageMs", "entityId", "scope", "type", "op"] {
        let mut body = me.json(&batch)?;
        if let Some(mutation) = body["mutations"][1].as_object_mut() {
            mutation.remove(field);
        }
        bodies.push((format!("no {field}"), body));
    }
    let of_the_body = [
        ("cursors", json!(7)),
        ("cursors", json!([scope.as_str()])),
        ("cursors", json!({ scope.as_str(): 7 })),
        ("account", json!(7)),
        ("account", json!(null)),
    ];
    for (field, value) in of_the_body {
        let mut body = me.json(&batch)?;
        body[field] = value.clone();
        bodies.push((format!("{field}: {value}"), body));
    }
    let count = bodies.len();
    let mut missed = Vec::new();
    for (what, body) in bodies {
        let seen = me.push_body(body.to_string()).await?;
        if let Err(broken) = seen.refused(trial.dialect(), ErrorCode::BadRequest) {
            missed.push(format!("{what}: {broken}"));
        }
    }
    holds(missed.is_empty(), || missed.join("; "))?;
    let newest = me.newest(&scope, &good).await?;
    holds(newest.is_none(), || {
        "400, and the good one beside it is applied all the same".to_owned()
    })?;
    Ok(format!("{count} times 400"))
}

async fn refuse_all(
    trial: &Trial<'_>,
    bodies: impl IntoIterator<Item = (&str, Vec<u8>)>,
) -> Outcome {
    let mut count = 0;
    for (what, body) in bodies {
        let seen = trial.me().push_body(body).await?;
        let refused = seen
            .refused(trial.dialect(), ErrorCode::BadRequest)
            .map_err(|broken| broken.at(what))?;
        drop(refused);
        count += 1;
    }
    Ok(format!("{count} times 400"))
}

async fn a_pull_that_makes_no_sense_is_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let good = trial.dialect().pull_target(&PullRequest {
        account: me.login.account.clone(),
        scope,
        cursor: None,
        limit: 7,
    });
    let path = good.split('?').next().unwrap_or_default().to_owned();
    let mut targets = vec![("without a scope", path)];
    let limit = match trial.dialect() {
        Dialect::Own => Some("limit"),
        Dialect::Feed(feed) => feed.pull.limit.as_deref(),
    };
    if let Some(limit) = limit {
        let spoilt = good.replace(&format!("{limit}=7"), &format!("{limit}=seven"));
        targets.push(("a limit that is no number", spoilt));
    }
    let count = targets.len();
    for (what, target) in targets {
        let seen = me.send(me.signed(Ask::get(target))).await?;
        seen.refused(trial.dialect(), ErrorCode::BadRequest)
            .map_err(|broken| broken.at(what))?;
    }
    Ok(format!("{count} times 400"))
}

async fn unknown_fields_are_ignored(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let mut body = me.json(&[trial.create(&scope, &id, "with more")])?;
    body["fromTheFuture"] = json!({"a": [1, null]});
    body[trial.names().0][0]["fromTheFuture"] = json!([true]);
    let answers = me.answers(&me.push_body(body.to_string()).await?)?;
    match answers.first().map(|answer| &answer.verdict) {
        Some(Verdict::Applied { .. }) => {}
        other => return Err(Broken::new(other.map_or("no answer".to_owned(), word))),
    }
    let mut ask = me.pull_ask(&scope, None, MANY);
    ask.also("fromTheFuture=1");
    let page = me.page(&me.send(ask).await?)?;
    holds(!page.changes.is_empty(), || "an empty page".to_owned())?;
    Ok("applied, and pulled".to_owned())
}

async fn deep_nesting_is_refused_or_stored_and_harms_nobody(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let nested = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let seen = me.push_body(nested.clone()).await?;
    seen.clients_fault(trial.dialect())
        .map_err(|broken| broken.at("as a body"))?;
    let id = trial.id();
    // Put in as text: no value tree of the suite's own is that deep.
    let body = me.body(&me.request(&[trial.create(&scope, &id, "deep")]))?;
    let body = body.replace("\"deep\"", &nested);
    let seen = me.push_body(body).await?;
    let stored = if seen.status == 200 {
        let answers = me.answers(&seen)?;
        match answers.first().map(|answer| &answer.verdict) {
            Some(Verdict::Applied { .. }) => true,
            Some(Verdict::Rejected { .. }) => false,
            other => return Err(Broken::new(other.map_or("no answer".to_owned(), word))),
        }
    } else {
        seen.clients_fault(trial.dialect())
            .map_err(|broken| broken.at("as a payload"))?;
        false
    };
    // Whoever pulls the scope is not harmed, either way.
    let change = me.newest(&scope, &id).await?;
    let found = change.as_ref().and_then(|change| change.op.payload());
    let whole = found.is_some_and(|payload| payload.as_str().contains(&nested));
    equal("whether the log has it as it was sent", whole, stored)?;
    trial.fill(&scope, 1).await?;
    Ok(if stored {
        "stored as it was sent"
    } else {
        "refused"
    }
    .to_owned())
}

async fn what_is_not_there_is_not_found(trial: &Trial<'_>) -> Outcome {
    let me = trial.me();
    let seen = me.send(me.signed(Ask::get("no/such/path"))).await?;
    seen.refused(trial.dialect(), ErrorCode::NotFound)
}
