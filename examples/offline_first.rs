//! A phone without a network for a day. Everything works: feeds are created, edited and deleted, the list shows at once
//! what was done and what still waits, and all of it survives a restart of the app. When the network is back, the
//! outbox empties by itself and both devices show the same feeds.

use std::time::Duration;

use examples::{FeedLog, Result, feeds, marked, tell};
use futures::StreamExt;
use sync_core::{engine::Live, time::Clock};
use sync_testing::{TestDevice, TestServer};

const BABY: &str = "mia";
const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let server = TestServer::new();
    let phone = server.device("mum").await?;
    let tablet = server.device("mum").await?;
    let _at_home = tablet.scope(BABY).activate();
    let active = phone.scope(BABY).activate();
    tablet.scope(BABY).create(&FeedLog::new("f1", 100)).await?;
    tablet.scope(BABY).create(&FeedLog::new("f2", 80)).await?;
    server.settle().await;

    let mut list = phone.scope(BABY).live();
    show(&server, &mut list).await?;
    phone.go_offline();
    tell(server.clock(), "phone", "goes offline");

    server.run_for(3 * HOUR).await;
    let baby = phone.scope(BABY);
    baby.create(&FeedLog::new("f3", 130)).await?;
    show(&server, &mut list).await?;
    let edit = |feed: &mut FeedLog| feed.note = "spilt half of it".to_owned();
    baby.update_with("f1", edit).await?;
    show(&server, &mut list).await?;
    baby.delete::<FeedLog>("f2").await?;
    show(&server, &mut list).await?;
    status(&server, &phone, 3).await?;

    // What never left the device needs no server to be taken back: create and delete cancel each other out.
    baby.create(&FeedLog::new("f4", 1)).await?;
    baby.delete::<FeedLog>("f4").await?;
    status(&server, &phone, 3).await?;

    // Handles and guards belong to the app that ends here; only the database lives on.
    drop((active, list));
    phone.restart(&server).await?;
    tell(server.clock(), "phone", "restarts the app, still offline");
    let baby = phone.scope(BABY);
    let _active = baby.activate();
    let mut list = baby.live();
    show(&server, &mut list).await?;
    status(&server, &phone, 3).await?;

    server.run_for(12 * HOUR).await;
    tablet.scope(BABY).create(&FeedLog::new("f5", 90)).await?;
    server.run_for(9 * HOUR).await;
    let seen = feeds(&tablet.scope(BABY)).await?;
    tell(server.clock(), "tablet", format!("shows {seen}"));
    baby.create(&FeedLog::new("f6", 140)).await?;
    status(&server, &phone, 4).await?;

    phone.go_online();
    tell(server.clock(), "phone", "goes online");
    server.settle().await;
    show(&server, &mut list).await?;
    status(&server, &phone, 0).await?;
    let seen = feeds(&tablet.scope(BABY)).await?;
    tell(server.clock(), "tablet", format!("shows {seen}"));

    let expected = [
        FeedLog::new("f1", 100).noted("spilt half of it"),
        FeedLog::new("f3", 130),
        FeedLog::new("f5", 90),
        FeedLog::new("f6", 140),
    ];
    assert_eq!(phone.scope(BABY).list::<FeedLog>().await?, expected);
    assert_eq!(tablet.scope(BABY).list::<FeedLog>().await?, expected);
    assert_eq!(phone.engine().conflicts(None).await?, []);
    println!("nothing is lost, and both show the same");
    Ok(())
}

/// What the phone's screen shows now.
async fn show(server: &TestServer, list: &mut Live<FeedLog>) -> Result {
    let items = server
        .run(list.next())
        .await
        .ok_or("the list has ended")??;
    tell(server.clock(), "phone", format!("shows {}", marked(&items)));
    Ok(())
}

/// What the phone's status line says.
async fn status(server: &TestServer, phone: &TestDevice, pending: u64) -> Result {
    let status = phone.engine().status().await?;
    let network = if status.online { "online" } else { "offline" };
    let (now, synced) = (server.clock().wall(), status.last_synced);
    let ago = synced.map_or(0, |at| now.since(at).as_secs() / 60);
    let line = format!(
        "is {network}, {} pending, {} failed; synced {ago} min ago",
        status.counts.pending, status.counts.failed
    );
    tell(server.clock(), "phone", line);
    assert_eq!((status.counts.pending, status.counts.failed), (pending, 0));
    Ok(())
}
