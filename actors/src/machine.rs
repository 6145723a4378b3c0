//! The one permit that decides between video and AI for the processors and the memory of this machine.
//!
//! Each kind of work has a share that the other cannot take from it. What neither share covers, and what a kind could not use
//! anyhow, goes to whoever comes first. Streams are weighed by what they were last measured to take ([`crate::machine_gauge`]),
//! models by what they claim. The kernel does the rest: processes of the kind with the smaller share run at a lower priority.

use std::sync::Arc;

use parking_lot::Mutex;
use runners::launch::Need;
use telemetry::metrics::MachineMetrics;
use telemetry::metrics::label::{Resource, Work};

/// Processor time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Thousandths of a core.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(other.cpu),
            memory: self.memory.saturating_sub(other.memory),
        }
    }

    fn least(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            memory: self.memory.min(other.memory),
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
        }
    }

    fn times(self, count: usize) -> Self {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            cpu: self.cpu.saturating_mul(count),
            memory: self.memory.saturating_mul(count),
        }
    }

    fn percent(self, cpu: u8, memory: u8) -> Self {
        Self {
            cpu: self.cpu / 100 * u64::from(cpu) + self.cpu % 100 * u64::from(cpu) / 100,
            memory: self.memory / 100 * u64::from(memory),
        }
    }
}

/// What the machine has, and how it is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// In all.
    pub total: Amount,
    /// Per cent of the processors that are video's; the others are AI's.
    pub video_cpu: u8,
    /// Per cent of the memory that is video's; the other is AI's.
    pub video_memory: u8,
    /// Streams at once, at most.
    pub sessions: usize,
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Machine {
    ledger: Arc<Mutex<Ledger>>,
    metrics: MachineMetrics,
}

#[derive(Debug)]
struct Ledger {
    total: Amount,
    video_share: Amount,
    ai_share: Amount,
    /// All that the models of the settings could take.
    ai_wants: Amount,
    ai_holds: Amount,
    most_sessions: usize,
    sessions: usize,
    session: Amount,
}

impl Ledger {
    fn video_holds(&self) -> Amount {
        self.session.times(self.sessions)
    }

    /// Of its share, what video could use.
    fn video_keeps(&self) -> Amount {
        let wants = self.session.times(self.most_sessions.max(self.sessions));
        self.video_share.least(wants)
    }

    fn ai_keeps(&self) -> Amount {
        self.ai_share.least(self.ai_wants)
    }

    /// Why one more stream cannot be had. Where no models are, the operator's `-maxSessions` alone decides.
    fn stream_lacks(&self) -> Option<Resource> {
        if self.ai_wants == Amount::default() || self.sessions == 0 {
            return None;
        }
        let holds = self.video_holds().plus(self.session);
        let left = self.total.minus(self.ai_holds.most(self.ai_keeps()));
        if holds.cpu > left.cpu.max(self.video_share.cpu) {
            Some(Resource::Cpu)
        } else if holds.memory > left.memory {
            Some(Resource::Memory)
        } else {
            None
        }
    }

    /// Whether a model may not compute. What of video's share is idle it may borrow, for an answer takes seconds and video
    /// goes first while it lasts. Half of its threads must find a core free; the first one always may.
    fn lacks_cpu(&self, cpu: u64) -> bool {
        let holds = self.ai_holds.cpu.saturating_add(cpu.div_ceil(2));
        let left = self.total.minus(self.video_holds()).cpu;
        self.ai_holds.cpu > 0 && holds > left.max(self.ai_share.cpu)
    }

    /// Whether a model may be loaded. It stays for long, so what video could use is kept for it.
    fn lacks_memory(&self, memory: u64) -> bool {
        let holds = self.ai_holds.memory.saturating_add(memory);
        let video = self.video_holds().most(self.video_keeps());
        holds > self.total.minus(video).memory
    }
}

impl Machine {
    /// Everything is free. A stream is thought to take its part of video's share until streams have been measured.
    pub fn new(shares: Shares, metrics: MachineMetrics) -> Self {
        let video_share = shares
            .total
            .percent(shares.video_cpu.min(100), shares.video_memory.min(100));
        let parts = u64::try_from(shares.sessions.max(1)).unwrap_or(u64::MAX);
        let machine = Self {
            ledger: Arc::new(Mutex::new(Ledger {
                total: shares.total,
                video_share,
                ai_share: shares.total.minus(video_share),
                ai_wants: Amount::default(),
                ai_holds: Amount::default(),
                most_sessions: shares.sessions,
                sessions: 0,
                session: Amount {
                    cpu: video_share.cpu / parts,
                    memory: video_share.memory / parts,
                },
            })),
            metrics,
        };
        machine.show();
        machine
    }

    /// A machine that refuses nothing.
    pub fn boundless(metrics: MachineMetrics) -> Self {
        let total = Amount {
            cpu: u64::MAX / 4,
            memory: u64::MAX / 4,
        };
        let shares = Shares {
            total,
            video_cpu: 50,
            video_memory: 50,
            sessions: usize::MAX,
        };
        Self::new(shares, metrics)
    }

    /// What the models of the settings take together, once all are loaded and busy.
    pub fn set_ai_wants(&self, wants: Amount) {
        self.ledger.lock().ai_wants = wants;
        self.show();
    }

    /// Another limit of streams.
    pub fn set_most_sessions(&self, sessions: usize) {
        self.ledger.lock().most_sessions = sessions;
    }

    /// Streams that hold a slot.
    pub fn sessions(&self) -> usize {
        self.ledger.lock().sessions
    }

    /// What a stream takes, as measured.
    pub fn set_session(&self, amount: Amount) {
        self.ledger.lock().session = amount;
        self.show();
    }

    /// What a stream is thought to take.
    pub fn session(&self) -> Amount {
        self.ledger.lock().session
    }

    /// Whether one more stream fits.
    pub fn fits_stream(&self) -> bool {
        self.ledger.lock().stream_lacks().is_none()
    }

    /// Whether a model that computes with `cpu` thousandths of a core may begin.
    pub fn fits_ai(&self, cpu: u64) -> bool {
        cpu == 0 || !self.ledger.lock().lacks_cpu(cpu)
    }

    /// Takes room for a stream; `None` when that is counted as refused.
    pub fn take_stream(&self) -> Option<Share> {
        let mut ledger = self.ledger.lock();
        if let Some(lacking) = ledger.stream_lacks() {
            drop(ledger);
            self.metrics.refused(Work::Video, lacking);
            return None;
        }
        ledger.sessions += 1;
        drop(ledger);
        Some(self.share(Held::Stream))
    }

    /// Takes processors for a model that begins to compute; `None` when that is counted as refused.
    pub fn take_cpu(&self, cpu: u64) -> Option<Share> {
        let mut ledger = self.ledger.lock();
        if cpu > 0 && ledger.lacks_cpu(cpu) {
            drop(ledger);
            self.metrics.refused(Work::Ai, Resource::Cpu);
            return None;
        }
        ledger.ai_holds.cpu = ledger.ai_holds.cpu.saturating_add(cpu);
        drop(ledger);
        Some(self.share(Held::Ai(Amount { cpu, memory: 0 })))
    }

    /// Takes memory for a model that is to be loaded, if it fits.
    pub fn take_memory(&self, memory: u64) -> Option<Share> {
        let mut ledger = self.ledger.lock();
        if memory > 0 && ledger.lacks_memory(memory) {
            return None;
        }
        ledger.ai_holds.memory = ledger.ai_holds.memory.saturating_add(memory);
        drop(ledger);
        Some(self.share(Held::Ai(Amount { cpu: 0, memory })))
    }

    fn share(&self, held: Held) -> Share {
        self.show();
        Share {
            machine: self.clone(),
            held,
        }
    }

    fn show(&self) {
        let ledger = self.ledger.lock();
        let (video, ai) = (ledger.video_holds(), ledger.ai_holds);
        self.metrics.set(Work::Video, video.cpu, video.memory);
        self.metrics.set(Work::Ai, ai.cpu, ai.memory);
    }
}

/// What all runners of `needs` take at once: each with its threads.
pub fn wants(needs: impl IntoIterator<Item = Need>) -> Amount {
    needs
        .into_iter()
        .map(|need| Amount {
            cpu: need.cpu,
            memory: need.memory,
        })
        .fold(Amount::default(), Amount::plus)
}

#[derive(Debug)]
enum Held {
    Stream,
    Ai(Amount),
}

/// A part of the machine, until this is dropped.
#[derive(Debug)]
#[must_use = "it is given back when this is dropped"]
pub struct Share {
    machine: Machine,
    held: Held,
}

impl Share {
    /// A model holds more memory than was thought.
    pub fn grown(&mut self, memory: u64) {
        if let Held::Ai(amount) = &mut self.held
            && memory > amount.memory
        {
            let more = memory - amount.memory;
            amount.memory = memory;
            let mut ledger = self.machine.ledger.lock();
            ledger.ai_holds.memory = ledger.ai_holds.memory.saturating_add(more);
            drop(ledger);
            self.machine.show();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut ledger = self.machine.ledger.lock();
        match self.held {
            Held::Stream => ledger.sessions = ledger.sessions.saturating_sub(1),
            Held::Ai(amount) => ledger.ai_holds = ledger.ai_holds.minus(amount),
        }
        drop(ledger);
        self.machine.show();
    }
}

#[cfg(test)]
mod tests;
