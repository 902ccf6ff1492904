//! The threads that SQLite runs on.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use futures::channel::oneshot;
use sync_core::error::{StoreError, StoreErrorKind};

use super::database::Database;

type Job = Box<dyn FnOnce(&mut Database) + Send>;

/// Runs work on a database, each piece whole: a caller that goes away does not stop what it has begun.
pub(super) enum Runner {
    /// On threads: one writes; the others read, if there are others.
    Threads {
        writer: mpsc::Sender<Job>,
        readers: Option<mpsc::Sender<Job>>,
    },
    /// On the caller's thread.
    Inline(Mutex<Database>),
}

impl Runner {
    pub(super) fn threads(writer: Database, readers: Vec<Database>) -> Result<Self, StoreError> {
        let has_readers = !readers.is_empty();
        Ok(Self::Threads {
            writer: serve(vec![writer])?,
            readers: has_readers.then(|| serve(readers)).transpose()?,
        })
    }

    pub(super) fn inline(database: Database) -> Self {
        Self::Inline(Mutex::new(database))
    }

    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    {
        match self {
            Self::Threads { writer, .. } => run(writer, work).await,
            Self::Inline(database) => {
                work(&mut database.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    {
        match self {
            Self::Threads {
                readers: Some(readers),
                ..
            } => run(readers, work).await,
            _ => self.write(work).await,
        }
    }
}

/// Starts a thread for each database; they take the jobs in turn, and end when the sender is dropped.
fn serve(databases: Vec<Database>) -> Result<mpsc::Sender<Job>, StoreError> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for mut database in databases {
        let receiver = Arc::clone(&receiver);
        thread::Builder::new()
            .name("sync-log".to_owned())
            .spawn(move || {
                while let Some(job) = next(&receiver) {
                    // An app's merge function may panic. The transaction is rolled back as the job unwinds, its
                    // caller hears of it, and the thread lives on for the others.
                    let _ = catch_unwind(AssertUnwindSafe(|| job(&mut database)));
                }
            })
            .map_err(|error| gone("starting a thread").with_source(error))?;
    }
    Ok(sender)
}

fn next(receiver: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    receiver
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

async fn run<T, F>(jobs: &mpsc::Sender<Job>, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let job = Box::new(move |database: &mut Database| {
        // The caller may have gone; the work counts all the same.
        let _ = answer.send(work(database));
    });
    jobs.send(job)
        .map_err(|_| gone("the change log's thread has ended"))?;
    answered
        .await
        .map_err(|_| StoreError::new(StoreErrorKind::App, "it panicked within a transaction"))?
}

fn gone(context: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, context)
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threads { .. } => "Runner::Threads",
            Self::Inline(_) => "Runner::Inline",
        })
    }
}
