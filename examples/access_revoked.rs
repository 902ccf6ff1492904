//! Access is taken away. First from a caregiver with unsynced edits: exactly that baby's records go, the app is told,
//! the edits that can no longer be sent are handed to it, and it moves on to the next baby. Then the harmless cousin: a
//! viewer's edit is refused, which purges nothing; the edit stays, marked, until its author decides.

use examples::{FeedLog, Result, feeds, marked, so_far, tell};
use futures::StreamExt;
use sync_core::{
    engine::{Activation, Event},
    model::Scope,
    store::FailReason,
};
use sync_testing::{Role, TestDevice, TestServer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    a_caregiver_loses_access().await?;
    println!();
    a_viewer_is_refused().await
}

/// What the app keeps beside the database: the babies that it offers, and the one on the screen.
struct App {
    babies: Vec<Scope>,
    on_screen: Option<(Scope, Activation)>,
}

impl App {
    fn open(&mut self, device: &TestDevice) {
        let first = self.babies.first().cloned();
        self.on_screen = first.map(|baby| (baby.clone(), device.scope(baby).activate()));
    }

    /// The app's whole share in a revocation: the records are gone already.
    fn revoked(&mut self, device: &TestDevice, baby: &Scope) {
        self.babies.retain(|other| other != baby);
        if self
            .on_screen
            .as_ref()
            .is_some_and(|(shown, _)| shown == baby)
        {
            self.open(device);
        }
    }
}

async fn a_caregiver_loses_access() -> Result {
    let server = TestServer::new();
    for baby in ["lea", "mia"] {
        server.grant(baby, "mum", Role::Owner);
        server.grant(baby, "nanny", Role::Editor);
    }
    let phone = server.device("nanny").await?;
    let mut events = phone.engine().events();
    let mut app = App {
        babies: vec!["mia".into(), "lea".into()],
        on_screen: None,
    };
    app.open(&phone);
    phone.scope("mia").create(&FeedLog::new("f1", 100)).await?;
    phone.scope("lea").create(&FeedLog::new("f2", 90)).await?;
    server.settle().await;
    see(&server, &phone).await?;

    phone.go_offline();
    phone.scope("mia").update(&FeedLog::new("f1", 110)).await?;
    phone.scope("mia").create(&FeedLog::new("f3", 70)).await?;
    tell(server.clock(), "nanny", "edits mia's feeds offline");
    see(&server, &phone).await?;
    server.revoke("mia", "nanny");
    tell(
        server.clock(),
        "mum",
        "takes the nanny's access to mia away",
    );
    phone.go_online();
    server.settle().await;

    let mut told = 0;
    for event in so_far(&mut events) {
        if let Event::Revoked { scope, unsynced } = event {
            let line = format!("is told: no access to {scope} any more, {unsynced} edits not sent");
            tell(server.clock(), "nanny", line);
            app.revoked(&phone, &scope);
            told += unsynced;
        }
    }
    assert_eq!(told, 2);
    see(&server, &phone).await?;
    assert_eq!(phone.scope("mia").count::<FeedLog>().await?, 0);
    assert_eq!(phone.scope("lea").count::<FeedLog>().await?, 1);

    // They are kept until the app says that the user has seen them, or that it has put them somewhere else.
    let revoked = phone.engine().revoked().await?;
    for kept in &revoked {
        let (key, op) = (&kept.mutation.key, &kept.mutation.op);
        let payload = op.payload().map(|payload| payload.as_str());
        let line = format!("kept: {} {key} {}", op.name(), payload.unwrap_or_default());
        tell(server.clock(), "nanny", line);
    }
    assert_eq!(revoked.len(), 2);
    let seen = revoked.iter().map(|kept| kept.mutation.id);
    phone.engine().acknowledge_revoked(seen).await?;
    assert_eq!(phone.engine().revoked().await?, []);

    let shown = app.on_screen.as_ref().map(|(baby, _)| baby.as_str());
    assert_eq!(shown, Some("lea"));
    tell(server.clock(), "nanny", "goes on with lea");
    phone.scope("lea").create(&FeedLog::new("f4", 95)).await?;
    server.settle().await;
    see(&server, &phone).await?;
    assert_eq!(phone.engine().status().await?.counts.pending, 0);
    Ok(())
}

async fn a_viewer_is_refused() -> Result {
    let server = TestServer::new();
    server.grant("mia", "mum", Role::Owner);
    server.grant("mia", "granny", Role::Viewer);
    let (mum, granny) = (server.device("mum").await?, server.device("granny").await?);
    let mut events = granny.engine().events();
    let _active = granny.scope("mia").activate();
    mum.scope("mia").create(&FeedLog::new("f1", 100)).await?;
    server.settle().await;

    granny.scope("mia").update(&FeedLog::new("f1", 300)).await?;
    tell(server.clock(), "granny", "is a viewer, and makes it 300 ml");
    server.settle().await;
    let mut reasons = Vec::new();
    for event in so_far(&mut events) {
        match event {
            Event::Failed { reason, .. } => reasons.push(reason),
            Event::Revoked { .. } => return Err("a refused write purges nothing".into()),
            _ => {}
        }
    }
    assert_eq!(reasons, [FailReason::Forbidden]);
    let mut list = granny.scope("mia").live::<FeedLog>();
    let items = list.next().await.ok_or("the list has ended")??;
    tell(server.clock(), "granny", format!("sees {}", marked(&items)));
    assert!(items.len() == 1 && items[0].is_failed());

    granny.scope("mia").discard::<FeedLog>("f1").await?;
    let seen = feeds(&granny.scope("mia")).await?;
    tell(
        server.clock(),
        "granny",
        format!("takes it back, and sees {seen}"),
    );
    assert_eq!(
        granny.scope("mia").list::<FeedLog>().await?,
        [FeedLog::new("f1", 100)]
    );
    Ok(())
}

async fn see(server: &TestServer, phone: &TestDevice) -> Result {
    for baby in ["lea", "mia"] {
        let feeds = feeds(&phone.scope(baby)).await?;
        tell(server.clock(), "nanny", format!("{baby}: {feeds}"));
    }
    Ok(())
}
