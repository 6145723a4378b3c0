//! Tickets for others and tickets elsewhere.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use protocol::money::{PaymentError, WinningTicket};
use telemetry::metrics::RedemptionMetrics;
use tokio::sync::watch;

use super::super::*;
use super::bench::*;
use crate::duty::Duty;
use crate::test_queue;

struct OneFloat(Mutex<i128>, watch::Sender<u64>);

impl Floats for OneFloat {
    fn max_float(&self, _: Address) -> BoxFuture<'_, Result<i128, String>> {
        let float = *self.0.lock();
        Box::pin(std::future::ready(Ok(float)))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.1.subscribe()
    }
}

fn service(ledger: Ledger, float: i128) -> (RedeemerService, Arc<OneFloat>) {
    let floats = Arc::new(OneFloat(Mutex::new(float), watch::Sender::new(0)));
    let service = RedeemerService::new(RECIPIENT, ledger, floats.clone(), Bell::default());
    (service, floats)
}

#[tokio::test]
async fn only_winners_for_this_recipient_are_stored_and_a_repetition_is_success() {
    let mut bench = Bench::new();
    let (service, _) = service(bench.ledger.clone(), 0);
    let good = bench.winner(1, FACE);
    let mut foreign = good;
    foreign.ticket.recipient = Address([1; 20]);
    let refused = service.queue(foreign).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("invalid ticket recipient 0x01"),
        "{refused}"
    );
    let mut forged = good;
    forged.ticket.face_value += 1.into();
    let refused = service.queue(forged).await;
    assert!(matches!(
        refused,
        Err(QueueRefusal::Invalid(PaymentError::Signature))
    ));
    let mut wrong = good;
    wrong.recipient_rand = RecipientRand::from_bytes([9; 32]);
    let refused = service.queue(wrong).await;
    assert!(matches!(
        refused,
        Err(QueueRefusal::Invalid(PaymentError::RecipientRand))
    ));
    assert!(bench.all().await.is_empty());
    service.queue(good).await.unwrap();
    service.queue(good).await.unwrap();
    assert_eq!(bench.all().await.len(), 1);
    bench.finish().await;
    bench.audit().await;
}

#[tokio::test]
async fn a_float_is_told_at_once_then_when_it_changes_and_never_below_zero() {
    let bench = Bench::new();
    let (service, floats) = service(bench.ledger.clone(), -5);
    assert_eq!(service.max_float(RECIPIENT).await, Ok(U256::zero()));
    let mut told = Box::pin(service.monitor(RECIPIENT));
    assert_eq!(told.next().await, Some(Ok(U256::zero())));
    *floats.0.lock() = 7;
    floats.1.send_modify(|version| *version += 1);
    assert_eq!(told.next().await, Some(Ok(7.into())));
    floats.1.send_modify(|version| *version += 1);
    let next = tokio::time::timeout(Duration::from_millis(20), told.next()).await;
    assert!(next.is_err(), "the same float again");
}

#[derive(Default)]
struct Elsewhere {
    taken: Mutex<Vec<Hash>>,
    away: Mutex<bool>,
    refuses: Mutex<Option<Hash>>,
    float: Mutex<u64>,
    streams: Mutex<HashMap<Address, tokio::sync::mpsc::Sender<u64>>>,
}

#[async_trait]
impl RedeemerPeer for Elsewhere {
    async fn queue(&self, winner: &WinningTicket) -> Result<(), RedeemerFailure> {
        if *self.away.lock() {
            return Err(RedeemerFailure::Away("test".into()));
        }
        if *self.refuses.lock() == Some(hash(winner)) {
            return Err(RedeemerFailure::Refused("test".into()));
        }
        self.taken.lock().push(hash(winner));
        Ok(())
    }

    async fn max_float(&self, _: Address) -> Result<U256, RedeemerFailure> {
        if *self.away.lock() {
            return Err(RedeemerFailure::Away("test".into()));
        }
        Ok((*self.float.lock()).into())
    }

    async fn monitor(
        &self,
        sender: Address,
    ) -> Result<BoxStream<'static, Result<U256, RedeemerFailure>>, RedeemerFailure> {
        if *self.away.lock() {
            return Err(RedeemerFailure::Away("test".into()));
        }
        let (told, stream) = tokio::sync::mpsc::channel(4);
        self.streams.lock().insert(sender, told);
        let stream = futures::stream::unfold(stream, |mut stream| async move {
            let float: u64 = stream.recv().await?;
            Some((Ok(float.into()), stream))
        });
        Ok(stream.boxed())
    }
}

fn metrics() -> RedemptionMetrics {
    crate::test_metrics().redemption.clone()
}

#[tokio::test]
async fn winners_wait_for_a_redeemer_that_is_away_and_one_refused_holds_none_up() {
    let dir = tempfile::tempdir().unwrap();
    let options = ledger::Options {
        chain_id: 1,
        forward_winners: true,
        ..ledger::Options::default()
    };
    let ledger = Ledger::open(dir.path().join(ledger::FILE_NAME), options).unwrap();
    let mut bench = Bench::new();
    let winners: Vec<_> = (0..3).map(|_| bench.winner(1, FACE)).collect();
    ledger.add_winners(winners.clone()).await.unwrap();
    let peer = Arc::new(Elsewhere::default());
    *peer.away.lock() = true;
    let mut client = RedeemerClient::new(RedeemerClientParts {
        peer: peer.clone(),
        ledger: ledger.clone(),
        metrics: metrics(),
    });
    let pauses = [
        client.look().await,
        client.look().await,
        client.look().await,
    ];
    assert_eq!(pauses.map(|pause| pause.as_secs()), [1, 2, 4]);
    *peer.away.lock() = false;
    *peer.refuses.lock() = Some(hash(&winners[0]));
    client.look().await;
    assert_eq!(*peer.taken.lock(), [hash(&winners[1]), hash(&winners[2])]);
    let left = ledger.outbox(10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].hash, hash(&winners[0]), "kept");
}

#[tokio::test(start_paused = true)]
async fn the_last_float_of_a_redeemer_that_is_away_counts_for_a_bounded_time() {
    let peer = Arc::new(Elsewhere::default());
    *peer.float.lock() = 5;
    let options = RedeemerClientOptions::default();
    let floats = RemoteFloats::new(peer.clone(), options, metrics());
    let sender = test_queue::account();
    let told = |float: u64, stale| {
        Ok(FloatTold {
            float: float.into(),
            stale,
        })
    };
    assert_eq!(floats.max_float(sender).await, told(5, false));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stream = peer.streams.lock()[&sender].clone();
    stream.send(6).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(floats.max_float(sender).await, told(6, false));
    *peer.away.lock() = true;
    peer.streams.lock().clear();
    drop(stream);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(floats.max_float(sender).await, told(6, true));
    tokio::time::sleep(options.float_kept).await;
    assert!(floats.max_float(sender).await.is_err(), "too old");
    *peer.away.lock() = false;
    *peer.float.lock() = 8;
    assert_eq!(floats.max_float(sender).await, told(8, false));
}
