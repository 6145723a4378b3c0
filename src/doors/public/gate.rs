//! Holds off addresses that fail too often. A gateway calls once per segment of every stream from one address, so what succeeds is
//! never counted, and an address that delivered a segment lately is never held off.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;

use super::limits::PublicLimits;
use super::peer::counted_as;

/// See the module.
pub(super) struct Gate {
    limits: Arc<ArcSwap<PublicLimits>>,
    failures: ArcSwap<Failures>,
    clock: DefaultClock,
    held: Mutex<HashMap<IpAddr, Instant>>,
    vouched: Mutex<HashMap<IpAddr, Instant>>,
}

struct Failures {
    per_minute: u32,
    limiter: DefaultKeyedRateLimiter<IpAddr>,
}

impl Failures {
    fn new(per_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            per_minute,
            limiter: RateLimiter::keyed(quota),
        }
    }
}

impl Gate {
    /// A gate with the rate in `limits`, which may change.
    pub fn new(limits: Arc<ArcSwap<PublicLimits>>) -> Self {
        let per_minute = limits.load().failures_per_minute;
        Self {
            limits,
            failures: ArcSwap::from_pointee(Failures::new(per_minute)),
            clock: DefaultClock::default(),
            held: Mutex::default(),
            vouched: Mutex::default(),
        }
    }

    /// Whether a call from `address` is to be looked at.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = counted_as(address);
        let now = Instant::now();
        let held = self
            .held
            .lock()
            .get(&address)
            .is_some_and(|until| *until > now);
        !held || self.is_vouched(address, now)
    }

    /// Counts a call that failed by its caller's fault.
    pub fn failed(&self, address: IpAddr) {
        let address = counted_as(address);
        let per_minute = self.limits.load().failures_per_minute;
        let mut failures = self.failures.load_full();
        if failures.per_minute != per_minute {
            failures = Arc::new(Failures::new(per_minute));
            self.failures.store(Arc::clone(&failures));
            self.held.lock().clear();
        }
        if let Err(early) = failures.limiter.check_key(&address) {
            let wait = early.wait_time_from(self.clock.now());
            self.held.lock().insert(address, Instant::now() + wait);
        }
    }

    /// Counts a call by somebody who proved nothing.
    pub fn unverified(&self, address: IpAddr) {
        if !self.is_vouched(counted_as(address), Instant::now()) {
            self.failed(address);
        }
    }

    /// `address` delivered a segment: it is no stranger for a while.
    pub fn vouch(&self, address: IpAddr) {
        let until = Instant::now() + self.limits.load().vouched;
        self.vouched.lock().insert(counted_as(address), until);
    }

    /// Forgets what no longer matters. To be called every minute or so.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.held.lock().retain(|_, until| *until > now);
        self.vouched.lock().retain(|_, until| *until > now);
        let failures = self.failures.load();
        failures.limiter.retain_recent();
        failures.limiter.shrink_to_fit();
    }

    /// How often [`sweep`](Self::sweep) is due.
    pub const SWEEP: Duration = Duration::from_secs(60);

    fn is_vouched(&self, counted: IpAddr, now: Instant) -> bool {
        self.vouched
            .lock()
            .get(&counted)
            .is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const GATEWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn gate(failures_per_minute: u32) -> Gate {
        let limits = PublicLimits {
            failures_per_minute,
            ..PublicLimits::default()
        };
        Gate::new(Arc::new(ArcSwap::from_pointee(limits)))
    }

    fn fail(gate: &Gate, address: IpAddr, times: u32) {
        for _ in 0..times {
            gate.failed(address);
        }
    }

    #[test]
    fn one_failure_too_many_holds_off_its_address_alone() {
        let gate = gate(5);
        fail(&gate, STRANGER, 5);
        assert!(gate.admits(STRANGER));
        fail(&gate, STRANGER, 1);
        assert!(!gate.admits(STRANGER));
        assert!(gate.admits(GATEWAY));
    }

    #[test]
    fn a_gateway_that_delivered_is_never_held_off() {
        let gate = gate(5);
        fail(&gate, GATEWAY, 50);
        assert!(!gate.admits(GATEWAY));
        gate.vouch(GATEWAY);
        assert!(gate.admits(GATEWAY));
        for _ in 0..1000 {
            gate.unverified(GATEWAY);
        }
        assert!(gate.admits(GATEWAY));
    }

    #[test]
    fn a_new_rate_counts_at_once() {
        let gate = gate(1);
        fail(&gate, STRANGER, 2);
        assert!(!gate.admits(STRANGER));
        let limits = PublicLimits {
            failures_per_minute: 100,
            ..PublicLimits::default()
        };
        gate.limits.store(Arc::new(limits));
        fail(&gate, STRANGER, 50);
        assert!(gate.admits(STRANGER));
    }

    #[test]
    fn what_still_matters_survives_a_sweep() {
        let gate = gate(1);
        fail(&gate, STRANGER, 2);
        gate.sweep();
        assert!(!gate.admits(STRANGER));
    }
}
