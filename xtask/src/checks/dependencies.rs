//! Dependencies between the crates point one way, a server carries no HTTP client, and each suite of sync-testing
//! brings along only what it needs.
//!
//! That a program holds one SQLite needs no check here: cargo refuses a second package that links the same library.

use super::tree;
use crate::Result;
use crate::project::Project;

/// What the client half of sync-http brings along.
const HTTP_CLIENTS: &[&str] = &["gloo-net", "reqwest"];

pub(crate) fn check(project: &Project) -> Result {
    core_stands_alone(project)?;
    server_has_no_client(project)?;
    suites_bring_only_what_they_need(project)
}

/// Everything may depend on the core. It may test itself with its siblings, never build on them.
fn core_stands_alone(project: &Project) -> Result {
    for package in tree::packages(project, "--package sync-core --edges normal,build")? {
        if package.is_local && package.name != "sync-core" {
            return Err(format!("sync-core depends on {}", package.name).into());
        }
    }
    Ok(())
}

fn server_has_no_client(project: &Project) -> Result {
    for package in tree::packages(project, "--package sync-server --edges normal,build")? {
        if HTTP_CLIENTS.contains(&package.name.as_str()) {
            return Err(format!("sync-server brings along {}", package.name).into());
        }
        if package.name == "sync-http" && package.features.iter().any(|name| name == "client") {
            return Err("sync-server takes sync-http with its feature `client`".into());
        }
    }
    Ok(())
}

/// Authors of stores get neither server nor client, authors of backends no server of ours.
fn suites_bring_only_what_they_need(project: &Project) -> Result {
    let stores = "--package sync-testing --no-default-features --edges normal,build";
    let backends = format!("{stores} --features backend");
    for (arguments, unwanted) in [
        (stores, &["axum", "reqwest", "sync-http", "sync-server"][..]),
        (&backends, &["axum", "sync-server"]),
    ] {
        for package in tree::chosen_packages(project, arguments)? {
            if unwanted.contains(&package.name.as_str()) {
                return Err(format!("{arguments}: brings along {}", package.name).into());
            }
        }
    }
    Ok(())
}
