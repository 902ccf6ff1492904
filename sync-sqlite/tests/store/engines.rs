//! Engines on the store: two on one file, as two processes of an app, and one on another device.

use serde::{Deserialize, Serialize};
use sync_core::engine::Entity;
use sync_sqlite::SqliteStore;
use sync_testing::{TestDevice, TestServer};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

fn feed(id: &str, ml: u32) -> Feed {
    Feed {
        id: id.to_owned(),
        ml,
    }
}

async fn feeds(device: &TestDevice) -> Vec<Feed> {
    device.scope("baby").list::<Feed>().await.unwrap()
}

async fn device(server: &TestServer, directory: &tempfile::TempDir, file: &str) -> TestDevice {
    let builder = SqliteStore::builder(directory.path().join(file)).inline();
    server
        .device_on("ann", builder.open().await.unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn two_processes_on_one_file_and_another_device_stay_in_step() {
    let directory = tempfile::tempdir().unwrap();
    let server = TestServer::new();
    let app = device(&server, &directory, "phone.db").await;
    let background = device(&server, &directory, "phone.db").await;
    let tablet = device(&server, &directory, "tablet.db").await;
    let _tablet = tablet.scope("baby").activate();
    // Only the process that may not lead cares for the scope: the one that leads pulls it on its behalf.
    let _background = background.scope("baby").activate();

    app.scope("baby").create(&feed("1", 10)).await.unwrap();
    background
        .scope("baby")
        .create(&feed("2", 20))
        .await
        .unwrap();
    tablet.scope("baby").create(&feed("3", 30)).await.unwrap();
    server.settle().await;
    let all = [feed("1", 10), feed("2", 20), feed("3", 30)];
    for device in [&app, &background, &tablet] {
        assert_eq!(feeds(device).await, all);
    }

    // Each is killed in turn, and whichever is left goes on.
    for killed in [&app, &background, &tablet] {
        background
            .scope("baby")
            .update(&feed("2", 21))
            .await
            .unwrap();
        tablet.scope("baby").update(&feed("3", 31)).await.unwrap();
        killed.restart(&server).await.unwrap();
        server.settle().await;
    }
    let _again = tablet.scope("baby").activate();
    server.settle().await;
    let all = [feed("1", 10), feed("2", 21), feed("3", 31)];
    for device in [&app, &background, &tablet] {
        assert_eq!(feeds(device).await, all);
    }
}
