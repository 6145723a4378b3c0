//! What operators see of the queue.

use std::collections::BTreeMap;

use ledger::State;
use ledger::ticket::Deferral;
use protocol::money::U256;
use telemetry::metrics::{QueueFigures, label};
use tokio::time::Instant;

use super::policy::Life;
use super::queue::Phase;
use super::scheduler::Redeemer;
use super::small;
use crate::facts::{RedeemerState, TicketSum};

/// When the sums were made, and whether they are still true.
#[derive(Debug, Default)]
pub(super) struct Figures {
    made: Option<Instant>,
    dirty: bool,
    /// Why the last ticket was put off.
    pub last_deferral: Option<String>,
}

impl Figures {
    /// A ticket moved.
    pub fn changed(&mut self) {
        self.dirty = true;
    }
}

impl Redeemer {
    /// Publishes the queue, at most once in a while: the sums go over every ticket there ever was.
    pub(super) async fn show(&mut self, now: Instant) {
        let every = match self.figures.dirty {
            true => self.options.figures_every,
            // ages and rounds go on by themselves
            false => self.options.figures_every * 4,
        };
        let fresh = |made| now.duration_since(made) < every;
        if self.figures.made.is_some_and(fresh) {
            return;
        }
        let sums = match self.parts.ledger.ticket_sums().await {
            Ok(sums) => sums,
            Err(error) => {
                tracing::warn!(%error, "tickets cannot be counted");
                return;
            }
        };
        self.figures.made = Some(now);
        self.figures.dirty = false;
        let now_s = (self.parts.now_ms)() / 1000;
        let open = || sums.iter().filter(|sum| !sum.state.is_final());
        let rounds = self.parts.rounds.get();
        let validity = self.validity;
        let left = |creation_round| {
            let life = Life {
                creation_round,
                validity,
            };
            life.rounds_left(rounds.current)
        };
        let oldest = open().filter_map(|sum| sum.oldest).min();
        let rounds_left = open().filter_map(|sum| sum.lowest_round).min().map(left);
        let in_last_round = self
            .queue
            .iter()
            .filter(|entry| validity > 0 && left(entry.creation_round) <= 1)
            .count() as u64;
        let of = |state| sums.iter().find(|sum| sum.state == state);
        let paid = |state| of(state).map_or(U256::zero(), |sum| sum.paid);
        let state = RedeemerState {
            by_state: sums
                .iter()
                .map(|sum| {
                    let total = TicketSum {
                        count: sum.count,
                        face_value: sum.face_value,
                    };
                    (sum.state.as_str().to_owned(), total)
                })
                .collect(),
            oldest_s: oldest.map_or(0, |oldest| now_s.saturating_sub(oldest)),
            rounds_left,
            in_last_round,
            redeemed_face_value: of(State::Paid).map_or(U256::zero(), |sum| sum.face_value),
            paid: paid(State::Paid).saturating_add(paid(State::Mined)),
            held: self.held,
            last_deferral: self.figures.last_deferral.clone(),
        };
        self.parts.metrics.set_queue(&QueueFigures {
            by_state: sums
                .iter()
                .map(|sum| (state_label(sum.state), sum.count, small(sum.face_value)))
                .collect(),
            deferred: self.deferred(),
            oldest_s: oldest.map(|_| state.oldest_s),
            rounds_left,
            in_last_round,
        });
        self.parts.state.publish(state);
    }

    fn deferred(&self) -> Vec<(telemetry::metrics::label::Deferral, u64)> {
        let mut counts = BTreeMap::new();
        for entry in self.queue.iter() {
            if let Phase::Deferred(reason, _) = entry.phase {
                let (_, count) = counts
                    .entry(reason.as_str())
                    .or_insert((deferral_label(reason), 0));
                *count += 1;
            }
        }
        counts.into_values().collect()
    }
}

/// The same reason in the words of the metrics.
pub(super) fn deferral_label(reason: Deferral) -> label::Deferral {
    match reason {
        Deferral::GasPrice => label::Deferral::GasPrice,
        Deferral::Cost => label::Deferral::Cost,
        Deferral::SenderFunds => label::Deferral::SenderFunds,
        Deferral::RoundNotInitialized => label::Deferral::RoundNotInitialized,
        Deferral::RoundHash => label::Deferral::RoundHash,
        Deferral::Simulation => label::Deferral::Simulation,
        Deferral::Chain => label::Deferral::Chain,
        Deferral::OwnFunds => label::Deferral::OwnFunds,
        Deferral::Order => label::Deferral::Order,
    }
}

/// The same state in the words of the metrics.
pub(super) fn state_label(state: State) -> label::TicketState {
    match state {
        State::Waiting => label::TicketState::Waiting,
        State::Ready => label::TicketState::Ready,
        State::Deferred => label::TicketState::Deferred,
        State::Submitted => label::TicketState::Submitted,
        State::Mined => label::TicketState::Mined,
        State::Paid => label::TicketState::Paid,
        State::Reverted => label::TicketState::Reverted,
        State::Held => label::TicketState::Held,
        State::Expired => label::TicketState::Expired,
        State::UsedElsewhere => label::TicketState::UsedElsewhere,
        State::Imported => label::TicketState::Imported,
    }
}
