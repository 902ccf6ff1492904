//! Payloads: a record's JSON, carried as text.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{ordered::OrderedMap, text::Text};

/// Comparing goes no deeper than this; below, text decides. It bounds the stack.
const COMPARE_DEPTH: usize = 100;

/// The JSON of a record, as text and unchanged: big integers, floats and key order stay as they came.
///
/// `==` compares the text; [`Payload::same_json`] compares what it means. `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload(Text);

/// The text is no JSON.
#[derive(Debug, thiserror::Error)]
#[error("not a JSON document: {0}")]
pub struct InvalidPayload(#[from] serde_json::Error);

impl Payload {
    /// A payload of JSON text, checked.
    ///
    /// # Errors
    /// [`InvalidPayload`] with the place, when the text is not one JSON document.
    pub fn parse(text: impl Into<Text>) -> Result<Self, InvalidPayload> {
        let text = text.into();
        let trimmed = serde_json::from_str::<&RawValue>(&text)?.get();
        Ok(if trimmed.len() == text.len() {
            Self(text)
        } else {
            Self(Text::from(trimmed))
        })
    }

    /// The JSON of a value.
    ///
    /// # Errors
    /// [`InvalidPayload`], when the value's own serialisation fails.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, InvalidPayload> {
        Ok(Self(Text::from(serde_json::to_string(value)?)))
    }

    /// A payload that a JSON parser has just cut out of `buffer`; it is shared, not copied.
    #[must_use]
    pub fn from_raw(buffer: &Arc<str>, raw: &RawValue) -> Self {
        Self(Text::slice_of(buffer, raw.get()))
    }

    /// The value that the JSON stands for.
    ///
    /// # Errors
    /// [`InvalidPayload`] with the place, when the JSON does not fit the type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, InvalidPayload> {
        Ok(serde_json::from_str(&self.0)?)
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_str().len()
    }

    /// Never: a JSON document has at least one character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }

    /// The same payload in a buffer of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(self.0.detached())
    }

    /// Whether both mean the same JSON: key order, white space and the spelling of numbers and strings aside.
    #[must_use]
    pub fn same_json(&self, other: &Self) -> bool {
        self == other || same(self.as_str(), other.as_str(), COMPARE_DEPTH)
    }

    /// As [`Payload::same_json`], with some top-level fields left out, and a field that is null the same as
    /// one that is not there: for servers that stamp fields of their own and leave nulls out.
    #[must_use]
    pub fn same_json_except(&self, other: &Self, ignored: &[String]) -> bool {
        let (Some(mut a), Some(mut b)) = (fields(self.as_str()), fields(other.as_str())) else {
            return self.same_json(other);
        };
        for fields in [&mut a, &mut b] {
            fields.retain(|name, value| {
                value.get() != "null" && !ignored.iter().any(|ignored| ignored == name)
            });
        }
        same_fields(&a, &b, COMPARE_DEPTH)
    }
}

/// The fields of an object, each still as text.
type Fields<'a> = OrderedMap<Cow<'a, str>, &'a RawValue>;

fn fields(text: &str) -> Option<Fields<'_>> {
    serde_json::from_str(text).ok()
}

fn same_fields(a: &Fields<'_>, b: &Fields<'_>, depth: usize) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((ka, va), (kb, vb))| ka == kb && same(va.get(), vb.get(), depth))
}

fn same(a: &str, b: &str, depth: usize) -> bool {
    if a == b {
        return true;
    }
    if depth == 0 {
        return false;
    }
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            let (Some(a), Some(b)) = (fields(a), fields(b)) else {
                return false;
            };
            same_fields(&a, &b, depth - 1)
        }
        (Some(b'['), Some(b'[')) => {
            let parse = |text| serde_json::from_str::<Vec<&RawValue>>(text);
            let (Ok(a), Ok(b)) = (parse(a), parse(b)) else {
                return false;
            };
            a.len() == b.len()
                && a.iter()
                    .zip(&b)
                    .all(|(a, b)| same(a.get(), b.get(), depth - 1))
        }
        (Some(b'"'), Some(b'"')) => {
            let parse = |text| serde_json::from_str::<String>(text).ok();
            parse(a).is_some() && parse(a) == parse(b)
        }
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => Decimal::of(a) == Decimal::of(b),
        _ => false,
    }
}

/// A JSON number's exact value: its significant digits and the power of ten of the last one.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(text: &str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            };
        }
        let trailing = all.len() - all.trim_end_matches('0').len();
        let exponent = exponent.trim_start_matches('+').parse::<i64>().unwrap_or(
            if exponent.starts_with('-') {
                i64::MIN / 2
            } else {
                i64::MAX / 2
            },
        );
        Self {
            negative,
            digits: digits.to_owned(),
            exponent: exponent
                .saturating_sub_unsigned(fraction.len() as u64)
                .saturating_add_unsigned(trailing as u64),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len())
    }
}

impl Serialize for Payload {
    /// As JSON inside JSON, not as a string.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.as_str())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer)
            .map(|raw| Self(Text::from(String::from(Box::<str>::from(raw)))))
    }
}

/// Reads a field that may hold no payload, and is left out then: one that is `null` holds the payload `null`.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Payload>, D::Error> {
    Payload::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::parse(text).unwrap()
    }

    #[test]
    fn text_is_kept_as_it_came() {
        let text = r#"{"z":1.0,"a":123456789012345678901234567890,"m":1e400}"#;
        assert_eq!(payload(text).as_str(), text);
        let through = serde_json::to_string(&payload(text)).unwrap();
        assert_eq!(through, text);
        assert_eq!(
            serde_json::from_str::<Payload>(&through).unwrap().as_str(),
            text
        );
    }

    #[test]
    fn what_is_no_json_is_refused_with_the_place() {
        let error = Payload::parse("{\"a\":}").unwrap_err().to_string();
        assert!(error.contains("column 6"), "{error}");
        assert!(Payload::parse("").is_err());
        assert!(Payload::parse("{} {}").is_err());
    }

    #[test]
    fn equal_means_the_same_json() {
        let same = [
            (r#"{"a":1,"b":[2]}"#, r#"{ "b":[ 2 ], "a":1 }"#),
            ("1", "1.0"),
            ("100", "1e2"),
            ("-0", "0"),
            ("0.010", "1E-2"),
            (r#""\u0041""#, r#""A""#),
            ("12345678901234567890123", "12345678901234567890123.0"),
        ];
        for (a, b) in same {
            assert!(payload(a).same_json(&payload(b)), "{a} and {b}");
        }
        let different = [
            ("1", "2"),
            ("1", "-1"),
            ("1", "10"),
            ("1", "\"1\""),
            ("null", "false"),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#),
            ("[1,2]", "[2,1]"),
            ("9007199254740993", "9007199254740992"),
            ("1e400", "1e401"),
        ];
        for (a, b) in different {
            assert!(!payload(a).same_json(&payload(b)), "{a} and {b}");
        }
    }

    #[test]
    fn stamped_fields_and_nulls_may_be_left_aside() {
        let sent = payload(r#"{"id":"1","ml":120,"notes":null,"updatedAt":"a"}"#);
        let stored = payload(r#"{"id":"1","ml":120.0,"updatedAt":"b","createdAt":"c"}"#);
        let stamped = ["updatedAt".to_owned(), "createdAt".to_owned()];
        assert!(sent.same_json_except(&stored, &stamped));
        assert!(!sent.same_json_except(&stored, &stamped[..1]));
        assert!(!sent.same_json(&stored));
    }

    #[test]
    fn a_deep_document_does_not_overflow_the_stack() {
        let deep = |tail: &str| {
            payload(&format!(
                "{}{tail}{}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            ))
        };
        assert!(deep("1").same_json(&deep("1")));
        assert!(!deep("1").same_json(&deep("2")));
    }

    #[test]
    fn debug_hides_the_content() {
        assert_eq!(
            format!("{:?}", payload(r#"{"secret":1}"#)),
            "Payload(12 bytes)"
        );
    }
}
