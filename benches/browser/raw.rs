//! The other side: what one writes by hand on IndexedDB, in JavaScript.

use wasm_bindgen::JsValue;

use crate::script::wait;

/// A database with the same object store, key and index as the store's, and one for cursors.
pub(crate) struct Raw(JsValue);

impl Raw {
    pub(crate) async fn open(name: &str) -> Self {
        let script = "return new Promise((done, failed) => {
            const opening = indexedDB.open(name, 1);
            opening.onupgradeneeded = () => {
                const feeds = opening.result.createObjectStore('feeds', { keyPath: ['scope', 'id'] });
                feeds.createIndex('by_time', ['scope', 'payload.startedAt']);
                opening.result.createObjectStore('cursors');
            };
            opening.onsuccess = () => done(opening.result);
            opening.onerror = () => failed(opening.error);
        })";
        Self(wait(&["name"], &[&name.into()], script).await)
    }

    /// Applies a page: parsed at once, one request a change, the cursor, one transaction.
    pub(crate) async fn apply(&self, text: &JsValue) {
        let script = "return new Promise((done, failed) => {
            const page = JSON.parse(text);
            const transaction =
                db.transaction(['feeds', 'cursors'], 'readwrite', { durability: 'relaxed' });
            const feeds = transaction.objectStore('feeds');
            for (const { op, id, payload, schema, seq } of page.changes) {
                if (op === 'put') {
                    feeds.put({ scope: 'baby', id, payload, schema, generation: 1, seq });
                } else {
                    feeds.delete(['baby', id]);
                }
            }
            transaction.objectStore('cursors').put(page.next, 'baby');
            transaction.oncomplete = () => done();
            transaction.onabort = () => failed(transaction.error);
            transaction.commit();
        })";
        wait(&["db", "text"], &[&self.0, text], script).await;
    }

    pub(crate) async fn count(&self) -> f64 {
        let script = "return new Promise(done => {
            const counting = db.transaction('feeds').objectStore('feeds').count();
            counting.onsuccess = () => done(counting.result);
        })";
        wait(&["db"], &[&self.0], script).await.as_f64().unwrap()
    }
}
