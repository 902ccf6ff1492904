//! Who may do what.

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::*;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{Account, RecordKey, Scope},
    transport::{PullRequest, PushRequest, Verdict},
};
use sync_server::{
    Server, ServerErrorKind,
    access::{Access, Role},
    log::sqlite::SqliteLog,
};

#[test]
fn a_pull_without_access_is_forbidden_and_tells_nothing_of_the_scope() {
    on_every_log(async |w| {
        w.apply("ann", &w.create("a", "1")).await;
        for scope in [S, "not-there"] {
            let error = w.try_pull("eve", scope, None, 10).await.unwrap_err();
            assert_eq!(error.kind(), ServerErrorKind::Forbidden);
        }
    });
}

#[test]
fn access_that_is_taken_away_counts_from_the_next_request_on() {
    on_every_log(async |w| {
        w.apply("bob", &w.create("a", "1")).await;
        let cursor = w.try_pull("bob", S, None, 10).await.unwrap().next;
        w.members.revoke(&Scope::from(S), &Account::from("bob"));
        assert_eq!(w.refused("bob", &cursor).await, ServerErrorKind::Forbidden);
        assert_eq!(
            w.push_one("bob", &w.update("a", "2")).await,
            Verdict::Forbidden
        );
    });
}

#[test]
fn a_viewer_reads_and_does_not_write() {
    on_every_log(async |w| {
        w.members.grant(S, "vic", Role::Viewer);
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        assert_eq!(
            w.push_one("vic", &w.delete("a").on(&v1)).await,
            Verdict::Forbidden
        );
        let page = w.try_pull("vic", S, None, 10).await.unwrap();
        assert_eq!(page.changes.len(), 1);
    });
}

#[test]
fn access_is_judged_by_the_records_scope_and_not_by_what_the_payload_claims() {
    on_every_log(async |w| {
        w.apply("ann", &w.create("a", "1")).await;
        w.apply("eve", &w.create("mine", "1").scope("eves")).await;
        let claims = r#"{"scope":"eves","babyId":"eves"}"#;
        for edit in [w.update("a", claims), w.create("z", claims), w.delete("a")] {
            assert_eq!(w.push_one("eve", &edit).await, Verdict::Forbidden);
        }
        // In her own scope the id is another record.
        w.apply("eve", &w.delete("a").scope("eves")).await;
        assert_eq!(w.payload("a").await.as_deref(), Some("1"));
    });
}

#[test]
fn a_forbidden_mutation_spoils_no_other_scope() {
    on_every_log(async |w| {
        let (mine, not_mine) = (w.create("a", "1").scope("eves"), w.create("b", "1"));
        let answers = w.push("eve", &[&not_mine, &mine]).await;
        assert_eq!(answers[0], Verdict::Forbidden);
        assert!(is_applied(&answers[1]));
    });
}

#[test]
fn whoever_writes_first_owns_a_scope_without_members() {
    on_every_log(async |w| {
        let pulled = w.try_pull("eve", "new", None, 10).await.unwrap_err();
        assert_eq!(pulled.kind(), ServerErrorKind::Forbidden);
        let (one, two) = (
            w.create("a", "1").scope("new"),
            w.create("b", "1").scope("new"),
        );
        let answers = w.push("eve", &[&one, &two]).await;
        assert!(answers.iter().all(is_applied));
        assert!(w.try_pull("eve", "new", None, 10).await.is_ok());
        assert_eq!(
            w.push_one("ann", &w.create("c", "1").scope("new")).await,
            Verdict::Forbidden
        );
    });
}

#[test]
fn a_scope_whose_last_member_has_left_is_nobodys() {
    on_every_log(async |w| {
        w.apply("eve", &w.create("a", "1").scope("new")).await;
        w.members.revoke(&Scope::from("new"), &Account::from("eve"));
        for account in ["eve", "ann"] {
            let edit = w.create("b", "1").scope("new");
            assert_eq!(w.push_one(account, &edit).await, Verdict::Forbidden);
        }
    });
}

#[test]
fn a_request_that_names_another_account_is_refused() {
    on_every_log(async |w| {
        let pull = PullRequest {
            account: "bob".into(),
            scope: S.into(),
            cursor: None,
            limit: 10,
        };
        let error = w.server.pull(&"ann".into(), pull).await.unwrap_err();
        assert_eq!(error.kind(), ServerErrorKind::OtherAccount);
        let push = PushRequest {
            account: "bob".into(),
            cursors: Vec::new(),
            mutations: Vec::new(),
        };
        let error = w.server.push(&"ann".into(), push).await.unwrap_err();
        assert_eq!(error.kind(), ServerErrorKind::OtherAccount);
    });
}

#[test]
fn a_batch_of_too_many_mutations_is_refused_whole() {
    on_every_log(async |mut w| {
        let limits = sync_server::Limits {
            batch: 2,
            ..Default::default()
        };
        w.server = w.server.with_limits(limits);
        let edits: Vec<_> = ["a", "b", "c"].map(|id| w.create(id, "1")).to_vec();
        let push = PushRequest {
            account: "ann".into(),
            cursors: Vec::new(),
            mutations: edits.iter().map(|edit| edit.0.clone()).collect(),
        };
        let error = w.server.push(&"ann".into(), push).await.unwrap_err();
        assert_eq!(error.kind(), ServerErrorKind::TooLarge);
        assert!(w.state().await.is_empty());
    });
}

#[test]
fn members_are_kept_in_the_logs_file() {
    futures::executor::block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.sqlite");
        let (ann, bob) = (Account::from("ann"), Account::from("bob"));
        let scope = Scope::from("s");
        {
            let members = SqliteLog::open(&path).unwrap().members();
            assert!(members.may_begin(&ann, &scope).await.unwrap());
            assert!(!members.may_begin(&bob, &scope).await.unwrap());
            members.grant("s", "bob", Role::Editor).await.unwrap();
            members.grant("s", "bob", Role::Viewer).await.unwrap();
        }
        let members = SqliteLog::open(&path).unwrap().members();
        let all = members.members("s").await.unwrap();
        assert_eq!(
            all,
            [(ann.clone(), Role::Owner), (bob.clone(), Role::Viewer)]
        );
        let key = RecordKey::new("s", "t", "a");
        assert!(members.may_read(&bob, &scope).await.unwrap());
        assert!(!members.may_write(&bob, &key).await.unwrap());
        members.revoke("s", "bob").await.unwrap();
        members.revoke("s", "ann").await.unwrap();
        assert!(!members.may_read(&bob, &scope).await.unwrap());
        assert!(!members.may_begin(&ann, &scope).await.unwrap());
    });
}

/// Lets everybody begin scopes and nobody write.
#[derive(Debug)]
struct Beginners;

#[async_trait]
impl Access for Beginners {
    async fn may_read(&self, _: &Account, _: &Scope) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn may_write(&self, _: &Account, _: &RecordKey) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn may_begin(&self, _: &Account, _: &Scope) -> Result<bool, StoreError> {
        Ok(true)
    }
}

/// Cannot tell who may do what in one scope; elsewhere everybody may do everything.
#[derive(Debug)]
struct PartlyDown;

impl PartlyDown {
    fn tell(scope: &Scope) -> Result<bool, StoreError> {
        match scope.as_str() {
            S => Ok(true),
            _ => Err(StoreError::new(StoreErrorKind::Unavailable, "down")),
        }
    }
}

#[async_trait]
impl Access for PartlyDown {
    async fn may_read(&self, _: &Account, scope: &Scope) -> Result<bool, StoreError> {
        Self::tell(scope)
    }

    async fn may_write(&self, _: &Account, key: &RecordKey) -> Result<bool, StoreError> {
        Self::tell(&key.scope)
    }

    async fn may_begin(&self, _: &Account, scope: &Scope) -> Result<bool, StoreError> {
        Self::tell(scope)
    }
}

#[test]
fn a_scope_of_which_nobody_can_tell_who_may_write_holds_up_no_other() {
    on_every_log(async |mut w| {
        w.server = Server::new(
            Arc::clone(&w.log),
            Arc::new(PartlyDown),
            w.clock.clone(),
            Arc::new(Counter::default()),
        );
        let (one, two) = (w.create("a", "1"), w.create("b", "1"));
        let mut down = w.create("c", "1");
        down.0.mutation.key.scope = Scope::from("down");
        let answers = w.push("ann", &[&one, &down, &two]).await;
        let later = Verdict::Retry {
            after: None,
            resync: false,
        };
        assert!(
            is_applied(&answers[0]) && is_applied(&answers[2]),
            "{answers:?}"
        );
        assert_eq!(answers[1], later);
        // Where there is nothing else, the request has failed, and says for how long to wait.
        let request = PushRequest {
            account: "ann".into(),
            cursors: Vec::new(),
            mutations: vec![down.0.clone()],
        };
        let error = w.server.push(&"ann".into(), request).await.unwrap_err();
        assert_eq!(error.kind(), ServerErrorKind::Unavailable);
    });
}

#[test]
fn only_a_scope_of_which_the_log_has_nothing_may_be_begun() {
    on_every_log(async |mut w| {
        w.server = Server::new(
            Arc::clone(&w.log),
            Arc::new(Beginners),
            w.clock.clone(),
            Arc::new(Counter::default()),
        );
        let (one, two) = (w.create("a", "1"), w.create("b", "1"));
        let answers = w.push("eve", &[&one, &two]).await;
        assert!(
            answers.iter().all(is_applied),
            "in the batch that begins it"
        );
        let later = w.create("c", "1");
        assert_eq!(w.push_one("eve", &later).await, Verdict::Forbidden);
    });
}
