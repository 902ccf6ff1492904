//! A JSON feed over HTTP: exchanges recorded from a running app, replayed against this server.

#![allow(clippy::unwrap_used, reason = "a test's helper fails its test")]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
};
use common::*;
use serde_json::{Value, json};
use sync_core::model::{Account, Payload};
use sync_http::dialect::Feed;
use sync_server::{
    access::Role,
    decide::KnownTypes,
    log::{ChangeLog, MemoryLog},
    router::{Authenticate, NotAuthenticated, RouterSettings, router},
};
use tower::ServiceExt;

/// As the recorded app does it in its tests.
#[derive(Debug)]
struct TestUser;

#[async_trait]
impl Authenticate for TestUser {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Account, NotAuthenticated> {
        let user = headers
            .get("x-test-user")
            .and_then(|user| user.to_str().ok());
        user.map(Account::from).ok_or(NotAuthenticated::Refused)
    }
}

struct App {
    world: World,
    router: Router,
}

impl App {
    fn new(feed: Feed) -> Self {
        let mut world = World::new(Arc::new(MemoryLog::new()) as Arc<dyn ChangeLog>);
        world.members.grant("1", "clerk_alice", Role::Owner);
        world.members.grant("1", "clerk_bob", Role::Editor);
        world.members.grant("2", "clerk_alice", Role::Viewer);
        world.members.grant("2", "clerk_bob", Role::Owner);
        let types = Arc::new(KnownTypes::from_iter(["feed_log"]));
        world.server = world.server.clone().with_validation(types);
        let settings = RouterSettings {
            feed: Some(feed),
            ..RouterSettings::default()
        };
        let router = router(world.server.clone(), Arc::new(TestUser), settings);
        Self { world, router }
    }

    async fn send(&self, method: &str, path: &str, user: &str, body: String) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-test-user", user)
            .body(Body::from(body))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Sends a recorded request, and returns what came and what had come when it was recorded.
    async fn replay(&self, name: &str) -> (Value, Value) {
        let path = format!(
            "{}/../sync-http/tests/wire/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let recorded: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let request = &recorded["request"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (method, path) = (text(&request["method"]), text(&request["path"]));
        let user = text(&request["headers"]["x-test-user"]);
        let (status, body) = self
            .send(&method, &path, &user, text(&request["body"]))
            .await;
        assert_eq!(
            json!(status),
            recorded["response"]["status"],
            "{name}: {body}"
        );
        (body, recorded["response"]["json"].clone())
    }

    async fn push(&self, user: &str, mutations: Value) -> Vec<Value> {
        let body = json!({ "mutations": mutations }).to_string();
        let (status, body) = self.send("POST", "/api/sync/push", user, body).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["newCursor"], Value::Null, "no cursor of any scope");
        body["results"].as_array().unwrap().clone()
    }

    async fn pull(&self, user: &str, query: &str) -> (u16, Value) {
        let path = format!("/api/sync/pull?{query}");
        self.send("GET", &path, user, String::new()).await
    }

    fn mutation(&self, op: &str, id: &str, payload: Value) -> Value {
        json!({
            "mutationId": self.world.id().to_string(), "entityType": "feed_log",
            "entityId": id, "op": op, "payload": payload,
        })
    }
}

fn statuses(results: &[Value]) -> Vec<&str> {
    results
        .iter()
        .map(|r| r["status"].as_str().unwrap())
        .collect()
}

fn names(value: &Value) -> Vec<&String> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().collect();
    names.sort();
    names
}

/// Equal but for what the recorded server stamped itself, and for the nulls that it left out.
fn same_record(ours: &Value, recorded: &Value) -> bool {
    let payload = |value: &Value| Payload::encode(value).unwrap();
    let stamped = Feed::since().stamped_fields;
    payload(ours).same_json_except(&payload(recorded), &stamped)
}

#[tokio::test]
async fn the_recorded_exchanges_get_the_recorded_answers() {
    let app = App::new(Feed::since());
    let (body, recorded) = app.replay("01-pull-empty").await;
    assert_eq!(body, recorded);
    let (body, recorded) = app.replay("04-push-empty-batch").await;
    assert_eq!(body, recorded);
    for name in [
        "05-push-create-success",
        "07-push-update-conflict",
        "08-push-update-success",
    ] {
        let (body, recorded) = app.replay(name).await;
        assert_eq!(names(&body), names(&recorded), "{name}");
        let (result, expected) = (&body["results"][0], &recorded["results"][0]);
        assert_eq!(names(result), names(expected), "{name}");
        assert_eq!(result["status"], expected["status"], "{name}");
        assert_eq!(result["mutationId"], expected["mutationId"], "{name}");
        if let Some(record) = expected.get("serverData") {
            assert!(same_record(&result["serverData"], record), "{name}: {body}");
        }
        app.world.sleep(1);
    }
    for name in [
        "12-push-delete-success",
        "16-push-access-denied-viewer",
        "18-push-unknown-entity",
    ] {
        let (body, recorded) = app.replay(name).await;
        assert_eq!(body["results"], recorded["results"], "{name}");
    }
    let (body, recorded) = app.replay("45-pull-403").await;
    assert_eq!(body, recorded);
}

#[tokio::test]
async fn a_pull_brings_what_the_recorded_one_brought_without_what_was_superseded() {
    let app = App::new(Feed::since());
    let recorded = App::new(Feed::since()).replay("32-pull-changes").await.1;
    for change in recorded["changes"].as_array().unwrap() {
        let payload = match &change["data"] {
            Value::Null => json!({ "babyId": 1 }),
            data => data.clone(),
        };
        let (op, id) = (
            change["op"].as_str().unwrap(),
            change["id"].as_str().unwrap(),
        );
        let results = app
            .push("clerk_alice", json!([app.mutation(op, id, payload)]))
            .await;
        assert_eq!(statuses(&results), ["success"]);
        app.world.sleep(1);
    }
    let (body, _) = app.replay("32-pull-changes").await;
    assert_eq!(names(&body), names(&recorded));
    assert_eq!(
        (&body["nextCursor"], &body["hasMore"]),
        (&recorded["nextCursor"], &json!(false))
    );
    let newest = |body: &Value| -> BTreeMap<String, Value> {
        let changes = body["changes"].as_array().unwrap().iter();
        changes
            .map(|change| (change["id"].as_str().unwrap().to_owned(), change.clone()))
            .collect()
    };
    let (ours, theirs) = (newest(&body), newest(&recorded));
    assert!(ours.keys().eq(theirs.keys()));
    for (id, change) in &ours {
        assert_eq!(names(change), names(&theirs[id]));
        assert_eq!(change["type"], "feed_log");
        assert!(change["createdAt"].as_str().unwrap().ends_with('Z'));
        let deleted = theirs[id]["op"] == "delete";
        // Whoever begins has seen none of them before.
        assert_eq!(change["op"], if deleted { "delete" } else { "create" });
        assert!(same_record(&change["data"], &theirs[id]["data"]) || deleted);
    }

    let (page, recorded) = app.replay("33-pull-page-1").await;
    assert_eq!(names(&page), names(&recorded));
    assert_eq!(page["changes"].as_array().unwrap().len(), 1);
    assert_eq!(page["hasMore"], json!(true));
    let (page, recorded) = app.replay("34-pull-page-2").await;
    assert_eq!(names(&page), names(&recorded));
    assert_eq!(page["hasMore"], json!(true));
}

#[tokio::test]
async fn a_record_seen_before_comes_as_an_update() {
    let app = App::new(Feed::since());
    let create = app.mutation("create", "a", json!({"babyId": 1, "ml": 1}));
    app.push("clerk_alice", json!([create])).await;
    let (_, first) = app.pull("clerk_bob", "babyId=1").await;
    assert_eq!(first["changes"][0]["op"], "create");
    let update = app.mutation("update", "a", json!({"babyId": 1, "ml": 2}));
    app.push("clerk_alice", json!([update])).await;
    let (_, next) = app.pull("clerk_bob", "babyId=1&since=1").await;
    assert_eq!(next["changes"][0]["op"], "update");
    assert_eq!(next["nextCursor"], 2);
    let (_, echo) = app.pull("clerk_bob", "babyId=1&since=2").await;
    assert_eq!(
        echo,
        json!({"changes": [], "nextCursor": 2, "hasMore": false})
    );
}

#[tokio::test]
async fn pages_are_followed_by_number_to_the_end() {
    let app = App::new(Feed::since());
    for n in 0..7 {
        let create = app.mutation("create", &n.to_string(), json!({"babyId": 1}));
        app.push("clerk_alice", json!([create])).await;
    }
    let (mut since, mut seen) = (json!(0), Vec::new());
    loop {
        let (status, page) = app
            .pull("clerk_bob", &format!("babyId=1&limit=3&since={since}"))
            .await;
        assert_eq!(status, 200);
        let changes = page["changes"].as_array().unwrap().clone();
        seen.extend(
            changes
                .iter()
                .map(|change| change["id"].as_str().unwrap().to_owned()),
        );
        since = page["nextCursor"].clone();
        assert!(since.is_u64() && since.as_u64().unwrap() < 1 << 53);
        if page["hasMore"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(since, 7);
}

#[tokio::test]
async fn a_feed_without_a_has_more_flag_gets_everything_at_once() {
    let mut app = App::new(Feed::cursor());
    let limits = sync_server::Limits {
        page: 2,
        ..Default::default()
    };
    app.world.server = app.world.server.clone().with_limits(limits);
    let settings = RouterSettings {
        feed: Some(Feed::cursor()),
        ..RouterSettings::default()
    };
    app.router = router(app.world.server.clone(), Arc::new(TestUser), settings);
    for n in 0..5 {
        let create = app.mutation("create", &n.to_string(), json!({"babyId": 1}));
        app.push("clerk_alice", json!([create])).await;
    }
    let (_, page) = app.pull("clerk_bob", "babyId=1&cursor=0").await;
    let changes = page["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 5);
    assert_eq!(
        names(&changes[0]),
        ["entityId", "entityType", "op", "payload", "version"]
    );
    assert_eq!(page["newCursor"], 5);
    assert!(page.get("hasMore").is_none());
}

#[tokio::test]
async fn a_create_that_is_sent_again_after_a_lost_answer_is_no_error() {
    let app = App::new(Feed::since());
    let create = app.mutation("create", "a", json!({"babyId": 1}));
    for _ in 0..2 {
        let results = app.push("clerk_alice", json!([create])).await;
        assert_eq!(
            results,
            [json!({"mutationId": create["mutationId"], "status": "success"})]
        );
    }
}

#[tokio::test]
async fn deletes_are_accepted_with_and_without_a_payload() {
    let app = App::new(Feed::since());
    for payload in [json!({"babyId": 1}), json!({}), Value::Null] {
        let batch = json!([
            app.mutation("create", "a", json!({"babyId": 1})),
            app.mutation("create", "b", json!({"babyId": 1})),
        ]);
        app.push("clerk_alice", batch).await;
        // In the batch of its create, in one of its own, and of what is not there.
        let batch = json!([
            app.mutation("create", "c", json!({"babyId": 1})),
            app.mutation("delete", "c", payload.clone()),
            app.mutation("delete", "a", payload.clone()),
            app.mutation("delete", "b", payload.clone()),
            app.mutation("delete", "never", payload.clone()),
        ]);
        let results = app.push("clerk_bob", batch).await;
        assert_eq!(statuses(&results), ["success"; 5], "{payload}");
        let (_, page) = app.pull("clerk_bob", "babyId=1").await;
        let changes = page["changes"].as_array().unwrap();
        assert!(
            changes.iter().all(|change| change["op"] == "delete"),
            "{page}"
        );
        app.world.sleep(1);
    }
}

#[tokio::test]
async fn access_is_judged_by_the_stored_record() {
    let app = App::new(Feed::since());
    let create = app.mutation("create", "bobs", json!({"babyId": 2, "ml": 1}));
    app.push("clerk_bob", json!([create])).await;
    app.world.sleep(1);
    // Alice only views baby 2. An empty payload, or one that claims her own baby, does not help her.
    let denied = json!("Access denied to this baby");
    for payload in [Value::Null, json!({}), json!({"babyId": 2})] {
        let delete = app.mutation("delete", "bobs", payload);
        let results = app.push("clerk_alice", json!([delete])).await;
        assert_eq!(
            (&results[0]["status"], &results[0]["error"]),
            (&json!("error"), &denied)
        );
    }
    let batch = json!([
        app.mutation("update", "bobs", json!({"babyId": 1, "ml": 9})),
        app.mutation("delete", "bobs", json!({"babyId": 1})),
    ]);
    app.push("clerk_alice", batch).await;
    let (_, page) = app.pull("clerk_bob", "babyId=2").await;
    assert_eq!(page["changes"][0]["data"], json!({"babyId": 2, "ml": 1}));
}

#[tokio::test]
async fn edits_are_judged_by_the_edit_time_in_the_payload() {
    let app = App::new(Feed::since());
    let at = |ml: u32, minute: u32| json!({"babyId": 1, "ml": ml, "updatedAt": format!("2026-11-22T13:{minute:02}:00.000Z")});
    let batch = json!([
        app.mutation("create", "a", at(1, 1)),
        app.mutation("update", "a", at(2, 3)),
        app.mutation("update", "a", at(3, 2)),
    ]);
    let results = app.push("clerk_alice", batch).await;
    assert_eq!(statuses(&results), ["success", "success", "conflict"]);
    assert_eq!(results[2]["serverData"]["ml"], 2);
    // A clock that runs ahead wins now, and does not lock the record for those that come after.
    let far = json!({"babyId": 1, "ml": 4, "updatedAt": "2099-01-01T00:00:00.000Z"});
    let results = app
        .push("clerk_alice", json!([app.mutation("update", "a", far)]))
        .await;
    assert_eq!(statuses(&results), ["success"]);
    app.world.sleep(60);
    let results = app
        .push("clerk_bob", json!([app.mutation("update", "a", at(5, 14))]))
        .await;
    assert_eq!(statuses(&results), ["success"]);
}

#[tokio::test]
async fn failures_have_the_feeds_format() {
    let app = App::new(Feed::since());
    let (status, body) = app
        .send("POST", "/api/sync/push", "clerk_alice", "{".to_owned())
        .await;
    assert_eq!(status, 400);
    assert!(body["error"].is_string());
    let (status, body) = app.pull("clerk_alice", "since=0").await;
    assert_eq!((status, body["error"].is_string()), (400, true));
    // Beyond the head: the numbers of another backend, or of a log that was restored.
    let (status, body) = app.pull("clerk_alice", "babyId=1&since=77").await;
    assert_eq!((status, body["error"].is_string()), (410, true));
    let request = Request::get("/api/sync/pull?babyId=1")
        .body(Body::empty())
        .unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 401);
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(body, r#"{"error":"Unauthorized"}"#);
}
