//! The server as a process: how it begins, and how it ends.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Far less than the ten seconds that a request under way is given, and far more than a busy machine needs.
const PROMPTLY: Duration = Duration::from_secs(5);

fn server(files: &TempDir, listen: &str) -> Command {
    let mut server = Command::new(env!("CARGO_BIN_EXE_web-server"));
    server
        .args(["--listen", listen, "--pages"])
        .arg(files.path());
    server.arg("--files").arg(files.path());
    server
}

/// A server that has said where it is.
fn started(files: &TempDir) -> io::Result<(Child, String)> {
    let mut server = server(files, "127.0.0.1:0");
    let mut server = server.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(output) = server.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let address = line.split("http://").nth(1);
    let address = address.and_then(|rest| rest.split('/').next());
    let address = address.ok_or_else(|| io::Error::other(line.clone()))?;
    Ok((server, address.to_owned()))
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_promptly_with_requests_half_sent_and_connections_idle() {
    let files = TempDir::new().unwrap();
    let (mut server, address) = started(&files).unwrap();
    let open = [
        "",
        "GET / HTTP/1.1\r\nhost: x\r\n",
        "POST /v1/push HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alice-token\r\ncontent-length: 9\r\n\r\n{",
    ]
    .map(|text| {
        let mut connection = TcpStream::connect(&address).unwrap();
        connection.write_all(text.as_bytes()).unwrap();
        connection
    });
    let interrupt = Command::new("kill")
        .args(["-INT", &server.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let began = Instant::now();
    let status = server.wait().unwrap();
    assert!(began.elapsed() < PROMPTLY, "{:?}", began.elapsed());
    assert!(status.success(), "{status}");
    drop(open);
}

#[test]
fn an_address_in_use_is_named_with_what_to_do() {
    let files = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let Output { status, stderr, .. } = server(&files, &address).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.starts_with(&format!("{address} is in use")), "{said}");
    assert!(said.contains("--listen"), "{said}");
}

#[test]
fn an_address_that_is_none_is_named_with_what_to_do() {
    let files = TempDir::new().unwrap();
    let Output { status, stderr, .. } = server(&files, "nowhere").output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.starts_with("nowhere cannot be listened at"), "{said}");
    assert!(said.contains("--listen"), "{said}");
}
