//! The demo's server and a chromedriver, for the length of a test.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{Result, browser::Browser, page::Page};

/// As root, and without a screen or a network of its own.
const ARGUMENTS: [&str; 5] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--window-size=1280,1000",
];

pub(crate) struct Demo {
    server: Child,
    driver: Child,
    url: String,
    port: u16,
    _files: TempDir,
}

impl Demo {
    pub(crate) fn start() -> Result<Self> {
        let pages = env::var_os("BABY_LOG_PAGES").ok_or(
            "`cargo xtask test --only browser` builds the page and names it in BABY_LOG_PAGES",
        )?;
        let files = TempDir::new()?;
        let mut server = Command::new(env!("CARGO_BIN_EXE_web-server"));
        server
            .args(["--listen", "127.0.0.1:0", "--pages"])
            .arg(pages);
        let mut server = piped(server.arg("--files").arg(files.path()))?;
        let driver = env::var_os("CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
        let mut driver = piped(Command::new(driver).arg("--port=0"))?;
        let url = said(&mut server, |line| {
            let mut words = line.split([' ', ';']);
            words
                .find(|word| word.starts_with("http://"))
                .map(str::to_owned)
        })?;
        let port = said(&mut driver, |line| {
            let port = line.split_once("started successfully on port ")?.1;
            port.trim_end_matches('.').parse().ok()
        })?;
        Ok(Self {
            server,
            driver,
            url,
            port,
            _files: files,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A browser profile of its own, logged in.
    pub(crate) async fn log_in(&self, account: &str) -> Result<Page> {
        let page = self.open(account).await?;
        page.press("Accounts", account).await?;
        Ok(page)
    }

    /// A browser profile of its own.
    pub(crate) async fn open(&self, name: &str) -> Result<Page> {
        let chromium = serde_json::json!({ "binary": "/usr/bin/chromium", "args": ARGUMENTS });
        let options = serde_json::json!({ "goog:chromeOptions": chromium });
        let driver = format!("http://127.0.0.1:{}", self.port);
        let browser = Browser::start(&driver, options).await?;
        browser.open(&self.url).await?;
        Ok(Page::new(browser, name, screenshots()?))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A driver that is killed leaves its browsers behind.
        let ended = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.write_all(
                b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            )?;
            stream.read_to_end(&mut Vec::new())
        });
        if ended.is_err() {
            let _ = self.driver.kill();
        }
        let _ = self.driver.wait();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn screenshots() -> Result<Option<PathBuf>> {
    let folder = env::var_os("BABY_LOG_SCREENSHOTS").map(PathBuf::from);
    if let Some(folder) = &folder {
        fs::create_dir_all(folder)?;
    }
    Ok(folder)
}

fn piped(command: &mut Command) -> Result<Child> {
    Ok(command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?)
}

/// What a program says of itself when it is ready. What it says later is read on, so that it never waits for a reader.
fn said<T>(program: &mut Child, find: impl Fn(&str) -> Option<T>) -> Result<T> {
    let output = program.stdout.take().ok_or("it has no output")?;
    let mut lines = BufReader::new(output).lines();
    for line in lines.by_ref() {
        if let Some(found) = find(&line?) {
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(found);
        }
    }
    Err("it ended before it was ready".into())
}
