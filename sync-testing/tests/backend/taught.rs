//! What a server that believes too much has to know to do so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::json::{self, Object};

/// What has been applied so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taught {
    /// The version that each mutation has made.
    versions: Arc<Mutex<HashMap<String, Value>>>,
    /// What came first under each id that was applied.
    first: Arc<Mutex<HashMap<String, Object>>>,
    /// The epoch of each scope.
    epochs: Arc<Mutex<HashMap<String, Value>>>,
}

impl Taught {
    /// Takes in the answer to a push.
    pub(crate) fn learn(&self, asked: &Object, answer: &Object) {
        let mutations: Vec<Object> = json::read(asked, "mutations").unwrap_or_default();
        let answers: Vec<Object> = json::read(answer, "answers").unwrap_or_default();
        for (mutation, answer) in mutations.iter().zip(&answers) {
            if let Some(version) = json::read::<Value>(answer, "version") {
                let (id, scope) = (text(mutation, "id"), text(mutation, "scope"));
                let epoch = version["epoch"].clone();
                self.epochs.lock().unwrap().insert(scope, epoch);
                let mut first = self.first.lock().unwrap();
                first.entry(id.clone()).or_insert_with(|| mutation.clone());
                self.versions.lock().unwrap().insert(id, version);
            }
        }
    }

    /// Takes the mutation for one over the state that its predecessor has made, whoever made that.
    pub(crate) fn believe_after(&self, mutation: &mut Object) {
        let versions = self.versions.lock().unwrap();
        if let Some(version) = versions.get(&text(mutation, "after")) {
            mutation.insert("base".to_owned(), json::raw(version));
        }
    }

    /// Takes what comes under a known id for what came under it first.
    pub(crate) fn believe_id(&self, mutation: &mut Object) {
        if let Some(first) = self.first.lock().unwrap().get(&text(mutation, "id")) {
            mutation.clone_from(first);
        }
    }

    /// Whether each of a push's mutations was applied before.
    pub(crate) fn knows(&self, push: &Object) -> bool {
        let mutations: Vec<Object> = json::read(push, "mutations").unwrap_or_default();
        let first = self.first.lock().unwrap();
        mutations
            .iter()
            .all(|mutation| first.contains_key(&text(mutation, "id")))
    }

    /// Takes the number of a base for one of the present epoch.
    pub(crate) fn believe_base(&self, mutation: &mut Object) {
        let epochs = self.epochs.lock().unwrap();
        let base = json::read::<Value>(mutation, "base").filter(|base| base["epoch"].is_string());
        if let (Some(mut base), Some(epoch)) = (base, epochs.get(&text(mutation, "scope"))) {
            base["epoch"] = epoch.clone();
            mutation.insert("base".to_owned(), json::raw(&base));
        }
    }
}

fn text(object: &Object, field: &str) -> String {
    json::read(object, field).unwrap_or_default()
}
