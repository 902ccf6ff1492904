//! Push: mutations on their way to the server.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_core::{
    model::{
        Account, Cursor, Epoch, InvalidPayload, Mutation, MutationId, Op, Payload, RecordKey,
        Schema, Scope, Version,
    },
    ordered::OrderedMap,
    text::Text,
    time::Timestamp,
    transport::{Outgoing, PushRequest},
};

use super::{as_millis, raw, read};
use crate::Malformed;

/// A batch of mutations.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PushBody<'a> {
    /// For whom; it must be the token's account.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The client's cursor of each scope in the batch; null, or left out, where it has none.
    #[serde(borrow, default)]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, Option<String>>))]
    pub cursors: OrderedMap<Cow<'a, str>, Option<Cow<'a, str>>>,
    /// The mutations, in the order in which they are to be handled.
    #[serde(borrow)]
    pub mutations: Vec<MutationBody<'a>>,
}

/// One mutation.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MutationBody<'a> {
    /// The id, by which the server applies it once however often it comes.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub id: MutationId,
    /// The scope of the record.
    #[serde(borrow)]
    pub scope: Cow<'a, str>,
    /// The kind of the record.
    #[serde(borrow, rename = "type")]
    pub entity_type: Cow<'a, str>,
    /// The id of the record.
    #[serde(borrow)]
    pub entity_id: Cow<'a, str>,
    /// What it does: `create`, `update` or `delete`.
    #[serde(borrow)]
    #[cfg_attr(feature = "openapi", schema(pattern = "create|update|delete"))]
    pub op: Cow<'a, str>,
    /// The whole record; left out with `delete`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub payload: Option<&'a RawValue>,
    /// The format version of the payload; 0 where nobody said.
    #[serde(default)]
    pub schema: u32,
    /// The version of what the user saw; left out where the scope had never been pulled.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub base: Option<VersionBody<'a>>,
    /// The own mutation of the same record that the user saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "uuid"))]
    pub after: Option<MutationId>,
    /// How long ago the edit was made, as of this send.
    pub age_ms: u64,
    /// Reserved for mutations that belong together; ignored.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub group: Option<&'a RawValue>,
}

/// The number that a record's newest change has in its scope's log.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionBody<'a> {
    /// The history that the number belongs to.
    #[serde(borrow)]
    pub epoch: Cow<'a, str>,
    /// The place in the log, counted from 1; 0 before the first change.
    pub seq: u64,
}

/// A batch as the server received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedPush {
    /// For whom.
    pub account: Account,
    /// The client's cursor of each scope that it named.
    pub cursors: Vec<(Scope, Option<Cursor>)>,
    /// The mutations in order. One that makes no sense is an error of its own and spoils no other.
    pub mutations: Vec<Result<Outgoing, InvalidMutation>>,
}

/// A mutation that makes no sense, to be answered with [`sync_core::transport::Verdict::Rejected`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMutation {
    /// Its id.
    pub id: MutationId,
    /// The record that it names: what follows it on that record is rejected too.
    pub key: RecordKey,
    /// What is wrong with it.
    pub reason: String,
}

impl PushBody<'_> {
    /// The batch in a body, whose mutations were edited at `received` less their age.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    #[allow(clippy::result_large_err, reason = "the good mutations are no smaller")]
    pub fn decode(body: &Arc<str>, received: Timestamp) -> Result<ReceivedPush, Malformed> {
        let push: PushBody<'_> = read(body)?;
        Ok(ReceivedPush {
            account: Account::from(&*push.account),
            cursors: push
                .cursors
                .iter()
                .map(|(scope, cursor)| (Scope::from(&**scope), cursor.as_deref().map(Cursor::from)))
                .collect(),
            mutations: push
                .mutations
                .into_iter()
                .map(|mutation| mutation.into_outgoing(body, received))
                .collect(),
        })
    }

    /// The body of a batch.
    ///
    /// # Errors
    /// [`InvalidPayload`], when a payload is no JSON.
    pub fn encode(request: &PushRequest) -> Result<String, InvalidPayload> {
        let body = PushBody {
            account: request.account.as_str().into(),
            cursors: request
                .cursors
                .iter()
                .map(|(scope, cursor)| {
                    let cursor = cursor.as_ref().map(|cursor| cursor.as_str().into());
                    (scope.as_str().into(), cursor)
                })
                .collect(),
            mutations: request
                .mutations
                .iter()
                .map(MutationBody::of)
                .collect::<Result<_, _>>()?,
        };
        Ok(serde_json::to_string(&body)?)
    }
}

impl<'a> MutationBody<'a> {
    fn of(outgoing: &'a Outgoing) -> Result<Self, InvalidPayload> {
        let mutation = &outgoing.mutation;
        Ok(Self {
            id: mutation.id,
            scope: mutation.key.scope.as_str().into(),
            entity_type: mutation.key.entity_type.as_str().into(),
            entity_id: mutation.key.entity_id.as_str().into(),
            op: mutation.op.name().into(),
            payload: raw(mutation.op.payload())?,
            schema: mutation.schema.0,
            base: mutation.base_version.as_ref().map(VersionBody::of),
            after: mutation.after,
            age_ms: as_millis(outgoing.age),
            group: None,
        })
    }

    #[allow(clippy::result_large_err, reason = "the good mutations are no smaller")]
    fn into_outgoing(
        self,
        body: &Arc<str>,
        received: Timestamp,
    ) -> Result<Outgoing, InvalidMutation> {
        let key = RecordKey::new(
            Text::slice_of(body, &self.scope),
            Text::slice_of(body, &self.entity_type),
            Text::slice_of(body, &self.entity_id),
        );
        let payload = self.payload.map(|payload| Payload::from_raw(body, payload));
        let Some(op) = Op::from_parts(&self.op, payload) else {
            return Err(InvalidMutation {
                id: self.id,
                key,
                reason: match &*self.op {
                    "create" | "update" => "a create or an update needs a payload",
                    _ => "unknown op: create, update and delete are known",
                }
                .to_owned(),
            });
        };
        let age = i64::try_from(self.age_ms).unwrap_or(i64::MAX);
        Ok(Outgoing {
            mutation: Mutation {
                id: self.id,
                key,
                op,
                schema: Schema(self.schema),
                base_version: self.base.map(VersionBody::into_version),
                after: self.after,
                edited_at: Timestamp::from_millis(received.as_millis().saturating_sub(age)),
            },
            age: Duration::from_millis(self.age_ms),
            over: None,
        })
    }
}

impl<'a> VersionBody<'a> {
    pub(super) fn of(version: &'a Version) -> Self {
        Self {
            epoch: version.epoch.as_str().into(),
            seq: version.seq,
        }
    }

    pub(super) fn into_version(self) -> Version {
        Version::new(Epoch::from(&*self.epoch), self.seq)
    }
}
