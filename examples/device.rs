//! A device in a terminal: a database file that is kept in step with a server.
//!
//! ```text
//! cargo run --example server &
//! cargo run --example device -- phone.sqlite alice put f1 '{"id":"f1","amount_ml":120}'
//! cargo run --example device -- tablet.sqlite bob watch
//! ```
//!
//! Any number of these programs may work on one file: one of them leads, the others hand it their edits.

use std::{error::Error, process::ExitCode, time::Duration};

use futures::StreamExt;
use sync_core::{
    engine::{LiveUntyped, RunEnd, StatusChanges, SyncEngine, Untyped},
    model::{Op, Payload, Schema},
};
use sync_http::{Credentials, HttpTransport};
use sync_sqlite::SqliteStore;

const USAGE: &str = "usage: device FILE ACCOUNT [--server URL] [--scope SCOPE] COMMAND

  FILE      the database, made if it is not there
  ACCOUNT   whose it is; the example server takes ACCOUNT-token as its token
  --server  http://127.0.0.1:8080, if not given
  --scope   baby-1, if not given

commands:
  put ID JSON   creates or replaces a feed_log
  delete ID     deletes it
  list          prints what is in the database; asks nobody
  sync          pushes and pulls once
  watch         prints the list and the status whenever they change, until it is stopped
  converged     waits until nothing is pending, and prints the list; fails after 60 s";

const TYPE: &str = "feed_log";

struct Arguments {
    file: String,
    account: String,
    server: String,
    scope: String,
    command: Vec<String>,
}

fn arguments() -> Option<Arguments> {
    let mut words = std::env::args().skip(1);
    let mut arguments = Arguments {
        file: words.next()?,
        account: words.next()?,
        server: "http://127.0.0.1:8080".to_owned(),
        scope: "baby-1".to_owned(),
        command: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--server" => arguments.server = words.next()?,
            "--scope" => arguments.scope = words.next()?,
            _ => arguments.command.push(word),
        }
    }
    Some(arguments)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let Arguments {
        file,
        account,
        server,
        scope,
        command,
    } = arguments;
    let credentials = Credentials::new(account.as_str(), format!("{account}-token"));
    let transport = HttpTransport::builder(&server, credentials)
        .timeout(Duration::from_secs(10))
        .build()?;
    let store = SqliteStore::open(&file).await?;
    let (engine, mut driver) = SyncEngine::builder(store.clone(), transport)
        .account(account)
        .open()
        .await?;
    let scope = engine.scope(scope);
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let op = match words[..] {
        ["put", _, json] => Some(Op::Create(Payload::parse(json)?)),
        ["delete", _] => Some(Op::Delete),
        _ => None,
    };
    match (words.as_slice(), op) {
        ([_, id, ..], Some(op)) => {
            let edits = scope.edits().untyped(TYPE, *id, op, Schema(1));
            edits.enqueue().await?;
            // It is durable already. Whoever leads this file sends it: this program, or another that watches.
            driver.run_until_idle(Duration::from_secs(3)).await;
            // So that the lead is given up now, and not when it runs out.
            drop(driver);
            store.close().await;
        }
        (["list"], _) => print_list(scope.list_untyped(TYPE).await?),
        (["sync"], _) => {
            let _active = scope.activate();
            driver.run_until_idle(Duration::from_secs(30)).await;
            print_list(scope.list_untyped(TYPE).await?);
        }
        (["watch"], _) => {
            let _active = scope.activate();
            let (lists, status) = (scope.live_untyped(TYPE), engine.watch_status());
            tokio::join!(driver.run(), show_lists(lists), show_status(status));
        }
        (["converged"], _) => {
            let _active = scope.activate();
            for _ in 0..6 {
                let end = driver.run_until_idle(Duration::from_secs(10)).await;
                let counts = engine.status().await?.counts;
                if end == RunEnd::Idle && counts.pending + counts.acknowledged == 0 {
                    print_list(scope.list_untyped(TYPE).await?);
                    return Ok(ExitCode::SUCCESS);
                }
            }
            eprintln!("still not converged: {:?}", engine.status().await?);
            return Ok(ExitCode::FAILURE);
        }
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(records: Vec<Untyped>) {
    for record in records {
        println!("{} {}", record.id, record.payload.as_str());
    }
}

async fn show_lists(mut lists: LiveUntyped) {
    while let Some(list) = lists.next().await {
        match list {
            Ok(items) => {
                println!("-- {} records", items.len());
                for item in items {
                    let mark = match (item.is_failed(), item.is_pending(), item.conflict) {
                        (true, ..) => " [failed]",
                        (_, _, true) => " [conflict]",
                        (_, true, _) => " [pending]",
                        _ => "",
                    };
                    if let Ok(record) = item.value {
                        println!("   {} {}{mark}", record.id, record.payload.as_str());
                    }
                }
            }
            Err(error) => eprintln!("{error}"),
        }
    }
}

async fn show_status(mut changes: StatusChanges) {
    while let Some(status) = changes.next().await {
        match status {
            Ok(status) => println!(
                "-- {:?}, {} pending, {} failed{}",
                status.driver,
                status.counts.pending,
                status.counts.failed,
                status
                    .last_error
                    .map_or_else(String::new, |error| format!(", last error: {error}")),
            ),
            Err(error) => eprintln!("{error}"),
        }
    }
}
