//! The settings of a JSON feed, and the two presets.

use sync_core::transport::ServerTraits;

use crate::wire::ErrorCode;

use super::fields::{Field, Object, encode};

/// A server with a pull of changes since a cursor and a push of mutations, in names of its own.
///
/// Start from a preset and change what differs:
///
/// ```
/// use sync_http::dialect::{Feed, Form};
///
/// let mut feed = Feed::since();
/// feed.pull.path = "v2/changes".to_owned();
/// feed.pull.scope = "projectId".to_owned();
/// feed.scope_field = "projectId".to_owned();
/// feed.scope = Form::Text;
/// ```
///
/// Such a server has no versions and knows no mutation again, so that not every guarantee can hold:
/// `docs/dialects.md` has the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feed {
    /// The pull.
    pub pull: PullSettings,
    /// The push.
    pub push: PushSettings,
    /// Refusals of a whole request.
    pub refusal: RefusalSettings,
    /// How a scope is written in a body.
    pub scope: Form,
    /// How an entity id is written in a body.
    pub entity_id: Form,
    /// How a cursor is written in a body.
    pub cursor: Form,
    /// The top-level payload field that holds the scope. A delete is sent with a payload of this field alone.
    pub scope_field: String,
    /// Top-level payload fields that the server stamps itself.
    pub stamped_fields: Vec<String>,
    /// The top-level payload field by whose time the server judges concurrent edits.
    pub edit_time_field: Option<String>,
}

/// The names of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullSettings {
    /// The path, below the server's base address.
    pub path: String,
    /// The parameter that names the scope.
    pub scope: String,
    /// The parameter that carries the cursor.
    pub cursor: String,
    /// The cursor that stands for the start of the log.
    pub start: String,
    /// Whether a pull from the start sends that cursor, rather than none.
    pub send_start: bool,
    /// The parameter for the number of changes wanted, if the server has one.
    pub limit: Option<String>,
    /// The most changes that the server gives at once.
    pub max_limit: u32,
    /// The list of changes.
    pub changes: String,
    /// In a change: the entity type.
    pub entity_type: String,
    /// In a change: the entity id.
    pub entity_id: String,
    /// In a change: what happened, `create`, `update` or `delete`.
    pub op: String,
    /// In a change: the record.
    pub payload: String,
    /// In a change: a number that grows. It is written by a server and not read by a client.
    pub version: Option<String>,
    /// In a change: when it was made, as an ISO date. It is written by a server and not read by a client.
    pub made_at: Option<String>,
    /// The next cursor.
    pub next: String,
    /// The has-more flag. Where the server has none, or leaves it out, a page is the last one.
    pub has_more: Option<String>,
}

/// The names and words of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushSettings {
    /// The path, below the server's base address.
    pub path: String,
    /// The list of mutations.
    pub mutations: String,
    /// In a mutation and its result: the mutation's id.
    pub mutation_id: String,
    /// In a mutation: the entity type.
    pub entity_type: String,
    /// In a mutation: the entity id.
    pub entity_id: String,
    /// In a mutation: `create`, `update` or `delete`.
    pub op: String,
    /// In a mutation: the record.
    pub payload: String,
    /// The list of results.
    pub results: String,
    /// In a result: what became of the mutation, by one of the next three words.
    pub status: String,
    /// The status of a mutation that the server holds.
    pub applied: String,
    /// The status of one that lost to a concurrent edit.
    pub conflict: String,
    /// The status of one that was refused.
    pub error: String,
    /// In a conflict: the record that the server holds.
    pub record: String,
    /// In a refusal: why.
    pub reason: String,
    /// The reasons, word for word, which mean that the account may not write there.
    pub denied: Vec<String>,
    /// A field beside the results that older clients expect. A server writes null there; a client never reads
    /// it: it is no cursor of a scope.
    pub new_cursor: Option<String>,
}

/// What a refusal of a whole request looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusalSettings {
    /// The field that holds the reason.
    pub reason: String,
    /// The reasons, word for word, with which a 403 says that the account has no access to the scope. With
    /// none, any JSON object in a 403 says so.
    pub denied: Vec<String>,
}

/// How a scope, an id or a cursor is written in JSON. Reading takes either form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As a string.
    Text,
    /// As a number, if it is a whole number; as a string otherwise.
    Number,
}

impl PullSettings {
    /// Whether a field has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        let fields = [
            &self.changes,
            &self.entity_type,
            &self.entity_id,
            &self.op,
            &self.payload,
            &self.next,
        ];
        let optional = [&self.version, &self.made_at, &self.has_more];
        let optional = optional.into_iter().flatten();
        fields
            .into_iter()
            .chain(optional)
            .any(|field| field == name)
    }
}

impl PushSettings {
    /// Whether a field has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        let fields = [
            &self.mutations,
            &self.mutation_id,
            &self.entity_type,
            &self.entity_id,
            &self.op,
            &self.payload,
            &self.results,
            &self.status,
            &self.record,
            &self.reason,
        ];
        let optional = self.new_cursor.iter();
        fields
            .into_iter()
            .chain(optional)
            .any(|field| field == name)
    }
}

impl Feed {
    /// The preset for a server with `?babyId=1&cursor=…` and `newCursor`: no has-more flag, no limit.
    #[must_use]
    pub fn cursor() -> Self {
        let since = Self::since();
        Self {
            pull: PullSettings {
                cursor: "cursor".to_owned(),
                send_start: true,
                limit: None,
                entity_type: "entityType".to_owned(),
                entity_id: "entityId".to_owned(),
                payload: "payload".to_owned(),
                version: Some("version".to_owned()),
                made_at: None,
                next: "newCursor".to_owned(),
                has_more: None,
                ..since.pull
            },
            refusal: RefusalSettings {
                denied: Vec::new(),
                ..since.refusal
            },
            ..since
        }
    }

    /// The preset for a server with `?babyId=1&since=…&limit=…`, `nextCursor` and `hasMore`.
    #[must_use]
    pub fn since() -> Self {
        let denied = vec!["Access denied to this baby".to_owned()];
        Self {
            pull: PullSettings {
                path: "api/sync/pull".to_owned(),
                scope: "babyId".to_owned(),
                cursor: "since".to_owned(),
                start: "0".to_owned(),
                send_start: false,
                limit: Some("limit".to_owned()),
                max_limit: 500,
                changes: "changes".to_owned(),
                entity_type: "type".to_owned(),
                entity_id: "id".to_owned(),
                op: "op".to_owned(),
                payload: "data".to_owned(),
                version: None,
                made_at: Some("createdAt".to_owned()),
                next: "nextCursor".to_owned(),
                has_more: Some("hasMore".to_owned()),
            },
            push: PushSettings {
                path: "api/sync/push".to_owned(),
                mutations: "mutations".to_owned(),
                mutation_id: "mutationId".to_owned(),
                entity_type: "entityType".to_owned(),
                entity_id: "entityId".to_owned(),
                op: "op".to_owned(),
                payload: "payload".to_owned(),
                results: "results".to_owned(),
                status: "status".to_owned(),
                applied: "success".to_owned(),
                conflict: "conflict".to_owned(),
                error: "error".to_owned(),
                record: "serverData".to_owned(),
                reason: "error".to_owned(),
                denied: denied.clone(),
                new_cursor: Some("newCursor".to_owned()),
            },
            refusal: RefusalSettings {
                reason: "error".to_owned(),
                denied,
            },
            scope: Form::Number,
            entity_id: Form::Text,
            cursor: Form::Number,
            scope_field: "babyId".to_owned(),
            stamped_fields: vec!["createdAt".to_owned(), "updatedAt".to_owned()],
            edit_time_field: Some("updatedAt".to_owned()),
        }
    }

    /// What such a server can do: it knows no mutation again, and goes through a batch whatever happens.
    #[must_use]
    pub fn traits(&self) -> ServerTraits {
        ServerTraits {
            idempotent: false,
            ordered: false,
            stamped_fields: self.stamped_fields.clone(),
            edit_time_field: self.edit_time_field.clone(),
        }
    }

    /// What the server itself says about a failed request. Only a denied scope and an expired cursor need its word:
    /// the statuses tell the rest.
    #[must_use]
    pub fn refusal(&self, status: u16, body: &str) -> Option<ErrorCode> {
        let object = Object::parse(body)?;
        let code = [ErrorCode::Forbidden, ErrorCode::CursorExpired]
            .into_iter()
            .find(|code| code.status() == status)?;
        let denied = &self.refusal.denied;
        let is_meant = code == ErrorCode::CursorExpired
            || denied.is_empty()
            || object
                .string(&self.refusal.reason)
                .is_some_and(|reason| denied.iter().any(|denied| *denied == reason));
        is_meant.then_some(code)
    }

    /// The body with which a server refuses a request; the status is [`ErrorCode::status`].
    #[must_use]
    pub fn encode_refusal(&self, code: ErrorCode, message: &str) -> String {
        let reason = match code {
            ErrorCode::Forbidden => self.refusal.denied.first().map_or(message, String::as_str),
            _ => message,
        };
        encode(&Field::Object(vec![(
            &self.refusal.reason,
            Field::Text(reason),
        )]))
    }
}
