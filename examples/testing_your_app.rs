//! How an app tests what its users see: two devices and a conflict on the real server's logic, with no socket and
//! no sleep. Copy the function into your tests and put `#[tokio::test]` above it.

use std::time::Duration;

use examples::{FeedLog, Result};
use sync_testing::TestServer;

async fn the_later_of_two_offline_edits_wins_and_the_loser_is_told() -> Result {
    let server = TestServer::new();
    let phone = server.device("mum").await?;
    let tablet = server.device("mum").await?;
    let _active = [&phone, &tablet].map(|device| device.scope("mia").activate());
    phone.scope("mia").create(&FeedLog::new("f1", 100)).await?;
    server.settle().await;

    phone.go_offline();
    phone.scope("mia").update(&FeedLog::new("f1", 110)).await?;
    server.run_for(Duration::from_secs(60)).await;
    tablet.scope("mia").update(&FeedLog::new("f1", 120)).await?;
    phone.go_online();
    server.settle().await;

    let seen: Vec<FeedLog> = phone.scope("mia").list().await?;
    assert_eq!(seen, [FeedLog::new("f1", 120)]);
    let lost = phone.engine().conflicts(None).await?[0].sides::<FeedLog>()?;
    assert_eq!(lost.mine, Some(FeedLog::new("f1", 110)));
    assert_eq!(lost.theirs, Some(FeedLog::new("f1", 120)));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    the_later_of_two_offline_edits_wins_and_the_loser_is_told().await?;
    println!("the later of two offline edits wins and the loser is told: ok");
    Ok(())
}
