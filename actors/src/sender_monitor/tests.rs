//! The monitor over a chain that answers, hangs, fails and lags when ordered to.

use std::collections::HashMap;

use actix::Actor;
use chain::watcher::{BlockRef, ReloadCause};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::supervisor::{Supervise, Supervisor};

const RECIPIENT: Address = Address([0x0e; 20]);

/// A chain that holds deposits and reserves, with a gate before its answers.
struct FakeChain {
    money: Mutex<HashMap<Address, (u64, u64)>>,
    block: Mutex<u64>,
    failing: Mutex<bool>,
    asked: Mutex<Vec<Vec<Address>>>,
    open: watch::Sender<bool>,
}

impl ReadsFunds for FakeChain {
    fn read(
        &self,
        senders: Vec<Address>,
    ) -> BoxFuture<'static, chain::Result<Read<Vec<SenderInfo>>>> {
        self.asked.lock().push(senders.clone());
        let money = self.money.lock();
        let infos = senders.iter().map(|sender| {
            let (deposit, reserve) = money.get(sender).copied().unwrap_or_default();
            SenderInfo {
                sender: *sender,
                deposit: deposit.into(),
                withdraw_round: 0,
                reserve: reserve.into(),
                claimed_in_round: 0.into(),
                claimed_by_recipient: 0.into(),
                claimable: 0.into(),
            }
        });
        let answer = match *self.failing.lock() {
            true => Err(chain::Error::Unavailable {
                method: "eth_call".into(),
                failures: "ordered by a test".into(),
            }),
            false => Ok(Read {
                block: *self.block.lock(),
                value: infos.collect(),
            }),
        };
        let mut open = self.open.subscribe();
        async move {
            let _ = open.wait_for(|open| *open).await;
            answer
        }
        .boxed()
    }
}

struct House {
    chain: Arc<FakeChain>,
    senders: Senders,
    rounds: Fact<Rounds>,
}

fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce(House) -> F) {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(async {
        let chain = Arc::new(FakeChain {
            money: Mutex::default(),
            block: Mutex::new(100),
            failing: Mutex::new(false),
            asked: Mutex::default(),
            open: watch::Sender::new(true),
        });
        let metrics = crate::test_metrics();
        let addr = AddrCell::default();
        let senders = Senders::new(Arc::clone(&addr), Arc::clone(&metrics));
        let rounds = Fact::new(Rounds {
            pool_size: 10,
            ..Rounds::unknown()
        });
        let (fatal, _) = watch::channel(None);
        let supervisor = Supervisor::new(fatal, metrics).start();
        let made = (senders.clone(), Arc::clone(&chain), rounds.clone());
        supervisor
            .send(Supervise {
                name: "sender_monitor",
                factory: Box::new(move |notice| {
                    let (senders, chain, rounds) = made.clone();
                    let monitor = SenderMonitor::new(senders, chain, RECIPIENT, rounds, notice);
                    addr.store(Some(Arc::new(monitor.start())));
                }),
            })
            .await
            .unwrap();
        test(House {
            chain,
            senders,
            rounds,
        })
        .await;
    });
}

impl House {
    fn pays(&self, sender: Address, deposit: u64, reserve: u64) {
        self.chain.money.lock().insert(sender, (deposit, reserve));
    }

    async fn event(&self, block: u64, index: u64, event: ContractEvent) {
        let event = ChainEvent::Contract {
            block,
            block_hash: chain::Hash::ZERO,
            index,
            transaction: chain::Hash::ZERO,
            event,
        };
        self.senders.observe(ChainNews(Arc::new(event))).await;
    }

    fn readings(&self) -> usize {
        self.chain.asked.lock().len()
    }

    /// Until nothing is under way any more.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

fn sender(number: u8) -> Address {
    Address([number; 20])
}

fn deposit_funded(to: Address, amount: u64) -> ContractEvent {
    ContractEvent::DepositFunded {
        sender: to,
        amount: amount.into(),
    }
}

#[test]
fn all_who_wait_for_a_sender_share_one_reading() {
    run(|house| async move {
        house.pays(sender(1), 5, 600);
        let asked = (0..20).map(|_| house.senders.fund(sender(1)));
        for funds in futures::future::join_all(asked).await {
            assert!(funds.known);
            assert_eq!(funds.max_float(house.rounds.load().pool_size), 60);
        }
        assert_eq!(house.readings(), 1);
        assert!(house.senders.get(sender(1)).is_some());
    });
}

#[test]
fn nobody_waits_longer_than_the_patience_and_then_there_is_no_float() {
    run(|house| async move {
        house.pays(sender(1), 5, 600);
        house.chain.open.send_replace(false);
        let began = Instant::now();
        let funds = house.senders.fund(sender(1)).await;
        assert_eq!(began.elapsed(), PATIENCE);
        assert_eq!((funds.known, funds.max_float(1)), (false, 0));
        // the answer that comes late is kept
        house.chain.open.send_replace(true);
        house.settle().await;
        assert!(
            house
                .senders
                .get(sender(1))
                .is_some_and(|funds| funds.known)
        );
    });
}

#[test]
fn a_flood_of_fresh_keys_is_read_in_batches_one_at_a_time_and_once() {
    run(|house| async move {
        house.chain.open.send_replace(false);
        let strangers: Vec<_> = (1..=250u8).map(sender).collect();
        let asked = strangers
            .iter()
            .map(|stranger| house.senders.fund(*stranger));
        futures::future::join_all(asked).await;
        // the first one is under way, all others wait behind it
        assert_eq!(house.readings(), 1);
        house.chain.open.send_replace(true);
        house.settle().await;
        let sizes: Vec<usize> = house.chain.asked.lock().iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 100, 100, 49]);
        for stranger in strangers {
            let funds = house.senders.fund(stranger).await;
            assert!(funds.known && funds.chain.is_empty());
        }
        assert_eq!(house.readings(), 4);
    });
}

#[test]
fn a_stranger_that_funds_itself_is_known_at_once() {
    run(|house| async move {
        assert!(house.senders.fund(sender(1)).await.chain.is_empty());
        house.event(101, 0, deposit_funded(sender(1), 7)).await;
        let funded = ContractEvent::ReserveFunded {
            holder: sender(1),
            amount: 100.into(),
        };
        house.event(101, 1, funded).await;
        let funds = house.senders.get(sender(1)).unwrap();
        assert_eq!(funds.chain.deposit, 7.into());
        assert_eq!(funds.max_float(10), 10);
        assert_eq!(house.readings(), 1);
    });
}

#[test]
fn events_of_unknown_senders_and_repeated_events_change_nothing() {
    run(|house| async move {
        house.pays(sender(1), 5, 600);
        house.senders.fund(sender(1)).await;
        // known to the chain's watcher, not to us: this one killed nodes of the field
        house.event(101, 0, deposit_funded(sender(2), 9)).await;
        assert!(house.senders.get(sender(2)).is_none());
        for (block, index) in [(100, 3), (102, 4), (102, 4), (101, 9)] {
            house
                .event(block, index, deposit_funded(sender(1), 10))
                .await;
        }
        // the reading held block 100, and (102, 4) counts once
        let deposit = house.senders.get(sender(1)).unwrap().chain.deposit;
        assert_eq!(deposit, 15.into());
    });
}

#[test]
fn an_event_that_passes_while_a_reading_is_under_way_is_not_lost() {
    run(|house| async move {
        house.pays(sender(1), 5, 600);
        house.chain.open.send_replace(false);
        let (funds, ()) = futures::join!(house.senders.fund(sender(1)), async {
            house.settle().await;
            house.event(101, 0, deposit_funded(sender(1), 10)).await;
            house.chain.open.send_replace(true);
        });
        assert_eq!(funds.chain.deposit, 15.into());
    });
}

#[test]
fn a_new_round_frees_the_reserve_at_once_and_reads_everybody_again() {
    run(|house| async move {
        house.pays(sender(1), 0, 600);
        house.senders.fund(sender(1)).await;
        let transfer = ContractEvent::WinningTicketTransfer {
            sender: sender(1),
            recipient: RECIPIENT,
            amount: 50.into(),
        };
        house.event(101, 0, transfer).await;
        assert_eq!(house.senders.get(sender(1)).unwrap().max_float(10), 10);
        house.pays(sender(1), 0, 1000);
        *house.chain.block.lock() = 110;
        house.chain.open.send_replace(false);
        let new_round = ContractEvent::NewRound {
            round: 8,
            block_hash: chain::Hash::ZERO,
        };
        house.event(109, 0, new_round).await;
        assert_eq!(house.senders.get(sender(1)).unwrap().max_float(10), 55);
        house.chain.open.send_replace(true);
        house.settle().await;
        assert_eq!(house.senders.get(sender(1)).unwrap().max_float(10), 100);
    });
}

#[test]
fn known_senders_are_served_through_an_outage_and_read_again_after_it() {
    run(|house| async move {
        house.pays(sender(1), 5, 600);
        house.senders.fund(sender(1)).await;
        *house.chain.failing.lock() = true;
        house.pays(sender(1), 5, 800);
        *house.chain.block.lock() = 120;
        let reload = ChainEvent::Reload {
            cause: ReloadCause::FirstStart,
            at: BlockRef {
                number: 120,
                hash: chain::Hash::ZERO,
            },
        };
        house.senders.observe(ChainNews(Arc::new(reload))).await;
        let funds = house.senders.fund(sender(1)).await;
        assert_eq!((funds.known, funds.max_float(10)), (true, 60));
        let unknown = house.senders.fund(sender(2)).await;
        assert!(!unknown.known);
        *house.chain.failing.lock() = false;
        tokio::time::sleep(RETRY).await;
        house.settle().await;
        assert_eq!(house.senders.get(sender(1)).unwrap().max_float(10), 80);
    });
}

#[test]
fn what_is_in_flight_lowers_the_float_until_it_lands() {
    run(|house| async move {
        house.pays(sender(1), 0, 600);
        house.senders.set_owed([(sender(1), 45.into())].into());
        assert_eq!(house.senders.fund(sender(1)).await.max_float(10), 15);
        house.senders.set_owed([].into());
        assert_eq!(house.senders.get(sender(1)).unwrap().max_float(10), 60);
        house.pays(sender(1), 0, 500);
        *house.chain.block.lock() = 130;
        house.senders.refresh(sender(1)).await;
        house.settle().await;
        assert_eq!(house.senders.get(sender(1)).unwrap().max_float(10), 50);
    });
}
