//! Owns which models the node serves: a seat and an `AiRunner` for each runner of the settings, kept in step when they change.
//!
//! Doors reserve places through [`Models`] without a message; the catalog itself only hears of new settings and of deaths.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use arc_swap::ArcSwap;
use protocol::ai::Pipeline;
use protocol::capabilities::{Capabilities, CapabilitySet, ModelConstraint};
use protocol::pb;
use serde::Serialize;
use telemetry::metrics::Metrics;
use tokio::sync::watch;

use crate::ai_runner::{AiRunner, MakesRoom};
use crate::death::{ChildDown, DeathNotice};
use crate::facts::ModelKey;
use crate::machine::{Machine, wants};
use crate::model_places::Places;
use crate::model_seat::{Plan, Reservation, Seat, State};
use crate::supervisor::AddrCell;

/// The models as everybody sees them. Cheap to clone.
#[derive(Clone)]
pub struct Models {
    seats: Arc<ArcSwap<Vec<Arc<Seat>>>>,
    changed: Arc<watch::Sender<u64>>,
    catalog: AddrCell<ModelCatalog>,
    machine: Machine,
    /// Places that were free when discovery was last told.
    told: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

/// Why no place was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// Nobody here serves that model.
    Unknown,
    /// Every place is taken, or no runner of it is ready.
    Full,
}

/// A runner for the operator's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunnerView {
    /// Pipeline.
    pub pipeline: String,
    /// Model ID.
    pub model: String,
    /// `container`, `external`, `native`.
    pub runner: String,
    /// `cold`, `starting`, `ready`, `back_off`, `drained`.
    pub state: String,
    /// A process, a container, an address; empty while there is none.
    pub name: String,
    /// Why it is not ready; empty while nothing failed.
    pub error: String,
    /// Kept running.
    pub warm: bool,
    /// Requests at once.
    pub capacity: usize,
    /// Requests now.
    pub in_use: usize,
    /// Version that it tells.
    pub version: String,
}

impl Models {
    /// No models yet, on `machine`. The catalog's address is published in `catalog`.
    pub fn new(catalog: AddrCell<ModelCatalog>, machine: Machine, metrics: Arc<Metrics>) -> Self {
        Self {
            seats: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
            catalog,
            machine,
            told: Arc::default(),
            metrics,
        }
    }

    /// Takes a place for a request: on the runner of that model that has most of them free.
    ///
    /// # Errors
    /// [`NoPlace`]; at once, nothing is queued.
    pub fn reserve(&self, pipeline: Pipeline, model: &str) -> Result<Reservation, NoPlace> {
        let seats = self.seats.load();
        let mut fitting: Vec<_> = seats
            .iter()
            .filter(|seat| seat.plan.pipeline == pipeline && seat.plan.model == model)
            .collect();
        if fitting.is_empty() {
            return Err(NoPlace::Unknown);
        }
        fitting.sort_by_key(|seat| std::cmp::Reverse((seat.plan.warm, seat.free())));
        let mut reserved = fitting.into_iter().filter_map(|seat| seat.reserve());
        reserved.next().ok_or(NoPlace::Full)
    }

    /// Wakes with whatever discovery must know.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Tells discovery when streams have left less of the machine to models, or more.
    pub fn refresh(&self) {
        let free = self.seats.load().iter().map(|seat| seat.free()).sum();
        if self.told.swap(free, Ordering::AcqRel) != free {
            self.changed.send_modify(|version| *version += 1);
        }
    }

    /// What to advertise: bits, and by capability the models that can be asked now.
    pub fn offer(&self) -> Offer {
        let mut offer = Offer::default();
        for seat in self.seats.load().iter() {
            if !seat.can_serve() {
                continue;
            }
            let capability = seat.plan.pipeline.capability();
            offer.set.insert(capability);
            *offer.capacities.entry(capability.number()).or_default() +=
                u32::try_from(seat.plan.capacity).unwrap_or(u32::MAX);
            let models = offer.models.entry(capability.number()).or_default();
            let state = seat.state();
            let version = match &state {
                State::Ready { facts, .. } => facts.version.clone(),
                _ => String::new(),
            };
            let model = models
                .entry(seat.plan.model.clone())
                .or_insert_with(|| ModelConstraint {
                    warm: seat.plan.warm,
                    runner_version: version.clone(),
                    ..ModelConstraint::default()
                });
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            model.capacity += count(seat.free());
            model.capacity_in_use += count(seat.in_use());
            model.runner_version = lowest(&model.runner_version, &version);
            offer.hardware.push(match &state {
                State::Ready { facts, .. } => hardware(seat, facts.hardware.as_ref()),
                _ => hardware(seat, None),
            });
        }
        offer
    }

    /// Requests at once that the runners of a model take, whatever they do now.
    pub fn places(&self, capability: u32, model: &str) -> u32 {
        let seats = self.seats.load();
        let of_it = seats.iter().filter(|seat| {
            let plan = &seat.plan;
            seat.can_serve()
                && plan.model == model
                && plan.pipeline.capability().number() == capability
        });
        let places = of_it.map(|seat| seat.plan.capacity).sum::<usize>();
        u32::try_from(places).unwrap_or(u32::MAX)
    }

    /// Whether a warm model is being started for the first time or again.
    pub fn is_loading(&self) -> bool {
        let seats = self.seats.load();
        let mut warm = seats.iter().filter(|seat| seat.plan.warm);
        warm.any(|seat| matches!(seat.state(), State::Starting | State::Cold))
    }

    /// Pipelines of the settings, ready or not.
    pub fn pipelines(&self) -> Vec<Pipeline> {
        let seats = self.seats.load();
        let mut pipelines: Vec<_> = seats.iter().map(|seat| seat.plan.pipeline).collect();
        pipelines.sort_unstable();
        pipelines.dedup();
        pipelines
    }

    /// Every runner, for the operator.
    pub fn view(&self) -> Vec<RunnerView> {
        let seats = self.seats.load();
        seats.iter().map(|seat| view(seat)).collect()
    }

    /// Takes no new requests for a model, or takes them again. Whether there is such a model.
    pub fn set_drained(&self, pipeline: Pipeline, model: &str, drained: bool) -> bool {
        let seats = self.seats.load();
        let fitting = seats
            .iter()
            .filter(|seat| seat.plan.pipeline == pipeline && seat.plan.model == model);
        fitting.map(|seat| seat.set_drained(drained)).count() > 0
    }

    /// Requests that hold a place.
    pub fn in_use(&self) -> usize {
        self.seats.load().iter().map(|seat| seat.in_use()).sum()
    }

    /// Makes the node serve exactly `plans`.
    pub async fn configure(&self, plans: Vec<Plan>) {
        if let Some(catalog) = self.catalog.load_full() {
            // one that is being started again reads the plans of now
            let _ = catalog.send(Configure(plans)).await;
        }
    }

    /// Takes in the models of a worker on another machine; the numbers of their seats.
    pub async fn join(&self, plans: Vec<Plan>) -> Vec<u64> {
        let Some(catalog) = self.catalog.load_full() else {
            return Vec::new();
        };
        catalog.send(Join(plans)).await.unwrap_or_default()
    }

    /// Lets them go again.
    pub async fn leave(&self, seats: Vec<u64>) {
        if let Some(catalog) = self.catalog.load_full() {
            // one that died has lost nothing: its successor finds the seats, and their runners end by themselves
            let _ = catalog.send(Leave(seats)).await;
        }
    }

    /// Ends every runner, and returns when none is left or `grace` is over.
    pub async fn end_all(&self, grace: std::time::Duration) {
        let seats = self.seats.load_full();
        self.configure(Vec::new()).await;
        let gone = async {
            for seat in seats.iter() {
                seat.gone().await;
            }
        };
        if tokio::time::timeout(grace, gone).await.is_err() {
            tracing::warn!("some runners did not end in time");
        }
    }

    fn all(&self) -> Vec<Arc<Seat>> {
        self.seats.load().iter().cloned().collect()
    }

    fn find(&self, id: u64) -> Option<Arc<Seat>> {
        self.seats.load().iter().find(|seat| seat.id == id).cloned()
    }
}

impl MakesRoom for Models {
    fn make_room(&self, seat: &Seat) {
        for other in self.seats.load().iter() {
            if other.id != seat.id {
                other.evict_if_idle();
            }
        }
    }
}

/// What the models add to an answer of discovery.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offer {
    /// Bits.
    pub set: CapabilitySet,
    /// Requests at once, by capability.
    pub capacities: BTreeMap<u32, u32>,
    /// Models by capability and name.
    pub models: BTreeMap<u32, BTreeMap<String, ModelConstraint>>,
    /// Cards, one entry for each runner.
    pub hardware: Vec<pb::HardwareInformation>,
}

impl Offer {
    /// Adds what the models offer to what the node can do otherwise.
    pub fn add_to(&self, capabilities: &mut Capabilities) {
        for number in self.set.numbers() {
            capabilities.set.insert_number(number);
        }
        capabilities.capacities.extend(&self.capacities);
        capabilities.models.extend(self.models.clone());
    }

    /// The models, as prices know them.
    pub fn keys(&self) -> impl Iterator<Item = ModelKey> {
        self.models.iter().flat_map(|(capability, models)| {
            models.keys().map(|model| ModelKey {
                capability: *capability,
                model: model.clone(),
            })
        })
    }
}

/// The lower of two versions; one that is not told counts as lowest only when both are.
fn lowest(one: &str, other: &str) -> String {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other.to_owned(),
        (_, true) => one.to_owned(),
        _ if protocol::capabilities::version_at_least(one, other) => one.to_owned(),
        _ => other.to_owned(),
    }
}

fn hardware(seat: &Seat, told: Option<&pb::HardwareInformation>) -> pb::HardwareInformation {
    pb::HardwareInformation {
        pipeline: seat.plan.pipeline.name().to_owned(),
        model_id: seat.plan.model.clone(),
        gpu_info: told.map(|told| told.gpu_info.clone()).unwrap_or_default(),
    }
}

fn view(seat: &Seat) -> RunnerView {
    let state = seat.state();
    let (name, version, error) = match &state {
        State::Ready { facts, name, .. } => {
            (name.to_string(), facts.version.clone(), String::new())
        }
        State::BackOff(why) => (String::new(), String::new(), why.to_string()),
        _ => Default::default(),
    };
    RunnerView {
        pipeline: seat.plan.pipeline.name().to_owned(),
        model: seat.plan.model.clone(),
        runner: seat.plan.kind.as_str().to_owned(),
        state: if seat.is_drained() {
            "drained".to_owned()
        } else {
            state.label().as_str().to_owned()
        },
        name,
        error,
        warm: seat.plan.warm,
        capacity: seat.plan.capacity,
        in_use: seat.in_use(),
        version,
    }
}

// ---- messages: asked by the front ----

#[derive(Message)]
#[rtype(result = "()")]
struct Configure(Vec<Plan>);

#[derive(Message)]
#[rtype(result = "Vec<u64>")]
struct Join(Vec<Plan>);

#[derive(Message)]
#[rtype(result = "()")]
struct Leave(Vec<u64>);

/// See the module.
pub struct ModelCatalog {
    models: Models,
    places: Places,
    runners: HashMap<u64, Addr<AiRunner>>,
    next: u64,
    _notice: DeathNotice<&'static str>,
}

impl ModelCatalog {
    /// A catalog that goes on with the seats of `models`, as after a death of its own.
    pub fn new(models: Models, places: Places, notice: DeathNotice<&'static str>) -> Self {
        let next = models.seats.load().iter().map(|seat| seat.id + 1).max();
        Self {
            models,
            places,
            runners: HashMap::new(),
            next: next.unwrap_or(1),
            _notice: notice,
        }
    }

    /// A new seat, whose runner has been started.
    fn seat(&mut self, plan: Plan, ctx: &Context<Self>) -> Arc<Seat> {
        let id = self.next;
        self.next += 1;
        let changed = Arc::clone(&self.models.changed);
        let seat = Seat::new(
            id,
            plan,
            self.models.machine.clone(),
            &self.models.metrics,
            changed,
        );
        let seat = Arc::new(seat);
        self.start(Arc::clone(&seat), ctx);
        seat
    }

    fn start(&mut self, seat: Arc<Seat>, ctx: &Context<Self>) {
        let notice = DeathNotice::new(seat.id, ctx.address().recipient());
        let room: Arc<dyn MakesRoom> = Arc::new(self.models.clone());
        let id = seat.id;
        let runner = AiRunner::new(seat, self.places.clone(), room, notice);
        self.runners.insert(id, runner.start());
    }
}

impl Actor for ModelCatalog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(64);
        // The runners of an earlier catalog died with it.
        for seat in self.models.seats.load_full().iter() {
            self.start(Arc::clone(seat), ctx);
        }
    }
}

impl Handler<Configure> for ModelCatalog {
    type Result = ();

    fn handle(&mut self, message: Configure, ctx: &mut Self::Context) {
        let all = self.models.all();
        let (mut seats, mut old): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|seat| seat.plan.guest);
        for plan in message.0 {
            let same = old
                .iter()
                .position(|seat| seat.plan.identity == plan.identity);
            if let Some(at) = same {
                seats.push(old.swap_remove(at));
                continue;
            }
            seats.push(self.seat(plan, ctx));
        }
        let needs = seats.iter().map(|seat| seat.plan.launch.need());
        self.models.machine.set_ai_wants(wants(needs));
        self.models.seats.store(Arc::new(seats));
        for seat in old {
            seat.retire();
        }
        self.models.changed.send_modify(|version| *version += 1);
    }
}

impl Handler<Join> for ModelCatalog {
    type Result = Vec<u64>;

    fn handle(&mut self, message: Join, ctx: &mut Self::Context) -> Self::Result {
        let joined: Vec<_> = message
            .0
            .into_iter()
            .map(|plan| self.seat(plan, ctx))
            .collect();
        let ids = joined.iter().map(|seat| seat.id).collect();
        let all = self.models.all().into_iter().chain(joined);
        self.models.seats.store(Arc::new(all.collect()));
        self.models.changed.send_modify(|version| *version += 1);
        ids
    }
}

impl Handler<Leave> for ModelCatalog {
    type Result = ();

    fn handle(&mut self, message: Leave, _: &mut Self::Context) {
        let all = self.models.all();
        let (gone, stay): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|seat| message.0.contains(&seat.id));
        self.models.seats.store(Arc::new(stay));
        for seat in gone {
            seat.retire();
        }
        self.models.changed.send_modify(|version| *version += 1);
    }
}

impl Handler<ChildDown<u64>> for ModelCatalog {
    type Result = ();

    fn handle(&mut self, message: ChildDown<u64>, ctx: &mut Self::Context) {
        self.runners.remove(&message.child);
        if message.panicked {
            tracing::error!(runner = message.child, "a runner's actor died by a panic");
            let node = &self.models.metrics.node;
            node.actor_restarted("ai_runner", message.cause());
        }
        if let Some(seat) = self.models.find(message.child)
            && !seat.is_retired()
        {
            self.start(seat, ctx);
        }
    }
}

#[cfg(test)]
mod tests;
