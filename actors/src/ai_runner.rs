//! One actor per runner: starts it, watches its health, starts it again with a growing pause.
//!
//! Talks to the catalog, which made it and is told of its death, and to nobody else: what it learns is in its seat, which doors
//! read without a message. All of a runner's life is one future; the actor is what supervises it.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, WrapFuture};
use futures::FutureExt;
use runners::launch::Launched;
use runners::{Health, Runner};
use telemetry::metrics::label::RunnerEnd;
use tokio::time::Instant;

use crate::death::DeathNotice;
use crate::model_places::{Place, Places};
use crate::model_seat::{Seat, State};

/// How often a runner is asked how it is.
const WATCH: Duration = Duration::from_secs(5);
/// The same while it loads.
const WATCH_START: Duration = Duration::from_millis(500);
/// Bad answers in a row that end a runner.
const BAD_ANSWERS: u32 = 2;
/// How long a runner may say that it loads, once it was ready.
const LOADING: Duration = Duration::from_secs(180);
/// First pause after a failure, and the longest. The very first start after a healthy life comes at once.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MOST: Duration = Duration::from_secs(60);
/// The longest for one that had been ready.
const PAUSE_DIED: Duration = Duration::from_secs(2);
/// A life of this length makes up for earlier failures.
const HEALTHY_LIFE: Duration = Duration::from_secs(30);
/// How long a runner may take to end before nobody waits any more.
const STOP: Duration = Duration::from_secs(15);

/// Makes room for a runner, by sending idle ones away.
pub trait MakesRoom: Send + Sync + 'static {
    /// Sends idle cold runners away, other than `seat`, until what it needs fits or nobody is left to send.
    fn make_room(&self, seat: &Seat);
}

/// See the module.
pub struct AiRunner {
    seat: Arc<Seat>,
    places: Places,
    room: Arc<dyn MakesRoom>,
    notice: DeathNotice<u64>,
}

impl AiRunner {
    /// A runner in `seat`, which takes what it needs from `places`.
    pub fn new(
        seat: Arc<Seat>,
        places: Places,
        room: Arc<dyn MakesRoom>,
        notice: DeathNotice<u64>,
    ) -> Self {
        Self {
            seat,
            places,
            room,
            notice,
        }
    }
}

impl Actor for AiRunner {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let life = Life {
            seat: Arc::clone(&self.seat),
            places: self.places.clone(),
            room: Arc::clone(&self.room),
            failures: 0,
        };
        let panicked = self.notice.panic_flag();
        let lived = std::panic::AssertUnwindSafe(life.live()).catch_unwind();
        let lived = lived.into_actor(self);
        ctx.spawn(actix::ActorFutureExt::map(
            lived,
            move |outcome, _, ctx: &mut Context<Self>| {
                if outcome.is_err() {
                    panicked.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                ctx.stop();
            },
        ));
    }
}

/// Why a running runner is given up.
enum Over {
    /// It ended, or is no good.
    Lost(RunnerEnd, String),
    /// It was told to leave: its room is needed.
    Dismissed,
    /// Its model is served no more.
    Gone,
}

struct Life {
    seat: Arc<Seat>,
    places: Places,
    room: Arc<dyn MakesRoom>,
    /// In a row.
    failures: u32,
}

impl Life {
    /// Until the model is served no more.
    async fn live(mut self) {
        loop {
            if !self.seat.plan.warm {
                self.seat.set(State::Cold);
                tokio::select! {
                    () = self.seat.wanted() => {
                        // whoever wanted it may have gone again
                        if self.seat.in_use() == 0 { continue; }
                    }
                    () = self.seat.told_to_leave() => {
                        if self.is_gone() {
                            self.seat.set(State::Gone);
                            return;
                        }
                        continue;
                    }
                }
            }
            let began = Instant::now();
            match self.once().await {
                Over::Gone => {
                    self.ended(RunnerEnd::Stopped, "its model is served no more");
                    self.seat.set(State::Gone);
                    return;
                }
                Over::Dismissed => self.ended(RunnerEnd::Evicted, "its room was needed"),
                Over::Lost(cause, why) => {
                    self.ended(cause, &why);
                    if began.elapsed() >= HEALTHY_LIFE {
                        self.failures = 0;
                    }
                    self.seat.set(State::BackOff(why.into()));
                    let pause = match cause {
                        // It worked, so that its loss is rather the deed of somebody else.
                        RunnerEnd::Died => pause(self.failures).min(PAUSE_DIED),
                        _ => pause(self.failures),
                    };
                    self.failures = self.failures.saturating_add(1);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.seat.told_to_leave() => {
                            if self.is_gone() {
                                self.seat.set(State::Gone);
                                return;
                            }
                        }
                    }
                }
            }
        }
    }

    /// One start and what follows from it.
    async fn once(&self) -> Over {
        self.seat.set(State::Starting);
        let place = match self.place().await {
            Ok(place) => place,
            Err(over) => return over,
        };
        self.seat.gauges(|gauges| gauges.started());
        let until = Instant::now() + self.seat.plan.launch.patience();
        let launched = tokio::select! {
            launched = tokio::time::timeout_at(until, self.seat.plan.launch.launch()) => launched,
            () = self.seat.told_to_leave() => return self.left(),
        };
        let launched = match launched {
            Ok(Ok(launched)) => launched,
            Ok(Err(error)) => return Over::Lost(RunnerEnd::NotStarted, error.to_string()),
            Err(_) => return Over::Lost(RunnerEnd::NotStarted, "it did not start in time".into()),
        };
        let Launched {
            runner,
            mut ended,
            stop,
            name,
            memory,
        } = launched;
        let over = tokio::select! {
            over = self.watch(&*runner, &runner, &name, until, memory.as_deref(), &place) => over,
            why = &mut ended => Over::Lost(RunnerEnd::Died, why),
            () = self.seat.told_to_leave() => self.left(),
        };
        if tokio::time::timeout(STOP, stop).await.is_err() {
            tracing::error!(runner = %name, "a runner does not end; it is left to itself");
        }
        over
    }

    /// What the runner needs, once it is there.
    async fn place(&self) -> Result<Place, Over> {
        let need = self.seat.plan.launch.need();
        if let Some(place) = self.places.take(self.seat.id, need) {
            return Ok(place);
        }
        let free = self.places.free();
        if self.places.could_fit(need) {
            self.room.make_room(&self.seat);
            let end = Instant::now() + STOP;
            while Instant::now() < end {
                if let Some(place) = self.places.take(self.seat.id, need) {
                    return Ok(place);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let why = format!(
            "no room: it needs {} MiB of memory and {} container places, {} MiB and {} are free",
            need.memory >> 20,
            need.places,
            free.memory >> 20,
            free.places
        );
        Err(Over::Lost(RunnerEnd::Memory, why))
    }

    /// Returns when the runner is no good any more.
    async fn watch(
        &self,
        asked: &dyn Runner,
        runner: &Arc<dyn Runner>,
        name: &str,
        until: Instant,
        memory: Option<
            &(dyn Fn() -> futures::future::BoxFuture<'static, Option<u64>> + Send + Sync),
        >,
        place: &Place,
    ) -> Over {
        loop {
            match asked.health().await {
                Ok(Health::Ok) => break,
                Ok(Health::Error) => {
                    return Over::Lost(RunnerEnd::Unhealthy, "it says that it cannot".into());
                }
                Ok(Health::Loading) | Err(_) => {}
            }
            if Instant::now() >= until {
                let why = "it did not get healthy in time".to_owned();
                return Over::Lost(RunnerEnd::NotStarted, why);
            }
            tokio::time::sleep(WATCH_START).await;
        }
        let facts = Arc::new(asked.facts().await);
        let plan = &self.seat.plan;
        tracing::info!(pipeline = %plan.pipeline, model = plan.model, runner = name, version = facts.version, "model ready");
        self.seat.set(State::Ready {
            runner: Arc::clone(runner),
            facts,
            name: name.into(),
        });
        let mut bad = 0;
        let mut good = Instant::now();
        loop {
            if let Some(memory) = memory
                && let Some(bytes) = memory().await
            {
                place.measured(bytes);
                self.seat.gauges(|gauges| gauges.set_memory(bytes));
            }
            tokio::time::sleep(WATCH).await;
            let why = match asked.health().await {
                Ok(Health::Ok) => {
                    bad = 0;
                    good = Instant::now();
                    continue;
                }
                Ok(Health::Error) => {
                    return Over::Lost(RunnerEnd::Unhealthy, "it says that it cannot".into());
                }
                Ok(Health::Loading) if good.elapsed() < LOADING => continue,
                Ok(Health::Loading) => "it loads for ever".to_owned(),
                Err(error) => error.to_string(),
            };
            bad += 1;
            if bad >= BAD_ANSWERS {
                return Over::Lost(RunnerEnd::Unhealthy, why);
            }
        }
    }

    fn is_gone(&self) -> bool {
        self.seat.is_retired()
    }

    fn left(&self) -> Over {
        if self.is_gone() {
            Over::Gone
        } else {
            Over::Dismissed
        }
    }

    fn ended(&self, cause: RunnerEnd, why: &str) {
        self.seat.gauges(|gauges| gauges.ended(cause));
        let plan = &self.seat.plan;
        let expected = matches!(cause, RunnerEnd::Stopped | RunnerEnd::Evicted);
        if expected {
            tracing::info!(pipeline = %plan.pipeline, model = plan.model, why, "model put away");
        } else {
            tracing::warn!(pipeline = %plan.pipeline, model = plan.model, %cause, why, "runner lost");
        }
    }
}

/// None before the first restart, then doubling.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        more => (PAUSE * 2u32.saturating_pow(more.min(10) - 1)).min(PAUSE_MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_comes_at_once_and_later_ones_ever_later() {
        let pauses: Vec<_> = (0..5).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(pauses, [0, 500, 1000, 2000, 4000]);
        assert_eq!(pause(1000), PAUSE_MOST);
    }
}
