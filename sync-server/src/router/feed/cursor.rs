//! Cursors of a feed: whole numbers that a client written in JavaScript can hold.

use sync_core::model::Cursor;

use crate::{
    cursor::Position,
    log::{LogPage, ScopeRow},
};

/// Below this a number is a position. From here on it is one within a scan from the start, whose head is in the
/// seven digits before the seven of the position.
const SCAN: u64 = 900_000_000_000_000;

/// A head of more digits does not go into the number; a long first sync of so long a log may then begin anew.
const DIGITS: u64 = 10_000_000;

/// The position after a page.
pub(super) fn encode(page: &LogPage) -> Cursor {
    let through = page.through;
    let scan_head = Position::decode(&page.next).and_then(|position| position.scan_head);
    Cursor::from(match scan_head {
        Some(head) if head < DIGITS => (SCAN + head * DIGITS + through).to_string(),
        _ => through.to_string(),
    })
}

/// The cursor of this server that a number stands for. It cannot say of which epoch it is: `None` where it lies
/// beyond the head, as after a restore, or when another backend has made it.
pub(super) fn decode(number: &str, scope: &ScopeRow) -> Option<Cursor> {
    let number: u64 = number.parse().ok()?;
    let (through, scan_head) = match number.checked_sub(SCAN) {
        Some(scan) => (scan % DIGITS, Some(scan / DIGITS)),
        None => (number, None),
    };
    let position = Position {
        epoch: scope.epoch.clone(),
        through,
        scan_head,
    };
    let known = through.max(scan_head.unwrap_or(0));
    (known <= scope.head).then(|| position.encode())
}

#[cfg(test)]
mod tests {
    use sync_core::model::Scope;

    use super::*;

    fn scope(head: u64) -> ScopeRow {
        ScopeRow {
            head,
            ..ScopeRow::new(Scope::from("s"), "e".into())
        }
    }

    fn page(scope: &ScopeRow, through: u64, from_start: bool) -> LogPage {
        let mut position = Position::start(scope);
        position.scan_head = position.scan_head.filter(|_| from_start);
        LogPage {
            records: Vec::new(),
            after: 0,
            through,
            next: position.advanced(through).encode(),
            has_more: true,
            epoch: scope.epoch.clone(),
        }
    }

    #[test]
    fn a_position_is_its_number_and_a_scan_keeps_its_head() {
        let scope = scope(9_999_999);
        for (through, from_start, number) in [
            (8, false, "8"),
            (8, true, "999999990000008"),
            (9_999_999, true, "9999999"),
        ] {
            let page = page(&scope, through, from_start);
            let cursor = encode(&page);
            assert_eq!(cursor.as_str(), number);
            assert_eq!(decode(cursor.as_str(), &scope), Some(page.next));
        }
        // A double holds it exactly.
        const { assert!(SCAN + DIGITS * DIGITS < 1 << 53) }
    }

    #[test]
    fn what_lies_beyond_the_head_or_is_no_number_is_no_cursor() {
        let scope = scope(7);
        assert!(decode("7", &scope).is_some());
        for number in ["8", "900000080000001", "", "-1", "1.5", "x"] {
            assert_eq!(decode(number, &scope), None, "{number}");
        }
    }
}
