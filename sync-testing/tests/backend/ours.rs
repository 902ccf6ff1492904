//! Our own server, in each way in which it speaks.

use sync_http::dialect::Feed;
use sync_server::router::RouterSettings;
use sync_testing::backend::{Finding, Report, check};

use crate::served;

async fn report_on(feed: Option<Feed>) -> Report {
    let settings = RouterSettings {
        feed: feed.clone(),
        ..RouterSettings::default()
    };
    let mut target = served::target(served::our_routes(settings, |server| server)).await;
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
