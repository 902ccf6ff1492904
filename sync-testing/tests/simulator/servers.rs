//! Histories against other servers than the project's own.
#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use std::sync::Arc;

use async_trait::async_trait;
use sync_core::{
    model::{Account, Page, Scope},
    time::Entropy,
    transport::{PullRequest, PushAnswer, PushRequest, TransportError},
};
use sync_server::{
    Server,
    access::{MemoryMembers, Role},
    decide::Rules,
    log::{MemoryLog, Retention},
};
use sync_testing::{
    SeededEntropy,
    simulator::{Backend, Circumstances, Simulation},
};

/// A server as an author may put it together, with what is wrong with it.
struct Theirs {
    server: Server,
    members: MemoryMembers,
    wrong: Wrong,
}

#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    SkipsChanges,
    Panics,
    NeverEnds,
}

impl Theirs {
    fn new(of: &Circumstances, wrong: Wrong) -> Self {
        let members = MemoryMembers::new();
        let server = Server::new(
            Arc::new(MemoryLog::new()),
            Arc::new(members.clone()),
            Arc::clone(&of.clock),
            Arc::new(SeededEntropy::new(of.seed)) as Arc<dyn Entropy>,
        )
        .with_rules(Rules {
            retention: Retention::new(of.retention, of.retention),
            ..Rules::default()
        });
        Self {
            server,
            members,
            wrong,
        }
    }
}

#[async_trait]
impl Backend for Theirs {
    async fn pull(&self, account: &Account, request: PullRequest) -> Result<Page, TransportError> {
        let mut page = self.server.pull(account, request).await?;
        if self.wrong == Wrong::SkipsChanges && page.changes.len() > 2 {
            page.changes.pop();
        }
        if self.wrong == Wrong::NeverEnds {
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                std::task::Poll::<()>::Pending
            })
            .await;
        }
        Ok(page)
    }

    async fn push(
        &self,
        account: &Account,
        request: PushRequest,
    ) -> Result<PushAnswer, TransportError> {
        assert!(self.wrong != Wrong::Panics, "a batch that nobody expected");
        Ok(self.server.push(account, request).await?)
    }

    fn grant(&self, scope: &Scope, account: &Account, role: Option<Role>) {
        match role {
            Some(role) => self.members.grant(scope.clone(), account.clone(), role),
            None => self.members.revoke(scope, account),
        }
    }

    async fn compact(&self) {
        let _ = self.server.compact().await;
    }
}

fn with(wrong: Wrong) -> Simulation {
    Simulation::new()
        .steps(60)
        .against(move |of| Theirs::new(of, wrong))
}

/// What the first of these seeds to violate something has violated.
fn found(simulation: &Simulation) -> Option<&'static str> {
    (0..40).find_map(|seed| {
        let outcome = simulation.run(seed);
        let violation = outcome.expect("stores in memory can be used").violation;
        violation.map(|violation| violation.invariant)
    })
}

#[test]
fn a_server_of_the_authors_own_holds_what_it_should() {
    assert_eq!(found(&with(Wrong::Nothing)), None);
}

#[test]
fn a_server_that_skips_changes_is_found_out() {
    assert_eq!(
        found(&with(Wrong::SkipsChanges)),
        Some("cursor not ahead of the data")
    );
}

#[test]
fn a_panic_is_told_with_its_seed_and_can_be_made_short() {
    let simulation = with(Wrong::Panics);
    let outcome = simulation.run(3).unwrap();
    let violation = outcome.violation.unwrap();
    assert_eq!(
        (violation.invariant, violation.what.as_str()),
        ("no panic", "a batch that nobody expected")
    );
    let short = simulation.shrink(3).unwrap().unwrap();
    assert_eq!(short.violation.unwrap().invariant, "no panic");
    assert!(short.trace.contains("push"));
}

#[test]
fn what_goes_on_for_ever_at_one_moment_is_a_violation() {
    assert_eq!(found(&with(Wrong::NeverEnds)), Some("no busy loop"));
}
