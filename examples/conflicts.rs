//! Two people edit the same feed without knowing of each other. Shows the three things that an app can do when its
//! edit loses: let the server's record stand (the default), put its own again, or make one record of both; the list
//! of conflicts with both sides, until the user has seen them; and the other half, which is easily forgotten: an edit
//! that had been applied and was overwritten later is told to its author, too.

use std::time::Duration;

use examples::{FeedLog, Result, feeds, tell};
use sync_core::{
    engine::SyncEngineBuilder,
    policy::MineAgain,
    store::{Conflict, MemoryStore, Resolution},
};
use sync_testing::{Role, TestDevice, TestServer};

const BABY: &str = "mia";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    println!("The server's record stands (nothing to set up):");
    let feed = lose(|engine| engine, Resolution::Theirs).await?;
    assert_eq!(feed, FeedLog::new("f1", 100).noted("burped"));

    println!("\nMine again:");
    let feed = lose(|engine| engine.on_conflict(MineAgain), Resolution::Mine).await?;
    assert_eq!(feed, FeedLog::new("f1", 110));

    println!("\nA function makes one record of base, mine and theirs:");
    let feed = lose(|engine| engine.on_conflict_merge(merge), Resolution::Merged).await?;
    assert_eq!(feed, FeedLog::new("f1", 110).noted("burped"));

    println!("\nApplied first, overwritten later:");
    be_overwritten().await
}

/// Takes each field from the side that has changed it; from theirs, where both have.
fn merge(base: Option<FeedLog>, mine: FeedLog, theirs: FeedLog) -> FeedLog {
    let Some(base) = base else { return theirs };
    FeedLog {
        amount_ml: match theirs.amount_ml == base.amount_ml {
            true => mine.amount_ml,
            false => theirs.amount_ml,
        },
        note: match theirs.note == base.note {
            true => mine.note,
            false => theirs.note,
        },
        ..theirs
    }
}

/// Mum's phone edits offline and loses to dad's later edit; returns what both see in the end.
async fn lose(
    policy: impl Fn(SyncEngineBuilder) -> SyncEngineBuilder + Send + Sync + 'static,
    expected: Resolution,
) -> Result<FeedLog> {
    let server = TestServer::new();
    server.grant(BABY, "mum", Role::Owner);
    server.grant(BABY, "dad", Role::Editor);
    let mum = server
        .device_with("mum", MemoryStore::new(), policy)
        .await?;
    let dad = server.device("dad").await?;
    let _active = [&mum, &dad].map(|device| device.scope(BABY).activate());
    mum.scope(BABY).create(&FeedLog::new("f1", 100)).await?;
    server.settle().await;
    see(&server, "mum", &mum).await?;

    mum.go_offline();
    mum.scope(BABY).update(&FeedLog::new("f1", 110)).await?;
    tell(server.clock(), "mum", "is offline, and makes it 110 ml");
    server.run_for(Duration::from_secs(60)).await;
    let edit = |feed: &mut FeedLog| feed.note = "burped".to_owned();
    dad.scope(BABY).update_with("f1", edit).await?;
    server.settle().await;
    see(&server, "dad", &dad).await?;
    mum.go_online();
    tell(server.clock(), "mum", "is online again");
    server.settle().await;

    see(&server, "mum", &mum).await?;
    see(&server, "dad", &dad).await?;
    acknowledge(&server, "mum", &mum, expected).await?;
    let of_mum: Option<FeedLog> = mum.scope(BABY).get("f1").await?;
    let of_dad: Option<FeedLog> = dad.scope(BABY).get("f1").await?;
    assert_eq!(of_mum, of_dad);
    of_mum.ok_or_else(|| "the feed is gone".into())
}

/// Mum's edit reaches the server first; dad's was made later, offline, and wins when it comes.
async fn be_overwritten() -> Result {
    let server = TestServer::new();
    server.grant(BABY, "mum", Role::Owner);
    server.grant(BABY, "dad", Role::Editor);
    let (mum, dad) = (server.device("mum").await?, server.device("dad").await?);
    let _active = [&mum, &dad].map(|device| device.scope(BABY).activate());
    mum.scope(BABY).create(&FeedLog::new("f1", 100)).await?;
    server.settle().await;

    dad.go_offline();
    mum.scope(BABY).update(&FeedLog::new("f1", 110)).await?;
    server.settle().await;
    see(&server, "mum", &mum).await?;
    assert_eq!(mum.engine().conflicts(None).await?, []);
    dad.scope(BABY).update(&FeedLog::new("f1", 120)).await?;
    tell(server.clock(), "dad", "is offline, and makes it 120 ml");
    dad.go_online();
    server.settle().await;

    see(&server, "mum", &mum).await?;
    acknowledge(&server, "mum", &mum, Resolution::Overwritten).await?;
    assert_eq!(dad.engine().conflicts(None).await?, []);
    Ok(())
}

async fn see(server: &TestServer, who: &str, device: &TestDevice) -> Result {
    let feeds = feeds(&device.scope(BABY)).await?;
    tell(server.clock(), who, format!("sees {feeds}"));
    Ok(())
}

/// Shows the one conflict of a device to its user, who then dismisses it.
async fn acknowledge(
    server: &TestServer,
    who: &str,
    device: &TestDevice,
    expected: Resolution,
) -> Result {
    let conflicts = device.engine().conflicts(None).await?;
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    for conflict in &conflicts {
        tell(server.clock(), who, describe(conflict)?);
        assert_eq!(conflict.resolution, expected);
    }
    let seen = conflicts.iter().map(|conflict| conflict.mutation_id);
    device.engine().acknowledge_conflicts(seen).await?;
    assert_eq!(device.engine().conflicts(None).await?, []);
    Ok(())
}

fn describe(conflict: &Conflict) -> Result<String> {
    let sides = conflict.sides::<FeedLog>()?;
    let side = |feed: Option<FeedLog>| feed.map_or("a delete".to_owned(), |feed| feed.to_string());
    Ok(format!(
        "is told: mine was {}, theirs {}: {}",
        side(sides.mine),
        side(sides.theirs),
        match conflict.resolution {
            Resolution::Theirs => "theirs stands",
            Resolution::Mine => "mine was put again",
            Resolution::Merged => "they were merged",
            Resolution::Overwritten => "mine had been applied, and theirs came later",
            _ => "resolved",
        }
    ))
}
