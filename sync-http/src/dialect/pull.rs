//! A feed's pull, both ways.

use std::sync::Arc;

use sync_core::{
    model::{Change, ChangeOp, Cursor, EntityId, EntityType, InvalidPayload, Page, Schema},
    time::Timestamp,
    transport::PullRequest,
};

use super::{
    Feed,
    fields::{Field, Object, encode, missing},
    iso,
};
use crate::{
    Malformed,
    wire::{PullQuery, query_of},
};

/// What a server knows about a change beside the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeNote {
    /// When it was made.
    pub made_at: Timestamp,
    /// Whether the reader has not seen the record before: the change is then a `create`, else an `update`.
    pub is_new: bool,
}

impl Feed {
    /// The path and query of a pull, below the server's base address.
    #[must_use]
    pub fn pull_target(&self, request: &PullRequest) -> String {
        let names = &self.pull;
        let mut query = query_of(&names.path);
        query.append_pair(&names.scope, request.scope.as_str());
        let start = names.send_start.then_some(names.start.as_str());
        if let Some(cursor) = request.cursor.as_ref().map(Cursor::as_str).or(start) {
            query.append_pair(&names.cursor, cursor);
        }
        if let Some(limit) = &names.limit {
            query.append_pair(limit, &request.limit.min(names.max_limit).to_string());
        }
        query.finish()
    }

    /// The parameters in a pull's query; the cursor of the start counts as none.
    ///
    /// # Errors
    /// [`Malformed`], with the parameter.
    pub fn decode_pull(&self, query: &str) -> Result<PullQuery, Malformed> {
        let names = &self.pull;
        let (mut scope, mut cursor, mut limit) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name == names.scope {
                scope = Some(value.into_owned());
            } else if name == names.cursor {
                cursor = Some(value.into_owned()).filter(|cursor| *cursor != names.start);
            } else if Some(&*name) == names.limit.as_deref() {
                let number = value.parse::<u32>();
                limit = Some(number.map_err(|_| Malformed::field(name, "expected a number"))?);
            }
        }
        Ok(PullQuery {
            scope: scope.ok_or_else(|| missing(&names.scope))?,
            cursor,
            limit: limit.map(|limit: u32| limit.min(names.max_limit)),
        })
    }

    /// The page in a body. Ids and payloads share the body's buffer.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode_page(&self, body: &Arc<str>) -> Result<Page, Malformed> {
        let names = &self.pull;
        let page = Object::body(body, |name| names.has(name))?;
        Ok(Page {
            changes: page.list(&names.changes, |change| self.decode_change(body, change))?,
            next: Cursor::new(page.text(body, &names.next)?.detached()),
            has_more: match &names.has_more {
                Some(has_more) => page.flag(has_more)?,
                None => false,
            },
            through: None,
            epoch: None,
            verdict_retention: None,
        })
    }

    fn decode_change(&self, body: &Arc<str>, change: &Object<'_>) -> Result<Change, Malformed> {
        let names = &self.pull;
        let payload = change.payload(body, &names.payload);
        let op = match (change.string(&names.op).as_deref(), payload) {
            (Some("create" | "update"), Some(payload)) => ChangeOp::Put(payload),
            (Some("create" | "update"), None) => return Err(missing(&names.payload)),
            (Some("delete"), _) => ChangeOp::Remove,
            _ => {
                return Err(Malformed::field(
                    &names.op,
                    "expected create, update or delete",
                ));
            }
        };
        Ok(Change {
            entity_type: EntityType::new(change.text(body, &names.entity_type)?),
            entity_id: EntityId::new(change.text(body, &names.entity_id)?),
            op,
            schema: Schema::default(),
            seq: None,
            mutation_id: None,
            overwritten: Vec::new(),
        })
    }

    /// The body of a page; `note` says what the page itself does not.
    ///
    /// # Errors
    /// [`InvalidPayload`], when a payload is no JSON.
    pub fn encode_page(
        &self,
        page: &Page,
        mut note: impl FnMut(&Change) -> ChangeNote,
    ) -> Result<String, InvalidPayload> {
        let names = &self.pull;
        let changes = page
            .changes
            .iter()
            .map(|change| self.encode_change(change, note(change)))
            .collect::<Result<_, _>>()?;
        let mut body = vec![
            (names.changes.as_str(), Field::List(changes)),
            (&names.next, Field::of(page.next.as_str(), self.cursor)),
        ];
        if let Some(has_more) = &names.has_more {
            body.push((has_more, Field::Flag(page.has_more)));
        }
        Ok(encode(&Field::Object(body)))
    }

    fn encode_change<'a>(
        &'a self,
        change: &'a Change,
        note: ChangeNote,
    ) -> Result<Field<'a>, InvalidPayload> {
        let names = &self.pull;
        let op = match change.op {
            ChangeOp::Put(_) if note.is_new => "create",
            ChangeOp::Put(_) => "update",
            ChangeOp::Remove => "delete",
        };
        let payload = match change.op.payload() {
            Some(payload) => Field::payload(payload)?,
            None => Field::Null,
        };
        let mut fields = vec![
            (
                names.entity_type.as_str(),
                Field::Text(change.entity_type.as_str()),
            ),
            (&names.op, Field::Text(op)),
            (
                &names.entity_id,
                Field::of(change.entity_id.as_str(), self.entity_id),
            ),
            (&names.payload, payload),
        ];
        if let Some((version, seq)) = names.version.as_ref().zip(change.seq) {
            fields.push((version, Field::Number(seq)));
        }
        if let Some(made_at) = &names.made_at {
            fields.push((made_at, Field::Owned(iso::format(note.made_at))));
        }
        Ok(Field::Object(fields))
    }
}
