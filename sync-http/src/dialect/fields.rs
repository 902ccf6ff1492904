//! JSON objects whose field names are settings: read without copying, and written.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::value::RawValue;
use sync_core::{
    model::{InvalidPayload, Payload},
    ordered::OrderedMap,
    text::Text,
};

use super::Form;
use crate::Malformed;

/// A string of a body, borrowed where nothing in it is escaped.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of an object, each still as text.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Object<'a>(#[serde(borrow)] OrderedMap<Str<'a>, &'a RawValue>);

impl<'a> Object<'a> {
    /// The object in a text; `None` when it is no JSON object.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The object that a body is; its fields have such names.
    pub(super) fn body(body: &'a str, is_name: impl Fn(&str) -> bool) -> Result<Self, Malformed> {
        serde_json::from_str(body).map_err(|error| Malformed::of(body, &error, is_name))
    }

    /// A field; one that is null counts as one that is not there.
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let raw = *self.0.get(&Str(Cow::Borrowed(name)))?;
        (raw.get() != "null").then_some(raw)
    }

    /// The text of a field, null or not.
    pub(super) fn present(&self, name: &str) -> Option<&'a str> {
        Some(self.0.get(&Str(Cow::Borrowed(name)))?.get())
    }

    /// Whether there is no field at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field that is a string.
    pub(super) fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        let Str(text) = serde_json::from_str(self.raw(name)?.get()).ok()?;
        Some(text)
    }

    /// A string or a number as text, exactly as it is spelt, shared with the body.
    pub(super) fn text(&self, body: &Arc<str>, name: &str) -> Result<Text, Malformed> {
        let raw = self.raw(name).ok_or_else(|| missing(name))?.get();
        if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Ok(Text::slice_of(body, raw));
        }
        let text = self
            .string(name)
            .ok_or_else(|| Malformed::field(name, "expected a string or a number"))?;
        Ok(Text::slice_of(body, &text))
    }

    /// A flag; false when it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Malformed> {
        self.raw(name).map_or(Ok(false), |raw| {
            serde_json::from_str(raw.get()).map_err(|_| Malformed::field(name, "expected a flag"))
        })
    }

    /// A record.
    pub(super) fn payload(&self, body: &Arc<str>, name: &str) -> Option<Payload> {
        self.raw(name).map(|raw| Payload::from_raw(body, raw))
    }

    /// A list of objects, each turned into what `read` makes of it before the next one is parsed: many small
    /// objects take far more memory than their text.
    pub(super) fn list<T>(
        &self,
        name: &str,
        mut read: impl FnMut(&Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let raw = self.raw(name).ok_or_else(|| missing(name))?;
        let mut list = Ok(Vec::new());
        let each = Each(|object: Self| {
            if let Ok(values) = &mut list {
                match read(&object) {
                    Ok(value) => values.push(value),
                    Err(error) => list = Err(error.within(&format!("{name}[{}]", values.len()))),
                }
            }
        });
        serde_json::Deserializer::from_str(raw.get())
            .deserialize_seq(each)
            .map_err(|_| Malformed::field(name, "expected a list of objects"))?;
        list
    }
}

/// Hands over the objects of a list one by one.
struct Each<F>(F);

impl<'de, F: FnMut(Object<'de>)> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(object) = list.next_element()? {
            (self.0)(object);
        }
        Ok(())
    }
}

pub(super) fn missing(name: &str) -> Malformed {
    Malformed::field(name, "nothing there")
}

/// A value that is about to be written.
pub(super) enum Field<'a> {
    Null,
    Flag(bool),
    Number(u64),
    Text(&'a str),
    Owned(String),
    Raw(&'a RawValue),
    List(Vec<Self>),
    Object(Vec<(&'a str, Self)>),
}

impl<'a> Field<'a> {
    pub(super) fn of(text: &'a str, form: Form) -> Self {
        match form {
            Form::Number if is_whole_number(text) => {
                serde_json::from_str(text).map_or(Self::Text(text), Self::Raw)
            }
            Form::Number | Form::Text => Self::Text(text),
        }
    }

    pub(super) fn payload(payload: &'a Payload) -> Result<Self, InvalidPayload> {
        Ok(Self::Raw(serde_json::from_str(payload.as_str())?))
    }
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => flag.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Owned(text) => text.serialize(serializer),
            Self::Raw(raw) => raw.serialize(serializer),
            Self::List(fields) => {
                let mut list = serializer.serialize_seq(Some(fields.len()))?;
                for field in fields {
                    list.serialize_element(field)?;
                }
                list.end()
            }
            Self::Object(fields) => {
                let mut object = serializer.serialize_map(Some(fields.len()))?;
                for (name, field) in fields {
                    object.serialize_entry(name, field)?;
                }
                object.end()
            }
        }
    }
}

/// The JSON of a value. It cannot fail: a [`Field`] has only string keys.
pub(super) fn encode(field: &Field<'_>) -> String {
    serde_json::to_string(field).unwrap_or_default()
}

fn is_whole_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'))
}
