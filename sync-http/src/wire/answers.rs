//! The answers to a push.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_core::{
    model::{InvalidPayload, MutationId, Payload, Schema},
    transport::{Answer, PushAnswer, ServerRecord, Verdict},
};

use super::{VersionBody, as_millis, is_zero, raw, read};
use crate::Malformed;

/// The answers to a batch.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnswersBody<'a> {
    /// One answer a mutation, in the batch's order.
    #[serde(borrow)]
    pub answers: Vec<AnswerBody<'a>>,
    /// How long the server keeps verdicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict_retention_ms: Option<u64>,
}

/// The answer for one mutation.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnswerBody<'a> {
    /// The mutation.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub id: MutationId,
    /// What became of it.
    pub verdict: VerdictKind,
    /// With `applied`: the version that it made.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionBody<'a>>,
    /// With `conflict`: what the server holds instead. With `applied`: the record as merged, when that is not
    /// what was sent.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordBody<'a>>,
    /// With `rejected`: why, for people.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// With `retry`: when the server wants to see it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// With `retry`: the scope's cursor is of no use any more; a pull of it comes first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resync: bool,
}

/// What became of a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// The server holds it.
    Applied,
    /// It lost to a concurrent edit.
    Conflict,
    /// It will never be accepted.
    Rejected,
    /// The account may not write this.
    Forbidden,
    /// Not now. The only verdict that is not final.
    Retry,
}

/// A record as the server holds it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordBody<'a> {
    /// Its payload; null when it is deleted.
    #[serde(borrow)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub payload: Option<&'a RawValue>,
    /// The format version of the payload; 0, or left out, where nobody said.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub schema: u32,
    /// Its version.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionBody<'a>>,
}

impl AnswersBody<'_> {
    /// The answers in a body.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode(body: &Arc<str>) -> Result<PushAnswer, Malformed> {
        let answers: AnswersBody<'_> = read(body)?;
        Ok(PushAnswer {
            answers: answers
                .answers
                .into_iter()
                .enumerate()
                .map(|(at, answer)| {
                    answer
                        .into_answer(body)
                        .map_err(|error| error.within(&format!("answers[{at}]")))
                })
                .collect::<Result<_, _>>()?,
            verdict_retention: answers.verdict_retention_ms.map(Duration::from_millis),
        })
    }

    /// The body of the answers.
    ///
    /// # Errors
    /// [`InvalidPayload`], when a payload is no JSON.
    pub fn encode(answer: &PushAnswer) -> Result<String, InvalidPayload> {
        let body = AnswersBody {
            answers: answer
                .answers
                .iter()
                .map(AnswerBody::of)
                .collect::<Result<_, _>>()?,
            verdict_retention_ms: answer.verdict_retention.map(as_millis),
        };
        Ok(serde_json::to_string(&body)?)
    }
}

impl<'a> AnswerBody<'a> {
    fn of(answer: &'a Answer) -> Result<Self, InvalidPayload> {
        let mut body = Self {
            id: answer.id,
            verdict: VerdictKind::Forbidden,
            version: None,
            record: None,
            reason: None,
            retry_after_ms: None,
            resync: false,
        };
        match &answer.verdict {
            Verdict::Applied { version, record } => {
                body.verdict = VerdictKind::Applied;
                body.version = version.as_ref().map(VersionBody::of);
                body.record = record.as_ref().map(RecordBody::of).transpose()?;
            }
            Verdict::Conflict { theirs } => {
                body.verdict = VerdictKind::Conflict;
                body.record = Some(RecordBody::of(theirs)?);
            }
            Verdict::Rejected { reason } => {
                body.verdict = VerdictKind::Rejected;
                body.reason = Some(reason.as_str().into());
            }
            Verdict::Forbidden => {}
            Verdict::Retry { after, resync } => {
                body.verdict = VerdictKind::Retry;
                body.retry_after_ms = after.map(as_millis);
                body.resync = *resync;
            }
        }
        Ok(body)
    }

    fn into_answer(self, body: &Arc<str>) -> Result<Answer, Malformed> {
        let record = self.record.map(|record| record.into_record(body));
        let verdict = match self.verdict {
            VerdictKind::Applied => Verdict::Applied {
                version: self.version.map(VersionBody::into_version),
                record,
            },
            VerdictKind::Conflict => Verdict::Conflict {
                theirs: record
                    .ok_or_else(|| Malformed::field("record", "a conflict without a record"))?,
            },
            VerdictKind::Rejected => Verdict::Rejected {
                reason: self.reason.unwrap_or_default().into_owned(),
            },
            VerdictKind::Forbidden => Verdict::Forbidden,
            VerdictKind::Retry => Verdict::Retry {
                after: self.retry_after_ms.map(Duration::from_millis),
                resync: self.resync,
            },
        };
        Ok(Answer {
            id: self.id,
            verdict,
        })
    }
}

impl<'a> RecordBody<'a> {
    fn of(record: &'a ServerRecord) -> Result<Self, InvalidPayload> {
        Ok(Self {
            payload: raw(record.payload.as_ref())?,
            schema: record.schema.0,
            version: record.version.as_ref().map(VersionBody::of),
        })
    }

    fn into_record(self, body: &Arc<str>) -> ServerRecord {
        ServerRecord {
            payload: self
                .payload
                .map(|payload| Payload::from_raw(body, payload).detached()),
            schema: Schema(self.schema),
            version: self.version.map(VersionBody::into_version),
        }
    }
}
