//! What a report says, in its table and as JSON.

use axum::Router;
use serde_json::Value;
use sync_testing::backend::{Finding, Login, Report, Target, check};

use crate::served;

async fn no_server() -> Target {
    // A port that was free a moment ago, and that nobody listens on.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Target::new(format!("http://{address}"), Login::new("alice", "token"))
}

fn assert_says_it_once(report: &Report) {
    let text = report.to_string();
    let others = report.points.len() - 1;
    assert_eq!(report.count(Finding::Failed), 1, "{text}");
    assert_eq!(report.count(Finding::Skipped), others);
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(text.contains(&format!("the other {others} points are skipped")));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_reported_in_a_few_lines() {
    let report = check(&no_server().await).await.unwrap();
    assert_says_it_once(&report);
    assert!(report.points[0].seen.contains("no answer"));
}

#[tokio::test]
async fn a_server_that_refuses_everything_is_reported_in_a_few_lines() {
    let report = check(&served::target(Router::new()).await).await.unwrap();
    assert_says_it_once(&report);
    assert!(report.points[0].seen.contains("404"));
}

#[tokio::test]
async fn the_table_and_the_json_have_the_same_words() {
    let report = check(&no_server().await).await.unwrap();
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["passed"], false);
    assert_eq!(json["counts"]["failed"], 1);
    let text = report.to_string().to_lowercase();
    for word in json["counts"].as_object().unwrap().keys() {
        assert!(text.contains(&word.replace('_', " ")), "{word}: {text}");
    }
    let points = json["points"].as_array().unwrap();
    assert_eq!(points.len(), report.points.len());
    assert_eq!(points[0]["finding"], "failed");
}
