//! Push and pull, from request to answer.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sync_core::{
    model::{Account, Cursor, Epoch, MutationId, Page, RecordKey, Scope},
    time::{Clock, Entropy},
    transport::{Answer, PullRequest, PushAnswer, PushRequest},
};

use crate::{
    access::Access,
    decide::{AnyMutation, Incoming, Permission, RETRY, Rules, Validate},
    error::{ServerError, ServerErrorKind},
    log::{
        BatchRequest, ChangeLog, Compacted, EpochOf, LogPage, NewEpoch, ReadOutcome, ReadRequest,
    },
};

/// The server's logic: pulls and pushes as functions from request to answer. Clones share everything.
///
/// It holds no state of its own: any number of servers may work on one log.
#[derive(Clone, Debug)]
pub struct Server {
    log: Arc<dyn ChangeLog>,
    access: Arc<dyn Access>,
    validate: Arc<dyn Validate>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    rules: Arc<Rules>,
    limits: Limits,
}

/// How much the server takes and gives at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Changes in a page, when the client asks for more or for none: 1,000. At 250 bytes a record this is a quarter
    /// of a megabyte.
    pub page: u32,
    /// Bytes of payload in a page: 4 MiB. A single larger record is sent alone.
    pub page_bytes: u64,
    /// Mutations in a push: 1,000.
    pub batch: usize,
    /// Bytes of payload in a mutation: 5 MiB and a little. A larger one is rejected.
    pub payload_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page: 1_000,
            page_bytes: 4 << 20,
            batch: 1_000,
            payload_bytes: (5 << 20) + (64 << 10),
        }
    }
}

/// A push whose mutations have been read, well or badly.
#[derive(Clone, Debug)]
pub struct Received {
    /// The client's cursor of each scope that it named.
    pub cursors: Vec<(Scope, Option<Cursor>)>,
    /// The mutations, in order.
    pub mutations: Vec<Incoming>,
}

impl Server {
    /// A server on this log, whose access is decided by this hook.
    #[must_use]
    pub fn new(
        log: Arc<dyn ChangeLog>,
        access: Arc<dyn Access>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            log,
            access,
            validate: Arc::new(AnyMutation),
            clock,
            entropy,
            rules: Arc::default(),
            limits: Limits::default(),
        }
    }

    /// The same server with other rules of conflicts and retention.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = Arc::new(rules);
        self
    }

    /// The same server, refusing what does not pass this.
    #[must_use]
    pub fn with_validation(mut self, validate: Arc<dyn Validate>) -> Self {
        self.validate = validate;
        self
    }

    /// The same server with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How much it takes and gives at once.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The log, for what the server itself does not offer.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn ChangeLog> {
        &self.log
    }

    #[cfg(feature = "router")]
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A page of a scope's log for an authenticated account.
    ///
    /// # Errors
    /// [`ServerErrorKind`]: `OtherAccount`, `Forbidden`, `CursorExpired`, `Unavailable`.
    pub async fn pull(&self, account: &Account, request: PullRequest) -> Result<Page, ServerError> {
        same_account(account, &request.account)?;
        self.may_read(account, &request.scope).await?;
        let page = self
            .read(request.scope, request.cursor, request.limit)
            .await?;
        Ok(Page {
            verdict_retention: Some(self.rules.retention.verdicts()),
            ..page.into()
        })
    }

    /// Handles a batch of an authenticated account, mutation by mutation and in order.
    ///
    /// # Errors
    /// [`ServerErrorKind`]: `OtherAccount`, `TooLarge`, `Unavailable`.
    pub async fn push(
        &self,
        account: &Account,
        request: PushRequest,
    ) -> Result<PushAnswer, ServerError> {
        same_account(account, &request.account)?;
        let received = Received {
            cursors: request.cursors,
            mutations: request.mutations.into_iter().map(Incoming::from).collect(),
        };
        self.receive(account, received).await
    }

    /// As [`Server::push`], where some mutations could not be read.
    ///
    /// # Errors
    /// [`ServerErrorKind`]: `TooLarge`, `Unavailable`.
    pub async fn receive(
        &self,
        account: &Account,
        received: Received,
    ) -> Result<PushAnswer, ServerError> {
        if received.mutations.len() > self.limits.batch {
            let most = self.limits.batch;
            return Err(ServerError::new(
                ServerErrorKind::TooLarge,
                format!("more than {most} mutations in a batch"),
            ));
        }
        let mut mutations = received.mutations;
        let untold = self.authorise(account, &mut mutations).await?;
        let asked: Vec<(MutationId, bool)> = mutations
            .iter()
            .map(|incoming| (incoming.id, untold.contains(&incoming.key.scope)))
            .collect();
        mutations.retain(|incoming| !untold.contains(&incoming.key.scope));
        for incoming in &mut mutations {
            self.check(account, incoming);
        }
        let batch = BatchRequest {
            account: account.clone(),
            received: self.clock.wall(),
            cursors: received.cursors,
            mutations,
            rules: Arc::clone(&self.rules),
            fresh_epoch: self.fresh_epoch(),
        };
        let mut decided = self.log.decide(batch).await?.into_iter();
        let answers = asked.into_iter().filter_map(|(id, is_untold)| {
            let later = Answer { id, verdict: RETRY };
            if is_untold {
                Some(later)
            } else {
                decided.next()
            }
        });
        Ok(PushAnswer {
            answers: answers.collect(),
            verdict_retention: Some(self.rules.retention.verdicts()),
        })
    }

    /// Begins a new epoch of every scope's log: the step that every restore of the database, and every failover
    /// that may have lost something, needs before anybody is served again. Clients then pull anew from the
    /// start, and send again what the log has lost of theirs.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn new_epoch(&self) -> Result<(), ServerError> {
        let of = EpochOf::All;
        let epoch = self.fresh_epoch();
        Ok(self.log.new_epoch(NewEpoch { of, epoch }).await?)
    }

    /// Removes tombstones and verdicts that are older than their retention. To be called from time to time, as
    /// once a day.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn compact(&self) -> Result<Compacted, ServerError> {
        let now = self.clock.wall();
        Ok(self.log.compact(now, self.rules.retention).await?)
    }

    /// Whether the account may read the scope, as an error if not.
    pub(crate) async fn may_read(
        &self,
        account: &Account,
        scope: &Scope,
    ) -> Result<(), ServerError> {
        if self.access.may_read(account, scope).await? {
            Ok(())
        } else {
            Err(ServerError::new(
                ServerErrorKind::Forbidden,
                "no access to this scope",
            ))
        }
    }

    /// Whether the account may write the record.
    #[cfg(feature = "router")]
    pub(crate) async fn may_write(
        &self,
        account: &Account,
        key: &RecordKey,
    ) -> Result<bool, ServerError> {
        Ok(self.access.may_write(account, key).await?)
    }

    /// Reads a page of a scope that may be read.
    pub(crate) async fn read(
        &self,
        scope: Scope,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> Result<LogPage, ServerError> {
        let request = ReadRequest {
            scope: scope.clone(),
            cursor,
            limit: limit.clamp(1, self.limits.page.max(1)),
            max_bytes: self.limits.page_bytes,
        };
        let mut outcome = self.log.read(request.clone()).await?;
        if outcome == ReadOutcome::NoScope {
            // A scope that may be read has an epoch from its first pull on, so that later ones can tell it.
            self.log.open(scope.clone(), self.fresh_epoch()).await?;
            outcome = self.log.read(request).await?;
        }
        match outcome {
            ReadOutcome::Page(page) => return Ok(page),
            ReadOutcome::NoScope | ReadOutcome::Expired => {}
            ReadOutcome::Beyond(ended) => {
                tracing::warn!(
                    %scope,
                    "a cursor is beyond the log's head: the log has lost changes, a new epoch begins"
                );
                let of = EpochOf::Broken(scope, ended);
                let epoch = self.fresh_epoch();
                self.log.new_epoch(NewEpoch { of, epoch }).await?;
            }
        }
        Err(expired())
    }

    /// Looks up what the account may do with each record. Returns the scopes of which it cannot be told now: they are
    /// tried again, and hold up no others. An error is that of all.
    async fn authorise(
        &self,
        account: &Account,
        mutations: &mut [Incoming],
    ) -> Result<HashSet<Scope>, ServerError> {
        let (mut begun, mut untold, mut told) = (HashMap::new(), HashSet::new(), false);
        let mut failed = None;
        for incoming in mutations {
            let scope = &incoming.key.scope;
            if untold.contains(scope) {
                continue;
            }
            match self.permission(account, &incoming.key, &mut begun).await {
                Ok(permission) => {
                    incoming.permission = permission;
                    told = true;
                }
                Err(error) => {
                    tracing::warn!(%scope, %error, "who may write there cannot be told now");
                    untold.insert(scope.clone());
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if !told => Err(error),
            _ => Ok(untold),
        }
    }

    async fn permission(
        &self,
        account: &Account,
        key: &RecordKey,
        begun: &mut HashMap<Scope, bool>,
    ) -> Result<Permission, ServerError> {
        let mut write = self.access.may_write(account, key).await?;
        if !write {
            write = match begun.get(&key.scope) {
                Some(begun) => *begun,
                None => self.begin(account, &key.scope).await?,
            };
            begun.insert(key.scope.clone(), write);
        }
        Ok(Permission {
            read: self.access.may_read(account, &key.scope).await?,
            write,
        })
    }

    /// Whether the account may write the first record of this scope.
    async fn begin(&self, account: &Account, scope: &Scope) -> Result<bool, ServerError> {
        let is_new = self.log.scope(scope.clone()).await?.is_none();
        Ok(is_new && self.access.may_begin(account, scope).await?)
    }

    /// Turns what makes no sense into a rejection.
    fn check(&self, account: &Account, incoming: &mut Incoming) {
        let Ok(op) = &incoming.op else { return };
        let bytes = op.payload().map_or(0, |payload| payload.len());
        let most = self.limits.payload_bytes;
        if bytes > most {
            incoming.op = Err(format!(
                "a payload of {bytes} bytes; at most {most} are allowed"
            ));
        } else if let Err(reason) = self.validate.validate(account, &incoming.key, op) {
            incoming.op = Err(reason);
        }
    }

    fn fresh_epoch(&self) -> Epoch {
        Epoch::from(format!("{:032x}", self.entropy.bits()))
    }
}

pub(crate) fn expired() -> ServerError {
    ServerError::new(
        ServerErrorKind::CursorExpired,
        "the cursor is of no use any more; pull from the start",
    )
}

fn same_account(authenticated: &Account, named: &Account) -> Result<(), ServerError> {
    if authenticated == named {
        Ok(())
    } else {
        Err(ServerError::new(
            ServerErrorKind::OtherAccount,
            "the token is another account's than the request's",
        ))
    }
}
