//! Which worker takes a stream: one function over the facts of all of them, local devices and remote transcoders alike.

use std::cmp::Ordering;

/// What counts about a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Streams on it.
    pub load: usize,
    /// Streams that it can carry.
    pub capacity: usize,
    /// Whether it can do what the stream demands.
    pub capable: bool,
    /// Whether it takes streams at all: not while it drains, and not one that it has just failed.
    pub open: bool,
    /// Whether it owes an answer: such a one comes last.
    pub suspected: bool,
}

/// Why no worker was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// None is there, or all are full.
    NoRoom,
    /// Some are there, and none can do it.
    Incapable,
}

/// The capable worker with the least load for its capacity; the first of equals.
///
/// # Errors
/// [`NoPlace`], in the words that gateways know.
pub fn choose<W>(workers: impl IntoIterator<Item = (W, Facts)>) -> Result<W, NoPlace> {
    let mut open = workers
        .into_iter()
        .filter(|(_, facts)| facts.open)
        .peekable();
    if open.peek().is_none() {
        return Err(NoPlace::NoRoom);
    }
    let mut capable = open.filter(|(_, facts)| facts.capable).peekable();
    if capable.peek().is_none() {
        return Err(NoPlace::Incapable);
    }
    capable
        .filter(|(_, facts)| facts.load < facts.capacity)
        .min_by(|(_, a), (_, b)| by_load(a, b))
        .map(|(worker, _)| worker)
        .ok_or(NoPlace::NoRoom)
}

/// Compares load ÷ capacity without dividing.
fn by_load(a: &Facts, b: &Facts) -> Ordering {
    let share = |of: &Facts, other: &Facts| of.load as u128 * other.capacity as u128;
    a.suspected
        .cmp(&b.suspected)
        .then_with(|| share(a, b).cmp(&share(b, a)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts(load: usize, capacity: usize) -> Facts {
        Facts {
            load,
            capacity,
            capable: true,
            open: true,
            suspected: false,
        }
    }

    #[test]
    fn the_least_loaded_for_its_size_is_chosen() {
        let workers = [("a", facts(1, 2)), ("b", facts(4, 10)), ("c", facts(9, 10))];
        assert_eq!(choose(workers), Ok("b"));
        assert_eq!(choose([("a", facts(0, 1)), ("b", facts(0, 9))]), Ok("a"));
    }

    #[test]
    fn one_that_owes_an_answer_comes_last() {
        let suspected = Facts {
            suspected: true,
            ..facts(0, 9)
        };
        assert_eq!(choose([("a", suspected), ("b", facts(8, 9))]), Ok("b"));
        assert_eq!(choose([("a", suspected), ("b", facts(9, 9))]), Ok("a"));
    }

    #[test]
    fn why_nobody_takes_it_is_told_apart() {
        let none: [(&str, Facts); 0] = [];
        assert_eq!(choose(none), Err(NoPlace::NoRoom));
        assert_eq!(choose([("a", facts(2, 2))]), Err(NoPlace::NoRoom));
        let unable = Facts {
            capable: false,
            ..facts(0, 2)
        };
        assert_eq!(choose([("a", unable)]), Err(NoPlace::Incapable));
        assert_eq!(
            choose([("a", unable), ("b", facts(2, 2))]),
            Err(NoPlace::NoRoom)
        );
        let closed = Facts {
            open: false,
            ..facts(0, 2)
        };
        assert_eq!(choose([("a", closed)]), Err(NoPlace::NoRoom));
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_he_can_carry(
            workers in prop::collection::vec((0..5usize, 0..5usize, any::<(bool, bool, bool)>()), 0..8)
        ) {
            let facts: Vec<Facts> = workers
                .into_iter()
                .map(|(load, capacity, (capable, open, suspected))| Facts { load, capacity, capable, open, suspected })
                .collect();
            if let Ok(chosen) = choose(facts.iter().map(|facts| (*facts, *facts))) {
                prop_assert!(chosen.capable && chosen.open && chosen.load < chosen.capacity);
            }
        }
    }
}
