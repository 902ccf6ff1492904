//! Pages: they join, they are bounded, they end.

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        session::MANY,
        trial::Trial,
    },
    Case, Feeds, Need, case,
};

/// Records, and the size of the pages in which they are pulled: the last page is full, so that it shows whether a
/// server only guesses that there is more.
const RECORDS: usize = 24;
const PAGE: u32 = 4;

pub(super) const CASES: &[Case] = &[
    case!(
        "pagination",
        an_empty_scope_is_one_empty_page,
        "200 with no changes, nothing more, and a cursor from which the next pull goes on"
    )
    .needs(&[Need::EmptyScope]),
    case!(
        "pagination",
        pages_join_without_gap_or_repeat,
        "the pages from a cursor to the end bring each record exactly once"
    ),
    case!(
        "pagination",
        a_page_holds_no_more_than_was_asked_for,
        "at most as many changes in a page as its limit says"
    )
    .needs(&[Need::PageSize]),
    case!(
        "pagination",
        there_is_more_exactly_if_more_comes,
        "has-more on each page but the last, and something on each page that was promised, also where the last is full"
    )
    .needs(&[Need::PageSize]),
    case!(
        "pagination",
        a_pull_from_the_last_cursor_brings_only_what_is_new,
        "no changes while nothing happens; then the new record, and nothing else"
    ),
    case!(
        "pagination",
        a_pull_from_the_start_ends_with_the_newest_state_of_each_record,
        "the last change of each record in a pull from the start is its newest state"
    ),
    case!(
        "pagination",
        a_pull_that_is_overtaken_by_edits_ends_with_the_newest_states,
        "records that are edited while their pages are pulled are in their newest state when the pages end"
    ),
    case!(
        "pagination",
        changes_are_numbered_in_the_order_of_the_log,
        "seq ascends over all pages, through is at or past it and ascends, the epoch stays the same"
    )
    .feeds(Feeds::Inexpressible("a feed has no numbers and no epoch")),
];

async fn an_empty_scope_is_one_empty_page(trial: &Trial<'_>) -> Outcome {
    let scope = trial.target.empty_scope.clone();
    let scope = scope.ok_or_else(|| Broken::new("no empty scope"))?;
    let me = trial.me();
    let page = me.pull(&scope, None, MANY).await?;
    equal("changes", page.changes.len(), 0)?;
    equal("has-more", page.has_more, false)?;
    let again = me.pull(&scope, Some(&page.next), MANY).await?;
    equal("changes after its cursor", again.changes.len(), 0)?;
    Ok("an empty page, twice".to_owned())
}

async fn pages_join_without_gap_or_repeat(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    let ids = trial.fill(&scope, RECORDS).await?;
    let log = me.drain(&scope, Some(from), PAGE).await?;
    let mut found = log.ids();
    found.sort_unstable();
    let mut expected: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    expected.sort_unstable();
    holds(found == expected, || {
        let missing = expected.iter().filter(|id| !found.contains(id)).count();
        format!(
            "{} changes for {RECORDS} records, of which {missing} are missing",
            found.len()
        )
    })?;
    Ok(format!("{RECORDS} records in {} pages", log.sizes.len()))
}

async fn a_page_holds_no_more_than_was_asked_for(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    trial.fill(&scope, RECORDS).await?;
    for limit in [1, PAGE] {
        let page = me.pull(&scope, Some(&from), limit).await?;
        let found = page.changes.len();
        holds((1..=limit as usize).contains(&found), || {
            format!("{found} changes where at most {limit} were asked for")
        })?;
    }
    Ok(format!("at most 1, and at most {PAGE}"))
}

async fn there_is_more_exactly_if_more_comes(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    trial.fill(&scope, RECORDS).await?;
    let log = me.drain(&scope, Some(from), PAGE).await?;
    let sizes = &log.sizes;
    holds(sizes.len() > 1, || {
        "one page, with no more after it".to_owned()
    })?;
    equal("changes in all pages", sizes.iter().sum::<usize>(), RECORDS)?;
    holds(!sizes.contains(&0), || {
        "a page promised more, and the next one was empty".to_owned()
    })?;
    Ok(format!("pages of {sizes:?}"))
}

async fn a_pull_from_the_last_cursor_brings_only_what_is_new(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    trial.fill(&scope, 3).await?;
    let end = me.end(&scope).await?;
    let idle = me.since(&scope, &end).await?;
    equal("changes while nothing happens", idle.changes.len(), 0)?;
    let id = trial.id();
    me.apply_one(&trial.create(&scope, &id, "new")).await?;
    let news = me.since(&scope, &idle.next).await?;
    equal("the records that came", news.ids(), [id.as_str()])?;
    Ok("nothing, then the one new record".to_owned())
}

async fn a_pull_from_the_start_ends_with_the_newest_state_of_each_record(
    trial: &Trial<'_>,
) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let ids = trial.fill(&scope, 6).await?;
    for (n, id) in ids.iter().enumerate() {
        // Each further one is edited once more.
        for edit in 0..n {
            trial
                .edit_newest(&scope, id, &format!("edit {edit}"))
                .await?;
        }
    }
    let log = me.drain(&scope, None, 3).await?;
    for (n, id) in ids.iter().enumerate() {
        let expected = match n {
            0 => "record 0".to_owned(),
            n => format!("edit {}", n - 1),
        };
        let last = log.of(id).last().copied();
        equal(
            "a record's last state",
            trial.text_put(last),
            Some(expected),
        )?;
    }
    Ok(format!("{} records, each in its newest state", ids.len()))
}

async fn a_pull_that_is_overtaken_by_edits_ends_with_the_newest_states(
    trial: &Trial<'_>,
) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    let ids = trial.fill(&scope, RECORDS).await?;
    let first = me.pull(&scope, Some(&from), PAGE).await?;
    for id in &ids {
        trial.edit_newest(&scope, id, "edited").await?;
    }
    let rest = me.drain(&scope, Some(first.next), PAGE).await?;
    for id in &ids {
        let last = rest.of(id).last().copied();
        equal(
            "a record's last state",
            trial.text_put(last).as_deref(),
            Some("edited"),
        )?;
    }
    Ok(format!("{RECORDS} records, edited after the first page"))
}

async fn changes_are_numbered_in_the_order_of_the_log(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    trial.fill(&scope, RECORDS).await?;
    let (mut cursor, mut last, mut through, mut epoch) = (None, 0, 0, None);
    loop {
        let page = me.pull(&scope, cursor.as_ref(), PAGE).await?;
        for change in &page.changes {
            let seq = change.seq.unwrap_or(0);
            holds(seq > last, || format!("seq {seq} after {last}"))?;
            holds(seq > through, || {
                format!("seq {seq} after a page that said all up to {through} was scanned")
            })?;
            last = seq;
        }
        let scanned = page.through.unwrap_or(0);
        holds(scanned >= last && scanned >= through, || {
            format!("through {scanned} after {through}, with a change numbered {last}")
        })?;
        through = scanned;
        let of = page.epoch.clone();
        holds(epoch.is_none() || epoch == of, || {
            "another epoch on a later page".to_owned()
        })?;
        epoch = of;
        if !page.has_more {
            break;
        }
        cursor = Some(page.next);
    }
    Ok(format!("numbers up to {last}, scanned up to {through}"))
}
