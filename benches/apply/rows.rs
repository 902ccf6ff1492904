//! Whether both sides hold the same.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, Rows};

use crate::{ours::Ours, workload::SCOPE};

/// What an app reads, but for edits of its own that no page has touched. The ids are UUIDs, whose bytes are in the
/// order of their text.
const OURS: &str = "
SELECT entity_type, entity_id, scope, version, payload FROM sync_records
WHERE scope = 'baby-1' AND entity_type = 'feed_log' AND NOT pending ORDER BY stored_id";

const BASELINE: &str = "
SELECT entity_type, entity_id, scope, version, payload FROM records
ORDER BY entity_type, entity_id";

/// Fails unless the rows of both files are the same, value by value, and the cursor is. Returns how many there are.
pub(crate) fn assert_same(ours: &Path, baseline: &Path) -> usize {
    let store = Ours::open(ours);
    let cursor = store.cursor.clone();
    store.close();
    let (ours, baseline) = (open(ours), open(baseline));
    let kept: Option<String> = baseline
        .query_row(
            "SELECT cursor FROM cursors WHERE scope = ?1",
            [SCOPE],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        cursor.as_ref().map(|cursor| cursor.as_str()),
        kept.as_deref()
    );

    let (mut ours, mut baseline) = (
        ours.prepare(OURS).unwrap(),
        baseline.prepare(BASELINE).unwrap(),
    );
    let (mut ours, mut baseline) = (ours.query([]).unwrap(), baseline.query([]).unwrap());
    let mut same = 0;
    loop {
        let (our, their) = (next(&mut ours), next(&mut baseline));
        assert_eq!(our, their, "row {same}");
        if our.is_none() {
            return same;
        }
        same += 1;
    }
}

fn open(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

type Values = (String, String, String, i64, String);

fn next(rows: &mut Rows<'_>) -> Option<Values> {
    let values = |row: &Row<'_>| -> rusqlite::Result<Values> {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    };
    rows.next().unwrap().map(|row| values(row).unwrap())
}
