//! The root of the actor tree: owns a factory per singleton child and starts a fresh one when it dies.
//!
//! Each child has a restart budget; when a child spends it, the node is told to stop with a non-zero exit code, because
//! a part that dies again and again does not get better by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use arc_swap::ArcSwapOption;
use telemetry::metrics::Metrics;
use tokio::sync::watch;

use crate::death::{ChildDown, DeathNotice};

/// Restarts allowed within [`BUDGET_WINDOW`].
const BUDGET: usize = 5;
/// Restarts older than this are forgiven.
const BUDGET_WINDOW: Duration = Duration::from_secs(60);
/// Pause before the first restart; doubles up to [`BACKOFF_MAX`].
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Where the current address of a restartable child is published.
pub type AddrCell<A> = Arc<ArcSwapOption<Addr<A>>>;

/// Makes a child and publishes its address; called at start and after each death.
pub type Factory = Box<dyn Fn(DeathNotice<&'static str>) + Send>;

/// Why the supervisor gave up; the node must stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// Name of the child that spent its restart budget.
    pub child: &'static str,
}

// ---- messages: asked by others ----

/// Assembly asks for a child to be started and kept alive.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Supervise {
    /// Name in logs and metrics.
    pub name: &'static str,
    /// How to make it.
    pub factory: Factory,
}

/// Assembly says that the node stops: deaths are expected from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopSupervising;

// ---- internal ----

#[derive(Message)]
#[rtype(result = "()")]
struct Restart(&'static str);

struct Child {
    factory: Factory,
    history: RestartHistory,
}

/// Decides, without a runtime, whether and when a child may start again.
#[derive(Default)]
pub struct RestartHistory {
    deaths: Vec<Instant>,
}

impl RestartHistory {
    /// Notes a death at `now`; the pause before the restart, or `None` when the budget is spent.
    pub fn died(&mut self, now: Instant) -> Option<Duration> {
        self.deaths
            .retain(|death| now.duration_since(*death) < BUDGET_WINDOW);
        self.deaths.push(now);
        let count = self.deaths.len();
        (count <= BUDGET).then(|| (BACKOFF * 2u32.pow(count as u32 - 1)).min(BACKOFF_MAX))
    }
}

/// See the module.
pub struct Supervisor {
    children: HashMap<&'static str, Child>,
    fatal: watch::Sender<Option<Fatal>>,
    metrics: Arc<Metrics>,
    stopping: bool,
}

impl Supervisor {
    /// A supervisor that reports a spent budget through `fatal`.
    pub fn new(fatal: watch::Sender<Option<Fatal>>, metrics: Arc<Metrics>) -> Self {
        Self {
            children: HashMap::new(),
            fatal,
            metrics,
            stopping: false,
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(64);
    }
}

impl Handler<Supervise> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: Supervise, ctx: &mut Self::Context) {
        (message.factory)(DeathNotice::new(message.name, ctx.address().recipient()));
        self.children.insert(
            message.name,
            Child {
                factory: message.factory,
                history: RestartHistory::default(),
            },
        );
    }
}

impl Handler<ChildDown<&'static str>> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: ChildDown<&'static str>, ctx: &mut Self::Context) {
        if self.stopping {
            return;
        }
        let Some(child) = self.children.get_mut(message.child) else {
            return;
        };
        self.metrics
            .node
            .actor_restarted(message.child, message.cause());
        match child.history.died(Instant::now()) {
            Some(pause) => {
                tracing::error!(
                    actor = message.child,
                    panicked = message.panicked,
                    pause_ms = pause.as_millis() as u64,
                    "actor died, starting a fresh one"
                );
                ctx.notify_later(Restart(message.child), pause);
            }
            None => {
                tracing::error!(
                    actor = message.child,
                    "actor spent its restart budget, the node stops"
                );
                self.fatal.send_replace(Some(Fatal {
                    child: message.child,
                }));
            }
        }
    }
}

impl Handler<Restart> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: Restart, ctx: &mut Self::Context) {
        if self.stopping {
            return;
        }
        if let Some(child) = self.children.get(message.0) {
            (child.factory)(DeathNotice::new(message.0, ctx.address().recipient()));
        }
    }
}

impl Handler<StopSupervising> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: StopSupervising, _: &mut Self::Context) {
        self.stopping = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_the_budget_ends() {
        let mut history = RestartHistory::default();
        let now = Instant::now();
        let pauses: Vec<_> = (0..6).map(|_| history.died(now)).collect();
        assert_eq!(pauses[0], Some(Duration::from_millis(50)));
        assert_eq!(pauses[4], Some(Duration::from_millis(800)));
        assert_eq!(pauses[5], None);
    }

    #[test]
    fn old_deaths_are_forgiven() {
        let mut history = RestartHistory::default();
        let start = Instant::now();
        for _ in 0..5 {
            history.died(start);
        }
        assert!(history.died(start + BUDGET_WINDOW).is_some());
    }
}
