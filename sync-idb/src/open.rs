//! Opening a database: made if it is not there, brought up to date if it lacks something.

use std::{rc::Rc, time::Duration};

use futures::{
    StreamExt,
    channel::{mpsc, oneshot},
    future::{Either, select},
};
use idb::Factory;
use sync_core::{error::StoreErrorKind, platform::Sleep};
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{Event, IdbDatabase, IdbOpenDbRequest};

use crate::{
    connection::Handle,
    error::{Attempt, Failure},
    schema::{self, Shape},
    transaction::{Mode, Tx},
};

/// How often a database is opened anew because another tab has just changed it.
const ATTEMPTS: usize = 8;

/// Opens a connection to a database that has all that is wanted.
pub(crate) async fn open(name: &str, wanted: &Rc<Shape>, patience: Duration) -> Attempt<Handle> {
    let mut version = None;
    for _ in 0..ATTEMPTS {
        let database = match open_version(name, version, wanted, patience).await {
            Ok(database) => database,
            // Another tab was faster.
            Err(failure) if version.is_some() && failure.is("VersionError") => {
                version = None;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let handle = Handle::new(database);
        match shape_of(&handle, wanted).await {
            Ok(Some(shape)) if shape.extended(wanted) == shape => {
                return Ok(handle.with_shape(shape));
            }
            Ok(_) => version = Some(handle.database.version() as u32 + 1),
            // Another tab has asked for it meanwhile.
            Err(failure) if failure.is_lost() => version = None,
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::refused(
        StoreErrorKind::Busy,
        "opening the database: other tabs change it again and again",
    ))
}

/// The shape that a database has; none where it is not the library's.
async fn shape_of(handle: &Handle, wanted: &Rc<Shape>) -> Attempt<Option<Shape>> {
    if !schema::is_ours(&handle.database) {
        return Ok(None);
    }
    let tx = Tx::begin(&handle.database, &[schema::META], Mode::Read, wanted)?;
    let read = schema::read(&tx).await;
    let (format, shape) = tx.finish_reading(read)?;
    schema::check_format(format)?;
    Ok(Some(shape))
}

enum Opening {
    Upgrade,
    Blocked,
    Opened,
    Failed,
}

/// Opens the database as this version, or as it is. Who stops waiting leaves nothing open behind.
async fn open_version(
    name: &str,
    version: Option<u32>,
    wanted: &Rc<Shape>,
    patience: Duration,
) -> Attempt<IdbDatabase> {
    let request: IdbOpenDbRequest = Factory::new()?.open(name, version)?.into();
    let (answer, answered) = oneshot::channel();
    let wanted = Rc::clone(wanted);
    let (events, mut coming) = mpsc::unbounded();
    let on_event = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
        let event = match event.type_().as_str() {
            "upgradeneeded" => Opening::Upgrade,
            "blocked" => Opening::Blocked,
            "success" => Opening::Opened,
            _ => {
                // An upgrade that is aborted is told to the caller, not to the window.
                event.prevent_default();
                Opening::Failed
            }
        };
        // Nobody listens any more once it is open.
        let _ = events.unbounded_send(event);
    });
    let listener = on_event.as_ref().unchecked_ref();
    request.set_onupgradeneeded(Some(listener));
    request.set_onblocked(Some(listener));
    request.set_onsuccess(Some(listener));
    request.set_onerror(Some(listener));
    let (blocked, is_blocked) = oneshot::channel();
    // The request cannot be taken back. So this goes on whatever becomes of the caller, and closes what nobody wants.
    wasm_bindgen_futures::spawn_local(async move {
        let mut blocked = Some(blocked);
        let mut failed = None;
        while let Some(event) = coming.next().await {
            let outcome = match event {
                Opening::Blocked => {
                    if let Some(blocked) = blocked.take() {
                        let _ = blocked.send(());
                    }
                    continue;
                }
                Opening::Upgrade => {
                    failed = upgrade(&request, &wanted).await.err();
                    continue;
                }
                Opening::Opened => opened(&request),
                Opening::Failed => Err(failed.take().unwrap_or_else(|| reason(&request))),
            };
            if let Err(Ok(database)) = answer.send(outcome) {
                database.close();
            }
            break;
        }
        request.set_onupgradeneeded(None);
        request.set_onblocked(None);
        request.set_onsuccess(None);
        request.set_onerror(None);
        drop(on_event);
    });
    let too_long = async {
        if is_blocked.await.is_err() {
            // It was never blocked: the answer comes.
            std::future::pending::<()>().await;
        }
        Sleep::new(patience).await;
    };
    match select(answered, Box::pin(too_long)).await {
        Either::Left((Ok(outcome), _)) => outcome,
        Either::Left((Err(_), _)) => Err(Failure::refused(
            StoreErrorKind::Unavailable,
            "opening the database: it was given up",
        )),
        Either::Right(_) => Err(Failure::refused(
            StoreErrorKind::Busy,
            "opening the database: another tab has it open in an older shape; close it, or reload it",
        )),
    }
}

fn opened(request: &IdbOpenDbRequest) -> Attempt<IdbDatabase> {
    Ok(request.result()?.unchecked_into())
}

fn reason(request: &IdbOpenDbRequest) -> Failure {
    match request.error() {
        Ok(Some(error)) => error.into(),
        _ => Failure::refused(StoreErrorKind::Unavailable, "opening the database failed"),
    }
}

async fn upgrade(request: &IdbOpenDbRequest, wanted: &Rc<Shape>) -> Attempt<()> {
    let Some(transaction) = request.transaction() else {
        return Err(reason(request));
    };
    let database = opened(request)?;
    let tx = Tx::of_upgrade(transaction, Rc::clone(wanted));
    let outcome = schema::upgrade(&database, &tx, wanted).await;
    tx.finish(outcome).await
}
