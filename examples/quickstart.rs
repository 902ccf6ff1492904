//! Two devices and a server, end to end: SQLite files, HTTP on loopback.
//!
//! Alice's phone and Bob's tablet keep the logs of two babies. They edit offline, conflict, and Bob loses access to one
//! baby. At the end, both files and the server are compared row by row.

#[path = "quickstart/check.rs"]
mod check;
#[path = "quickstart/devices.rs"]
mod devices;
#[path = "quickstart/server.rs"]
mod server;

use std::{error::Error, process::ExitCode, time::Duration};

use devices::{Device, Feed, feed};
use server::Served;

const EMMA: &str = "emma";
const NOAH: &str = "noah";

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    // Hidden: a tablet that never pulls, to see that the comparison at the end would notice.
    let tablet_pulls = !std::env::args().any(|word| word == "--tablet-does-not-pull");
    let story = tokio::time::timeout(Duration::from_secs(19), run(tablet_pulls));
    match story
        .await
        .unwrap_or_else(|_| Err("it takes too long".into()))
    {
        Ok(()) => {
            println!("converged");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("NOT converged: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(tablet_pulls: bool) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let server = Served::start(&folder.path().join("server.sqlite")).await?;
    let phone = Device::open("phone ", "alice", folder.path(), server.address(), true).await?;
    let tablet = Device::open(
        "tablet",
        "bob",
        folder.path(),
        server.address(),
        tablet_pulls,
    )
    .await?;
    server.grant(EMMA, "alice").await?;
    server.grant(EMMA, "bob").await?;
    server.grant(NOAH, "alice").await?;
    server.grant(NOAH, "bob").await?;

    phone.say("logs a bottle of Emma's and one of Noah's");
    phone.baby(EMMA).create(&feed("morning", 120)).await?;
    phone.baby(NOAH).create(&feed("breakfast", 90)).await?;
    tablet.sees(EMMA, &[feed("morning", 120)]).await?;
    tablet.sees(NOAH, &[feed("breakfast", 90)]).await?;

    phone.go_offline();
    tablet.go_offline();
    phone.say("is offline: corrects the morning's bottle, and logs one at noon");
    phone.baby(EMMA).update(&feed("morning", 130)).await?;
    phone.baby(EMMA).create(&feed("noon", 150)).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    tablet.say("is offline: corrects the same bottle later, and logs one in the evening");
    tablet.baby(EMMA).update(&feed("morning", 110)).await?;
    tablet.baby(EMMA).create(&feed("evening", 180)).await?;
    let offline_edits = phone.pending().await? + tablet.pending().await?;

    tablet.go_online();
    phone.go_online();
    let emma = [
        feed("evening", 180),
        feed("morning", 110),
        feed("noon", 150),
    ];
    phone.sees(EMMA, &emma).await?;
    tablet.sees(EMMA, &emma).await?;
    println!("server: of two edits made without knowledge of each other, the later one stands");
    let conflicts = phone.acknowledge_conflicts().await?;

    println!("server: takes Bob's access to Noah away");
    server.revoke(NOAH, "bob").await?;
    tablet.baby(NOAH).create(&feed("lunch", 70)).await?;
    tablet.sees(NOAH, &[]).await?;
    let purges = tablet.purges().await?;
    let handed_over = tablet.revoked_mutations().await?;
    tablet.say(&format!(
        "has no log of Noah's any more, and {handed_over} edit that it could not send"
    ));

    phone.settle().await?;
    tablet.settle().await?;
    phone.close().await;
    tablet.close().await;

    println!("both files and the server, row by row:");
    let noah = [feed("breakfast", 90)];
    check::file(phone.file(), &[(EMMA, &emma), (NOAH, &noah)])?;
    check::file(tablet.file(), &[(EMMA, &emma)])?;
    check::server(server.address(), "alice", EMMA, &emma).await?;
    check::server(server.address(), "alice", NOAH, &noah).await?;
    check::equal("edits made offline", &offline_edits, &4)?;
    check::equal("conflicts", &conflicts, &1)?;
    check::equal("purges", &purges, &1)?;
    check::equal("edits handed over", &handed_over, &1)?;
    server.stop().await?;
    Ok(())
}
