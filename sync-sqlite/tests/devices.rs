//! Whole devices on real files.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{EngineError, Entity},
    error::StoreErrorKind,
    model::RecordKey,
    store::RecordRow,
};
use sync_sqlite::{Projection, ProjectionError, SqliteStore, rusqlite::Connection};
use sync_testing::{TestDevice, TestServer};

const BABY: &str = "baby-1";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Feed {
    id: String,
    ml: u32,
}

impl Entity for Feed {
    const TYPE: &'static str = "feed_log";

    fn id(&self) -> String {
        self.id.clone()
    }
}

#[derive(Serialize, Deserialize)]
struct Note {
    id: String,
    text: String,
}

impl Entity for Note {
    const TYPE: &'static str = "note";

    fn id(&self) -> String {
        self.id.clone()
    }
}

fn feed(id: &str, ml: u32) -> Feed {
    Feed {
        id: id.to_owned(),
        ml,
    }
}

async fn feeds(device: &TestDevice) -> Vec<Feed> {
    device.scope(BABY).list().await.unwrap()
}

/// On the test's own thread, so that its time is the virtual one.
async fn open(path: &Path) -> SqliteStore {
    SqliteStore::builder(path).inline().open().await.unwrap()
}

/// The files as they are now.
fn back_up(from: &Path, to: &Path) {
    for tail in ["", "-wal"] {
        let name = |path: &Path| format!("{}{tail}", path.display());
        if Path::new(&name(from)).exists() {
            fs::copy(name(from), name(to)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_device_restored_from_an_older_copy_of_its_file_catches_up() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (
        directory.path().join("app.db"),
        directory.path().join("old.db"),
    );
    let server = TestServer::new();
    let tablet = server.device("alice").await.unwrap();
    let _tablets = tablet.scope(BABY).activate();
    let phone = server.device_on("alice", open(&path).await).await.unwrap();
    let active = phone.scope(BABY).activate();
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    phone.scope(BABY).create(&feed("f2", 2)).await.unwrap();
    server.settle().await;
    back_up(&path, &copy);
    phone.scope(BABY).update(&feed("f1", 11)).await.unwrap();
    phone.scope(BABY).create(&feed("f3", 3)).await.unwrap();
    tablet.scope(BABY).delete::<Feed>("f2").await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&phone).await, [feed("f1", 11), feed("f3", 3)]);
    drop(active);
    server.run(phone.engine().shutdown()).await;

    let restored = server.device_on("alice", open(&copy).await).await.unwrap();
    assert_eq!(feeds(&restored).await, [feed("f1", 1), feed("f2", 2)]);
    let _active = restored.scope(BABY).activate();
    server.settle().await;
    assert_eq!(feeds(&restored).await, [feed("f1", 11), feed("f3", 3)]);
    restored.scope(BABY).update(&feed("f1", 12)).await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&tablet).await, [feed("f1", 12), feed("f3", 3)]);
    assert_eq!(restored.engine().conflicts(None).await.unwrap(), []);
}

#[tokio::test]
async fn an_app_that_is_killed_goes_on_from_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let server = TestServer::new();
    let tablet = server.device("alice").await.unwrap();
    let _tablets = tablet.scope(BABY).activate();
    let phone = server.device_on("alice", open(&path).await).await.unwrap();
    server.settle().await;
    phone.set_reachable(false);
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    // Sent once, to nobody; then the files are all that is left.
    server.run_for(std::time::Duration::from_secs(3)).await;
    phone.scope(BABY).update(&feed("f1", 2)).await.unwrap();
    let left = directory.path().join("left.db");
    back_up(&path, &left);
    let again = server.device_on("alice", open(&left).await).await.unwrap();
    let counts = again.engine().status().await.unwrap().counts;
    assert_eq!(counts.pending, 2, "one that was sent is not merged into");
    assert_eq!(feeds(&again).await, [feed("f1", 2)]);
    server.settle().await;
    assert_eq!(feeds(&tablet).await, [feed("f1", 2)]);
    assert_eq!(again.engine().status().await.unwrap().counts.pending, 0);
}

/// Lets the file grow to so many pages and no further, as a disk with little room would.
#[derive(Debug)]
struct LittleRoom(u32);

impl Projection for LittleRoom {
    fn version(&self) -> u32 {
        1
    }

    fn prepare(&self, tables: &Connection) -> Result<(), ProjectionError> {
        tables.pragma_update(None, "max_page_count", self.0)?;
        Ok(())
    }

    fn put(&self, _: &Connection, _: &RecordRow) -> Result<(), ProjectionError> {
        Ok(())
    }

    fn remove(&self, _: &Connection, _: &RecordKey) -> Result<(), ProjectionError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_call_and_the_device_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let server = TestServer::new();
    let tablet = server.device("alice").await.unwrap();
    let _tablets = tablet.scope(BABY).activate();
    let full = SqliteStore::builder(&path)
        .inline()
        .projection("nothing", LittleRoom(120))
        .open()
        .await
        .unwrap();
    let phone = server.device_on("alice", full).await.unwrap();
    phone.go_offline();
    let large = |n: u32| Note {
        id: format!("n{n:03}"),
        text: "x".repeat(20_000),
    };
    let mut written = 0;
    let error = loop {
        match phone.scope(BABY).create(&large(written)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(written > 3, "{error}");
    let EngineError::Store(cause) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*cause.kind(), StoreErrorKind::Full);
    let notes = |device: TestDevice| async move {
        let notes: Vec<Note> = device.scope(BABY).list().await.unwrap();
        notes.len()
    };
    let counts = phone.engine().status().await.unwrap().counts;
    assert_eq!(counts.pending, u64::from(written), "nothing half-written");
    assert_eq!(notes(phone.clone()).await, written as usize);

    // What others write does not fit either, and neither breaks nor skips anything.
    for n in 500..510 {
        tablet.scope(BABY).create(&large(n)).await.unwrap();
    }
    let active = phone.scope(BABY).activate();
    phone.go_online();
    server.settle().await;
    assert!(notes(phone.clone()).await < written as usize + 10);
    drop(active);
    server.run(phone.engine().shutdown()).await;

    let roomy = server.device_on("alice", open(&path).await).await.unwrap();
    let _active = roomy.scope(BABY).activate();
    roomy.scope(BABY).create(&large(written)).await.unwrap();
    server.settle().await;
    let counts = roomy.engine().status().await.unwrap().counts;
    assert_eq!((counts.pending, counts.failed), (0, 0));
    for device in [roomy, tablet] {
        assert_eq!(notes(device).await, written as usize + 11);
    }
}
