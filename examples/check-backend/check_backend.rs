//! Puts a server to the suite of backends: any server that speaks our protocol or a dialect, in any language.
//!
//! ```text
//! cargo run --example server -- --listen 127.0.0.1:8080 --file test.sqlite --member empty=alice \
//!     --member shared=alice --member shared=bob
//! cargo run -p check-backend --example check_backend -- http://127.0.0.1:8080 --account alice --token alice-token \
//!     --other-account bob --other-token bob-token --empty-scope empty --shared-scope shared
//! ```
//!
//! It writes into the server: give it one for tests. `docs/testing-your-backend.md` explains the points.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use serde_json::{Map, Value};
use sync_http::dialect::{Dialect, Feed};
use sync_testing::backend::{Finding, Login, Target, check};

/// Puts a server to the protocol, point by point. It writes into the server: give it one for tests.
#[derive(Parser)]
#[command(name = "check_backend", after_help = EXIT_CODES)]
struct Arguments {
    /// Where the server is: http://HOST/ or https://HOST/, and a path where it has one.
    url: String,
    /// Whom it is asked by.
    #[arg(long)]
    account: String,
    /// What proves the account: sent as `Authorization: Bearer TOKEN`.
    #[arg(long)]
    token: String,
    /// A second account, for the points about access.
    #[arg(long, requires = "other_token")]
    other_account: Option<String>,
    /// What proves the second account.
    #[arg(long, requires = "other_account")]
    other_token: Option<String>,
    /// How the server is spoken to: our own protocol, or one of the two presets of feeds.
    #[arg(long, value_enum, default_value_t = Speech::Own)]
    dialect: Speech,
    /// In a feed: the path of pulls.
    #[arg(long, value_name = "PATH")]
    pull_path: Option<String>,
    /// In a feed: the path of pushes.
    #[arg(long, value_name = "PATH")]
    push_path: Option<String>,
    /// In a feed: how it calls a scope in queries and records.
    #[arg(long, value_name = "NAME")]
    scope_name: Option<String>,
    /// A scope of the account alone, in the place of made-up ones; twice, if it can be.
    #[arg(long)]
    scope: Vec<String>,
    /// A scope of the second account, in which the first has no access.
    #[arg(long, value_name = "SCOPE")]
    other_scope: Option<String>,
    /// A scope that the account may read and in which nothing was ever written.
    #[arg(long, value_name = "SCOPE")]
    empty_scope: Option<String>,
    /// A scope that both accounts may write.
    #[arg(long, value_name = "SCOPE")]
    shared_scope: Option<String>,
    /// The type of the records that are written.
    #[arg(long = "type", value_name = "TYPE", default_value = "feed_log")]
    entity_type: String,
    /// Fields that each record must have, as a JSON object; {id} in a string becomes the record's id.
    #[arg(long, value_name = "JSON", value_parser = fields)]
    payload: Option<Map<String, Value>>,
    /// The field of a record that may hold any text.
    #[arg(long, value_name = "NAME", default_value = "note")]
    text_field: String,
    /// The most mutations in a push [default: 1000].
    #[arg(long, value_name = "N")]
    batch_limit: Option<usize>,
    /// The most bytes in a record [default: 5 MiB and 64 KiB].
    #[arg(long, value_name = "BYTES")]
    payload_limit: Option<usize>,
    /// The most bytes in the body of a request [default: 16 MiB].
    #[arg(long, value_name = "BYTES")]
    body_limit: Option<usize>,
    /// How many write at once.
    #[arg(long, value_name = "N", default_value_t = 8)]
    writers: usize,
    /// How often each of them writes.
    #[arg(long, value_name = "N", default_value_t = 25)]
    edits: usize,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
    /// Points that could not be found out do not count as failed.
    #[arg(long)]
    allow_skips: bool,
}

const EXIT_CODES: &str = "\
Ends with 0 if every promised point is kept; with 1 if one is not, could not be found out, or the server cannot be
reached; with 2 if the arguments are of no use.";

#[derive(Clone, Copy, ValueEnum)]
enum Speech {
    Own,
    Since,
    Cursor,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (json, allow_skips) = (arguments.json, arguments.allow_skips);
    let report = match target(arguments) {
        Ok(target) => check(&target).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if json {
        println!("{}", report.to_json());
    } else {
        println!("{report}");
    }
    let skips_count = !allow_skips && report.count(Finding::Skipped) > 0;
    if report.count(Finding::Failed) > 0 || skips_count {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn target(arguments: Arguments) -> Result<Target, String> {
    let dialect = dialect(&arguments)?;
    let mut target = Target::new(
        arguments.url,
        Login::new(arguments.account, arguments.token),
    )
    .dialect(dialect)
    .entity_type(arguments.entity_type)
    .payload(arguments.payload.unwrap_or_default())
    .text_field(arguments.text_field)
    .load(arguments.writers, arguments.edits);
    if let (Some(account), Some(token)) = (arguments.other_account, arguments.other_token) {
        target = target.other(Login::new(account, token));
    }
    for scope in arguments.scope {
        target = target.scope(scope);
    }
    if let Some(scope) = arguments.other_scope {
        target = target.other_scope(scope);
    }
    if let Some(scope) = arguments.empty_scope {
        target = target.empty_scope(scope);
    }
    if let Some(scope) = arguments.shared_scope {
        target = target.shared_scope(scope);
    }
    if let Some(limit) = arguments.batch_limit {
        target = target.batch_limit(limit);
    }
    if let Some(limit) = arguments.payload_limit {
        target = target.payload_limit(limit);
    }
    if let Some(limit) = arguments.body_limit {
        target = target.body_limit(limit);
    }
    Ok(target)
}

fn dialect(arguments: &Arguments) -> Result<Dialect, String> {
    let mut feed = match arguments.dialect {
        Speech::Own => {
            let for_feeds = [
                &arguments.pull_path,
                &arguments.push_path,
                &arguments.scope_name,
            ];
            return match for_feeds.into_iter().flatten().next() {
                None => Ok(Dialect::Own),
                Some(_) => Err("--pull-path, --push-path and --scope-name are for feeds".into()),
            };
        }
        Speech::Since => Feed::since(),
        Speech::Cursor => Feed::cursor(),
    };
    if let Some(path) = &arguments.pull_path {
        feed.pull.path.clone_from(path);
    }
    if let Some(path) = &arguments.push_path {
        feed.push.path.clone_from(path);
    }
    if let Some(name) = &arguments.scope_name {
        feed.pull.scope.clone_from(name);
        feed.scope_field.clone_from(name);
    }
    Ok(feed.into())
}

fn fields(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_str(text)
}
