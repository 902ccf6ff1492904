//! How an app tests what its users see: two devices and a conflict on the real server's logic, with no socket and
//! no sleep, and an edit that the server's own rules refuse. Copy the functions into your tests and put
//! `#[tokio::test]` above them.

use std::{sync::Arc, time::Duration};

use examples::{FeedLog, Result};
use sync_core::model::{Account, Op, RecordKey};
use sync_testing::{TestServer, Validate};

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

/// The rules of the app's own server.
#[derive(Debug)]
struct Sensible;

impl Validate for Sensible {
    fn validate(&self, _: &Account, _: &RecordKey, op: &Op) -> std::result::Result<(), String> {
        let feed = op.payload().and_then(|payload| payload.decode().ok());
        match feed {
            Some(FeedLog { amount_ml, .. }) if amount_ml > 1_000 => Err("too much".to_owned()),
            _ => Ok(()),
        }
    }
}

async fn an_edit_that_the_server_refuses_stays_and_is_marked() -> Result {
    let server = TestServer::with(|server| server.with_validation(Arc::new(Sensible)));
    let phone = server.device("mum").await?;
    phone
        .scope("mia")
        .create(&FeedLog::new("f1", 9_999))
        .await?;
    // What waits for the driver is awaited inside `run`: outside, no driver runs.
    server.run(phone.engine().sync_now([])).await;

    let seen: Vec<FeedLog> = phone.scope("mia").list().await?;
    assert_eq!(seen, [FeedLog::new("f1", 9_999)]);
    assert_eq!(phone.engine().status().await?.counts.failed, 1);
    assert!(phone.scope("mia").discard::<FeedLog>("f1").await?);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    the_later_of_two_offline_edits_wins_and_the_loser_is_told().await?;
    println!("the later of two offline edits wins and the loser is told: ok");
    an_edit_that_the_server_refuses_stays_and_is_marked().await?;
    println!("an edit that the server refuses stays and is marked: ok");
    Ok(())
}
