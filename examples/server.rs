//! The reference server as a program: a change log in a SQLite file, behind HTTP.
//!
//! ```text
//! cargo run --example server -- --listen 127.0.0.1:8080 --file server.sqlite
//! ```
//!
//! It is for trying things out: ACCOUNT-token is the token of every account named (alice, bob and carol, if none is).
//! `--member SCOPE=ACCOUNT` makes an account an editor; a scope without members belongs to whoever writes there first.

use std::{error::Error, process::ExitCode, sync::Arc};

use sync_core::platform::{OsEntropy, TokioClock};
use sync_server::{
    Server,
    access::Role,
    log::sqlite::SqliteLog,
    router::{BearerTokens, Cors, RouterSettings, router, serve},
};
use tokio::net::TcpListener;

const USAGE: &str = "usage: server [--listen ADDRESS] [--file FILE] [--account ACCOUNT]... [--member SCOPE=ACCOUNT]...
              [--new-epoch]

  --listen     127.0.0.1:8080, if not given
  --file       server.sqlite, if not given
  --account    takes ACCOUNT-token as the token of ACCOUNT
  --member     makes an account an editor of a scope
  --new-epoch  begins a new epoch first: the step that every restore of the file needs";

struct Arguments {
    listen: String,
    file: String,
    accounts: Vec<String>,
    members: Vec<(String, String)>,
    new_epoch: bool,
}

fn arguments() -> Option<Arguments> {
    let mut words = std::env::args().skip(1);
    let mut arguments = Arguments {
        listen: "127.0.0.1:8080".to_owned(),
        file: "server.sqlite".to_owned(),
        accounts: Vec::new(),
        members: Vec::new(),
        new_epoch: false,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--listen" => arguments.listen = words.next()?,
            "--file" => arguments.file = words.next()?,
            "--account" => arguments.accounts.push(words.next()?),
            "--member" => {
                let member = words.next()?;
                let (scope, account) = member.split_once('=')?;
                let member = (scope.to_owned(), account.to_owned());
                arguments.members.push(member);
            }
            "--new-epoch" => arguments.new_epoch = true,
            _ => return None,
        }
    }
    if arguments.accounts.is_empty() {
        arguments.accounts = ["alice", "bob", "carol"].map(str::to_owned).to_vec();
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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let log = SqliteLog::open(&arguments.file)?;
    let members = log.members();
    for (scope, account) in &arguments.members {
        members
            .grant(scope.as_str(), account.as_str(), Role::Editor)
            .await?;
    }
    let server = Server::new(
        Arc::new(log),
        Arc::new(members),
        Arc::new(TokioClock::new()),
        Arc::new(OsEntropy),
    );
    if arguments.new_epoch {
        server.new_epoch().await?;
    }
    let tokens = BearerTokens::new();
    for account in &arguments.accounts {
        tokens.insert(format!("{account}-token"), account.as_str());
    }
    let settings = RouterSettings {
        cors: Cors::Any,
        ..RouterSettings::default()
    };
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .map_err(|error| {
            let listen = &arguments.listen;
            format!("{listen} cannot be listened at: {error}; choose another address with --listen")
        })?;
    println!(
        "{} is served at http://{}; ctrl-c ends it",
        arguments.file,
        listener.local_addr()?
    );
    let stop = async {
        // An error only says that signals cannot be waited for: the server then goes on until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    serve(listener, router(server, Arc::new(tokens), settings), stop).await?;
    Ok(())
}
