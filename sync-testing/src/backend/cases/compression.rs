//! Compression, both ways.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use sync_core::transport::Outgoing;

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        session::{MANY, applied},
        trial::Trial,
    },
    Case, Feeds, case,
};

const GROUP: &str = "compression";
const UNSAID: Feeds = Feeds::Unpromised("a feed does not say so");

/// What a small body unpacks to: beyond what any server should take.
const BOMB: usize = 64 << 20;

pub(super) const CASES: &[Case] = &[
    case!(
        GROUP,
        answers_are_compressed_for_clients_that_offer_it_and_for_no_others,
        "gzip of the same page where it was offered, and none where it was not"
    )
    .feeds(UNSAID),
    case!(
        GROUP,
        a_compressed_body_is_taken,
        "a gzip body is applied as any other"
    )
    .feeds(UNSAID),
    case!(
        GROUP,
        a_compressed_body_is_applied_or_refused_and_nothing_between,
        "applied; or refused as the client's fault, in the server's own format, with nothing applied"
    ),
    case!(
        GROUP,
        a_body_that_cannot_be_unpacked_is_refused,
        "as the client's fault, in the server's own format: no gzip where gzip is said, and an encoding nobody knows"
    ),
    case!(
        GROUP,
        a_small_body_that_unpacks_to_a_huge_one_is_refused,
        "as the client's fault, in the server's own format: limits count what is unpacked"
    ),
];

async fn answers_are_compressed_for_clients_that_offer_it_and_for_no_others(
    trial: &Trial<'_>,
) -> Outcome {
    let scope = trial.scope().await?;
    trial.fill(&scope, 60).await?;
    let me = trial.me();
    let plain = me.send(me.pull_ask(&scope, None, MANY)).await?;
    equal(
        "the encoding that was not offered",
        plain.header("content-encoding"),
        "",
    )?;
    let ask = me
        .pull_ask(&scope, None, MANY)
        .header("accept-encoding", "gzip");
    let packed = me.send(ask).await?;
    equal(
        "the encoding that was offered",
        packed.header("content-encoding"),
        "gzip",
    )?;
    let page = me.page(&packed.unpacked()?)?;
    holds(page.changes == me.page(&plain)?.changes, || {
        "another page than without".to_owned()
    })?;
    Ok(format!(
        "{} bytes instead of {}",
        packed.bytes(),
        plain.bytes()
    ))
}

async fn a_compressed_body_is_taken(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let creates = creates(trial, &scope);
    let body = gzip(me.body(&me.request(&creates))?.as_bytes())?;
    let seen = me
        .send(me.post(body).header("content-encoding", "gzip"))
        .await?;
    for answer in me.answers(&seen)? {
        applied(&answer.verdict)?;
    }
    Ok(format!("{} mutations applied", creates.len()))
}

async fn a_compressed_body_is_applied_or_refused_and_nothing_between(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    let creates = creates(trial, &scope);
    let body = gzip(me.body(&me.request(&creates))?.as_bytes())?;
    let seen = me
        .send(me.post(body).header("content-encoding", "gzip"))
        .await?;
    let log = me.since(&scope, &from).await?;
    if seen.status == 200 {
        for answer in me.answers(&seen)? {
            applied(&answer.verdict)?;
        }
        equal("changes", log.changes.len(), creates.len())?;
        return Ok("applied".to_owned());
    }
    let refusal = seen.clients_fault(trial.dialect())?;
    equal("changes of a refused body", log.changes.len(), 0)?;
    Ok(refusal)
}

async fn a_body_that_cannot_be_unpacked_is_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let good = me.body(&me.request(&creates(trial, &scope)))?;
    let mut cut = gzip(good.as_bytes())?;
    cut.truncate(cut.len() / 2);
    let bodies = [
        ("no gzip", "gzip", good.clone().into_bytes()),
        ("gzip, cut off", "gzip", cut),
        ("an unknown encoding", "rot13", good.into_bytes()),
    ];
    let mut refusal = String::new();
    for (what, encoding, body) in bodies {
        let ask = me.post(body).header("content-encoding", encoding);
        let seen = me.send(ask).await?;
        let refused = seen.clients_fault(trial.dialect());
        refusal = refused.map_err(|broken| broken.at(what))?;
    }
    Ok(refusal)
}

async fn a_small_body_that_unpacks_to_a_huge_one_is_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let mut body = me.body(&me.request(&creates(trial, &scope)))?;
    // White space after the document: valid JSON, if anybody gets to its end.
    body.push_str(&" ".repeat(BOMB));
    let packed = gzip(body.as_bytes())?;
    let seen = me
        .send(me.post(packed).header("content-encoding", "gzip"))
        .await?;
    seen.clients_fault(trial.dialect())
}

fn creates(trial: &Trial<'_>, scope: &sync_core::model::Scope) -> Vec<Outgoing> {
    let create = |n| trial.create(scope, &trial.id(), &format!("compressed {n}"));
    (0..20).map(create).collect()
}

fn gzip(body: &[u8]) -> Outcome<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(body).and_then(|()| encoder.finish());
    packed.map_err(|error| Broken::new(error.to_string()))
}
