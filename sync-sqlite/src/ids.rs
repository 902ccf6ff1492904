//! How record ids are stored: a canonical UUID as its 16 bytes, any other text as it is.

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use sync_core::model::EntityId;

/// A record id as the database holds it.
///
/// Ordered as SQLite orders them: text before bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum StoredId<'a> {
    /// Any text that is no canonical UUID.
    Text(&'a str),
    /// The bytes of a UUID that was written in lower case with hyphens.
    Uuid([u8; 16]),
}

impl<'a> StoredId<'a> {
    pub(crate) fn of(id: &'a EntityId) -> Self {
        let text = id.as_str();
        uuid_bytes(text).map_or(Self::Text(text), Self::Uuid)
    }
}

impl ToSql for StoredId<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Uuid(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A record id that was read.
#[derive(Debug)]
pub(crate) struct ReadId(pub(crate) EntityId);

impl ReadId {
    pub(crate) fn of_uuid(bytes: [u8; 16]) -> Self {
        Self(EntityId::from(uuid_text(bytes)))
    }
}

impl FromSql for ReadId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(_) => Ok(Self(EntityId::from(value.as_str()?))),
            ValueRef::Blob(bytes) => {
                let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| FromSqlError::InvalidType)?;
                Ok(Self::of_uuid(bytes))
            }
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const UUID_LENGTH: usize = 36;

/// The bytes of a UUID in its canonical form; none for any other text.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != UUID_LENGTH {
        return None;
    }
    let mut bits = 0_u128;
    for (at, byte) in text.iter().enumerate() {
        match (HYPHENS.contains(&at), *byte) {
            (true, b'-') => {}
            (false, digit @ b'0'..=b'9') => bits = bits << 4 | u128::from(digit - b'0'),
            (false, digit @ b'a'..=b'f') => bits = bits << 4 | u128::from(digit - b'a' + 10),
            _ => return None,
        }
    }
    Some(bits.to_be_bytes())
}

fn uuid_text(bytes: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(bytes).hyphenated().to_string()
}

/// The least UUID whose canonical text comes after `text`; none when none does.
///
/// Lists are in the order of the ids' text, and the database holds the two kinds of id apart: this is where a
/// list that goes on after any id goes on among the UUIDs.
pub(crate) fn first_uuid_after(text: &str) -> Option<[u8; 16]> {
    let mut prefix = Prefix::default();
    let mut bytes = text.bytes();
    for at in 0..UUID_LENGTH {
        let Some(byte) = bytes.next() else {
            return prefix.first();
        };
        match (HYPHENS.contains(&at), byte) {
            (true, b'-') => {}
            (true, byte) if byte < b'-' => return prefix.first(),
            (false, digit @ b'0'..=b'9') => prefix.push(digit - b'0'),
            (false, digit @ b'a'..=b'f') => prefix.push(digit - b'a' + 10),
            (false, byte) if byte < b'0' => return prefix.first(),
            (false, byte) if byte < b'a' => {
                prefix.push(10);
                return prefix.first();
            }
            _ => return prefix.after(),
        }
    }
    prefix.after()
}

/// The leading hexadecimal digits of a UUID.
#[derive(Default)]
struct Prefix {
    bits: u128,
    digits: u32,
}

impl Prefix {
    fn push(&mut self, digit: u8) {
        self.bits = self.bits << 4 | u128::from(digit);
        self.digits += 1;
    }

    /// The least UUID with this prefix.
    fn first(&self) -> Option<[u8; 16]> {
        let shift = 128 - 4 * self.digits;
        let bits = self.bits.checked_shl(shift).unwrap_or(0);
        Some(bits.to_be_bytes())
    }

    /// The least UUID after all those with this prefix.
    fn after(&self) -> Option<[u8; 16]> {
        if self.digits == 0 {
            return None;
        }
        let shift = 128 - 4 * self.digits;
        let next = self.bits.checked_add(1)?;
        let fits = self.digits == 32 || next >> (4 * self.digits) == 0;
        fits.then(|| (next << shift).to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(text: &str) -> String {
        match StoredId::of(&EntityId::from(text)) {
            StoredId::Text(text) => text.to_owned(),
            StoredId::Uuid(bytes) => uuid_text(bytes),
        }
    }

    #[test]
    fn only_the_canonical_form_of_a_uuid_becomes_bytes() {
        let canonical = "0190a5c4-7e1f-7abc-8def-0123456789ab";
        let is_uuid = |text: &str| uuid_bytes(text).is_some();
        assert!(is_uuid(canonical));
        for other in [
            &canonical.to_uppercase(),
            &canonical.replace('-', ""),
            &format!("{{{canonical}}}"),
            &format!("urn:uuid:{canonical}"),
            &canonical.replace('a', "g"),
            &canonical[..35],
            "",
            "a\0b",
            "é",
        ] {
            assert!(!is_uuid(other), "{other}");
            assert_eq!(round_trip(other), *other);
        }
        assert_eq!(round_trip(canonical), canonical);
    }

    /// Texts that are close to a UUID's.
    fn near_a_uuid() -> impl Strategy<Value = String> {
        let digits = || "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
        prop_oneof![
            digits(),
            "[f]{8}-[f]{4}-[f]{4}-[f]{4}-[ef]{12}",
            (digits(), 0..36_usize, "[ -~]?[ -~]?").prop_map(|(text, at, other)| {
                format!("{}{other}{}", &text[..at], &text[(at + 1).min(36)..])
            }),
            (digits(), 0..36_usize, "[!,./:@G`g~]").prop_map(|(text, at, other)| {
                format!("{}{other}{}", &text[..at], &text[at + 1..])
            }),
            (
                digits(),
                proptest::sample::select(HYPHENS.to_vec()),
                "[ ,./]"
            )
                .prop_map(|(text, at, other)| format!("{}{other}", &text[..at])),
            (digits(), 0..37_usize).prop_map(|(text, to)| text[..to].to_owned()),
            (digits(), any::<String>()).prop_map(|(text, tail)| text + &tail),
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn any_id_is_read_as_it_was_written(id in near_a_uuid()) {
            prop_assert_eq!(round_trip(&id), id);
        }

        #[test]
        fn the_first_uuid_after_a_text_is_the_least_that_comes_after_it(text in near_a_uuid()) {
            match first_uuid_after(&text) {
                None => prop_assert!("ffffffff-ffff-ffff-ffff-ffffffffffff" <= text.as_str()),
                Some(bytes) => {
                    prop_assert!(uuid_text(bytes) > text);
                    let before = u128::from_be_bytes(bytes).checked_sub(1);
                    if let Some(before) = before {
                        prop_assert!(uuid_text(before.to_be_bytes()) <= text);
                    }
                }
            }
        }
    }
}
