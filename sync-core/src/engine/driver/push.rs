//! One push: take a batch, send it, settle the answers.

use std::sync::Arc;

use tracing::Instrument;

use super::{Fenced, Work, is_fenced};
use crate::{
    error::StoreError,
    model::MutationId,
    ordered::{OrderedMap, OrderedSet},
    scheduler::{Outcome, PushEnd, PushPlan, Sent},
    store::{Settlement, TakeRequest, Taken},
    transport::{Answer, Outgoing, PushAnswer, PushRequest, Verdict},
};

impl Work {
    pub(super) async fn push(self, plan: PushPlan) -> Result<PushEnd, Fenced> {
        let span = tracing::debug_span!("push", mutations = tracing::field::Empty);
        let end = self.push_batch(plan).instrument(span).await;
        end.or_else(|error| {
            if is_fenced(&error) {
                return Err(Fenced);
            }
            self.report_error(&error);
            Ok(PushEnd::Local)
        })
    }

    async fn push_batch(&self, plan: PushPlan) -> Result<PushEnd, StoreError> {
        let taken = self
            .shared
            .store
            .take(TakeRequest {
                fence: self.fence,
                now: self.shared.clock.wall(),
                pick: plan.pick,
                max_count: plan.max_count,
                max_bytes: plan.max_bytes,
                traits: self.traits.clone(),
                upgrade: Arc::clone(&self.upgrade),
            })
            .await?;
        self.shared.touched(&taken.touched);
        if taken.entries.is_empty() {
            return Ok(PushEnd::Nothing {
                waiting: taken.waiting,
                forgotten: taken.forgotten,
            });
        }
        tracing::Span::current().record("mutations", taken.entries.len());
        let sent: Vec<Sent> = taken
            .entries
            .iter()
            .map(|taken| Sent {
                id: taken.entry.mutation.id,
                key: taken.entry.mutation.key.clone(),
            })
            .collect();
        match self.transport.push(self.request(&taken)).await {
            Ok(answer) => {
                let outcomes = self.settle_answers(&sent, answer).await?;
                self.succeeded();
                Ok(PushEnd::Answered {
                    sent,
                    outcomes,
                    waiting: taken.waiting,
                    forgotten: taken.forgotten,
                })
            }
            Err(error) => {
                self.report_error(&error);
                Ok(PushEnd::Refused {
                    sent,
                    kind: error.kind(),
                    retry_after: error.retry_after(),
                })
            }
        }
    }

    fn request(&self, taken: &Taken) -> PushRequest {
        let now = self.shared.clock.wall();
        PushRequest {
            account: self.shared.account.clone(),
            cursors: taken.cursors.clone(),
            mutations: taken
                .entries
                .iter()
                .map(|taken| Outgoing {
                    age: now.since(taken.entry.mutation.edited_at),
                    mutation: taken.entry.mutation.clone(),
                    over: taken.over.clone(),
                })
                .collect(),
        }
    }

    /// Settles what was answered, in the order in which it was sent, and says what became of each.
    async fn settle_answers(
        &self,
        sent: &[Sent],
        answer: PushAnswer,
    ) -> Result<Vec<(MutationId, Outcome)>, StoreError> {
        let mut verdicts = OrderedMap::new();
        for Answer { id, verdict } in answer.answers {
            verdicts.get_or_insert_with(id, || verdict);
        }
        let mut outcomes = Vec::with_capacity(sent.len());
        let mut settlements = Vec::with_capacity(sent.len());
        for Sent { id, .. } in sent {
            let Some(verdict) = verdicts.remove(id) else {
                continue;
            };
            outcomes.push((*id, outcome(&verdict)));
            // A pull of the scope decides what `forbidden` means; nothing is settled before.
            if !matches!(verdict, Verdict::Forbidden | Verdict::Retry { .. }) {
                settlements.push(Settlement::Answer(*id, verdict));
            }
        }
        if settlements.is_empty() {
            return Ok(outcomes);
        }
        let doubted: OrderedSet<MutationId> = self
            .settle(settlements, answer.verdict_retention)
            .await?
            .into_iter()
            .map(|(_, id)| id)
            .collect();
        for (id, outcome) in &mut outcomes {
            if doubted.contains(id) {
                *outcome = Outcome::Doubted;
            }
        }
        Ok(outcomes)
    }
}

fn outcome(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Applied { .. } | Verdict::Conflict { .. } => Outcome::Settled,
        Verdict::Rejected { .. } => Outcome::Rejected,
        Verdict::Forbidden => Outcome::Forbidden,
        Verdict::Retry { after, resync } => Outcome::Retry {
            after: *after,
            resync: *resync,
        },
    }
}
