//! Whether a payload comes back from JavaScript as the text that it was, but for the spelling of numbers.

/// The digits that every double keeps.
const DIGITS: u32 = 15;
/// The power of ten up to which it does, in either direction, whatever the digits.
const POWER: u32 = 280;
/// Deeper values are not cloned by every browser.
pub(crate) const DEPTH: u32 = 200;

/// What becomes of a JSON text that is parsed, cloned and written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The same text comes back; `1.0` may be spelt `1`.
    Same,
    /// Something may change; it can be stored for indexes, beside the text.
    Changed,
    /// It is too deep to be stored as a value.
    TooDeep,
}

/// Looks at a JSON text that is known to be valid.
pub(crate) fn fate(json: &str) -> Fate {
    let bytes = json.as_bytes();
    let (mut depth, mut deepest, mut same) = (0_u32, 0, true);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\n' | b'\r' => same = false,
            b'"' => {
                let (end, plain) = string_end(bytes, at);
                at = end;
                same &= plain;
            }
            b'-' | b'0'..=b'9' => {
                let (end, kept) = number_end(bytes, at - 1);
                at = end;
                same &= kept;
            }
            _ => {}
        }
    }
    match (deepest > DEPTH, same) {
        (true, _) => Fate::TooDeep,
        (false, true) => Fate::Same,
        (false, false) => Fate::Changed,
    }
}

/// Where a string ends, and whether JavaScript would write it so: it escapes what it must, and nothing else. Names that
/// look like numbers are put before the others.
fn string_end(bytes: &[u8], start: usize) -> (usize, bool) {
    let (mut at, mut same, mut digits) = (start, true, true);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                same &= is_needed(bytes.get(at..at + 5).unwrap_or_default())
                    || matches!(
                        bytes.get(at),
                        Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't')
                    );
                at += 1;
                digits = false;
            }
            _ => digits &= byte.is_ascii_digit(),
        }
    }
    let is_number = digits && at - start > 1 && bytes.get(at) == Some(&b':');
    (at, same && !is_number)
}

/// Whether an escape by number is the one that JavaScript writes: of a control character that has no shorter one.
fn is_needed(escape: &[u8]) -> bool {
    match escape {
        [b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f'] => true,
        [b'u', b'0', b'0', b'0', low] => matches!(low, b'0'..=b'7' | b'b' | b'e' | b'f'),
        _ => false,
    }
}

/// Where a number ends, and whether a double keeps it.
fn number_end(bytes: &[u8], start: usize) -> (usize, bool) {
    let mut at = start;
    // Zero has no sign there.
    let mut is_negative_zero = bytes.get(start) == Some(&b'-');
    let (mut digits, mut zeros, mut length, mut exponent) = (0_u32, 0_u32, 0_u32, None);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => match &mut exponent {
                Some(power) => *power = u32::min(*power * 10 + u32::from(byte - b'0'), 100_000),
                None => {
                    length += 1;
                    // Zeros before the first digit and after the last need no place.
                    if byte == b'0' {
                        zeros += u32::from(digits > 0);
                    } else {
                        digits += zeros + 1;
                        zeros = 0;
                        is_negative_zero = false;
                    }
                }
            },
            b'e' | b'E' => exponent = Some(0),
            b'-' | b'+' | b'.' => {}
            _ => break,
        }
        at += 1;
    }
    let power = exponent.unwrap_or_default().saturating_add(length);
    (at, !is_negative_zero && digits <= DIGITS && power <= POWER)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test]
    fn what_a_double_keeps_needs_no_text() {
        for json in [
            "{}",
            "null",
            "[1,2.5,-1e10,123456789012345,1.0,0.000001]",
            "1000000000000000000000",
            r#"{"n":"9007199254740993","s":"\\\" \u0000\u001f\n ë 12345678901234567890"}"#,
            "0.00000000000000000001",
        ] {
            assert_eq!(fate(json), Fate::Same, "{json}");
        }
    }

    #[wasm_bindgen_test]
    fn what_it_might_not_keep_does() {
        for json in [
            "9007199254740993",
            "[1,-9007199254740993]",
            r#"{"a":0.12345678901234567}"#,
            "1e400",
            "1e-400",
            "5e-324",
            "-0",
            "[-0.0]",
            "[1, 2]",
            r#""\ud83d""#,
            r#""zo\u00eb""#,
            r#""\u000a""#,
            r#""\u001F""#,
            r#""a\/b""#,
            r#"{"b":1,"10":2}"#,
            r#"{"\\\uD83d":1}"#,
        ] {
            assert_eq!(fate(json), Fate::Changed, "{json}");
        }
    }

    #[wasm_bindgen_test]
    fn a_very_deep_value_is_kept_as_text_alone() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(fate(&deep(200)), Fate::Same);
        assert_eq!(fate(&deep(201)), Fate::TooDeep);
        assert_eq!(fate(&format!("\"{}\"", "[".repeat(300))), Fate::Same);
    }
}
