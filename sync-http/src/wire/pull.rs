//! Pull: one page of a scope's log.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_core::{
    model::{
        Account, Change, ChangeOp, Cursor, EntityId, EntityType, Epoch, InvalidPayload, MutationId,
        Overwritten, Page, Payload, Schema,
    },
    text::Text,
    transport::PullRequest,
};

use super::{PULL_PATH, as_millis, is_zero, query_of, raw, read, required};
use crate::Malformed;

/// The parameters of a pull.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct PullQuery {
    /// The scope whose log is read.
    pub scope: String,
    /// Where to go on, as an earlier page gave it; none from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The most changes wanted; the server may send fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl PullQuery {
    /// The parameters for a request; its account goes into [`super::ACCOUNT_HEADER`].
    #[must_use]
    pub fn of(request: &PullRequest) -> Self {
        Self {
            scope: request.scope.as_str().to_owned(),
            cursor: request
                .cursor
                .as_ref()
                .map(|cursor| cursor.as_str().to_owned()),
            limit: Some(request.limit),
        }
    }

    /// The path and query of the pull, below the server's base address.
    #[must_use]
    pub fn target(&self) -> String {
        let mut query = query_of(PULL_PATH);
        query.append_pair("scope", &self.scope);
        if let Some(cursor) = &self.cursor {
            query.append_pair("cursor", cursor);
        }
        if let Some(limit) = self.limit {
            query.append_pair("limit", &limit.to_string());
        }
        query.finish()
    }
}

/// One page of a scope's log.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PageBody<'a> {
    /// The changes, oldest first.
    #[serde(borrow)]
    pub changes: Vec<ChangeBody<'a>>,
    /// Where the next pull goes on.
    #[serde(borrow)]
    pub next: Cow<'a, str>,
    /// Whether there is more after it now.
    pub has_more: bool,
    /// The position scanned: every change up to this number is in this page, in one before, or superseded.
    #[serde(deserialize_with = "required")]
    #[cfg_attr(feature = "openapi", schema(value_type = u64, required = true))]
    pub through: Option<u64>,
    /// The history that the numbers belong to.
    #[serde(deserialize_with = "required")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = true))]
    pub epoch: Option<Cow<'a, str>>,
    /// How long the server keeps the verdicts of mutations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict_retention_ms: Option<u64>,
}

/// One change of a record.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChangeBody<'a> {
    /// The kind of the record.
    #[serde(borrow, rename = "type")]
    pub entity_type: Cow<'a, str>,
    /// The id of the record.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// What happened to it.
    pub op: ChangeKind,
    /// The whole record: there with `put`, and only there.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub payload: Option<&'a RawValue>,
    /// The format version of the payload; 0, or left out, where nobody said.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub schema: u32,
    /// The number of the change in its scope's log, counted from 1.
    #[serde(deserialize_with = "required")]
    #[cfg_attr(feature = "openapi", schema(value_type = u64, required = true))]
    pub seq: Option<u64>,
    /// The mutation that made the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid"))]
    pub mutation_id: Option<MutationId>,
    /// Concurrent edits that had arrived first and that this change, or one it supersedes, has overwritten.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub overwritten: Vec<OverwrittenBody<'a>>,
}

/// What a change does to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The record is now the payload, whether it was there before or not.
    Put,
    /// The record is gone.
    Remove,
}

/// An edit that was applied and then lost to a concurrent one.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct OverwrittenBody<'a> {
    /// The mutation that lost.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub mutation_id: MutationId,
    /// Whose it was.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// What it had written; left out if it was a delete.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub payload: Option<&'a RawValue>,
    /// The number of the change that won.
    pub by: u64,
}

impl PageBody<'_> {
    /// The page in a body. Ids and payloads share the body's buffer.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode(body: &Arc<str>) -> Result<Page, Malformed> {
        let page: PageBody<'_> = read(body)?;
        let changes = page
            .changes
            .into_iter()
            .enumerate()
            .map(|(at, change)| {
                change
                    .into_change(body)
                    .map_err(|error| error.within(&format!("changes[{at}]")))
            })
            .collect::<Result<_, _>>()?;
        Ok(Page {
            changes,
            next: Cursor::from(&*page.next),
            has_more: page.has_more,
            through: page.through,
            epoch: page.epoch.as_deref().map(Epoch::from),
            verdict_retention: page.verdict_retention_ms.map(Duration::from_millis),
        })
    }

    /// The body of a page.
    ///
    /// # Errors
    /// [`InvalidPayload`], when a payload is no JSON.
    pub fn encode(page: &Page) -> Result<String, InvalidPayload> {
        let body = PageBody {
            changes: page
                .changes
                .iter()
                .map(ChangeBody::of)
                .collect::<Result<_, _>>()?,
            next: page.next.as_str().into(),
            has_more: page.has_more,
            through: page.through,
            epoch: page.epoch.as_ref().map(|epoch| epoch.as_str().into()),
            verdict_retention_ms: page.verdict_retention.map(as_millis),
        };
        Ok(serde_json::to_string(&body)?)
    }
}

impl<'a> ChangeBody<'a> {
    fn of(change: &'a Change) -> Result<Self, InvalidPayload> {
        Ok(Self {
            entity_type: change.entity_type.as_str().into(),
            id: change.entity_id.as_str().into(),
            op: match change.op {
                ChangeOp::Put(_) => ChangeKind::Put,
                ChangeOp::Remove => ChangeKind::Remove,
            },
            payload: raw(change.op.payload())?,
            schema: change.schema.0,
            seq: change.seq,
            mutation_id: change.mutation_id,
            overwritten: change
                .overwritten
                .iter()
                .map(OverwrittenBody::of)
                .collect::<Result<_, _>>()?,
        })
    }

    fn into_change(self, body: &Arc<str>) -> Result<Change, Malformed> {
        let op = match (self.op, self.payload) {
            (ChangeKind::Put, Some(payload)) => ChangeOp::Put(Payload::from_raw(body, payload)),
            (ChangeKind::Put, None) => {
                return Err(Malformed::field("payload", "a put without a payload"));
            }
            (ChangeKind::Remove, _) => ChangeOp::Remove,
        };
        Ok(Change {
            entity_type: EntityType::new(Text::slice_of(body, &self.entity_type)),
            entity_id: EntityId::new(Text::slice_of(body, &self.id)),
            op,
            schema: Schema(self.schema),
            seq: self.seq,
            mutation_id: self.mutation_id,
            overwritten: self
                .overwritten
                .into_iter()
                .map(|lost| Overwritten {
                    mutation_id: lost.mutation_id,
                    account: Account::new(Text::slice_of(body, &lost.account)),
                    payload: lost.payload.map(|payload| Payload::from_raw(body, payload)),
                    by: lost.by,
                })
                .collect(),
        })
    }
}

impl<'a> OverwrittenBody<'a> {
    fn of(lost: &'a Overwritten) -> Result<Self, InvalidPayload> {
        Ok(Self {
            mutation_id: lost.mutation_id,
            account: lost.account.as_str().into(),
            payload: raw(lost.payload.as_ref())?,
            by: lost.by,
        })
    }
}
