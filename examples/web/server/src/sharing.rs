//! The demo's own requests: who shares which baby.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, put},
};
use serde::Serialize;
use sync_core::model::Account;
use sync_server::router::{Authenticate, NotAuthenticated};

use crate::families::{Families, Members};

#[derive(Clone)]
struct Shared {
    families: Families,
    authenticate: Arc<dyn Authenticate>,
    accounts: Arc<[String]>,
}

/// A refusal, with its words for the user.
type Refusal = (StatusCode, &'static str);

#[derive(Serialize)]
struct Answer {
    babies: BTreeMap<String, Members>,
}

/// `GET /demo/babies`, `PUT` and `DELETE /demo/babies/{baby}/members/{who}`.
pub(crate) fn routes(
    families: Families,
    authenticate: Arc<dyn Authenticate>,
    accounts: Vec<String>,
) -> Router {
    Router::new()
        .route("/demo/babies", get(list))
        .route(
            "/demo/babies/{baby}/members/{who}",
            put(invite).delete(revoke),
        )
        .with_state(Shared {
            families,
            authenticate,
            accounts: accounts.into(),
        })
}

impl Shared {
    async fn account(&self, headers: &HeaderMap) -> Result<Account, Refusal> {
        let account = self.authenticate.authenticate(headers).await;
        account.map_err(|error| match error {
            NotAuthenticated::Refused => (StatusCode::UNAUTHORIZED, "Log in again."),
            NotAuthenticated::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Try again later."),
        })
    }

    async fn owner(&self, headers: &HeaderMap, baby: &str) -> Result<(), Refusal> {
        let account = self.account(headers).await?;
        if self.families.owns(&account, baby) {
            return Ok(());
        }
        Err((StatusCode::FORBIDDEN, "Only the owner shares a baby."))
    }
}

async fn list(State(shared): State<Shared>, headers: HeaderMap) -> Result<Json<Answer>, Refusal> {
    let account = shared.account(&headers).await?;
    let babies = shared.families.of(&account);
    Ok(Json(Answer { babies }))
}

async fn invite(
    State(shared): State<Shared>,
    Path((baby, who)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<(), Refusal> {
    shared.owner(&headers, &baby).await?;
    if !shared.accounts.contains(&who) {
        return Err((StatusCode::NOT_FOUND, "There is no such account."));
    }
    stored(shared.families.invite(&baby, &who))
}

async fn revoke(
    State(shared): State<Shared>,
    Path((baby, who)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<(), Refusal> {
    shared.owner(&headers, &baby).await?;
    stored(shared.families.revoke(&baby, &who))
}

fn stored(result: std::io::Result<()>) -> Result<(), Refusal> {
    let full = (StatusCode::SERVICE_UNAVAILABLE, "It could not be stored.");
    result.map_err(|_| full)
}
