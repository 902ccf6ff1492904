//! The comparison at the end: plain SQL and plain HTTP, without the engine.

use std::{fmt::Debug, path::Path};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Feed, Outcome};

/// Compares the rows of a device's file with what they should be, by plain SQL.
pub(crate) fn file(path: &Path, expected: &[(&str, &[Feed])]) -> Outcome<()> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows = database.prepare(
        "SELECT scope, entity_id, json_extract(payload, '$.amount_ml')
         FROM sync_records WHERE entity_type = 'feed_log' ORDER BY scope, entity_id",
    )?;
    let found = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(String, String, u32)>, _>>()?;
    let expected: Vec<(String, String, u32)> = expected
        .iter()
        .flat_map(|(scope, feeds)| {
            let row = |feed: &Feed| ((*scope).to_owned(), feed.id.clone(), feed.amount_ml);
            feeds.iter().map(row)
        })
        .collect();
    let name = path.file_name().map(|name| name.to_string_lossy());
    equal(
        &format!("rows of {}", name.unwrap_or_default()),
        &found,
        &expected,
    )
}

/// Compares what the server sends for a scope with what it should be, by a request written by hand.
pub(crate) async fn server(
    address: &str,
    account: &str,
    scope: &str,
    expected: &[Feed],
) -> Outcome<()> {
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await?;
    let request = format!(
        "GET /v1/pull?scope={scope}&limit=100 HTTP/1.1\r\nHost: {host}\r\nSync-Account: {account}\r\n\
         Authorization: Bearer {account}-token\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (_, body) = response.split_once("\r\n\r\n").ok_or("no body")?;
    let page: Value = serde_json::from_str(body)?;
    let changes = page["changes"].as_array().ok_or_else(|| body.to_owned())?;
    let mut found = changes
        .iter()
        .filter(|change| change["op"] == "put")
        .map(|change| serde_json::from_value(change["payload"].clone()))
        .collect::<Result<Vec<Feed>, _>>()?;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    equal(&format!("the server's {scope}"), &found, &expected.to_vec())
}

/// Prints a figure, and fails unless it is the expected one.
pub(crate) fn equal<T: Debug + PartialEq>(what: &str, found: &T, expected: &T) -> Outcome<()> {
    if found == expected {
        println!("  {what}: {found:?}");
        Ok(())
    } else {
        Err(format!("{what}: {found:?}, expected {expected:?}").into())
    }
}
