//! Puts a server to the suite of backends: any server that speaks our protocol or a dialect, in any language.
//!
//! ```text
//! cargo run --example server -- --listen 127.0.0.1:8080 --file test.sqlite --member empty=alice
//! cargo run --example check_backend -- http://127.0.0.1:8080 --account alice --token alice-token \
//!     --other-account bob --other-token bob-token --empty-scope empty
//! ```
//!
//! It writes into the server: give it one for tests. `docs/testing-your-backend.md` explains the points.

use std::{error::Error, process::ExitCode};

use sync_http::dialect::{Dialect, Feed};
use sync_testing::backend::{Finding, Login, Target, check};

const USAGE: &str = "usage: check_backend URL --account ACCOUNT --token TOKEN [OPTION]...

  --other-account ACCOUNT, --other-token TOKEN
                       a second account, for the points about access
  --dialect DIALECT    own (if not given), since or cursor
  --pull-path PATH, --push-path PATH, --scope-name NAME
                       in a feed: where it is, and how it calls a scope in queries and records
  --scope SCOPE        a scope of the account, in the place of made-up ones; twice, if it can be
  --other-scope SCOPE  a scope of the second account, in which the first has no access
  --empty-scope SCOPE  a scope that the account may read and in which nothing was ever written
  --type TYPE          of the records that are written: feed_log, if not given
  --payload JSON       fields that each record must have; {id} in a string becomes the record's id
  --text-field NAME    the field of a record that may hold any text: note, if not given
  --batch-limit N      the most mutations in a push: 1000, if not given
  --payload-limit N    the most bytes in a record: 5 MiB and a little, if not given
  --writers N, --edits N
                       how many write at once, and how often: 8 and 25, if not given
  --json               the report as JSON
  --allow-skips        points that could not be found out do not count as failed

Ends with 0 if every promised point is kept, with 1 if not, with 2 if the arguments are of no use.";

struct Arguments {
    target: Target,
    json: bool,
    allow_skips: bool,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    run(&arguments)
}

#[tokio::main]
async fn run(arguments: &Arguments) -> ExitCode {
    let report = match check(&arguments.target).await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if arguments.json {
        println!("{}", report.to_json());
    } else {
        println!("{report}");
    }
    let skips_count = !arguments.allow_skips && report.count(Finding::Skipped) > 0;
    if report.count(Finding::Failed) > 0 || skips_count {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let (mut url, mut account, mut token) = (None, None, None);
    let (mut other_account, mut other_token) = (None, None);
    let (mut feed, mut names) = (None, Vec::new());
    let (mut writers, mut edits) = (8, 25);
    let (mut json, mut allow_skips) = (false, false);
    // The target needs to know who asks before anything else: the rest is applied to it in order.
    let mut settings: Vec<Box<dyn FnOnce(Target) -> Target>> = Vec::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--account" => account = Some(value()?),
            "--token" => token = Some(value()?),
            "--other-account" => other_account = Some(value()?),
            "--other-token" => other_token = Some(value()?),
            "--dialect" => {
                feed = match value()?.as_str() {
                    "own" => None,
                    "since" => Some(Feed::since()),
                    "cursor" => Some(Feed::cursor()),
                    other => return Err(format!("there is no dialect {other:?}").into()),
                }
            }
            "--pull-path" | "--push-path" | "--scope-name" => names.push((word.clone(), value()?)),
            "--scope" => {
                let scope = value()?;
                settings.push(Box::new(move |target| target.scope(scope)));
            }
            "--other-scope" => {
                let scope = value()?;
                settings.push(Box::new(move |target| target.other_scope(scope)));
            }
            "--empty-scope" => {
                let scope = value()?;
                settings.push(Box::new(move |target| target.empty_scope(scope)));
            }
            "--type" => {
                let entity_type = value()?;
                settings.push(Box::new(move |target| target.entity_type(entity_type)));
            }
            "--payload" => {
                let fields = serde_json::from_str(&value()?);
                let fields = fields.map_err(|error| format!("--payload: {error}"))?;
                settings.push(Box::new(move |target| target.payload(fields)));
            }
            "--text-field" => {
                let field = value()?;
                settings.push(Box::new(move |target| target.text_field(field)));
            }
            "--batch-limit" => {
                let limit = number(&word, &value()?)?;
                settings.push(Box::new(move |target| target.batch_limit(limit)));
            }
            "--payload-limit" => {
                let limit = number(&word, &value()?)?;
                settings.push(Box::new(move |target| target.payload_limit(limit)));
            }
            "--writers" => writers = number(&word, &value()?)?,
            "--edits" => edits = number(&word, &value()?)?,
            "--json" => json = true,
            "--allow-skips" => allow_skips = true,
            _ if word.starts_with('-') || url.is_some() => {
                return Err(format!("what is {word:?}?").into());
            }
            _ => url = Some(word),
        }
    }
    let (Some(url), Some(account), Some(token)) = (url, account, token) else {
        return Err("a URL, --account and --token are needed".into());
    };
    let mut target = Target::new(url, Login::new(account, token))
        .dialect(dialect(feed, names)?)
        .load(writers, edits);
    target = match (other_account, other_token) {
        (Some(account), Some(token)) => target.other(Login::new(account, token)),
        (None, None) => target,
        _ => return Err("--other-account and --other-token go together".into()),
    };
    Ok(Arguments {
        target: settings.into_iter().fold(target, |target, set| set(target)),
        json,
        allow_skips,
    })
}

fn dialect(feed: Option<Feed>, names: Vec<(String, String)>) -> Result<Dialect, Box<dyn Error>> {
    let Some(mut feed) = feed else {
        return match names.first() {
            None => Ok(Dialect::Own),
            Some((name, _)) => Err(format!("{name} is for feeds").into()),
        };
    };
    for (name, value) in names {
        match name.as_str() {
            "--pull-path" => feed.pull.path = value,
            "--push-path" => feed.push.path = value,
            _ => {
                feed.pull.scope.clone_from(&value);
                feed.scope_field = value;
            }
        }
    }
    Ok(feed.into())
}

fn number(word: &str, value: &str) -> Result<usize, Box<dyn Error>> {
    let number = value.parse();
    number.map_err(|_| format!("{word} wants a number, not {value:?}").into())
}
