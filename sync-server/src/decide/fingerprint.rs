//! Telling a mutation that is sent again from another one under the same id.

use serde_json::Value;
use sync_core::model::{Op, RecordKey};

/// What a mutation says, in short: equal for equal records, operations and payloads, however these are spelled.
///
/// It guards a client against itself, so that no cryptographic strength is needed. It is stored: its values must
/// stay the same from version to version. A mutation that could not be read has no operation.
#[must_use]
pub fn fingerprint(key: &RecordKey, op: Option<&Op>) -> u64 {
    let mut hash = Fnv::new();
    hash.text(key.scope.as_str());
    hash.text(key.entity_type.as_str());
    hash.text(key.entity_id.as_str());
    if let Some(op) = op {
        hash.text(op.name());
        if let Some(payload) = op.payload() {
            match serde_json::from_str(payload.as_str()) {
                Ok(value) => hash.value(&value),
                // Too deep or too large a number for a value tree: the spelling decides.
                Err(_) => hash.text(payload.as_str()),
            }
        }
    }
    hash.0
}

/// FNV-1a: the same on every platform and in every release.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes(b"n"),
            Value::Bool(true) => self.bytes(b"t"),
            Value::Bool(false) => self.bytes(b"f"),
            Value::Number(number) => {
                // As a double, since 1 and 1.0 are the same JSON; adding 0 makes -0 a 0.
                let number = number.as_f64().unwrap_or(f64::NAN) + 0.0;
                self.bytes(b"#");
                self.bytes(&number.to_bits().to_le_bytes());
            }
            Value::String(text) => {
                self.bytes(b"s");
                self.text(text);
            }
            Value::Array(items) => {
                self.bytes(b"[");
                items.iter().for_each(|item| self.value(item));
                self.bytes(b"]");
            }
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                self.bytes(b"{");
                for (name, value) in fields {
                    self.text(name);
                    self.value(value);
                }
                self.bytes(b"}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sync_core::model::Payload;

    use super::*;

    fn of(id: &str, payload: &str) -> u64 {
        let op = Op::Update(Payload::parse(payload).unwrap());
        fingerprint(&RecordKey::new("s", "t", id), Some(&op))
    }

    #[test]
    fn the_spelling_of_a_payload_does_not_matter() {
        assert_eq!(
            of("a", r#"{"x":1,"y":[-0,null]}"#),
            of("a", "{ \"y\": [0.0, null],\n\"x\": 1.0 }")
        );
    }

    #[test]
    fn another_payload_record_or_operation_is_another_mutation() {
        let one = of("a", r#"{"x":1}"#);
        assert_ne!(one, of("a", r#"{"x":2}"#));
        assert_ne!(one, of("b", r#"{"x":1}"#));
        assert_ne!(
            one,
            fingerprint(&RecordKey::new("s", "t", "a"), Some(&Op::Delete))
        );
        assert_ne!(of("a", r#"["a","b"]"#), of("a", r#"["ab",""]"#));
    }

    #[test]
    fn stored_fingerprints_stay_valid() {
        assert_eq!(of("a", r#"{"x":[1,"y",true,null]}"#), 0x5764_0d3e_5ee3_0c4b);
    }
}
