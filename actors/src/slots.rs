//! Session slots: how many streams run at once, and whose they are.
//!
//! A slot is a guard that gives itself back when dropped. Doors read the facts here without a message.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use protocol::address::Address;
use serde::{Serialize, Serializer};
use telemetry::metrics::{GaugeGuard, Metrics};
use tokio::sync::watch;

use crate::machine::{Machine, Share};

/// Who holds a slot. Off-chain all gateways share the zero address, so the peer's IP tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Customer {
    /// Account of the gateway; zero off-chain.
    #[serde(serialize_with = "as_text")]
    pub sender: Address,
    /// IP address of the peer.
    pub peer: IpAddr,
}

fn as_text<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

/// The pool of session slots.
pub struct Slots {
    /// Streams that the node takes by itself.
    own: AtomicUsize,
    /// Streams that remote transcoders add.
    remote: AtomicUsize,
    counts_remote: AtomicBool,
    used: AtomicUsize,
    draining: AtomicBool,
    closed: AtomicBool,
    customers: Mutex<HashMap<Customer, usize>>,
    machine: Machine,
    /// Streams that may be here at once; none while the node takes no new ones.
    offer: watch::Sender<usize>,
    metrics: Arc<Metrics>,
}

impl Slots {
    /// A pool of `max` slots, as far as `machine` has room beside its models.
    pub fn new(max: usize, machine: Machine, metrics: Arc<Metrics>) -> Arc<Self> {
        metrics
            .node
            .set_max_sessions(u32::try_from(max).unwrap_or(u32::MAX));
        Arc::new(Self {
            own: AtomicUsize::new(max),
            remote: AtomicUsize::new(0),
            counts_remote: AtomicBool::new(false),
            used: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            customers: Mutex::default(),
            machine,
            offer: watch::Sender::new(max),
            metrics,
        })
    }

    /// Takes a slot, or `None` when all are taken, the node drains, or models have the rest of the machine.
    pub fn take(self: &Arc<Self>, customer: Customer) -> Option<Slot> {
        if self.is_draining() {
            return None;
        }
        let max = self.max();
        if self.used() >= max {
            return None;
        }
        let share = self.machine.take_stream()?;
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used < max).then_some(used + 1)
            })
            .ok()?;
        *self.customers.lock().entry(customer).or_insert(0) += 1;
        Some(Slot {
            pool: Arc::clone(self),
            customer,
            _share: share,
            _gauge: self.metrics.node.session(),
        })
    }

    /// Slots in all.
    pub fn max(&self) -> usize {
        let remote = if self.counts_remote() {
            self.remote.load(Ordering::Acquire)
        } else {
            0
        };
        self.own.load(Ordering::Acquire).saturating_add(remote)
    }

    /// Whether the slots of remote transcoders are among them.
    pub fn counts_remote(&self) -> bool {
        self.counts_remote.load(Ordering::Acquire)
    }

    /// Slots taken.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Changes the limit; running sessions above it go on. `counts_remote`: what remote transcoders carry comes on top.
    pub fn set_max(&self, own: usize, counts_remote: bool) {
        self.own.store(own, Ordering::Release);
        self.counts_remote.store(counts_remote, Ordering::Release);
        self.publish_max();
    }

    /// Says what remote transcoders carry now.
    pub fn set_remote(&self, sessions: usize) {
        self.remote.store(sessions, Ordering::Release);
        self.publish_max();
    }

    fn publish_max(&self) {
        self.machine.set_most_sessions(self.max());
        self.publish_offer();
        self.metrics
            .node
            .set_max_sessions(u32::try_from(self.max()).unwrap_or(u32::MAX));
    }

    /// Streams that may be here at once, followed; none while the node takes no new ones.
    pub fn offer(&self) -> watch::Receiver<usize> {
        self.offer.subscribe()
    }

    fn publish_offer(&self) {
        let offer = if self.is_draining() { 0 } else { self.max() };
        self.offer.send_if_modified(|known| {
            let changed = *known != offer;
            *known = offer;
            changed
        });
    }

    /// True when the node takes no new streams, for a while or for good.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire) || self.is_closed()
    }

    /// True when the node stops.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes no new streams any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.publish_offer();
    }

    /// Starts or ends draining.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Release);
        self.publish_offer();
    }

    /// Whether discovery must answer "capped" to this customer: full, draining, or
    /// without room beside the models, and no stream of theirs runs.
    pub fn refuses(&self, customer: &Customer) -> bool {
        let full = self.used() >= self.max() || !self.machine.fits_stream();
        (self.is_draining() || full) && !self.customers.lock().contains_key(customer)
    }
}

/// One taken slot.
pub struct Slot {
    pool: Arc<Slots>,
    customer: Customer,
    _share: Share,
    _gauge: GaugeGuard,
}

impl Slot {
    /// Whose slot this is.
    pub fn customer(&self) -> Customer {
        self.customer
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.used.fetch_sub(1, Ordering::AcqRel);
        let mut customers = self.pool.customers.lock();
        if let Some(count) = customers.get_mut(&self.customer) {
            *count -= 1;
            if *count == 0 {
                customers.remove(&self.customer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn customer(last: u8) -> Customer {
        Customer {
            sender: Address::ZERO,
            peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
        }
    }

    #[test]
    fn a_dropped_slot_comes_back() {
        let slots = Slots::new(
            1,
            Machine::boundless(crate::test_metrics().machine.clone()),
            crate::test_metrics(),
        );
        let slot = slots.take(customer(1)).expect("free");
        assert!(slots.take(customer(2)).is_none());
        drop(slot);
        assert!(slots.take(customer(2)).is_some());
    }

    #[test]
    fn at_capacity_only_customers_with_a_stream_are_served() {
        let slots = Slots::new(
            1,
            Machine::boundless(crate::test_metrics().machine.clone()),
            crate::test_metrics(),
        );
        let _slot = slots.take(customer(1)).expect("free");
        assert!(!slots.refuses(&customer(1)));
        assert!(slots.refuses(&customer(2)));
    }

    #[test]
    fn draining_admits_nobody_new() {
        let slots = Slots::new(
            2,
            Machine::boundless(crate::test_metrics().machine.clone()),
            crate::test_metrics(),
        );
        let _slot = slots.take(customer(1)).expect("free");
        slots.set_draining(true);
        assert!(slots.take(customer(2)).is_none());
        assert!(slots.refuses(&customer(2)));
        assert!(!slots.refuses(&customer(1)));
    }

    #[test]
    fn remote_transcoders_add_slots_only_where_they_count() {
        let slots = Slots::new(
            1,
            Machine::boundless(crate::test_metrics().machine.clone()),
            crate::test_metrics(),
        );
        slots.set_remote(5);
        assert_eq!(slots.max(), 1);
        slots.set_max(2, true);
        assert_eq!(slots.max(), 7);
        slots.set_remote(0);
        assert_eq!(slots.max(), 2);
    }

    #[test]
    fn the_offer_follows_the_limit_and_the_drain() {
        let slots = Slots::new(
            2,
            Machine::boundless(crate::test_metrics().machine.clone()),
            crate::test_metrics(),
        );
        let mut offer = slots.offer();
        assert_eq!(*offer.borrow_and_update(), 2);
        slots.set_max(2, false);
        assert!(!offer.has_changed().expect("alive"), "nothing new");
        slots.set_draining(true);
        assert_eq!(*offer.borrow_and_update(), 0);
        slots.set_max(5, false);
        slots.set_draining(false);
        assert_eq!(*offer.borrow_and_update(), 5);
        slots.close();
        assert_eq!(*offer.borrow(), 0);
    }

    #[test]
    fn a_closed_pool_is_not_opened_by_the_end_of_a_drain() {
        let slots = Slots::new(
            2,
            Machine::boundless(crate::test_metrics().machine.clone()),
            crate::test_metrics(),
        );
        slots.close();
        slots.set_draining(false);
        assert!(slots.take(customer(1)).is_none());
    }
}
