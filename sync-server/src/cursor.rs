//! Cursors: what the opaque text that clients store means to this server.

use sync_core::model::{Cursor, Epoch};

use crate::log::ScopeRow;

/// The first field of a cursor: the version of this format.
const FORMAT: &str = "1";

/// A position in a scope's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The history that the numbers belong to.
    pub(crate) epoch: Epoch,
    /// Everything up to this number has been scanned.
    pub(crate) through: u64,
    /// In a scan from the start, the head at its beginning.
    pub(crate) scan_head: Option<u64>,
}

impl Position {
    /// Where a scan from the start begins.
    pub(crate) fn start(scope: &ScopeRow) -> Self {
        Self {
            epoch: scope.epoch.clone(),
            through: 0,
            scan_head: Some(scope.head),
        }
    }

    /// The position after a page that has scanned up to `through`.
    pub(crate) fn advanced(&self, through: u64) -> Self {
        Self {
            epoch: self.epoch.clone(),
            through,
            scan_head: self.scan_head.filter(|head| through < *head),
        }
    }

    /// The position as clients get it.
    pub(crate) fn encode(&self) -> Cursor {
        let (epoch, through) = (&self.epoch, self.through);
        Cursor::from(match self.scan_head {
            Some(head) => format!("{FORMAT}.{through}.{head}.{epoch}"),
            None => format!("{FORMAT}.{through}..{epoch}"),
        })
    }

    /// The position in a cursor; `None` when no server of this kind has made it.
    pub(crate) fn decode(cursor: &Cursor) -> Option<Self> {
        let mut fields = cursor.as_str().splitn(4, '.');
        let mut field = || fields.next();
        if field()? != FORMAT {
            return None;
        }
        let through = field()?.parse().ok()?;
        let scan_head = match field()? {
            "" => None,
            head => Some(head.parse().ok()?),
        };
        Some(Self {
            epoch: Epoch::from(field()?),
            through,
            scan_head,
        })
    }
}

/// What a client's cursor is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The log can go on from here.
    At(Position),
    /// Of another epoch, of no known format, or so old that tombstones after it are gone: pull from the start.
    Expired,
    /// Of this epoch and beyond its head: the log has lost a part of its past, and nobody said so.
    Beyond,
}

impl Standing {
    /// Judges a client's cursor by the scope as it is now.
    pub(crate) fn of(cursor: Option<&Cursor>, scope: &ScopeRow) -> Self {
        let Some(cursor) = cursor else {
            return Self::At(Position::start(scope));
        };
        let Some(position) = Position::decode(cursor) else {
            return Self::Expired;
        };
        let known = position.through.max(position.scan_head.unwrap_or(0));
        if position.epoch != scope.epoch {
            Self::Expired
        } else if known > scope.head {
            Self::Beyond
        } else if known < scope.removed {
            Self::Expired
        } else {
            Self::At(position)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_to_the_client_and_back() {
        for (through, scan_head, epoch) in
            [(0, Some(0), "e"), (7, None, "a.b"), (7, Some(u64::MAX), "")]
        {
            let position = Position {
                epoch: Epoch::from(epoch),
                through,
                scan_head,
            };
            assert_eq!(Position::decode(&position.encode()), Some(position));
        }
    }

    #[test]
    fn what_this_server_has_not_made_is_no_position() {
        for text in ["", "7", "2.7..e", "1.7.e", "1.x..e", "1.-7..e", "1.7.x.e"] {
            assert_eq!(Position::decode(&Cursor::from(text)), None, "{text}");
        }
    }
}
