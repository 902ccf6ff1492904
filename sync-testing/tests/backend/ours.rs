//! Our own server, in each way in which it speaks.

use std::sync::Arc;

use sync_core::platform::{OsEntropy, TokioClock};
use sync_http::dialect::Feed;
use sync_server::{
    Server,
    access::{MemoryMembers, Role},
    log::sqlite::SqliteLog,
    router::{BearerTokens, RouterSettings, router},
};
use sync_testing::backend::{Finding, Report, check};

use crate::served;

/// In the form of both: a name, and a number.
const EMPTY: &str = "1000001";

async fn report_on(feed: Option<Feed>) -> Report {
    let log = Arc::new(SqliteLog::in_memory().unwrap());
    let members = MemoryMembers::new();
    members.grant(EMPTY, "alice", Role::Editor);
    let clock = Arc::new(TokioClock::new());
    let server = Server::new(log, Arc::new(members), clock, Arc::new(OsEntropy));
    let tokens = BearerTokens::new();
    tokens.insert("alice-token", "alice");
    tokens.insert("bob-token", "bob");
    let settings = RouterSettings {
        feed: feed.clone(),
        ..RouterSettings::default()
    };
    let routes = router(server, Arc::new(tokens), settings);
    let mut target = served::target(routes).await.empty_scope(EMPTY);
    if let Some(feed) = feed {
        target = target.dialect(feed);
    }
    let report = check(&target).await.unwrap();
    println!("{report}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_keeps_every_point_of_its_own_protocol() {
    let report = report_on(None).await;
    assert_eq!(report.named(Finding::Failed), [""; 0]);
    assert_eq!(report.count(Finding::Passed), report.points.len());
    assert!(report.passed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_keeps_every_point_that_a_feed_with_pages_promises() {
    let report = report_on(Some(Feed::since())).await;
    assert_eq!(report.named(Finding::Failed), [""; 0]);
    assert!(report.passed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_keeps_every_point_that_a_feed_without_pages_promises() {
    let report = report_on(Some(Feed::cursor())).await;
    assert_eq!(report.named(Finding::Failed), [""; 0]);
    assert!(report.passed());
}
