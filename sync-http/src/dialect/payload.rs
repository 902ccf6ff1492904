//! One top-level field of a payload, read or replaced; the rest of the text stays as it is.

use sync_core::{model::Payload, text::Text};

use super::{fields::Object, iso};

/// The payload with `field` just above what it is in `base`; `None` when there is nothing to be done: no
/// such field in the base, or no time in it, or no object to put it into.
///
/// A server that judges by this field then takes the edit exactly if nothing has come after the base.
pub(super) fn just_above(payload: &Payload, base: &Payload, field: &str) -> Option<Payload> {
    let base = Object::parse(base.as_str())?;
    let value = later(&base, field)?;
    let text = payload.as_str();
    let object = Object::parse(text)?;
    let changed = match object.present(field) {
        Some(old) => {
            let start = (old.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            let (head, tail) = (text.get(..start)?, text.get(start + old.len()..)?);
            format!("{head}{value}{tail}")
        }
        None => {
            let rest = text.trim_start().strip_prefix('{')?;
            let comma = if object.is_empty() { "" } else { "," };
            let name = serde_json::to_string(field).ok()?;
            format!("{{{name}:{value}{comma}{rest}")
        }
    };
    Payload::parse(Text::from(changed)).ok()
}

/// The JSON of the moment after a field's.
fn later(base: &Object<'_>, field: &str) -> Option<String> {
    match base.string(field) {
        Some(date) => serde_json::to_string(&iso::just_after(&date)?).ok(),
        None => {
            let millis: i64 = serde_json::from_str(base.raw(field)?.get()).ok()?;
            Some(millis.checked_add(1)?.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn just_above_base(payload: &str, base: &str) -> Option<String> {
        let parse = |text| Payload::parse(text).unwrap();
        just_above(&parse(payload), &parse(base), "at").map(|payload| payload.as_str().to_owned())
    }

    #[test]
    fn only_the_one_field_changes() {
        let base = r#"{"at":"2026-01-22T08:00:00.999Z","n":1}"#;
        assert_eq!(
            just_above_base(r#"{ "n": 1.0, "at" : "old", "z":[ 1e400 ] }"#, base).unwrap(),
            r#"{ "n": 1.0, "at" : "2026-01-22T08:00:01.000Z", "z":[ 1e400 ] }"#
        );
        assert_eq!(
            just_above_base(r#"{"n":1}"#, base).unwrap(),
            r#"{"at":"2026-01-22T08:00:01.000Z","n":1}"#
        );
        assert_eq!(
            just_above_base("{}", base).unwrap(),
            r#"{"at":"2026-01-22T08:00:01.000Z"}"#
        );
        assert_eq!(
            just_above_base(r#"{"at":null,"n":{"at":1}}"#, r#"{"at":1700000000000}"#).unwrap(),
            r#"{"at":1700000000001,"n":{"at":1}}"#
        );
    }

    #[test]
    fn without_a_time_in_the_base_nothing_changes() {
        for base in [
            "{}",
            r#"{"at":null}"#,
            r#"{"at":"soon"}"#,
            r#"{"at":true}"#,
            "[]",
        ] {
            assert_eq!(just_above_base(r#"{"at":1}"#, base), None, "{base}");
        }
        assert_eq!(just_above_base("[1]", r#"{"at":1}"#), None);
    }
}
