//! What a case works with: the accounts, their scopes, and edits of records that nobody else knows.

use std::time::Duration;

use serde_json::{Map, Value};
use sync_core::{
    model::{
        Change, EntityId, Mutation, MutationId, Op, Payload, RecordKey, Schema, Scope, Version,
    },
    platform::{OsEntropy, TokioClock},
    time::{Clock, Entropy, Timestamp},
    transport::Outgoing,
};
use sync_http::{
    Credentials, HttpTransport,
    dialect::{Dialect, Feed, Form, iso_date},
};

use super::{
    failure::{Broken, Outcome},
    http::Http,
    session::{MANY, Session},
    target::{Target, TargetError},
};

/// A run over one target.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    pub(super) target: &'a Target,
    http: Http,
    clock: TokioClock,
}

impl<'a> Trial<'a> {
    pub(super) fn new(target: &'a Target) -> Result<Self, TargetError> {
        Ok(Self {
            target,
            http: Http::new(&target.url)?,
            clock: TokioClock::new(),
        })
    }

    pub(super) fn dialect(&self) -> &'a Dialect {
        &self.target.dialect
    }

    pub(super) fn feed(&self) -> Option<&'a Feed> {
        match &self.target.dialect {
            Dialect::Own => None,
            Dialect::Feed(feed) => Some(feed),
        }
    }

    pub(super) fn me(&self) -> Session<'_> {
        Session {
            http: &self.http,
            dialect: &self.target.dialect,
            login: &self.target.login,
        }
    }

    pub(super) fn other(&self) -> Outcome<Session<'_>> {
        let login = self.target.other.as_ref();
        Ok(Session {
            login: login.ok_or_else(|| Broken::new("no second account"))?,
            ..self.me()
        })
    }

    /// The transport that an app would have.
    pub(super) fn transport(&self) -> Outcome<HttpTransport> {
        let login = &self.target.login;
        let credentials = Credentials::new(login.account.clone(), login.token.clone());
        HttpTransport::builder(self.target.url.as_str(), credentials)
            .dialect(self.target.dialect.clone())
            .allow_plain_http(true)
            .build()
            .map_err(|error| Broken::new(error.to_string()))
    }

    /// A scope that the account may read and write, and in whose log there is something.
    pub(super) async fn scope(&self) -> Outcome<Scope> {
        self.begun(&self.me(), self.target.scopes.first()).await
    }

    pub(super) async fn second_scope(&self) -> Outcome<Scope> {
        self.begun(&self.me(), self.target.scopes.get(1)).await
    }

    /// A scope of the other account.
    pub(super) async fn others_scope(&self) -> Outcome<Scope> {
        self.begun(&self.other()?, self.target.other_scope.as_ref())
            .await
    }

    async fn begun(&self, session: &Session<'_>, given: Option<&Scope>) -> Outcome<Scope> {
        let scope = given.cloned().unwrap_or_else(|| self.made_up_scope());
        let begin = self.create(&scope, &self.id(), "begins");
        let begun = session.apply_one(&begin).await;
        begun.map_err(|broken| broken.at("the first write into a scope"))?;
        Ok(scope)
    }

    fn made_up_scope(&self) -> Scope {
        let bits = OsEntropy.bits();
        match self.feed().map(|feed| feed.scope) {
            // A number that a double holds.
            Some(Form::Number) => Scope::from((bits % (1 << 53)).to_string()),
            _ => Scope::from(format!("check-{bits:032x}")),
        }
    }

    /// An id of a record that there is not yet.
    pub(super) fn id(&self) -> EntityId {
        EntityId::from(self.mutation_id().to_string())
    }

    pub(super) fn mutation_id(&self) -> MutationId {
        MutationId::following(None, self.clock.wall(), OsEntropy.bits())
    }

    pub(super) fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    pub(super) fn create(&self, scope: &Scope, id: &EntityId, text: &str) -> Outgoing {
        let payload = self.payload(scope, id, text);
        self.edit(scope, id, Op::Create(payload))
    }

    pub(super) fn update(&self, scope: &Scope, id: &EntityId, text: &str) -> Outgoing {
        let payload = self.payload(scope, id, text);
        self.edit(scope, id, Op::Update(payload))
    }

    pub(super) fn delete(&self, scope: &Scope, id: &EntityId) -> Outgoing {
        self.edit(scope, id, Op::Delete)
    }

    pub(super) fn edit(&self, scope: &Scope, id: &EntityId, op: Op) -> Outgoing {
        Outgoing {
            mutation: Mutation {
                id: self.mutation_id(),
                key: RecordKey::new(scope.clone(), self.target.entity_type.clone(), id.clone()),
                op,
                schema: Schema::default(),
                base_version: None,
                after: None,
                edited_at: self.wall(),
            },
            age: Duration::ZERO,
            over: None,
        }
    }

    /// A record with this text, as the target wants it, edited now.
    pub(super) fn payload(&self, scope: &Scope, id: &EntityId, text: &str) -> Payload {
        self.payload_at(scope, id, text, self.wall())
    }

    /// A record with this text, edited then: where the dialect says so in the record.
    pub(super) fn payload_at(
        &self,
        scope: &Scope,
        id: &EntityId,
        text: &str,
        at: Timestamp,
    ) -> Payload {
        let mut fields = Map::new();
        for (name, value) in &self.target.payload {
            let value = match value {
                Value::String(text) => Value::from(text.replace("{id}", id.as_str())),
                other => other.clone(),
            };
            fields.insert(name.clone(), value);
        }
        fields.insert(self.target.text_field.clone(), Value::from(text));
        if let Some(feed) = self.feed() {
            let scope = match (feed.scope, scope.as_str().parse::<u64>()) {
                (Form::Number, Ok(number)) => Value::from(number),
                _ => Value::from(scope.as_str()),
            };
            fields.insert(feed.scope_field.clone(), scope);
            if let Some(field) = &feed.edit_time_field {
                fields.insert(field.clone(), Value::from(iso_date(at)));
            }
        }
        let Ok(payload) = Payload::encode(&fields) else {
            unreachable!("a map of names and JSON values is JSON");
        };
        payload
    }

    /// The text in a record.
    pub(super) fn text(&self, payload: &Payload) -> Option<String> {
        let fields: Map<String, Value> = payload.decode().ok()?;
        fields
            .get(&self.target.text_field)?
            .as_str()
            .map(str::to_owned)
    }

    /// The text in the record that a change puts; none where it removes one, or there is no change.
    pub(super) fn text_put(&self, change: Option<&Change>) -> Option<String> {
        self.text(change?.op.payload()?)
    }

    /// Gives a mutation of a body an operation that nobody knows.
    pub(super) fn spoil_op(&self, body: &mut Value, at: usize) {
        let (mutations, op) = self.names();
        body[mutations][at][op] = Value::from("frobnicate");
    }

    /// The names of a body's list of mutations, and of a mutation's operation.
    pub(super) fn names(&self) -> (&str, &str) {
        self.feed().map_or(("mutations", "op"), |feed| {
            (&feed.push.mutations, &feed.push.op)
        })
    }

    pub(super) fn payload_name(&self) -> &str {
        self.feed().map_or("payload", |feed| &feed.push.payload)
    }

    pub(super) fn mutation_id_name(&self) -> &str {
        self.feed().map_or("id", |feed| &feed.push.mutation_id)
    }

    /// New records, made by one push.
    pub(super) async fn fill(&self, scope: &Scope, count: usize) -> Outcome<Vec<EntityId>> {
        let ids: Vec<EntityId> = (0..count).map(|_| self.id()).collect();
        let creates = ids.iter().enumerate();
        let creates: Vec<Outgoing> = creates
            .map(|(n, id)| self.create(scope, id, &format!("record {n}")))
            .collect();
        self.me().apply(&creates).await?;
        Ok(ids)
    }

    /// Edits a record in the knowledge of its newest state, as a device does that has pulled it.
    pub(super) async fn edit_newest(
        &self,
        scope: &Scope,
        id: &EntityId,
        text: &str,
    ) -> Outcome<()> {
        let version = match self.feed() {
            Some(_) => None,
            None => self.version(scope, id).await?,
        };
        self.a_moment().await;
        let edit = over(self.update(scope, id, text), version.as_ref());
        self.me().apply_one(&edit).await?;
        Ok(())
    }

    /// Lets an edit be later than those before it, where the server judges by a time of milliseconds.
    pub(super) async fn a_moment(&self) {
        if self
            .feed()
            .is_some_and(|feed| feed.edit_time_field.is_some())
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The version of a record's newest change.
    pub(super) async fn version(&self, scope: &Scope, id: &EntityId) -> Outcome<Option<Version>> {
        let (mut cursor, mut seq) = (None, None);
        loop {
            let page = self.me().pull(scope, cursor.as_ref(), MANY).await?;
            let of = page.changes.iter().rfind(|change| change.entity_id == *id);
            seq = of.and_then(|change| change.seq).or(seq);
            if !page.has_more {
                return Ok(page
                    .epoch
                    .zip(seq)
                    .map(|(epoch, seq)| Version::new(epoch, seq)));
            }
            cursor = Some(page.next);
        }
    }
}

/// The edit as one of a user who saw this version.
pub(super) fn over(mut edit: Outgoing, version: Option<&Version>) -> Outgoing {
    edit.mutation.base_version = version.cloned();
    edit
}

/// The edit as one on top of the user's own.
pub(super) fn after(mut edit: Outgoing, own: &Outgoing) -> Outgoing {
    edit.mutation.after = Some(own.mutation.id);
    edit
}
