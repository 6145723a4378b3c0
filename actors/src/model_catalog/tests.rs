//! The catalog with runners that do as they are told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use parking_lot::Mutex;
use protocol::ai::AiRequest;
use protocol::capabilities::Capability;
use runners::launch::{Launch, LaunchError, Launched, Need};
use runners::{Answer, Facts, Health, Request, RunError, Runner};
use serde_json::json;
use telemetry::metrics::label::RunnerKind;
use tokio::sync::oneshot;

use super::*;

/// A runner that echoes its fields; its process is a channel.
struct Echo;

#[async_trait]
impl Runner for Echo {
    async fn run(&self, request: Request) -> Result<Answer, RunError> {
        Ok(Answer::Whole(json!(request.ask.fields())))
    }

    async fn health(&self) -> Result<Health, RunError> {
        Ok(Health::Ok)
    }

    async fn facts(&self) -> Facts {
        Facts {
            version: "1.2.3".into(),
            hardware: None,
        }
    }
}

#[derive(Default)]
struct Fake {
    need: Need,
    starts: AtomicUsize,
    stops: Arc<AtomicUsize>,
    broken: bool,
    kill: Mutex<Option<oneshot::Sender<()>>>,
}

#[async_trait]
impl Launch for Fake {
    fn need(&self) -> Need {
        self.need
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn launch(&self) -> Result<Launched, LaunchError> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        if self.broken {
            return Err(LaunchError("no such image".into()));
        }
        let (kill, killed) = oneshot::channel();
        *self.kill.lock() = Some(kill);
        let stops = Arc::clone(&self.stops);
        Ok(Launched {
            runner: Arc::new(Echo),
            ended: async move {
                if killed.await.is_err() {
                    futures::future::pending::<()>().await;
                }
                "killed".to_owned()
            }
            .boxed(),
            stop: async move {
                stops.fetch_add(1, Ordering::SeqCst);
            }
            .boxed(),
            name: "fake".into(),
            memory: None,
        })
    }
}

fn plan(model: &str, warm: bool, capacity: usize, launch: &Arc<Fake>) -> Plan {
    Plan {
        pipeline: Pipeline::Llm,
        model: model.into(),
        warm,
        capacity,
        kind: RunnerKind::Native,
        launch: Arc::clone(launch) as Arc<dyn Launch>,
        identity: format!("{model} {warm} {capacity}"),
        guest: false,
    }
}

async fn house(total: Need, plans: Vec<Plan>) -> Models {
    let metrics = crate::test_metrics();
    let cell: AddrCell<ModelCatalog> = AddrCell::default();
    let machine = Machine::boundless(crate::test_metrics().machine.clone());
    let models = Models::new(Arc::clone(&cell), machine.clone(), Arc::clone(&metrics));
    let places = Places::new(total, machine, metrics.ai.clone());
    let keeper = Keeper.start();
    let notice = DeathNotice::new("model_catalog", keeper.recipient());
    let catalog = ModelCatalog::new(models.clone(), places, notice);
    cell.store(Some(Arc::new(catalog.start())));
    models.configure(plans).await;
    models
}

/// Hears of the catalog's death.
struct Keeper;

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Handler<ChildDown<&'static str>> for Keeper {
    type Result = ();

    fn handle(&mut self, _: ChildDown<&'static str>, _: &mut Self::Context) {}
}

/// Waits for what is told as a change.
async fn until(models: &Models, what: impl Fn(&Models) -> bool) {
    let mut changes = models.changes();
    let waited = async {
        while !what(models) {
            changes.changed().await.expect("the sender lives");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited)
        .await
        .expect("in time");
}

fn free(models: &Models, model: &str) -> Option<u32> {
    let offer = models.offer();
    let models = offer.models.get(&Capability::Llm.number())?;
    Some(models.get(model)?.capacity)
}

fn request() -> Request {
    let ask = AiRequest::from_value(Pipeline::Llm, json!({"max_tokens": 3})).expect("good");
    Request { ask, file: None }
}

#[actix::test]
async fn a_warm_model_is_advertised_when_it_is_ready_and_its_places_are_counted() {
    let launch = Arc::new(Fake::default());
    let models = house(Need::default(), vec![plan("m", true, 2, &launch)]).await;
    until(&models, |models| free(models, "m") == Some(2)).await;
    let first = models.reserve(Pipeline::Llm, "m").expect("a place");
    let second = models.reserve(Pipeline::Llm, "m").expect("a place");
    let third = models.reserve(Pipeline::Llm, "m").err();
    assert_eq!(third, Some(NoPlace::Full));
    assert_eq!(free(&models, "m"), Some(0));
    let Ok(Answer::Whole(value)) = first.run(request()).await else {
        panic!("an answer")
    };
    assert_eq!(value["max_tokens"], 3);
    drop((first, second));
    assert_eq!(free(&models, "m"), Some(2));
    assert_eq!(
        models.reserve(Pipeline::Upscale, "m").err(),
        Some(NoPlace::Unknown)
    );
    assert_eq!(models.offer().models[&33]["m"].runner_version, "1.2.3");
}

#[actix::test]
async fn a_runner_that_dies_leaves_discovery_and_comes_back_with_all_its_places() {
    let launch = Arc::new(Fake::default());
    let models = house(Need::default(), vec![plan("m", true, 1, &launch)]).await;
    for round in 1..=20 {
        until(&models, |models| free(models, "m") == Some(1)).await;
        assert_eq!(launch.starts.load(Ordering::SeqCst), round);
        let held = models.reserve(Pipeline::Llm, "m").expect("a place");
        let kill = launch.kill.lock().take().expect("running");
        kill.send(()).expect("waits");
        until(&models, |models| {
            launch.stops.load(Ordering::SeqCst) == round && models.in_use() == 1
        })
        .await;
        drop(held);
        if round == 2 {
            // later rounds would wait longer and longer
            return;
        }
    }
}

#[actix::test]
async fn a_cold_model_is_started_by_the_first_request() {
    let launch = Arc::new(Fake::default());
    let models = house(Need::default(), vec![plan("m", false, 1, &launch)]).await;
    until(&models, |models| free(models, "m") == Some(1)).await;
    assert_eq!(launch.starts.load(Ordering::SeqCst), 0);
    let place = models.reserve(Pipeline::Llm, "m").expect("a place");
    assert!(matches!(place.run(request()).await, Ok(Answer::Whole(_))));
    assert_eq!(launch.starts.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn an_idle_cold_model_makes_room_and_a_busy_or_warm_one_does_not() {
    let need = Need {
        places: 1,
        ..Need::default()
    };
    let fake = || {
        Arc::new(Fake {
            need,
            ..Fake::default()
        })
    };
    let (one, two) = (fake(), fake());
    let plans = vec![plan("one", false, 1, &one), plan("two", false, 1, &two)];
    let models = house(need, plans).await;
    let first = models.reserve(Pipeline::Llm, "one").expect("a place");
    assert!(first.run(request()).await.is_ok());
    drop(first);
    let second = models.reserve(Pipeline::Llm, "two").expect("a place");
    assert!(second.run(request()).await.is_ok());
    assert_eq!(one.stops.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn a_runner_that_cannot_start_is_an_error_and_gives_the_place_back() {
    let launch = Arc::new(Fake {
        broken: true,
        ..Fake::default()
    });
    let models = house(Need::default(), vec![plan("m", false, 1, &launch)]).await;
    until(&models, |models| free(models, "m") == Some(1)).await;
    let place = models.reserve(Pipeline::Llm, "m").expect("a place");
    let error = place.run(request()).await.expect_err("broken");
    assert!(error.to_string().contains("no such image"), "{error}");
    drop(place);
    assert_eq!(models.in_use(), 0);
}

#[actix::test]
async fn new_settings_leave_equal_runners_alone_and_end_the_others_after_their_last_request() {
    let (kept, gone) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
    let plans = vec![plan("kept", true, 1, &kept), plan("gone", true, 1, &gone)];
    let models = house(Need::default(), plans.clone()).await;
    until(&models, |models| {
        models.offer().models.get(&33).is_some_and(|m| m.len() == 2)
    })
    .await;
    let held = models.reserve(Pipeline::Llm, "gone").expect("a place");
    models.configure(vec![plan("kept", true, 1, &kept)]).await;
    assert_eq!(
        models.reserve(Pipeline::Llm, "gone").err(),
        Some(NoPlace::Unknown)
    );
    assert_eq!(gone.stops.load(Ordering::SeqCst), 0);
    assert!(held.run(request()).await.is_ok());
    let seat = Arc::clone(held.seat());
    drop(held);
    seat.gone().await;
    assert_eq!(gone.stops.load(Ordering::SeqCst), 1);
    assert_eq!(
        (kept.starts.load(Ordering::SeqCst), free(&models, "kept")),
        (1, Some(1))
    );
}

#[actix::test]
async fn a_drained_model_is_not_found_until_it_is_undrained() {
    let launch = Arc::new(Fake::default());
    let models = house(Need::default(), vec![plan("m", true, 1, &launch)]).await;
    until(&models, |models| free(models, "m") == Some(1)).await;
    assert!(models.set_drained(Pipeline::Llm, "m", true));
    assert_eq!(free(&models, "m"), None);
    assert_eq!(
        models.reserve(Pipeline::Llm, "m").err(),
        Some(NoPlace::Full)
    );
    models.set_drained(Pipeline::Llm, "m", false);
    assert_eq!(free(&models, "m"), Some(1));
    assert!(!models.set_drained(Pipeline::Llm, "other", true));
}
