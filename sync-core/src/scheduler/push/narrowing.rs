//! Narrowing down: which mutation a refusal of a whole batch is about.
//!
//! The scopes of a refused batch are sent one by one, and a scope that is refused on its own is sent one mutation
//! at a time; with each answer twice as many, so that an outage costs a scope a few small batches and no more.
//! What is refused alone is a suspect. It is blamed only when another mutation, sent alone after it, has been
//! settled: a server that is down, or refuses everything, blames nobody.

use crate::{
    model::{MutationId, Scope},
    ordered::OrderedSet,
    time::Time,
    transport::TransportErrorKind,
};

use super::super::Sent;

/// What a push is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Everything that is not held.
    Common,
    /// A scope that is narrowed down.
    Own(Scope),
    /// Another scope's head, alone: is it only this scope that is refused?
    ProbeOthers(Scope),
    /// The next record of this scope, alone: is it only the suspects that are refused?
    ProbeNext(Scope),
    /// One of the suspects behind the first, alone: was it refused for another reason than its own?
    ProbeSuspect(Scope),
}

/// A scope whose mutations are sent on their own.
#[derive(Debug)]
pub(super) struct Narrowed {
    /// How many at a time.
    pub(super) limit: u32,
    /// Keeps the attempts of a suspect apart, whoever asks for a push.
    pub(super) not_before: Time,
    /// Whether something else has gone through since: its failures are then its own.
    pub(super) isolated: bool,
    /// In the order of the outbox.
    pub(super) suspects: Vec<Suspect>,
    /// Counts the probes of suspects, so that each has its turn.
    turn: usize,
}

/// A mutation that was refused alone. It may have left the outbox since, as a pull has settled it.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) id: MutationId,
    /// The refusals that count.
    attempts: u32,
    /// Whether the last refusal waits for another mutation to go through.
    unproven: bool,
}

impl Narrowed {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            not_before: Time::default(),
            isolated: false,
            suspects: Vec::new(),
            turn: 0,
        }
    }

    /// What to leave out so that another suspect than the first is sent, each in its turn.
    pub(super) fn all_but_one(&mut self) -> OrderedSet<MutationId> {
        let Some((first, others)) = self.suspects.split_first() else {
            return OrderedSet::new();
        };
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn % others.len().max(1);
        let skipped = others.iter().enumerate().filter(|(at, _)| *at != turn);
        let skipped = skipped.map(|(_, suspect)| suspect.id);
        skipped.chain([first.id]).collect()
    }

    /// A mutation was refused alone. Returns whether another one has to go through before that counts.
    ///
    /// Once a mutation has been blamed, a refusal that names the request as the reason needs no further proof.
    pub(super) fn refused_alone(&mut self, sent: &Sent, kind: TransportErrorKind) -> bool {
        let known = self.suspects.iter().position(|s| s.id == sent.id);
        let index = known.unwrap_or_else(|| {
            self.suspects.push(Suspect {
                id: sent.id,
                attempts: 0,
                unproven: false,
            });
            self.suspects.len() - 1
        });
        let suspect = &mut self.suspects[index];
        if suspect.attempts > 0 && kind == TransportErrorKind::BadRequest {
            suspect.attempts += 1;
        } else {
            suspect.unproven = true;
        }
        suspect.unproven
    }

    /// Another mutation than these suspects has gone through alone, after their last refusals.
    pub(super) fn prove(&mut self) {
        for suspect in &mut self.suspects {
            if std::mem::take(&mut suspect.unproven) {
                suspect.attempts += 1;
            }
        }
    }

    /// Takes out the suspects that have been refused often enough.
    pub(super) fn convict(&mut self, attempts: u32) -> Vec<MutationId> {
        let mut convicted = Vec::new();
        self.suspects.retain(|suspect| {
            let guilty = suspect.attempts >= attempts;
            if guilty {
                convicted.push(suspect.id);
            }
            !guilty
        });
        convicted
    }

    /// A mutation is no suspect any more.
    pub(super) fn clear(&mut self, id: MutationId) {
        self.suspects.retain(|suspect| suspect.id != id);
    }

    /// This is the scope's head now: the suspects before it have left the outbox in some other way.
    pub(super) fn head_is(&mut self, id: MutationId) {
        let gone = self.suspects.iter().position(|s| s.id == id);
        self.suspects.drain(..gone.unwrap_or(self.suspects.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::RecordKey, time::Timestamp};

    fn sent(number: u64, record: &str) -> Sent {
        Sent {
            id: MutationId::following(None, Timestamp::from_millis(1_000), u128::from(number)),
            key: RecordKey::new("a", "t", record),
        }
    }

    #[test]
    fn the_next_edit_of_a_record_has_its_turn_beside_one_that_left_in_another_way() {
        let mut narrowed = Narrowed::new(1);
        narrowed.refused_alone(&sent(1, "r1"), TransportErrorKind::BadRequest);
        narrowed.refused_alone(&sent(2, "r2"), TransportErrorKind::Unavailable);
        // A pull has settled the second one; the record's next edit is refused in passing, too.
        narrowed.refused_alone(&sent(3, "r2"), TransportErrorKind::Unavailable);
        let [first, second, third] = [1, 2, 3].map(|number| sent(number, "").id);
        let mut turns = [narrowed.all_but_one(), narrowed.all_but_one()];
        turns.sort_by_key(|left_out| left_out.contains(&third));
        let left_out = |ids: &[MutationId]| ids.iter().copied().collect();
        assert_eq!(
            turns,
            [left_out(&[first, second]), left_out(&[first, third])]
        );
    }
}
