//! Immutable text that is cheap to clone and may share a larger buffer.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Immutable UTF-8 text: a slice of a shared buffer.
///
/// A decoder cuts ids and payloads out of a response without copying them: [`Text::slice_of`] keeps the
/// whole buffer alive for as long as one slice of it lives. What is kept for long is detached first
/// ([`Text::detached`]).
#[derive(Clone)]
pub struct Text {
    buffer: Arc<str>,
    start: usize,
    end: usize,
}

impl Text {
    /// The text of `part`, which must lie inside `buffer`: shared when it does, copied when it does not.
    #[must_use]
    pub fn slice_of(buffer: &Arc<str>, part: &str) -> Self {
        let origin = buffer.as_ptr() as usize;
        let start = (part.as_ptr() as usize).wrapping_sub(origin);
        let end = start.wrapping_add(part.len());
        if start <= end && buffer.get(start..end) == Some(part) {
            Self {
                buffer: Arc::clone(buffer),
                start,
                end,
            }
        } else {
            Self::from(part)
        }
    }

    /// The text as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.buffer[self.start..self.end]
    }

    /// The bytes of the text. Comparing these needs no look for where characters begin.
    fn bytes(&self) -> &[u8] {
        &self.buffer.as_bytes()[self.start..self.end]
    }

    /// The same text in a buffer of its own, so that it no longer keeps a larger one alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        if self.start == 0 && self.end == self.buffer.len() {
            self.clone()
        } else {
            Self::from(self.as_str())
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from("")
    }
}

impl From<Arc<str>> for Text {
    fn from(buffer: Arc<str>) -> Self {
        let end = buffer.len();
        Self {
            buffer,
            start: 0,
            end,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(Arc::<str>::from(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(Arc::<str>::from(text))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_shares_its_buffer() {
        let buffer: Arc<str> = Arc::from("{\"id\":\"a1\"}");
        let part = Text::slice_of(&buffer, &buffer[7..9]);
        assert_eq!(part.as_str(), "a1");
        assert_eq!(Arc::strong_count(&buffer), 2);
        let detached = part.detached();
        drop(part);
        assert_eq!(detached.as_str(), "a1");
        assert_eq!(Arc::strong_count(&buffer), 1);
    }

    #[test]
    fn a_part_of_another_buffer_is_copied() {
        let buffer: Arc<str> = Arc::from("abc");
        let other = String::from("abc");
        let part = Text::slice_of(&buffer, &other);
        assert_eq!(part.as_str(), "abc");
        assert_eq!(Arc::strong_count(&buffer), 1);
    }
}
