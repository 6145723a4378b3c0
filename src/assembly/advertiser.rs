//! Keeps what the node advertises, its slots and its gauges in step with the workers that it has.

use std::sync::Arc;
use std::time::Duration;

use actors::capability_broadcaster::{Broadcast, CapabilityBroadcaster, SetOffer};
use actors::model_catalog::{Models, Offer};
use actors::slots::Slots;
use actors::supervisor::AddrCell;
use actors::worker_registry::Workers;
use protocol::capabilities::Capabilities;
use telemetry::Metrics;
use tokio::sync::Mutex;

/// How long a broadcaster that is not there is waited for.
const PAUSE: Duration = Duration::from_millis(20);
const TRIES: usize = 500;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Advertiser {
    workers: Workers,
    models: Models,
    slots: Arc<Slots>,
    broadcaster: AddrCell<CapabilityBroadcaster>,
    metrics: Arc<Metrics>,
    /// What the node can do without any worker.
    bare: Arc<Capabilities>,
    /// What is advertised; locked while that changes.
    latest: Arc<Mutex<(Capabilities, Offer)>>,
}

impl Advertiser {
    /// Goes on from what is published.
    pub fn new(
        workers: Workers,
        models: Models,
        slots: Arc<Slots>,
        broadcaster: AddrCell<CapabilityBroadcaster>,
        published: &Broadcast,
        metrics: Arc<Metrics>,
    ) -> Self {
        let bare = published.load().identity().capabilities.clone();
        Self {
            workers,
            models,
            slots,
            broadcaster,
            metrics,
            latest: Arc::new(Mutex::new((bare.clone(), Offer::default()))),
            bare: Arc::new(bare),
        }
    }

    /// Advertises what the devices of this machine can do.
    pub async fn set_local(&self, capabilities: Capabilities) {
        self.workers.set_local_capabilities(capabilities);
        self.advertise().await;
    }

    /// Follows remote transcoders and models as they come and go.
    pub async fn follow(self) {
        let mut transcoders = self.workers.roster().changes();
        let mut models = self.models.changes();
        loop {
            // The senders are held by the workers and by the models.
            let changed = tokio::select! {
                changed = transcoders.changed() => changed,
                changed = models.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            self.advertise().await;
        }
    }

    async fn advertise(&self) {
        let mut latest = self.latest.lock().await;
        let seats = self.workers.roster().seats();
        let capacity = seats.iter().map(|seat| seat.registration.capacity).sum();
        let load = seats.iter().map(|seat| seat.load()).sum();
        let gauge = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.slots.set_remote(capacity);
        let node = &self.metrics.node;
        node.set_transcoders(gauge(seats.len()), gauge(capacity), gauge(load));
        let local = self.workers.local_capabilities();
        let mut all = (*local.unwrap_or_else(|| Arc::clone(&self.bare))).clone();
        for seat in &seats {
            all.absorb_worker(&seat.registration.capabilities);
        }
        let offer = self.models.offer();
        if latest.0 == all && latest.1 == offer {
            return;
        }
        let mut told = all.clone();
        offer.add_to(&mut told);
        // Places of models come and go with every request.
        if latest.0 != all || latest.1.set != offer.set {
            tracing::info!(capabilities = %told.set, transcoders = seats.len(), "advertised");
        }
        // One that is only starting, or starts again, must hear of it all the same.
        for _ in 0..TRIES {
            if let Some(broadcaster) = self.broadcaster.load_full()
                && broadcaster.send(set(&told, &offer)).await.is_ok()
            {
                *latest = (all, offer);
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tracing::error!("what the node can do was not advertised: the broadcaster does not start");
    }
}

fn set(told: &Capabilities, offer: &Offer) -> SetOffer {
    SetOffer {
        capabilities: told.clone(),
        hardware: offer.hardware.clone(),
    }
}
