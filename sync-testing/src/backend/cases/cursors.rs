//! Cursors that are of no use: refused as expired, and never answered as if there were no news.

use sync_core::{
    model::Cursor,
    transport::{PushRequest, Verdict},
};
use sync_http::wire::ErrorCode;

use super::{
    super::{
        failure::{Broken, Outcome, holds},
        session::{MANY, word},
        trial::Trial,
    },
    Case, Feeds, Need, case,
};

const GROUP: &str = "cursors";

pub(super) const CASES: &[Case] = &[
    case!(
        GROUP,
        a_cursor_that_was_never_given_out_is_refused_as_expired,
        "410 in the server's own format, and no page, least of all an empty one"
    ),
    case!(
        GROUP,
        a_cursor_of_another_scope_is_refused_as_expired,
        "410 in the server's own format, and no page"
    )
    .feeds(Feeds::Unpromised(
        "a feed's cursors are numbers, which name no scope",
    ))
    .needs(&[Need::TwoScopes]),
    case!(
        GROUP,
        a_push_from_an_expired_cursor_is_told_to_resync_and_other_scopes_go_on,
        "retry with resync for the scope with the bad cursor, applied in the other"
    )
    .feeds(Feeds::Inexpressible("a feed's push names no cursors"))
    .needs(&[Need::TwoScopes]),
    case!(
        GROUP,
        an_expired_cursor_goes_before_a_stored_verdict,
        "what was applied is answered retry with resync when it comes again from a bad cursor, and as before when it comes without"
    )
    .feeds(Feeds::Inexpressible("a feed's push names no cursors")),
    case!(
        GROUP,
        a_cursor_stays_good_while_others_write,
        "an old cursor brings everything since, though pages have been pulled from newer ones"
    ),
];

/// Cursors that no server gives out: in a feed, a number from its far future.
fn made_up(trial: &Trial<'_>) -> &'static [&'static str] {
    if trial.feed().is_some() {
        &["899999999999999", "9007199254740991"]
    } else {
        &["no-such-cursor", "0", "1.7..0", "\u{1f37c}"]
    }
}

async fn a_cursor_that_was_never_given_out_is_refused_as_expired(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    trial.fill(&scope, 3).await?;
    let me = trial.me();
    let mut refusal = String::new();
    for cursor in made_up(trial) {
        let ask = me.pull_ask(&scope, Some(&Cursor::from(*cursor)), MANY);
        let seen = me.send(ask).await?;
        refusal = expired(trial, &seen).map_err(|broken| broken.at(cursor))?;
    }
    Ok(refusal)
}

fn expired(trial: &Trial<'_>, seen: &super::super::http::Seen) -> Outcome {
    if seen.status == 200 {
        let changes = trial.me().page(seen)?.changes.len();
        return Err(Broken::new(format!("a page of {changes} changes")));
    }
    seen.refused(trial.dialect(), ErrorCode::CursorExpired)
}

async fn a_cursor_of_another_scope_is_refused_as_expired(trial: &Trial<'_>) -> Outcome {
    let (one, two) = (trial.scope().await?, trial.second_scope().await?);
    trial.fill(&one, 3).await?;
    trial.fill(&two, 3).await?;
    let me = trial.me();
    let cursor = me.end(&one).await?;
    let seen = me.send(me.pull_ask(&two, Some(&cursor), MANY)).await?;
    expired(trial, &seen)
}

async fn a_push_from_an_expired_cursor_is_told_to_resync_and_other_scopes_go_on(
    trial: &Trial<'_>,
) -> Outcome {
    let (one, two) = (trial.scope().await?, trial.second_scope().await?);
    let me = trial.me();
    let good = me.end(&two).await?;
    let id = trial.id();
    let request = PushRequest {
        cursors: vec![
            (one.clone(), Some(Cursor::from("no-such-cursor"))),
            (two.clone(), Some(good)),
        ],
        ..me.request(&[
            trial.create(&one, &id, "in step?"),
            trial.create(&two, &trial.id(), "in step"),
        ])
    };
    let verdicts = me.push_request(&request).await?;
    let words: Vec<_> = verdicts.iter().map(word).collect();
    let [Verdict::Retry { resync: true, .. }, Verdict::Applied { .. }] = verdicts[..] else {
        return Err(Broken::new(words.join(", ")));
    };
    let newest = me.newest(&one, &id).await?;
    holds(newest.is_none(), || {
        "retry, and it is in the log".to_owned()
    })?;
    Ok(words.join(", "))
}

async fn an_expired_cursor_goes_before_a_stored_verdict(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let create = trial.create(&scope, &trial.id(), "made");
    let first = me.push_one(&create).await?;
    let request = PushRequest {
        cursors: vec![(scope, Some(Cursor::from("no-such-cursor")))],
        ..me.request(std::slice::from_ref(&create))
    };
    let verdicts = me.push_request(&request).await?;
    let [Verdict::Retry { resync: true, .. }] = verdicts[..] else {
        let words: Vec<_> = verdicts.iter().map(word).collect();
        return Err(Broken::new(words.join(", ")));
    };
    let again = me.push_one(&create).await?;
    holds(first == again, || {
        format!("{} first, {} at the end", word(&first), word(&again))
    })?;
    Ok("retry with resync, then the stored verdict".to_owned())
}

async fn a_cursor_stays_good_while_others_write(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let old = me.end(&scope).await?;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.extend(trial.fill(&scope, 4).await?);
        me.end(&scope).await?;
    }
    let log = me.since(&scope, &old).await?;
    let missing = ids.iter().filter(|id| log.of(id).is_empty()).count();
    holds(missing == 0, || {
        format!("{missing} of {} records are missing", ids.len())
    })?;
    Ok(format!("all {} records since", ids.len()))
}
