//! A childminder's phone with three babies. The one on the screen is kept up to date by itself, the others cost nothing
//! until somebody pulls down to refresh: then all of them are synced at once, and the report says for each what became
//! of it. One that fails holds up none of the others.

use std::time::Duration;

use examples::{FeedLog, Result, feeds, tell};
use sync_core::{
    model::Scope,
    scheduler::{NoAttempt, SyncEnd, SyncReport},
    transport::TransportErrorKind,
};
use sync_testing::{Fault, TestDevice, TestServer};

const BABIES: [&str; 3] = ["ben", "lea", "mia"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let server = TestServer::new();
    let phone = server.device("minder").await?;
    let tablet = server.device("minder").await?;
    let on_screen = phone.scope("mia").activate();
    feed_all(&tablet, "f1").await?;
    server.settle().await;
    see(&server, &phone).await?;
    assert_eq!(counts(&phone).await?, [0, 0, 1], "only mia is polled");

    tell(server.clock(), "phone", "refreshes all babies");
    let report = refresh(&server, &phone).await;
    assert!(report.scopes.values().all(|end| *end == SyncEnd::Synced));
    see(&server, &phone).await?;
    assert_eq!(counts(&phone).await?, [1, 1, 1]);

    feed_all(&tablet, "f2").await?;
    server.run_for(Duration::from_secs(3)).await;
    tell(
        server.clock(),
        "phone",
        "refreshes again, and one request of it fails",
    );
    phone.fail_next(Fault::Error(TransportErrorKind::Unavailable));
    let report = refresh(&server, &phone).await;
    see(&server, &phone).await?;
    let synced = |end: &&SyncEnd| **end == SyncEnd::Synced;
    assert_eq!(report.scopes.values().filter(synced).count(), 2);
    assert_eq!(counts(&phone).await?.iter().sum::<u64>(), 5);

    tell(server.clock(), "phone", "refreshes once more");
    let report = refresh(&server, &phone).await;
    assert!(report.scopes.values().all(|end| *end == SyncEnd::Synced));
    assert_eq!(counts(&phone).await?, [2, 2, 2]);

    // Another baby on the screen: the guard of the one before is dropped, and its polling ends.
    drop(on_screen);
    let _on_screen = phone.scope("lea").activate();
    tell(server.clock(), "phone", "shows lea now");
    feed_all(&tablet, "f3").await?;
    server.settle().await;
    see(&server, &phone).await?;
    assert_eq!(counts(&phone).await?, [2, 3, 2], "only lea is polled");

    phone.go_offline();
    tell(server.clock(), "phone", "is offline, and refreshes in vain");
    let report = refresh(&server, &phone).await;
    let offline = SyncEnd::NotAttempted(NoAttempt::Offline);
    assert!(report.scopes.values().all(|end| *end == offline));
    Ok(())
}

async fn feed_all(tablet: &TestDevice, id: &str) -> Result {
    for baby in BABIES {
        tablet.scope(baby).create(&FeedLog::new(id, 100)).await?;
    }
    Ok(())
}

/// What *pull to refresh* does.
async fn refresh(server: &TestServer, phone: &TestDevice) -> SyncReport {
    let engine = phone.engine();
    let report = server.run(engine.sync_now(BABIES.map(Scope::from))).await;
    for (baby, end) in &report.scopes {
        tell(server.clock(), "phone", format!("  {baby}: {end:?}"));
    }
    report
}

async fn see(server: &TestServer, phone: &TestDevice) -> Result {
    for baby in BABIES {
        let feeds = feeds(&phone.scope(baby)).await?;
        tell(server.clock(), "phone", format!("{baby}: {feeds}"));
    }
    Ok(())
}

async fn counts(phone: &TestDevice) -> Result<[u64; 3]> {
    let mut counts = [0; 3];
    for (count, baby) in counts.iter_mut().zip(BABIES) {
        *count = phone.scope(baby).count::<FeedLog>().await?;
    }
    Ok(counts)
}
