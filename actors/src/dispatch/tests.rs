//! Segments on remote transcoders that answer, leave, are late or lie, with the clock standing still.

use std::time::Duration;

use actix::{Actor, Context, Handler};
use bytes::Bytes;
use host::process::{WorkerLauncher, WorkerLimits};
use protocol::capabilities::{Capabilities, Capability};
use protocol::pb;
use protocol::profile::presets;

use super::*;
use crate::body::BodyBudget;
use crate::death::{ChildDown, DeathNotice};
use crate::remote_transcoder::{Connection, Notice, Registration};
use crate::supervisor::AddrCell;
use crate::worker_registry::WorkerRegistry;

struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<ChildDown<&'static str>> for Nobody {
    type Result = ();

    fn handle(&mut self, _: ChildDown<&'static str>, _: &mut Self::Context) {}
}

/// An orchestrator without a device.
fn workers() -> Workers {
    let metrics = crate::test_metrics();
    let cell = AddrCell::default();
    let workers = Workers::new(Arc::clone(&cell), Arc::clone(&metrics));
    let launcher = WorkerLauncher::new("/none".into(), WorkerLimits::default(), None);
    let notice = DeathNotice::new("registry", Nobody.start().recipient());
    let registry =
        WorkerRegistry::new(Arc::new(launcher), vec![], workers.clone(), metrics, notice);
    cell.store(Some(Arc::new(registry.start())));
    workers
}

fn test<F: Future>(body: impl FnOnce(Workers) -> F) {
    actix_rt::System::new().block_on(async {
        tokio::time::pause();
        body(workers()).await;
    });
}

fn can(capabilities: &[Capability]) -> Capabilities {
    Capabilities::of(capabilities.iter().copied().collect(), "0.9.1")
}

async fn join(workers: &Workers, capacity: usize) -> Connection {
    let registration = Registration {
        address: "192.0.2.1".into(),
        capacity,
        capabilities: can(&[Capability::H264, Capability::AuthToken]),
    };
    workers.register(registration).await.expect("registered")
}

fn segment() -> Segment {
    let (writer, body) = BodyBudget::new(1 << 20, crate::test_metrics()).body();
    writer.confirm();
    let profiles = presets("P144p30fps16x9").expect("preset");
    let order = SegmentCredentials {
        manifest_id: b"movie".to_vec(),
        seq: 5,
        hash: [0; 32],
        profiles: profiles.clone(),
        duration_ms: 2000,
        capabilities: Capabilities::demand(can(&[Capability::H264]).set),
        auth_token: Some(pb::AuthToken::default()),
        clip: None,
        storage: None,
        calc_perceptual_hash: false,
        force_reinit: false,
        sig: vec![],
    };
    Segment {
        spec: SegmentJob {
            stream: "movie".into(),
            seq: 5,
            profiles,
            duration_ms: 2000,
            clip: None,
            provider: String::new(),
            perceptual_hash: false,
        },
        order: Arc::new(order),
        body,
        arrived: Instant::now(),
    }
}

/// The next job, of whatever else is told.
async fn job(connection: &mut Connection) -> i64 {
    loop {
        match connection.next().await.expect("a stream") {
            Notice::Job { task, .. } => return task,
            Notice::SessionEnd(_) => {}
        }
    }
}

/// Timers count whole milliseconds.
fn is_about(begun: Instant, expected: Duration) -> bool {
    begun.elapsed() >= expected && begun.elapsed() < expected + Duration::from_millis(10)
}

fn good() -> TaskAnswer {
    Ok(vec![Rendition {
        bytes: Bytes::from(vec![0x47; 188]),
        pixels: 9,
        hash: Bytes::new(),
    }])
}

async fn send(workers: &Workers, segment: &Segment) -> Outcome {
    dispatch(workers, "s", None, segment, &crate::test_metrics()).await
}

fn told(outcome: Outcome) -> (Option<u64>, Result<u32, String>) {
    let (worker, delivery) = outcome;
    let delivery = delivery.map(|delivery| delivery.retries);
    (
        worker.map(|worker| worker.id()),
        delivery.map_err(|failure| failure.text.into_owned()),
    )
}

#[test]
fn an_answer_comes_back_and_the_stream_stays_where_it_is() {
    test(|workers| async move {
        let mut a = join(&workers, 2).await;
        let segment = segment();
        let transcoder = async {
            let task = job(&mut a).await;
            assert!(
                workers.roster().input("s", 5).is_some(),
                "it can be fetched"
            );
            assert!(workers.roster().deliver(task, good()));
        };
        let (outcome, ()) = tokio::join!(send(&workers, &segment), transcoder);
        assert!(workers.roster().input("s", 5).is_none(), "no longer kept");
        let (worker, delivery) = outcome;
        assert!(delivery.is_ok());
        let seat = &workers.roster().seats()[0];
        assert_eq!((seat.load(), seat.delivered()), (1, 1));
        drop(worker);
        assert_eq!(seat.load(), 0);
        let ended = a.next().await;
        assert_eq!(ended, Some(Notice::SessionEnd("s".into())));
    });
}

#[test]
fn one_that_leaves_is_replaced_at_once_and_its_late_answer_still_counts() {
    test(|workers| async move {
        let (mut a, mut b) = (join(&workers, 1).await, join(&workers, 1).await);
        let segment = segment();
        let begun = Instant::now();
        let transcoders = async {
            let first = job(&mut a).await;
            drop(a);
            job(&mut b).await;
            assert_eq!(begun.elapsed(), Duration::ZERO);
            workers.roster().deliver(first, good());
        };
        let (outcome, ()) = tokio::join!(send(&workers, &segment), transcoders);
        assert_eq!(told(outcome), (None, Ok(1)));
    });
}

#[test]
fn where_nobody_is_left_the_next_who_comes_gets_the_segment() {
    test(|workers| async move {
        let mut a = join(&workers, 1).await;
        let segment = segment();
        let transcoders = async {
            job(&mut a).await;
            drop(a);
            let mut b = join(&workers, 1).await;
            let task = job(&mut b).await;
            workers.roster().deliver(task, good());
            b
        };
        let (outcome, _b) = tokio::join!(send(&workers, &segment), transcoders);
        assert_eq!(told(outcome), (Some(1), Ok(1)));
    });
}

#[test]
fn one_that_is_late_is_helped_and_trusted_again_when_it_answers() {
    test(|workers| async move {
        let (mut a, mut b) = (join(&workers, 1).await, join(&workers, 1).await);
        let segment = segment();
        let begun = Instant::now();
        let transcoders = async {
            let late = job(&mut a).await;
            let task = job(&mut b).await;
            assert!(is_about(begun, TimeBudget::for_segment(2000).patience));
            assert_eq!(workers.roster().seats()[0].owed(), 1);
            workers.roster().deliver(task, good());
            late
        };
        let (outcome, late) = tokio::join!(send(&workers, &segment), transcoders);
        assert_eq!(told(outcome), (Some(1), Ok(1)));
        assert!(
            workers.roster().deliver(late, good()),
            "nobody waits for it"
        );
        // The actor hears of it in its turn.
        while workers.roster().seats()[0].owed() > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn without_an_answer_the_gateway_is_told_before_it_gives_up() {
    test(|workers| async move {
        let mut a = join(&workers, 1).await;
        let segment = segment();
        let begun = Instant::now();
        let (outcome, _) = tokio::join!(send(&workers, &segment), job(&mut a));
        assert_eq!(
            told(outcome),
            (None, Err("Remote transcoder took too long".into()))
        );
        assert!(is_about(begun, TimeBudget::for_segment(2000).total));
    });
}

#[test]
fn who_owes_three_answers_is_sent_away() {
    test(|workers| async move {
        let mut a = join(&workers, 1).await;
        for _ in 0..3 {
            let segment = segment();
            let outcome = send(&workers, &segment).await;
            assert!(outcome.1.is_err());
        }
        while a.next().await.is_some() {}
        assert!(workers.roster().seats().is_empty());
    });
}

#[test]
fn what_a_transcoder_finds_wrong_with_the_segment_is_told_at_once() {
    test(|workers| async move {
        let (mut a, _b) = (join(&workers, 1).await, join(&workers, 1).await);
        let segment = segment();
        let transcoder = async {
            let task = job(&mut a).await;
            let text = "TranscoderInvalidVideo".to_owned();
            workers.roster().deliver(task, Err(text));
        };
        let (outcome, ()) = tokio::join!(send(&workers, &segment), transcoder);
        assert_eq!(told(outcome), (None, Err("TranscoderInvalidVideo".into())));
    });
}

#[test]
fn a_transcoders_own_failure_is_tried_elsewhere_and_then_told_in_its_words() {
    test(|workers| async move {
        let (mut a, mut b) = (join(&workers, 1).await, join(&workers, 1).await);
        let segment = segment();
        let transcoders = async {
            let task = job(&mut a).await;
            workers.roster().deliver(task, Ok(vec![]));
            let task = job(&mut b).await;
            workers.roster().deliver(task, Err("404 Not Found".into()));
        };
        let (outcome, ()) = tokio::join!(send(&workers, &segment), transcoders);
        assert_eq!(told(outcome), (None, Err("404 Not Found".into())));
    });
}

#[test]
fn nobody_there_all_full_and_none_capable_are_told_in_the_words_that_gateways_know() {
    test(|workers| async move {
        let none = "no transcoders available";
        assert_eq!(
            told(send(&workers, &segment()).await),
            (None, Err(none.into()))
        );
        let _a = join(&workers, 1).await;
        let demand = Capabilities::demand(can(&[Capability::HevcDecode]).set);
        let incapable = workers.place("s", &demand, &[]).await.err();
        assert_eq!(
            incapable
                .map(|failure| failure.text.into_owned())
                .as_deref(),
            Some("no transcoders can provide requested capabilities")
        );
        let demand = &segment().order.capabilities;
        let taken = workers.place("s", demand, &[]).await;
        assert!(taken.is_ok());
        assert_eq!(
            told(send(&workers, &segment()).await),
            (None, Err(none.into()))
        );
        drop(taken);
        workers.roster().set_draining(0, true);
        assert_eq!(
            told(send(&workers, &segment()).await),
            (None, Err(none.into()))
        );
    });
}
