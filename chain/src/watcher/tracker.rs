//! Which blocks have been taken in, and what to ask next. Pure: it is told answers and gives questions.
//!
//! Order of questions for a stretch of blocks: the header of its end, then the header of the newest block taken in,
//! then the logs. If the chain takes blocks back between two of these, the stored hash of the end is one of the old
//! chain, and the next look finds that out; a fork can be noticed late but not missed.

use std::collections::VecDeque;

use crate::types::{Hash, Head, Log};

/// How far and how fast blocks are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchOptions {
    /// Most blocks in one log query.
    pub max_range: u64,
    /// Most blocks that are caught up with; beyond, state is read anew.
    pub max_backfill: u64,
    /// Ends of stretches that are remembered, to find where a fork began.
    pub memory: usize,
    /// Looks for which a chain shorter than what was taken in is put down to an end point that lags.
    pub patience: u32,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            max_range: 1_000,
            max_backfill: 50_000,
            memory: 64,
            patience: 12,
        }
    }
}

/// A block by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: Hash,
}

impl From<&Head> for BlockRef {
    fn from(head: &Head) -> Self {
        Self {
            number: head.number,
            hash: head.hash,
        }
    }
}

/// Why state must be read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadCause {
    /// Nothing was known before.
    FirstStart,
    /// The newest block taken in is not known to the chain: a chain that was reset, or a data directory of another.
    UnknownBlock,
    /// More blocks were taken back than are remembered.
    DeepReorg,
    /// Blocks `from` to `to` were missed and are too many to catch up with.
    Gap {
        /// First.
        from: u64,
        /// Last.
        to: u64,
    },
    /// The logs of blocks `from` to `to` could not be had from any provider.
    Skipped {
        /// First.
        from: u64,
        /// Last.
        to: u64,
    },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing until the next look.
    Rest,
    /// Ask for this block's header and call [`Tracker::header`].
    Header(u64),
    /// Ask for the logs of these blocks and call [`Tracker::logs`] or [`Tracker::logs_failed`].
    Logs { from: u64, to: u64 },
}

/// What has become known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Log(Log),
    /// Blocks up to this one are taken in.
    Block(BlockRef),
    /// Blocks after this one were taken back; theirs follow anew.
    Reorg {
        to: u64,
    },
    /// State must be read anew, at this block or later; only events of later blocks follow.
    Reload {
        cause: ReloadCause,
        at: BlockRef,
    },
    /// Log entries of other blocks than were asked for, or there twice.
    Misplaced(usize),
}

/// Where the tracker is in a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The header of the stretch's end is wanted.
    End(u64),
    /// The header of the newest block taken in is wanted.
    Base {
        end: BlockRef,
    },
    Logs {
        from: u64,
        end: BlockRef,
    },
    /// A fork was seen; the header of the remembered block at this place is wanted.
    Fork {
        place: usize,
    },
    /// The chain is shorter than what was taken in; as above, but a match means that the end point lags.
    Short {
        place: usize,
    },
}

/// The state.
#[derive(Debug)]
pub(super) struct Tracker {
    options: WatchOptions,
    /// Ends of stretches taken in, oldest first.
    tail: VecDeque<BlockRef>,
    range: u64,
    phase: Phase,
    /// Looks in a row at which the chain was too short or did not know the newest block taken in.
    short_looks: u32,
    /// Tries at one block whose logs are refused.
    refused: u32,
    /// The newest block came from storage and was not yet seen on the chain.
    resumed: bool,
    found: Vec<Found>,
}

/// Tries at the logs of a single block before it is skipped.
const SINGLE_TRIES: u32 = 3;

impl Tracker {
    /// Goes on after `from`; `None` begins at the head.
    pub fn new(options: WatchOptions, from: Option<BlockRef>) -> Self {
        Self {
            options,
            tail: from.into_iter().collect(),
            range: options.max_range.max(1),
            phase: Phase::Idle,
            short_looks: 0,
            refused: 0,
            resumed: from.is_some(),
            found: Vec::new(),
        }
    }

    /// Newest block taken in.
    pub fn position(&self) -> Option<BlockRef> {
        self.tail.back().copied()
    }

    /// Takes what has become known since the last call.
    pub fn take(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found)
    }

    /// Forgets a question that got no answer; the next look asks again.
    pub fn abandon(&mut self) {
        self.phase = Phase::Idle;
    }

    /// What to do, given the chain's head.
    pub fn next(&mut self, head: &Head) -> Step {
        loop {
            match &self.phase {
                Phase::Idle => match self.plan(head) {
                    Some(phase) => self.phase = phase,
                    None => return Step::Rest,
                },
                Phase::End(number) => return Step::Header(*number),
                Phase::Base { .. } => match self.position() {
                    Some(base) => return Step::Header(base.number),
                    None => self.phase = Phase::Idle,
                },
                Phase::Logs { from, end } => {
                    return Step::Logs {
                        from: *from,
                        to: end.number,
                    };
                }
                Phase::Fork { place } | Phase::Short { place } => {
                    match self.tail.get(*place).copied() {
                        // the head's own hash needs no question
                        Some(block) if block.number == head.number => {
                            if !self.header(head, Some(head)) {
                                return Step::Rest;
                            }
                        }
                        Some(block) => return Step::Header(block.number),
                        None => {
                            self.reload(ReloadCause::DeepReorg, head);
                        }
                    }
                }
            }
        }
    }

    /// The next stretch, or `None` when there is nothing to do.
    fn plan(&mut self, head: &Head) -> Option<Phase> {
        let Some(base) = self.position() else {
            self.reload(ReloadCause::FirstStart, head);
            return None;
        };
        if head.number < base.number {
            return self.plan_short(head);
        }
        if head.number == base.number {
            if head.hash == base.hash {
                self.seen();
                return None;
            }
            return Some(Phase::Fork {
                place: self.tail.len() - 1,
            });
        }
        let missed = head.number - base.number;
        if missed > self.options.max_backfill {
            let (from, to) = (base.number + 1, head.number);
            self.reload(ReloadCause::Gap { from, to }, head);
            return None;
        }
        let to = base.number.saturating_add(self.range).min(head.number);
        if to < head.number {
            return Some(Phase::End(to));
        }
        let end = BlockRef::from(head);
        if missed == 1 && head.parent == base.hash {
            self.seen();
            return Some(Phase::Logs { from: to, end });
        }
        Some(Phase::Base { end })
    }

    /// The head is below what was taken in: a fork, a chain that was reset, or an end point that lags.
    fn plan_short(&mut self, head: &Head) -> Option<Phase> {
        let place = self
            .tail
            .iter()
            .rposition(|block| block.number <= head.number);
        match place {
            Some(place) => Some(Phase::Short { place }),
            None => {
                self.missing(head);
                None
            }
        }
    }

    /// The chain does not know the newest block taken in, at least not through this end point.
    fn missing(&mut self, head: &Head) {
        self.short_looks += 1;
        if self.resumed || self.short_looks >= self.options.patience {
            self.reload(ReloadCause::UnknownBlock, head);
        }
    }

    /// The newest block taken in was seen on the chain.
    fn seen(&mut self) {
        self.resumed = false;
        self.short_looks = 0;
    }

    fn reload(&mut self, cause: ReloadCause, head: &Head) {
        let at = BlockRef::from(head);
        self.found.push(Found::Reload { cause, at });
        self.tail.clear();
        self.phase = Phase::Idle;
        self.refused = 0;
        self.seen();
        self.arrive(at);
    }

    fn arrive(&mut self, block: BlockRef) {
        self.tail.push_back(block);
        while self.tail.len() > self.options.memory.max(1) {
            self.tail.pop_front();
        }
        self.found.push(Found::Block(block));
        self.phase = Phase::Idle;
    }

    /// The header that was asked for; `None` when the chain has none of that number. `false` ends the look: this end
    /// point has nothing more to tell now.
    #[must_use]
    pub fn header(&mut self, head: &Head, header: Option<&Head>) -> bool {
        match (self.phase.clone(), header) {
            (Phase::End(number), Some(end)) if end.number == number => {
                self.phase = Phase::Base { end: end.into() };
                true
            }
            (Phase::Base { end }, Some(block)) => {
                let Some(base) = self.position() else {
                    self.abandon();
                    return false;
                };
                if block.hash == base.hash {
                    self.seen();
                    self.phase = Phase::Logs {
                        from: base.number + 1,
                        end,
                    };
                } else {
                    let place = self.tail.len() - 1;
                    self.phase = Phase::Fork { place };
                    self.step_back(head, place);
                }
                true
            }
            (Phase::Base { .. }, None) => {
                self.abandon();
                self.missing(head);
                false
            }
            (Phase::Fork { place }, Some(block)) => {
                let same = self.tail.get(place).is_some_and(|b| b.hash == block.hash);
                if same {
                    self.fork_found(place);
                } else {
                    self.step_back(head, place);
                }
                true
            }
            (Phase::Short { place }, Some(block)) => {
                let same = self.tail.get(place).is_some_and(|b| b.hash == block.hash);
                if same {
                    // what the end point has is ours: it lags, or the rest was taken back and will show as a fork
                    self.abandon();
                    return false;
                }
                self.step_back(head, place);
                true
            }
            _ => {
                self.abandon();
                false
            }
        }
    }

    /// The remembered block at `place` is not on the chain: looks at the one before.
    fn step_back(&mut self, head: &Head, place: usize) {
        match place.checked_sub(1) {
            Some(place) => self.phase = Phase::Fork { place },
            None if self.resumed => self.reload(ReloadCause::UnknownBlock, head),
            None => self.reload(ReloadCause::DeepReorg, head),
        }
    }

    /// The remembered block at `place` is the newest that is still on the chain.
    fn fork_found(&mut self, place: usize) {
        self.phase = Phase::Idle;
        if place + 1 < self.tail.len() {
            self.tail.truncate(place + 1);
            if let Some(block) = self.position() {
                self.found.push(Found::Reorg { to: block.number });
            }
        }
        self.seen();
    }

    /// The logs that were asked for, in any order.
    pub fn logs(&mut self, mut logs: Vec<Log>) {
        let Phase::Logs { from, end } = self.phase.clone() else {
            return self.abandon();
        };
        let asked = logs.len();
        logs.retain(|log| (from..=end.number).contains(&log.block));
        logs.sort_by_key(|log| (log.block, log.index));
        logs.dedup_by_key(|log| (log.block, log.index));
        if asked > logs.len() {
            self.found.push(Found::Misplaced(asked - logs.len()));
        }
        self.found.extend(logs.into_iter().map(Found::Log));
        // by a quarter: doubling would run into the provider's limit at every second query
        let grown = self.range.saturating_add(self.range / 4 + 1);
        self.range = grown.min(self.options.max_range.max(1));
        self.refused = 0;
        self.arrive(end);
    }

    /// The logs were refused as too many, or did not come (`too_many` false). Says whether to ask again at once.
    pub fn logs_failed(&mut self, head: &Head, too_many: bool) -> bool {
        let Phase::Logs { from, end } = self.phase.clone() else {
            self.abandon();
            return false;
        };
        self.abandon();
        let asked = end.number - from + 1;
        if asked > 1 {
            self.range = (asked / 2).max(1);
            return too_many;
        }
        if too_many {
            self.refused += 1;
            if self.refused >= SINGLE_TRIES {
                let (from, to) = (from, end.number);
                self.refused = 0;
                let at = BlockRef::from(head);
                self.found.push(Found::Reload {
                    cause: ReloadCause::Skipped { from, to },
                    at,
                });
                self.tail.clear();
                self.arrive(at);
            }
        }
        false
    }
}
