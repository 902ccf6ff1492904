//! What there is once, and the scopes.

use sync_core::{
    error::StoreErrorKind,
    model::{Account, Scope},
    ordered::sort_by,
    overlay::check_account,
    store::{Fence, Meta, ScopeRow, Tick},
};
use wasm_bindgen::JsValue;

use crate::{
    error::{Attempt, Failure},
    reply::Reply,
    schema::{META, SCOPES, row},
    transaction::Tx,
    values,
};

const OF_DATABASE: &str = "the row of the database";
const OF_SCOPE: &str = "the row of a scope";

/// A row that was asked for.
pub(super) struct MetaReply(Reply);

impl MetaReply {
    pub(super) fn asked(tx: &Tx) -> Attempt<Self> {
        Ok(Self(tx.get(META, row::META.into())?))
    }

    pub(super) async fn row(self) -> Attempt<Meta> {
        Ok(values::decoded(OF_DATABASE, &self.0.await?)?.unwrap_or_default())
    }
}

/// A row that was asked for.
pub(super) struct ScopeReply(Reply);

impl ScopeReply {
    pub(super) fn asked(tx: &Tx, scope: &Scope) -> Attempt<Self> {
        Ok(Self(tx.get(SCOPES, scope.as_str().into())?))
    }

    /// The row; none where nothing is kept.
    pub(super) async fn row(self) -> Attempt<Option<ScopeRow>> {
        values::decoded(OF_SCOPE, &self.0.await?)
    }
}

pub(super) fn put_meta(tx: &Tx, meta: &Meta) -> Attempt<()> {
    let text = values::encoded(OF_DATABASE, meta)?;
    tx.put(META, &text.into(), Some(&row::META.into()))
}

pub(super) fn put_scope(tx: &Tx, scope: &ScopeRow) -> Attempt<()> {
    let text = values::encoded(OF_SCOPE, scope)?;
    let key = JsValue::from_str(scope.scope.as_str());
    tx.put(SCOPES, &text.into(), Some(&key))
}

/// Binds the database to an account.
pub(crate) async fn bind(tx: &Tx, account: &Account) -> Attempt<()> {
    let mut meta = MetaReply::asked(tx)?.row().await?;
    match &meta.account {
        Some(bound) if bound == account => Ok(()),
        Some(bound) => Err(Failure::refused(
            StoreErrorKind::OtherAccount {
                bound: bound.clone(),
            },
            format!("account {account} wants to open it"),
        )),
        None => {
            meta.account = Some(account.clone());
            put_meta(tx, &meta)
        }
    }
}

/// Raises the fence.
pub(crate) async fn lead(tx: &Tx, account: &Account) -> Attempt<Fence> {
    let mut meta = MetaReply::asked(tx)?.row().await?;
    check_account(&meta, account)?;
    meta.fence.0 += 1;
    put_meta(tx, &meta)?;
    Ok(meta.fence)
}

/// A scope's row, or a fresh one, with the settle counter.
pub(crate) async fn scope(tx: &Tx, scope: &Scope) -> Attempt<(ScopeRow, Tick)> {
    let (meta, row) = (MetaReply::asked(tx)?, ScopeReply::asked(tx, scope)?);
    tx.asks_no_more();
    let (meta, row) = (meta.row().await?, row.row().await?);
    let row = row.unwrap_or_else(|| ScopeRow::new(scope.clone(), meta.first_generation));
    Ok((row, meta.tick))
}

/// All scopes, by name.
pub(crate) async fn scopes(tx: &Tx) -> Attempt<Vec<ScopeRow>> {
    let found = tx.all(SCOPES, None, None)?;
    tx.asks_no_more();
    let mut rows = Vec::new();
    for text in values::items(found.await?) {
        rows.extend(values::decoded::<ScopeRow>(OF_SCOPE, &text)?);
    }
    // The browser's order is that of UTF-16.
    sort_by(&mut rows, |a: &ScopeRow, b| a.scope.cmp(&b.scope));
    Ok(rows)
}
