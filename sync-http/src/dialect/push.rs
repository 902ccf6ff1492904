//! A feed's push, both ways.

use std::sync::Arc;

use serde_json::value::RawValue;
use sync_core::{
    model::{EntityId, EntityType, InvalidPayload, MutationId, Op, Payload, Schema, Scope},
    time::Timestamp,
    transport::{Answer, Outgoing, PushAnswer, PushRequest, ServerRecord, Verdict},
};

use super::{
    Feed,
    fields::{Field, Object, encode, missing},
    iso, payload,
};
use crate::Malformed;

/// A mutation as a server receives it from a feed's client: its record's scope is what the payload claims, if
/// it claims any. The stored record decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// Its id.
    pub id: MutationId,
    /// The kind of the record.
    pub entity_type: EntityType,
    /// The id of the record.
    pub entity_id: EntityId,
    /// The scope that the payload names.
    pub scope: Option<Scope>,
    /// What it does; or what is wrong with it, for an answer of [`Verdict::Rejected`].
    pub op: Result<Op, String>,
    /// The edit time that the payload claims, by the device's clock.
    pub edited_at: Option<Timestamp>,
}

impl Feed {
    /// The body of a push.
    ///
    /// # Errors
    /// [`InvalidPayload`], when a payload is no JSON.
    pub fn encode_push(&self, request: &PushRequest) -> Result<String, InvalidPayload> {
        // What is changed on its way out must live as long as what is written from it.
        let payloads: Vec<Option<Payload>> = request
            .mutations
            .iter()
            .map(|outgoing| self.adjusted(outgoing))
            .collect();
        let mutations = request
            .mutations
            .iter()
            .zip(&payloads)
            .map(|(outgoing, adjusted)| self.encode_mutation(outgoing, adjusted.as_ref()))
            .collect::<Result<_, _>>()?;
        let body = vec![(self.push.mutations.as_str(), Field::List(mutations))];
        Ok(encode(&Field::Object(body)))
    }

    /// The payload to send in the place of the mutation's own.
    fn adjusted(&self, outgoing: &Outgoing) -> Option<Payload> {
        let field = self.edit_time_field.as_deref()?;
        let over = outgoing.over.as_ref()?;
        payload::just_above(outgoing.mutation.op.payload()?, over, field)
    }

    fn encode_mutation<'a>(
        &'a self,
        outgoing: &'a Outgoing,
        adjusted: Option<&'a Payload>,
    ) -> Result<Field<'a>, InvalidPayload> {
        let names = &self.push;
        let mutation = &outgoing.mutation;
        let payload = match adjusted.or(mutation.op.payload()) {
            Some(payload) => Field::payload(payload)?,
            // The server learns a delete's scope from its payload.
            None => Field::Object(vec![(
                &self.scope_field,
                Field::of(mutation.key.scope.as_str(), self.scope),
            )]),
        };
        Ok(Field::Object(vec![
            (&names.mutation_id, Field::Owned(mutation.id.to_string())),
            (
                &names.entity_type,
                Field::Text(mutation.key.entity_type.as_str()),
            ),
            (
                &names.entity_id,
                Field::of(mutation.key.entity_id.as_str(), self.entity_id),
            ),
            (&names.op, Field::Text(mutation.op.name())),
            (&names.payload, payload),
        ]))
    }

    /// The mutations in a body, in order.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode_push(&self, body: &Arc<str>) -> Result<Vec<Unplaced>, Malformed> {
        Object::body(body, |name| self.push.has(name))?.list(&self.push.mutations, |mutation| {
            self.decode_mutation(body, mutation)
        })
    }

    fn decode_mutation(
        &self,
        body: &Arc<str>,
        mutation: &Object<'_>,
    ) -> Result<Unplaced, Malformed> {
        let names = &self.push;
        let raw = mutation.raw(&names.payload);
        let fields = raw.map(RawValue::get).and_then(Object::parse);
        let payload = raw.map(|raw| Payload::from_raw(body, raw));
        let name = mutation.string(&names.op).unwrap_or_default();
        let scope = fields
            .as_ref()
            .and_then(|fields| fields.text(body, &self.scope_field).ok());
        let edited_at = fields
            .as_ref()
            .zip(self.edit_time_field.as_deref())
            .and_then(|(fields, field)| iso::parse(&fields.string(field)?));
        Ok(Unplaced {
            id: self.mutation_id(mutation)?,
            entity_type: EntityType::new(mutation.text(body, &names.entity_type)?),
            entity_id: EntityId::new(mutation.text(body, &names.entity_id)?),
            scope: scope.map(Scope::new),
            op: Op::from_parts(&name, payload).ok_or_else(|| match &*name {
                "create" | "update" => "a create or an update needs a payload".to_owned(),
                _ => "unknown op: create, update and delete are known".to_owned(),
            }),
            edited_at,
        })
    }

    /// The body of the answers. A record that was merged, or a version, has no place in it, and `retry` no word:
    /// it becomes an error that tells to try again. A server does better to refuse the whole request instead.
    ///
    /// # Errors
    /// [`InvalidPayload`], when a payload is no JSON.
    pub fn encode_answers(&self, answer: &PushAnswer) -> Result<String, InvalidPayload> {
        let names = &self.push;
        let results = answer
            .answers
            .iter()
            .map(|answer| self.encode_answer(answer))
            .collect::<Result<_, _>>()?;
        let mut body = vec![(names.results.as_str(), Field::List(results))];
        if let Some(new_cursor) = &names.new_cursor {
            body.push((new_cursor, Field::Null));
        }
        Ok(encode(&Field::Object(body)))
    }

    fn encode_answer<'a>(&'a self, answer: &'a Answer) -> Result<Field<'a>, InvalidPayload> {
        let names = &self.push;
        let (status, detail) = match &answer.verdict {
            Verdict::Applied { .. } => (&names.applied, None),
            Verdict::Conflict { theirs } => (
                &names.conflict,
                match &theirs.payload {
                    Some(payload) => Some((names.record.as_str(), Field::payload(payload)?)),
                    None => None,
                },
            ),
            Verdict::Rejected { reason } => {
                (&names.error, Some((&*names.reason, Field::Text(reason))))
            }
            Verdict::Forbidden => {
                let denied = names.denied.first().map_or("Access denied", String::as_str);
                (&names.error, Some((&*names.reason, Field::Text(denied))))
            }
            Verdict::Retry { .. } => (
                &names.error,
                Some((&*names.reason, Field::Text("Not now; try again"))),
            ),
        };
        let mut fields = vec![
            (
                names.mutation_id.as_str(),
                Field::Owned(answer.id.to_string()),
            ),
            (&names.status, Field::Text(status)),
        ];
        fields.extend(detail);
        Ok(Field::Object(fields))
    }

    /// The answers in a body.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode_answers(&self, body: &Arc<str>) -> Result<PushAnswer, Malformed> {
        let answers =
            Object::body(body, |name| self.push.has(name))?.list(&self.push.results, |result| {
                Ok(Answer {
                    id: self.mutation_id(result)?,
                    verdict: self.decode_verdict(body, result)?,
                })
            })?;
        Ok(PushAnswer {
            answers,
            verdict_retention: None,
        })
    }

    fn decode_verdict(&self, body: &Arc<str>, result: &Object<'_>) -> Result<Verdict, Malformed> {
        let names = &self.push;
        let status = result
            .string(&names.status)
            .ok_or_else(|| missing(&names.status))?;
        if status == names.applied {
            Ok(Verdict::Applied {
                version: None,
                record: None,
            })
        } else if status == names.conflict {
            Ok(Verdict::Conflict {
                theirs: ServerRecord {
                    payload: result
                        .payload(body, &names.record)
                        .map(|payload| payload.detached()),
                    schema: Schema::default(),
                    version: None,
                },
            })
        } else if status == names.error {
            let reason = result.string(&names.reason).unwrap_or_default();
            Ok(if names.denied.iter().any(|denied| *denied == reason) {
                Verdict::Forbidden
            } else {
                Verdict::Rejected {
                    reason: reason.into_owned(),
                }
            })
        } else {
            Err(Malformed::field(&names.status, "an unknown status"))
        }
    }

    fn mutation_id(&self, object: &Object<'_>) -> Result<MutationId, Malformed> {
        let name = &self.push.mutation_id;
        let id = object.string(name).ok_or_else(|| missing(name))?;
        id.parse()
            .map_err(|_| Malformed::field(name, "expected a UUID"))
    }
}
