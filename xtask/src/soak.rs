//! A server, two devices, and a hand that kills them: do they converge, and is anything lost?

use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::command::run;
use crate::project::Project;

/// Runs for this long and returns an error when an edit is lost or the devices differ at the end.
pub(crate) fn run_for(time: Duration, seed: u64, project: &Project) -> Result {
    run(&mut project.cargo("build --package examples --example server --example device"))?;
    let folder = std::env::temp_dir().join(format!("soak-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    println!("seed {seed}, files in {}", folder.display());
    let outcome = Soak::start(seed, folder.clone(), project)?.run(time);
    if outcome.is_ok() {
        std::fs::remove_dir_all(&folder)?;
    }
    outcome
}

/// The devices, each with the account that owns its file.
const DEVICES: [(&str, &str); 2] = [("phone.sqlite", "alice"), ("tablet.sqlite", "bob")];

struct Soak {
    random: Random,
    folder: PathBuf,
    programs: PathBuf,
    address: String,
    server: Option<Child>,
    watchers: [Option<Child>; 2],
    /// Records whose creation a device has confirmed: each must be there at the end.
    confirmed: BTreeSet<String>,
    edits: u64,
    kills: u64,
    outages: u64,
}

impl Soak {
    fn start(seed: u64, folder: PathBuf, project: &Project) -> Result<Self> {
        // The port is free now; it is given up for the server to take.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut soak = Self {
            random: Random(seed),
            folder,
            programs: project.target.join("debug/examples"),
            address,
            server: None,
            watchers: [None, None],
            confirmed: BTreeSet::new(),
            edits: 0,
            kills: 0,
            outages: 0,
        };
        soak.start_server()?;
        for device in 0..DEVICES.len() {
            soak.start_watcher(device)?;
        }
        Ok(soak)
    }

    fn run(mut self, time: Duration) -> Result {
        let end = Instant::now() + time;
        let mut report_at = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            self.step()?;
            if Instant::now() >= report_at {
                report_at += Duration::from_secs(60);
                println!("{} edits, {} kills so far", self.edits, self.kills);
            }
            sleep(Duration::from_millis(self.random.below(120)));
        }
        self.converge()
    }

    /// One thing happens.
    fn step(&mut self) -> Result {
        let device = usize::try_from(self.random.below(2))?;
        match self.random.below(100) {
            0..=1 => {
                self.kill_server();
                self.outages += 1;
                sleep(Duration::from_millis(200 + self.random.below(8_000)));
                self.start_server()
            }
            2..=4 => {
                self.kill_server();
                self.start_server()
            }
            5..=9 => {
                kill(&mut self.watchers[device]);
                self.kills += 1;
                self.start_watcher(device)
            }
            10..=29 => self.edit_shared(device),
            _ => self.create(device),
        }
    }

    /// Creates a record of its own; a program that is killed on the way has confirmed nothing.
    fn create(&mut self, device: usize) -> Result {
        self.edits += 1;
        let id = format!("own-{}", self.edits);
        let json = format!(r#"{{"id":"{id}","amount_ml":{}}}"#, self.edits);
        if self.put(device, &id, &json)? {
            self.confirmed.insert(id);
        }
        Ok(())
    }

    /// Changes one of few records that both devices change, so that edits conflict.
    fn edit_shared(&mut self, device: usize) -> Result {
        self.edits += 1;
        let id = format!("shared-{}", self.random.below(5));
        if self.random.below(5) == 0 {
            let mut program = self.device(device, &["delete", &id]);
            self.finish_or_kill(program.spawn()?)?;
            return Ok(());
        }
        let json = format!(r#"{{"id":"{id}","by":{device},"edit":{}}}"#, self.edits);
        self.put(device, &id, &json)?;
        Ok(())
    }

    fn put(&mut self, device: usize, id: &str, json: &str) -> Result<bool> {
        let mut program = self.device(device, &["put", id, json]);
        self.finish_or_kill(program.spawn()?)
    }

    /// Lets a program end, or kills it at a random moment. True if it has ended well.
    fn finish_or_kill(&mut self, mut child: Child) -> Result<bool> {
        if self.random.below(4) == 0 {
            sleep(Duration::from_millis(self.random.below(150)));
            if child.try_wait()?.is_none() {
                child.kill()?;
                self.kills += 1;
            }
        }
        Ok(child.wait()?.success())
    }

    fn converge(mut self) -> Result {
        println!("no more kills: the devices catch up");
        for watcher in &mut self.watchers {
            kill(watcher);
        }
        self.kill_server();
        self.start_server()?;
        // Each device sends what it has; then each pulls what the other sent.
        for device in [0, 1, 0, 1] {
            self.list(device)?;
        }
        let (phone, tablet) = (self.list(0)?, self.list(1)?);
        let fresh = self.list_of("fresh.sqlite", "alice")?;
        let listed = |id: &&String| phone.iter().any(|line| line.split(' ').next() == Some(id));
        let lost: Vec<String> = self
            .confirmed
            .iter()
            .filter(|id| !listed(id))
            .cloned()
            .collect();
        println!(
            "{} edits, {} confirmed, {} kills, {} outages; lost: {}; records: phone {}, tablet {}, a fresh device {}",
            self.edits,
            self.confirmed.len(),
            self.kills,
            self.outages,
            lost.len(),
            phone.len(),
            tablet.len(),
            fresh.len(),
        );
        if !lost.is_empty() {
            return Err(format!("lost: {lost:?}").into());
        }
        if phone != tablet || phone != fresh {
            return Err("the devices differ".into());
        }
        println!("converged");
        Ok(())
    }

    fn list(&self, device: usize) -> Result<Vec<String>> {
        let (file, account) = DEVICES[device];
        self.list_of(file, account)
    }

    /// What a device lists once it has nothing left to send.
    fn list_of(&self, file: &str, account: &str) -> Result<Vec<String>> {
        let mut program = self.program(file, account, &["converged"]);
        let output = program.stdout(Stdio::piped()).output()?;
        if !output.status.success() {
            return Err(format!("{file} does not converge").into());
        }
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().map(String::from).collect())
    }

    fn start_server(&mut self) -> Result {
        let mut command = Command::new(self.programs.join("server"));
        command
            .args(["--listen", &self.address, "--file"])
            .arg(self.folder.join("server.sqlite"))
            .args(["--member", "baby-1=alice", "--member", "baby-1=bob"]);
        self.server = Some(logged(&mut command, &self.folder.join("server.log"))?.spawn()?);
        Ok(())
    }

    fn kill_server(&mut self) {
        kill(&mut self.server);
        self.kills += 1;
    }

    fn start_watcher(&mut self, device: usize) -> Result {
        self.watchers[device] = Some(self.device(device, &["watch"]).spawn()?);
        Ok(())
    }

    fn device(&self, device: usize, words: &[&str]) -> Command {
        let (file, account) = DEVICES[device];
        self.program(file, account, words)
    }

    fn program(&self, file: &str, account: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("device"));
        command
            .arg(self.folder.join(file))
            .args([account, "--server"])
            .arg(format!("http://{}", self.address))
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        kill(&mut self.server);
        for watcher in &mut self.watchers {
            kill(watcher);
        }
    }
}

fn logged<'a>(command: &'a mut Command, log: &Path) -> Result<&'a mut Command> {
    let log = File::options().create(true).append(true).open(log)?;
    Ok(command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log))
}

/// SIGKILL, on Unix: no handler runs, nothing is flushed.
fn kill(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        // An error only says that it has ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A xorshift generator: the same seed, the same story (but for what the scheduler of the machine adds).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
