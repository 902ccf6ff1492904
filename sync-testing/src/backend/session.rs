//! An account's requests in the target's dialect.

use serde_json::Value;
use sync_core::{
    model::{Change, Cursor, EntityId, Page, Scope, Version},
    transport::{Answer, Outgoing, PullRequest, PushRequest, Verdict},
};
use sync_http::dialect::Dialect;

use super::{
    failure::{Broken, Outcome, equal, holds},
    http::{Ask, Http, Seen},
    target::Login,
};

/// More pages than any point needs: a log that never ends is a failure, not a hang.
const MAX_PAGES: usize = 10_000;

/// The page size of a pull that is not about pages.
pub(super) const MANY: u32 = 500;

/// What an account says to the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'a> {
    pub(super) http: &'a Http,
    pub(super) dialect: &'a Dialect,
    pub(super) login: &'a Login,
}

/// A scope's log as pages brought it.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) changes: Vec<Change>,
    pub(super) next: Cursor,
    /// The changes in each page.
    pub(super) sizes: Vec<usize>,
}

impl Session<'_> {
    pub(super) fn pull_ask(&self, scope: &Scope, cursor: Option<&Cursor>, limit: u32) -> Ask {
        let target = self.dialect.pull_target(&PullRequest {
            account: self.login.account.clone(),
            scope: scope.clone(),
            cursor: cursor.cloned(),
            limit,
        });
        self.signed(Ask::get(target))
    }

    /// The request with all that proves and names the account.
    pub(super) fn signed(&self, ask: Ask) -> Ask {
        let ask = ask.token(&self.login.token);
        if self.dialect.names_account() {
            ask.named(&self.login.account)
        } else {
            ask
        }
    }

    pub(super) async fn send(&self, ask: Ask) -> Outcome<Seen> {
        self.http.send(ask).await
    }

    pub(super) fn page(&self, seen: &Seen) -> Outcome<Page> {
        let body = seen.good().map_err(|broken| broken.at("a pull"))?;
        let page = self.dialect.decode_page(&body);
        page.map_err(|error| Broken::new(format!("a page that cannot be read: {error}")))
    }

    pub(super) async fn pull(
        &self,
        scope: &Scope,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Outcome<Page> {
        self.page(&self.send(self.pull_ask(scope, cursor, limit)).await?)
    }

    /// Pulls until there is no more.
    pub(super) async fn drain(
        &self,
        scope: &Scope,
        mut cursor: Option<Cursor>,
        limit: u32,
    ) -> Outcome<Log> {
        let (mut changes, mut sizes) = (Vec::new(), Vec::new());
        while sizes.len() < MAX_PAGES {
            let page = self.pull(scope, cursor.as_ref(), limit).await?;
            sizes.push(page.changes.len());
            changes.extend(page.changes);
            if !page.has_more {
                let next = page.next;
                return Ok(Log {
                    changes,
                    next,
                    sizes,
                });
            }
            holds(cursor.as_ref() != Some(&page.next), || {
                "a page says that there is more after it, and its cursor has not moved".to_owned()
            })?;
            cursor = Some(page.next);
        }
        Err(Broken::new(format!(
            "no end of the log after {MAX_PAGES} pages"
        )))
    }

    /// The cursor at the end of a scope's log.
    pub(super) async fn end(&self, scope: &Scope) -> Outcome<Cursor> {
        Ok(self.drain(scope, None, MANY).await?.next)
    }

    pub(super) async fn since(&self, scope: &Scope, cursor: &Cursor) -> Outcome<Log> {
        self.drain(scope, Some(cursor.clone()), MANY).await
    }

    pub(super) fn body(&self, request: &PushRequest) -> Outcome<String> {
        let body = self.dialect.encode_push(request);
        body.map_err(|error| Broken::new(format!("the suite's own payload: {error}")))
    }

    /// A push without cursors.
    pub(super) fn request(&self, mutations: &[Outgoing]) -> PushRequest {
        PushRequest {
            account: self.login.account.clone(),
            cursors: Vec::new(),
            mutations: mutations.to_vec(),
        }
    }

    /// The body of a push, to be spoilt.
    pub(super) fn json(&self, mutations: &[Outgoing]) -> Outcome<Value> {
        let body = self.body(&self.request(mutations))?;
        serde_json::from_str(&body).map_err(|error| Broken::new(error.to_string()))
    }

    pub(super) fn post(&self, body: impl Into<Vec<u8>>) -> Ask {
        self.signed(Ask::post(self.dialect.push_target(), body))
    }

    pub(super) async fn push_body(&self, body: impl Into<Vec<u8>>) -> Outcome<Seen> {
        self.send(self.post(body)).await
    }

    pub(super) fn answers(&self, seen: &Seen) -> Outcome<Vec<Answer>> {
        let body = seen.good().map_err(|broken| broken.at("a push"))?;
        let answer = self.dialect.decode_answers(&body);
        let answer =
            answer.map_err(|error| Broken::new(format!("answers that cannot be read: {error}")))?;
        for (at, answer) in answer.answers.iter().enumerate() {
            let Verdict::Applied { version: None, .. } = answer.verdict else {
                continue;
            };
            holds(matches!(self.dialect, Dialect::Feed(_)), || {
                format!("applied without a version in answers[{at}]")
            })?;
        }
        Ok(answer.answers)
    }

    /// Pushes; there is one answer a mutation, in the batch's order.
    pub(super) async fn push(&self, mutations: &[Outgoing]) -> Outcome<Vec<Verdict>> {
        let request = self.request(mutations);
        self.push_request(&request).await
    }

    pub(super) async fn push_request(&self, request: &PushRequest) -> Outcome<Vec<Verdict>> {
        let seen = self.push_body(self.body(request)?).await?;
        let answers = self.answers(&seen)?;
        let asked = request
            .mutations
            .iter()
            .map(|outgoing| outgoing.mutation.id);
        equal(
            "the ids of the answers",
            answers.iter().map(|answer| answer.id).collect::<Vec<_>>(),
            asked.collect::<Vec<_>>(),
        )?;
        Ok(answers.into_iter().map(|answer| answer.verdict).collect())
    }

    pub(super) async fn push_one(&self, mutation: &Outgoing) -> Outcome<Verdict> {
        let mut verdicts = self.push(std::slice::from_ref(mutation)).await?;
        verdicts
            .pop()
            .ok_or_else(|| Broken::new("a push without an answer"))
    }

    /// Pushes what must be applied, and returns the versions made.
    pub(super) async fn apply(&self, mutations: &[Outgoing]) -> Outcome<Vec<Option<Version>>> {
        let verdicts = self.push(mutations).await?;
        verdicts
            .into_iter()
            .map(|verdict| applied(&verdict))
            .collect()
    }

    pub(super) async fn apply_one(&self, mutation: &Outgoing) -> Outcome<Option<Version>> {
        applied(&self.push_one(mutation).await?)
    }

    /// The newest change of a record in a pull from the start.
    pub(super) async fn newest(&self, scope: &Scope, id: &EntityId) -> Outcome<Option<Change>> {
        let mut log = self.drain(scope, None, MANY).await?;
        log.changes.retain(|change| change.entity_id == *id);
        Ok(log.changes.pop())
    }
}

impl Log {
    /// The ids of the changes, in order.
    pub(super) fn ids(&self) -> Vec<&str> {
        let changes = self.changes.iter();
        changes.map(|change| change.entity_id.as_str()).collect()
    }

    pub(super) fn of(&self, id: &EntityId) -> Vec<&Change> {
        let changes = self.changes.iter();
        changes.filter(|change| change.entity_id == *id).collect()
    }
}

/// Demands that the server holds the mutation.
pub(super) fn applied(verdict: &Verdict) -> Outcome<Option<Version>> {
    match verdict {
        Verdict::Applied { version, .. } => Ok(version.clone()),
        other => Err(Broken::new(format!("{} instead of applied", word(other)))),
    }
}

/// A verdict in the words of the protocol. A payload is not shown.
pub(super) fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Applied { .. } => "applied".to_owned(),
        Verdict::Conflict { .. } => "conflict".to_owned(),
        Verdict::Rejected { reason } => format!("rejected ({reason})"),
        Verdict::Forbidden => "forbidden".to_owned(),
        Verdict::Retry { resync: true, .. } => "retry with resync".to_owned(),
        Verdict::Retry { .. } => "retry".to_owned(),
    }
}
