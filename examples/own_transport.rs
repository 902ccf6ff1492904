//! A transport of one's own, in one file: two devices sync through a shared folder, as on a memory stick or a network
//! drive, with no server at all. Each change is a file with the next number; whoever links it there first has it, so that
//! the log has one order and no gaps. The folder goes missing for a while, and nothing is lost.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use examples::{FeedLog, Result, feeds, tell};
use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{EngineSettings, SyncEngine},
    model::{
        Account, Change, ChangeOp, Cursor, EntityId, EntityType, Epoch, Mutation, MutationId, Op,
        Page, Payload, Schema, Scope, Version,
    },
    platform::TokioClock,
    scheduler::{FlushEnd, SyncEnd},
    store::{MemoryStore, Resolution},
    transport::{
        Answer, Outgoing, PullRequest, PushAnswer, PushRequest, ServerRecord, ServerTraits,
        Transport, TransportError, TransportErrorKind, Verdict,
    },
};

/// The folder is never restored to an older state, so that its history is always the same one.
const EPOCH: &str = "folder";

/// A request that is answered, or fails in one of the few ways that the engine knows.
type Attempt<T> = std::result::Result<T, TransportError>;

/// A folder with a folder for each scope.
#[derive(Debug)]
struct Folder {
    root: PathBuf,
    /// Who uses this device.
    account: Account,
}

/// One file of a scope's log.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    mutation_id: MutationId,
    entity_type: EntityType,
    entity_id: EntityId,
    /// None is a delete.
    payload: Option<Payload>,
    schema: Schema,
}

#[async_trait]
impl Transport for Folder {
    async fn pull(&self, request: PullRequest) -> Attempt<Page> {
        self.check_account(&request.account)?;
        let scope = self.root.join(file_name(&request.scope));
        blocking(move || page(&scope, &request)).await
    }

    async fn push(&self, request: PushRequest) -> Attempt<PushAnswer> {
        self.check_account(&request.account)?;
        let root = self.root.clone();
        blocking(move || {
            let one = |outgoing: &Outgoing| {
                let mutation = &outgoing.mutation;
                Ok(Answer {
                    id: mutation.id,
                    verdict: decide(&root, mutation)?,
                })
            };
            // An error on the way leaves every outcome unknown: what was written is recognised when it is sent again.
            let answers = request.mutations.iter().map(one);
            Ok(PushAnswer {
                answers: answers.collect::<Attempt<_>>()?,
                verdict_retention: None,
            })
        })
        .await
    }

    /// The folder knows each mutation again, and answers in order: what the default says.
    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }
}

impl Folder {
    fn check_account(&self, named: &Account) -> Attempt<()> {
        if *named == self.account {
            return Ok(());
        }
        let context = "this device has another user";
        Err(TransportError::new(
            TransportErrorKind::OtherAccount,
            context,
        ))
    }
}

/// Files are read and written on a thread for blocking work, and a folder that hangs ends in an error.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Attempt<T> + Send + 'static,
) -> Attempt<T> {
    let work = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(Duration::from_secs(30), work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(ended)) => Err(unavailable("the work on the folder has ended").with_source(ended)),
        Err(_) => Err(TransportError::new(
            TransportErrorKind::Timeout,
            "the folder hangs",
        )),
    }
}

/// A page of a scope's log. The cursor is the number of the last file read; only this transport knows that.
fn page(scope: &Path, request: &PullRequest) -> Attempt<Page> {
    let last: u64 = match &request.cursor {
        None => 0,
        // A cursor that makes no sense is of no use any more: the scope is then pulled from its start.
        Some(cursor) => cursor.as_str().parse().map_err(|_| {
            TransportError::new(TransportErrorKind::CursorExpired, "no number of a file")
        })?,
    };
    let log = read_log(scope, last)?;
    let wanted = usize::try_from(request.limit.max(1)).unwrap_or(usize::MAX);
    let through = last + log.len().min(wanted) as u64;
    Ok(Page {
        has_more: log.len() > wanted,
        changes: log.into_iter().take(wanted).map(change).collect(),
        next: Cursor::from(through.to_string()),
        through: Some(through),
        epoch: Some(Epoch::from(EPOCH)),
        verdict_retention: None,
    })
}

fn change((seq, entry): (u64, Entry)) -> Change {
    Change {
        entity_type: entry.entity_type,
        entity_id: entry.entity_id,
        op: entry.payload.map_or(ChangeOp::Remove, ChangeOp::Put),
        schema: entry.schema,
        seq: Some(seq),
        mutation_id: Some(entry.mutation_id),
        overwritten: Vec::new(),
    }
}

/// What becomes of a mutation: the first of two concurrent edits wins.
fn decide(root: &Path, mutation: &Mutation) -> Attempt<Verdict> {
    let scope = root.join(file_name(&mutation.key.scope));
    loop {
        let log = read_log(&scope, 0)?;
        if let Some((seq, _)) = log.iter().find(|(_, e)| e.mutation_id == mutation.id) {
            return Ok(applied(*seq));
        }
        let key = (&mutation.key.entity_type, &mutation.key.entity_id);
        let current = log
            .iter()
            .rfind(|(_, e)| (&e.entity_type, &e.entity_id) == key);
        if let Some(theirs) = lost_to(mutation, current) {
            return Ok(Verdict::Conflict { theirs });
        }
        let seq = log.len() as u64 + 1;
        if append(root, &scope, seq, mutation).map_err(|e| unreachable(&scope, e))? {
            return Ok(applied(seq));
        }
        // Another device has taken the number: what it wrote may be a conflict.
    }
}

/// What a mutation loses to, if its author has not seen the record's newest state.
fn lost_to(mutation: &Mutation, current: Option<&(u64, Entry)>) -> Option<ServerRecord> {
    let updates = matches!(mutation.op, Op::Update(_));
    let Some((seq, entry)) = current else {
        // An update of a record that is not there is no create.
        return updates.then_some(ServerRecord {
            payload: None,
            schema: Schema(0),
            version: None,
        });
    };
    let base = mutation.base_version.as_ref();
    let seen = base.is_some_and(|base| base.seq >= *seq);
    let own = mutation.after == Some(entry.mutation_id);
    let gone = updates && entry.payload.is_none();
    if (seen || own) && !gone {
        return None;
    }
    Some(ServerRecord {
        payload: entry.payload.clone(),
        schema: entry.schema,
        version: Some(Version::new(EPOCH, *seq)),
    })
}

fn applied(seq: u64) -> Verdict {
    Verdict::Applied {
        version: Some(Version::new(EPOCH, seq)),
        record: None,
    }
}

/// Writes the file of this number; false if there is one already.
fn append(root: &Path, scope: &Path, seq: u64, mutation: &Mutation) -> io::Result<bool> {
    let entry = Entry {
        mutation_id: mutation.id,
        entity_type: mutation.key.entity_type.clone(),
        entity_id: mutation.key.entity_id.clone(),
        payload: mutation.op.payload().cloned(),
        schema: mutation.schema,
    };
    // Not `create_dir_all`: a folder that is not there must not be made anew, empty.
    if let Err(error) = fs::create_dir(scope)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    // Written beside and then linked, so that nobody reads half a file and no file is replaced.
    let mut file = tempfile::NamedTempFile::new_in(root)?;
    serde_json::to_writer(&mut file, &entry)?;
    match file.persist_noclobber(scope.join(format!("{seq:012}.json"))) {
        Ok(_) => Ok(true),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failed) => Err(failed.error),
    }
}

/// The log after this number, with its numbers.
fn read_log(scope: &Path, after: u64) -> Attempt<Vec<(u64, Entry)>> {
    let mut log = Vec::new();
    for seq in after + 1.. {
        let path = scope.join(format!("{seq:012}.json"));
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(unreachable(&path, error)),
        };
        let entry = serde_json::from_slice(&json).map_err(|error| {
            let context = format!("{}: line {}", path.display(), error.line());
            TransportError::new(TransportErrorKind::Malformed, context)
        })?;
        log.push((seq, entry));
    }
    // A log that seems empty may be a folder that is not there: that is no news, and no deletion.
    match scope.parent().map(Path::try_exists) {
        Some(Ok(true)) => Ok(log),
        _ => Err(unavailable("the shared folder is not there")),
    }
}

fn unavailable(context: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Unavailable, context)
}

fn unreachable(path: &Path, error: io::Error) -> TransportError {
    let context = format!("cannot use {}", path.display());
    TransportError::new(TransportErrorKind::Unavailable, context).with_source(error)
}

/// A name that no scope can break out of the folder with.
fn file_name(scope: &Scope) -> String {
    let hex = |byte: &u8| format!("{byte:02x}");
    scope.as_str().as_bytes().iter().map(hex).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("shared");
    fs::create_dir(&folder)?;
    let clock = TokioClock::new();
    let (phone, tablet) = (open(&folder).await?, open(&folder).await?);
    let baby = Scope::from("mia");

    phone.scope("mia").create(&FeedLog::new("f1", 100)).await?;
    sync(&phone, &baby).await?;
    sync(&tablet, &baby).await?;
    see(&clock, "tablet", &tablet).await?;

    fs::rename(&folder, place.path().join("elsewhere"))?;
    tell(&clock, "folder", "is gone");
    phone.scope("mia").update(&FeedLog::new("f1", 110)).await?;
    tablet.scope("mia").update(&FeedLog::new("f1", 120)).await?;
    tablet.scope("mia").create(&FeedLog::new("f2", 90)).await?;
    let report = tablet.sync_now([baby.clone()]).await;
    let unavailable = TransportErrorKind::Unavailable;
    assert_eq!(report.scopes[&baby], SyncEnd::Failed(unavailable));
    let error = tablet.status().await?.last_error.unwrap_or_default();
    tell(&clock, "tablet", format!("cannot sync: {error}"));
    see(&clock, "tablet", &tablet).await?;

    fs::rename(place.path().join("elsewhere"), &folder)?;
    tell(&clock, "folder", "is back");
    sync(&phone, &baby).await?;
    sync(&tablet, &baby).await?;
    sync(&phone, &baby).await?;
    for (who, device) in [("phone", &phone), ("tablet", &tablet)] {
        see(&clock, who, device).await?;
        let expected = [FeedLog::new("f1", 110), FeedLog::new("f2", 90)];
        assert_eq!(device.scope("mia").list::<FeedLog>().await?, expected);
        assert_eq!(device.status().await?.counts.pending, 0);
    }
    let conflicts = tablet.conflicts(None).await?;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].resolution, Resolution::Theirs);
    tell(&clock, "tablet", "is told that its 120 ml came second");
    println!("nothing is lost, and both see the same");
    Ok(())
}

async fn see(clock: &TokioClock, who: &str, device: &SyncEngine) -> Result {
    let feeds = feeds(&device.scope("mia")).await?;
    tell(clock, who, format!("sees {feeds}"));
    Ok(())
}

/// A device on the folder, with its driver running.
async fn open(folder: &Path) -> Result<SyncEngine> {
    let account = Account::from("family");
    let transport = Folder {
        root: folder.to_owned(),
        account: account.clone(),
    };
    let mut settings = EngineSettings::default();
    settings.scheduler.initial_delay = Duration::ZERO;
    let (engine, driver) = SyncEngine::builder(MemoryStore::new(), transport)
        .account(account)
        .settings(settings)
        .open()
        .await?;
    tokio::spawn(driver.run());
    Ok(engine)
}

/// Brings a device up to date, and says what is wrong if that fails.
async fn sync(device: &SyncEngine, baby: &Scope) -> Result {
    let report = device.sync_now([baby.clone()]).await;
    if report.flush == FlushEnd::Answered && report.scopes[baby] == SyncEnd::Synced {
        Ok(())
    } else {
        Err(format!("not synced: {report:?}").into())
    }
}
