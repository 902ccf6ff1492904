//! What is too much: refused as such, so that a client sends less, or taken whole.

use sync_core::{model::EntityId, transport::Verdict};
use sync_http::wire::ErrorCode;

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        http::Seen,
        session::{MANY, applied, word},
        trial::Trial,
    },
    Case, Need, case,
};

const GROUP: &str = "limits";

/// Records that together are more than a client takes in one page: 20 of 1 MiB, in pushes that any server takes.
const LARGE: usize = 1 << 20;
const LARGE_IN_A_BATCH: usize = 4;
const LARGE_BATCHES: usize = 5;

/// What a client takes in a page, unless its app says otherwise.
const LONGEST_PAGE: usize = 16 << 20;

pub(super) const CASES: &[Case] = &[
    case!(
        GROUP,
        a_batch_of_the_agreed_size_is_taken,
        "as many mutations as a batch may have: each applied"
    ),
    case!(
        GROUP,
        a_batch_that_is_too_large_is_refused_whole_or_taken_whole,
        "one more: 413 in the server's own format, and nothing of it is applied; or all of it is"
    ),
    case!(
        GROUP,
        a_payload_that_is_too_large_is_refused_alone_or_taken_whole,
        "beside a good mutation: rejected, and the other applied; or 413, and neither; or both, as they were sent"
    ),
    case!(
        GROUP,
        a_body_beyond_all_bounds_is_refused,
        "413 in the server's own format, or an end to the connection; nothing of it is applied, and the server stays usable"
    ),
    case!(
        GROUP,
        a_page_of_large_records_is_bounded,
        "no page beyond the 16 MiB that a client takes, however many changes it asks for, and the pages join"
    )
    .needs(&[Need::PageSize]),
    case!(
        GROUP,
        a_page_limit_beyond_all_bounds_is_no_error,
        "a pull that asks for as many changes as there are numbers: a page, and the pages still join"
    ),
];

async fn a_batch_of_the_agreed_size_is_taken(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    let count = trial.target.batch_limit;
    trial.fill(&scope, count).await?;
    let log = me.since(&scope, &from).await?;
    equal("changes", log.changes.len(), count)?;
    Ok(format!("{count} mutations applied"))
}

async fn a_batch_that_is_too_large_is_refused_whole_or_taken_whole(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    let count = trial.target.batch_limit + 1;
    let creates: Vec<_> = (0..count)
        .map(|n| trial.create(&scope, &trial.id(), &format!("{n}")))
        .collect();
    let seen = me.push_body(me.body(&me.request(&creates))?).await?;
    let log = me.since(&scope, &from).await?;
    if seen.status == 200 {
        for answer in me.answers(&seen)? {
            applied(&answer.verdict)?;
        }
        equal("changes", log.changes.len(), count)?;
        return Ok(format!("{count} mutations applied"));
    }
    let refusal = seen.refused(trial.dialect(), ErrorCode::TooLarge)?;
    equal("changes of a refused batch", log.changes.len(), 0)?;
    Ok(refusal)
}

async fn a_payload_that_is_too_large_is_refused_alone_or_taken_whole(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let (small, large) = (trial.id(), trial.id());
    let text = "x".repeat(trial.target.payload_limit + 1);
    let batch = [
        trial.create(&scope, &small, "small"),
        trial.create(&scope, &large, &text),
    ];
    let seen = me.push_body(me.body(&me.request(&batch))?).await?;
    let stored = async |id: &EntityId| {
        let newest = me.newest(&scope, id).await?;
        Ok::<_, Broken>(trial.text_put(newest.as_ref()))
    };
    if seen.status != 200 {
        let refusal = seen.refused(trial.dialect(), ErrorCode::TooLarge)?;
        equal(
            "the good one of a refused batch",
            stored(&small).await?,
            None,
        )?;
        equal("the large one", stored(&large).await?.is_some(), false)?;
        return Ok(refusal);
    }
    let answers = me.answers(&seen)?;
    let verdicts: Vec<_> = answers.iter().map(|answer| &answer.verdict).collect();
    equal(
        "the good one",
        stored(&small).await?.as_deref(),
        Some("small"),
    )?;
    match verdicts[..] {
        [Verdict::Applied { .. }, Verdict::Applied { .. }] => {
            let whole = stored(&large).await?.is_some_and(|stored| stored == text);
            holds(whole, || {
                "applied, and not stored as it was sent".to_owned()
            })?;
            Ok("applied whole".to_owned())
        }
        [Verdict::Applied { .. }, Verdict::Rejected { .. }] => {
            let there = stored(&large).await?.is_some();
            holds(!there, || "rejected, and it is in the log".to_owned())?;
            Ok(word(verdicts[1]))
        }
        _ => Err(Broken::new(
            verdicts
                .into_iter()
                .map(word)
                .collect::<Vec<_>>()
                .join(", "),
        )),
    }
}

/// A body whose end a client still sends while the refusal comes may be answered by no more than a closed connection.
async fn a_body_beyond_all_bounds_is_refused(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let mut body = me.body(&me.request(&[trial.create(&scope, &id, "much")]))?;
    // White space after the document: valid JSON, if anybody gets to its end.
    body.push_str(&" ".repeat(trial.target.body_limit));
    let refusal = match me.push_body(body).await {
        Ok(seen) => seen.refused(trial.dialect(), ErrorCode::TooLarge)?,
        Err(_) => "the connection was closed".to_owned(),
    };
    let newest = me.newest(&scope, &id).await?;
    holds(newest.is_none(), || {
        "refused, and it is in the log".to_owned()
    })?;
    Ok(refusal)
}

async fn a_page_of_large_records_is_bounded(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    let text = "x".repeat(LARGE.min(trial.target.payload_limit / 2));
    for _ in 0..LARGE_BATCHES {
        let creates: Vec<_> = (0..LARGE_IN_A_BATCH)
            .map(|_| trial.create(&scope, &trial.id(), &text))
            .collect();
        me.apply(&creates).await?;
    }
    let (mut cursor, mut found, mut pages, mut longest) = (from, 0, 0, 0);
    loop {
        let seen = me.send(me.pull_ask(&scope, Some(&cursor), MANY)).await?;
        let page = me.page(&seen)?;
        found += page.changes.len();
        pages += 1;
        longest = longest.max(seen.bytes());
        if !page.has_more {
            break;
        }
        holds(pages <= LARGE_BATCHES * LARGE_IN_A_BATCH, || {
            format!("no end of the log after {pages} pages")
        })?;
        cursor = page.next;
    }
    holds(longest <= LONGEST_PAGE, || {
        format!("a page of {longest} bytes")
    })?;
    equal("changes", found, LARGE_BATCHES * LARGE_IN_A_BATCH)?;
    Ok(format!("{pages} pages, of {longest} bytes at most"))
}

async fn a_page_limit_beyond_all_bounds_is_no_error(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    trial.fill(&scope, 20).await?;
    let log = me.drain(&scope, Some(from), u32::MAX).await?;
    equal("changes", log.changes.len(), 20)?;
    let page: Seen = me.send(me.pull_ask(&scope, None, MANY)).await?;
    equal("the status", page.status, 200)?;
    Ok("a page".to_owned())
}
