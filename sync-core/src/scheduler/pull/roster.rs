//! The scopes of which something is remembered, and when each is due.

use super::scope::ScopePulls;
use crate::{
    model::Scope,
    ordered::{OrderedMap, OrderedSet},
    time::Time,
};

/// Where a scope is kept for as long as it is remembered, so that an event looks for its name only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(usize);

/// All scopes that are active, or of which something is remembered.
#[derive(Debug)]
pub(super) struct Roster {
    places: OrderedMap<Scope, Place>,
    entries: Vec<Entry>,
    /// The places of scopes that have been forgotten.
    free: Vec<Place>,
    /// When each scope is due, in order, so that the next deadline costs no search.
    agenda: OrderedSet<(Time, Place)>,
    /// Whether active scopes are polled now.
    polling: bool,
    /// Above how many scopes the ones of which nothing matters any more are forgotten.
    forget_above: usize,
}

#[derive(Debug)]
struct Entry {
    scope: Scope,
    pulls: ScopePulls,
    /// Its time in the agenda.
    due: Option<Time>,
}

impl Roster {
    pub(super) fn new(polling: bool) -> Self {
        Self {
            places: OrderedMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            agenda: OrderedSet::new(),
            polling,
            forget_above: 64,
        }
    }

    /// The place of a scope, if it is remembered.
    pub(super) fn find(&self, scope: &Scope) -> Option<Place> {
        self.places.get(scope).copied()
    }

    /// The place of a scope, which is remembered from now on.
    pub(super) fn find_or_add(&mut self, scope: &Scope, now: Time) -> Place {
        self.find(scope).unwrap_or_else(|| self.add(scope, now))
    }

    fn add(&mut self, scope: &Scope, now: Time) -> Place {
        self.forget_idle(now);
        let scope = scope.detached();
        let entry = Entry {
            scope: scope.clone(),
            pulls: ScopePulls::default(),
            due: None,
        };
        let place = if let Some(place) = self.free.pop() {
            self.entries[place.0] = entry;
            place
        } else {
            self.entries.push(entry);
            Place(self.entries.len() - 1)
        };
        self.places.insert(scope, place);
        place
    }

    fn forget_idle(&mut self, now: Time) {
        if self.places.len() >= self.forget_above {
            self.places.retain(|_, place| {
                let matters = self.entries[place.0].pulls.matters(now);
                if !matters {
                    self.free.push(*place);
                }
                matters
            });
            self.forget_above = 64.max(self.places.len() * 2);
        }
    }

    pub(super) fn scope(&self, place: Place) -> &Scope {
        &self.entries[place.0].scope
    }

    pub(super) fn pulls(&self, place: Place) -> &ScopePulls {
        &self.entries[place.0].pulls
    }

    /// All of them, in the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Scope, &ScopePulls)> {
        self.places
            .iter()
            .map(|(scope, place)| (scope, self.pulls(*place)))
    }

    /// Changes one scope and keeps the agenda right.
    pub(super) fn change<R>(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut ScopePulls) -> R,
    ) -> R {
        let entry = &mut self.entries[place.0];
        let result = change(&mut entry.pulls);
        let due = entry.pulls.due(self.polling);
        if due != entry.due {
            if let Some(old) = entry.due {
                self.agenda.remove(&(old, place));
            }
            if let Some(due) = due {
                self.agenda.insert((due, place));
            }
            entry.due = due;
        }
        result
    }

    /// Changes all scopes, in the order of their names, and keeps the agenda right.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&Scope, &mut ScopePulls)) {
        let places = std::mem::take(&mut self.places);
        for (scope, place) in &places {
            self.change(*place, |pulls| change(scope, pulls));
        }
        self.places = places;
    }

    /// Polls from now on, or does not.
    pub(super) fn set_polling(&mut self, polling: bool) {
        if self.polling != polling {
            self.polling = polling;
            self.change_all(|_, _| {});
        }
    }

    /// The scope that is due first, and when.
    pub(super) fn first_due(&self) -> Option<(Time, Place)> {
        self.agenda.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::pull::Want;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn scope(n: u64) -> Scope {
        Scope::from(format!("s{n:03}"))
    }

    /// So many scopes, each of which was pulled once and is not wanted any more, but for the first.
    fn long_used(scopes: u64) -> Roster {
        let mut roster = Roster::new(true);
        for n in 0..scopes {
            let place = roster.find_or_add(&scope(n), at(n));
            roster.change(place, |pulls| {
                pulls.want = (n == 0).then_some(Want::firm(at(5_000)));
                pulls.drained_at = Some(at(n));
            });
        }
        roster
    }

    #[test]
    fn scopes_of_which_nothing_matters_make_room_for_others() {
        let roster = long_used(10_000);
        assert!(roster.places.len() <= 64);
        assert_eq!(
            roster.places.len() + roster.free.len(),
            roster.entries.len()
        );
        assert!(roster.entries.len() <= 64);
    }

    #[test]
    fn a_scope_that_takes_a_forgotten_ones_place_starts_anew() {
        let mut roster = long_used(64);
        let newcomer = roster.find_or_add(&scope(64), at(64));
        assert_eq!(roster.find(&scope(1)), None);
        assert_eq!(roster.entries.len(), 64);
        assert_eq!(roster.scope(newcomer), &scope(64));
        assert_eq!(roster.pulls(newcomer).drained_at, None);
    }

    #[test]
    fn a_scope_that_matters_keeps_its_place_and_its_time() {
        let roster = long_used(10_000);
        let kept = roster.find(&scope(0)).unwrap();
        assert_eq!(roster.first_due(), Some((at(5_000), kept)));
        assert_eq!(roster.agenda.len(), 1);
    }
}
