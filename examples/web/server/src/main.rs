//! Serves the baby log: its page, its change log, and who shares which baby.
//!
//! ```text
//! web-server --pages FOLDER [--listen 127.0.0.1:8080] [--files FOLDER]
//! ```
//!
//! alice, bob and carol have accounts; ACCOUNT-token is the token of each.

mod families;
mod listening;
mod plausible;
mod sharing;

use std::{error::Error, fs, path::PathBuf, process::ExitCode, sync::Arc};

use sync_core::platform::{OsEntropy, TokioClock};
use sync_server::{
    Server,
    log::sqlite::SqliteLog,
    router::{BearerTokens, Cors, RouterSettings, router, serve},
};
use tower_http::services::{ServeDir, ServeFile};

use crate::{families::Families, plausible::Plausible};

const USAGE: &str = "usage: web-server --pages FOLDER [--listen ADDRESS] [--files FOLDER]

  --pages   what `cargo xtask web` has built
  --listen  127.0.0.1:8080, if not given
  --files   where the log and the table of families are kept; baby-log, if not given";

const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

struct Arguments {
    listen: String,
    files: PathBuf,
    pages: PathBuf,
}

fn arguments() -> Option<Arguments> {
    let mut words = std::env::args().skip(1);
    let (mut listen, mut files) = ("127.0.0.1:8080".to_owned(), PathBuf::from("baby-log"));
    let mut pages = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--listen" => listen = words.next()?,
            "--files" => files = words.next()?.into(),
            "--pages" => pages = Some(words.next()?.into()),
            _ => return None,
        }
    }
    Some(Arguments {
        listen,
        files,
        pages: pages?,
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments {
        listen,
        files,
        pages,
    } = arguments;
    fs::create_dir_all(&files)?;
    let families = Families::open(files.join("families.json"))?;
    let server = Server::new(
        Arc::new(SqliteLog::open(files.join("log.sqlite"))?),
        Arc::new(families.clone()),
        Arc::new(TokioClock::new()),
        Arc::new(OsEntropy),
    )
    .with_validation(Arc::new(Plausible));
    let tokens = BearerTokens::new();
    for account in ACCOUNTS {
        tokens.insert(format!("{account}-token"), account);
    }
    let tokens = Arc::new(tokens);
    let settings = RouterSettings {
        cors: Cors::Any,
        ..RouterSettings::default()
    };
    let accounts = ACCOUNTS.map(str::to_owned).to_vec();
    let app = router(server, tokens.clone(), settings)
        .merge(sharing::routes(families, tokens, accounts))
        .route_service("/", ServeFile::new(pages.join("index.html")))
        .nest_service("/app", ServeDir::new(pages));
    let listener = listening::bind(&listen).await?;
    println!(
        "The baby log is at http://{}/; ctrl-c ends it",
        listener.local_addr()?
    );
    serve(listener, app, listening::interrupted()).await?;
    Ok(())
}
