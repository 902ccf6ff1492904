//! Where the store's logic runs: on a thread of its own, or inline.

use std::{
    fmt,
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use futures::channel::oneshot;
use sync_core::error::{StoreError, StoreErrorKind};

use crate::database::Database;

type Job = Box<dyn FnOnce(&mut Database) + Send>;

/// Runs calls on one connection, one after another.
pub(crate) enum Worker {
    /// On a thread of its own, in the order in which they were sent. The thread ends, and the connection closes,
    /// when this is dropped and what was sent before is done.
    Thread(Mutex<Option<Running>>),
    /// In the poll that asks for them; none once closed.
    Inline(Box<Mutex<Option<Database>>>),
}

/// A thread that works through a queue.
pub(crate) struct Running {
    jobs: mpsc::Sender<Job>,
    /// Canceled once the connection is closed.
    closed: oneshot::Receiver<()>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thread(_) => "Thread",
            Self::Inline(_) => "Inline",
        })
    }
}

impl Worker {
    /// Opens a connection on a new thread.
    pub(crate) async fn spawn(
        name: &str,
        open: impl FnOnce() -> Result<Database, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, answer) = oneshot::channel();
        let (closing, closed) = oneshot::channel();
        let thread = thread::Builder::new().name(name.to_owned());
        let running = thread.spawn(move || match open() {
            Ok(mut database) => {
                // Nobody waits for it any more when the future was dropped; the queue is then closed too.
                let _ = opened.send(Ok(()));
                for job in queue {
                    job(&mut database);
                }
                drop(database);
                drop(closing);
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        });
        running.map_err(|error| {
            StoreError::new(StoreErrorKind::Unavailable, "no thread for the database")
                .with_source(error)
        })?;
        answer.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(Self::Thread(Mutex::new(Some(Running { jobs, closed }))))
    }

    /// Opens a connection here and now.
    pub(crate) fn inline(
        open: impl FnOnce() -> Result<Database, StoreError>,
    ) -> Result<Self, StoreError> {
        Ok(Self::Inline(Box::new(Mutex::new(Some(open()?)))))
    }

    /// Runs a call. It is on its way as soon as this is polled once, and then comes to its end whether or not the
    /// future is kept.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.start(call).await.unwrap_or_else(|_| Err(ended()))
    }

    /// Sends a call on its way; the answer can be waited for in any number of attempts.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let sent = self.submit(move |database| {
            let _ = answer.send(call(database));
        });
        match sent {
            Ok(()) => answered,
            Err(error) => {
                let (refuse, refused) = oneshot::channel();
                let _ = refuse.send(Err(error));
                refused
            }
        }
    }

    /// Runs a call whose answer nobody waits for.
    pub(crate) fn submit(
        &self,
        call: impl FnOnce(&mut Database) + Send + 'static,
    ) -> Result<(), StoreError> {
        match self {
            Self::Thread(running) => {
                let running = running.lock().unwrap_or_else(PoisonError::into_inner);
                let running = running.as_ref().ok_or_else(closed)?;
                running.jobs.send(Box::new(call)).map_err(|_| ended())
            }
            Self::Inline(database) => {
                // A call is a transaction, and one that panics is rolled back.
                let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
                call(database.as_mut().ok_or_else(closed)?);
                Ok(())
            }
        }
    }

    /// Closes the connection when what was sent before is done, and waits for that.
    pub(crate) async fn close(&self) {
        match self {
            Self::Thread(running) => {
                let running = running
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(Running { jobs, closed }) = running {
                    drop(jobs);
                    // The error that comes says that the thread has let go of its end.
                    let _ = closed.await;
                }
            }
            Self::Inline(database) => {
                drop(
                    database
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take(),
                );
            }
        }
    }
}

fn closed() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the store was closed")
}

fn ended() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        "the thread of the database has ended; open the store again",
    )
}
