//! The lead, for as long as the connection is open: a tab whose database was taken from it, as by a newer version of the app
//! in another, must not stand in the way of those that go on.

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use futures::future::{Either, select};
use send_wrapper::SendWrapper;
use sync_core::{
    coordination::{Leadership, Lease},
    error::StoreError,
    time::Clock,
};

use crate::connection::Connection;

/// Competes for the lead until the connection is closed for good.
#[derive(Debug)]
pub(crate) struct WhileOpen<L> {
    leadership: L,
    connection: Arc<SendWrapper<Connection>>,
}

impl<L> WhileOpen<L> {
    pub(crate) fn new(leadership: L, connection: &Arc<SendWrapper<Connection>>) -> Self {
        let connection = Arc::clone(connection);
        Self {
            leadership,
            connection,
        }
    }
}

#[async_trait(?Send)]
impl<L: Leadership> Leadership for WhileOpen<L> {
    async fn acquire(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError> {
        let closed = pin!(self.connection.until_closed());
        match select(closed, self.leadership.acquire(clock)).await {
            Either::Left((closed, _)) => Err(closed.failure().during("taking the lead")),
            Either::Right((Ok(lease), _)) => Ok(Box::new(LeaseWhileOpen {
                lease,
                connection: Arc::clone(&self.connection),
            })),
            Either::Right((Err(error), _)) => Err(error),
        }
    }
}

/// A lead that is lost with the connection, too.
#[derive(Debug)]
struct LeaseWhileOpen {
    lease: Box<dyn Lease>,
    connection: Arc<SendWrapper<Connection>>,
}

#[async_trait(?Send)]
impl Lease for LeaseWhileOpen {
    async fn lost(&mut self) {
        let closed = pin!(self.connection.until_closed());
        select(closed, self.lease.lost()).await;
    }

    async fn release(self: Box<Self>) {
        self.lease.release().await;
    }
}
