//! Notices between engines: at once within a store, by polling across processes.

use std::{collections::VecDeque, fmt, pin::pin, sync::Arc};

use async_trait::async_trait;
use futures::{
    channel::oneshot,
    future::{Either, select},
};
use sync_core::{
    coordination::{Notice, Notices, PeerId, Peers},
    error::StoreError,
    time::{Clock, Time},
};

use crate::{database::Heard, store::Shared};

/// The peers of an engine on a file that other processes may have open.
#[derive(Debug)]
pub(crate) struct FilePeers {
    shared: Arc<Shared>,
}

impl FilePeers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Peers for FilePeers {
    fn send(&self, from: PeerId, notice: &Notice) {
        self.shared.local.send(from, notice);
        match notice {
            // What another process cannot see from the database itself is left there for it.
            Notice::Active(_)
            | Notice::Seen
            | Notice::SyncWanted(_)
            | Notice::Resumed
            | Notice::Wiped
            | Notice::Leads(_) => {
                let instance = Arc::clone(&self.shared.instance);
                let notice = notice.clone();
                let sent = self.shared.writer.submit(move |database| {
                    if let Err(error) = database.request(&instance, &notice) {
                        tracing::debug!(%error, "a notice is lost");
                    }
                });
                if let Err(error) = sent {
                    tracing::debug!(%error, "a notice is lost");
                }
            }
            // The transaction that it speaks of is seen as a change.
            _ => {}
        }
    }

    fn listen(&self, as_peer: PeerId, clock: Arc<dyn Clock>) -> Box<dyn Notices> {
        let mut file = FileNotices {
            shared: Arc::clone(&self.shared),
            heard: Heard::default(),
            next_at: clock.now(),
            clock,
            asking: None,
            waiting: VecDeque::new(),
        };
        // From now on: what has happened so far is not news.
        file.ask();
        Box::new(AllNotices {
            local: self.shared.local.listen(as_peer, Arc::clone(&file.clock)),
            file,
        })
    }
}

/// The notices of the engines on the same store, and those of other processes.
#[derive(Debug)]
struct AllNotices {
    local: Box<dyn Notices>,
    file: FileNotices,
}

#[async_trait]
impl Notices for AllNotices {
    async fn next(&mut self) -> Notice {
        let file = pin!(self.file.next());
        match select(self.local.next(), file).await {
            Either::Left((notice, _)) | Either::Right((notice, _)) => notice,
        }
    }
}

type Answer = Result<(Heard, Vec<Notice>), StoreError>;

/// Asks the database, from time to time, what other processes have done.
struct FileNotices {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    heard: Heard,
    next_at: Time,
    /// A question under way; it outlives the future of `next`.
    asking: Option<oneshot::Receiver<Answer>>,
    waiting: VecDeque<Notice>,
}

impl fmt::Debug for FileNotices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileNotices")
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

impl FileNotices {
    async fn next(&mut self) -> Notice {
        loop {
            if let Some(notice) = self.waiting.pop_front() {
                return notice;
            }
            if self.asking.is_none() {
                self.clock.sleep_until(self.next_at).await;
                self.ask();
            }
            let Some(asking) = &mut self.asking else {
                continue;
            };
            let answer = asking.await;
            self.asking = None;
            self.next_at = self.clock.now() + self.shared.settings.notice_interval;
            if let Ok(Ok((heard, notices))) = answer {
                self.heard = heard;
                self.waiting.extend(notices);
            }
        }
    }

    fn ask(&mut self) {
        let (instance, heard) = (Arc::clone(&self.shared.instance), self.heard);
        let asking = self
            .shared
            .writer
            .start(move |database| database.listen(&instance, heard));
        self.asking = Some(asking);
    }
}
