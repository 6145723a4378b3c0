//! What runners take from the machine: memory and places for containers, set aside before a runner is started.
//!
//! A runner that does not fit is not started, so that none is killed for want of memory in the middle of its work.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use runners::launch::Need;
use telemetry::metrics::AiMetrics;

use crate::machine::{Machine, Share};

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Places {
    total: Need,
    taken: Arc<Mutex<BTreeMap<u64, Need>>>,
    machine: Machine,
    metrics: AiMetrics,
}

impl Places {
    /// Runners may have `total`, as far as `machine` has room beside its streams.
    pub fn new(total: Need, machine: Machine, metrics: AiMetrics) -> Self {
        Self {
            total,
            taken: Arc::default(),
            machine,
            metrics,
        }
    }

    /// What there is in all.
    pub fn total(&self) -> Need {
        self.total
    }

    /// What is free.
    pub fn free(&self) -> Need {
        let taken = sum(&self.taken.lock());
        Need {
            memory: self.total.memory.saturating_sub(taken.memory),
            places: self.total.places.saturating_sub(taken.places),
            cpu: 0,
        }
    }

    /// Sets `need` aside for `runner`; `None` when it does not fit.
    pub fn take(&self, runner: u64, need: Need) -> Option<Place> {
        let mut taken = self.taken.lock();
        let sum_before = sum(&taken);
        let fits = sum_before.memory.saturating_add(need.memory) <= self.total.memory
            && sum_before.places + need.places <= self.total.places;
        if !fits && need != Need::default() {
            return None;
        }
        let share = self.machine.take_memory(need.memory)?;
        taken.insert(runner, need);
        self.metrics.set_ledger(sum(&taken).memory);
        Some(Place {
            runner,
            places: self.clone(),
            share: Mutex::new(share),
        })
    }

    /// Whether `need` could ever be had.
    pub fn could_fit(&self, need: Need) -> bool {
        need.memory <= self.total.memory && need.places <= self.total.places
    }
}

fn sum(taken: &BTreeMap<u64, Need>) -> Need {
    taken.values().fold(Need::default(), |sum, need| Need {
        memory: sum.memory.saturating_add(need.memory),
        places: sum.places + need.places,
        cpu: 0,
    })
}

/// What is set aside for a runner, until this is dropped.
#[derive(Debug)]
pub struct Place {
    runner: u64,
    places: Places,
    share: Mutex<Share>,
}

impl Place {
    /// What the runner really holds: what it was measured to take counts, when that is more than was thought.
    pub fn measured(&self, memory: u64) {
        self.share.lock().grown(memory);
        let mut taken = self.places.taken.lock();
        if let Some(need) = taken.get_mut(&self.runner) {
            need.memory = need.memory.max(memory);
        }
        self.places.metrics.set_ledger(sum(&taken).memory);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.remove(&self.runner);
        self.places.metrics.set_ledger(sum(&taken).memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(memory: u64, places: usize) -> Need {
        Need {
            memory,
            places,
            cpu: 0,
        }
    }

    #[test]
    fn what_does_not_fit_is_not_started_and_what_ended_makes_room() {
        let places = Places::new(
            need(100, 1),
            Machine::boundless(crate::test_metrics().machine.clone()),
            crate::test_metrics().ai.clone(),
        );
        let first = places.take(1, need(60, 0)).expect("fits");
        assert!(places.take(2, need(60, 0)).is_none());
        let container = places.take(3, need(0, 1)).expect("a place");
        assert!(places.take(4, need(0, 1)).is_none());
        assert!(places.take(5, need(0, 0)).is_some(), "needs nothing");
        drop((first, container));
        assert_eq!(places.free(), need(100, 1));
    }

    #[test]
    fn a_runner_that_grew_counts_as_it_is() {
        let places = Places::new(
            need(100, 0),
            Machine::boundless(crate::test_metrics().machine.clone()),
            crate::test_metrics().ai.clone(),
        );
        let place = places.take(1, need(50, 0)).expect("fits");
        place.measured(90);
        assert_eq!(places.free().memory, 10);
        place.measured(20);
        assert_eq!(places.free().memory, 10);
    }
}
