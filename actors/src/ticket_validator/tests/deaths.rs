//! Shards that die, books that fail, and starts from what the books hold.

use std::sync::Arc;
use std::task::Poll;

use ledger::{Ledger, Options};
use protocol::money::{Credit, SenderFunds, U256};

use super::super::{Books, Crash, PaymentRefusal};
use super::books::{MemoryBooks, Mood};
use super::house::*;

async fn crash(house: &House, gateway: &Gateway) {
    let crashed = house.payments.ask(gateway.address, Crash).await;
    assert!(crashed.is_err());
}

#[test]
fn a_shard_that_dies_goes_on_from_the_books() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let payment = gateway.pay(&quote, [1, 2]);
        let paid = house.open_work("s", &payment, 1).await.unwrap().balance;
        crash(&house, &gateway).await;
        assert_eq!(
            house.payments.balance(gateway.address, "s").await,
            Some(paid)
        );
        assert_eq!(
            house.payments.fixed_price(gateway.address, "s").await,
            Some(price(1))
        );
        assert!(house.refused("s", &payment).await.contains("already seen"));
        assert!(
            house
                .open_work("s", &gateway.pay(&quote, [3]), 1)
                .await
                .is_ok()
        );
    });
}

#[test]
fn a_shard_that_dies_before_the_books_have_it_has_credited_nothing() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        *house.books.mood.lock() = Mood::Panicking;
        let payment = gateway.pay(&quote, [1]);
        let lost = house.open_work("s", &payment, 1).await.unwrap_err();
        assert!(matches!(lost, PaymentRefusal::Unavailable(_)), "{lost}");
        *house.books.mood.lock() = Mood::Well;
        assert_eq!(house.payments.balance(gateway.address, "s").await, None);
        // and the ticket was not used up
        assert!(house.open_work("s", &payment, 1).await.is_ok());
    });
}

#[test]
fn a_payment_that_cannot_be_stored_is_taken_back_whole() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        *house.books.mood.lock() = Mood::Busy;
        let payment = gateway.pay(&quote, [1]);
        let lost = house.open_work("s", &payment, 1).await.unwrap_err();
        assert!(matches!(lost, PaymentRefusal::Unavailable(_)), "{lost}");
        *house.books.mood.lock() = Mood::Well;
        let balance = house.payments.balance(gateway.address, "s").await;
        assert_eq!(balance, Some(Credit::ZERO));
        assert_eq!(house.payments.fixed_price(gateway.address, "s").await, None);
        // its tickets stay used: a gateway makes new ones
        assert!(house.refused("s", &payment).await.contains("already seen"));
        let again = house
            .open_work("s", &gateway.pay(&quote, [2]), 1)
            .await
            .unwrap();
        assert!(again.balance.covers(quote.params.ticket_value()));
        assert!(!again.balance.covers(quote.params.ticket_value().times(2)));
    });
}

#[test]
fn nobody_is_answered_before_the_books_have_it() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let small = SenderFunds {
            reserve_remaining: U256::from(EV) * 10,
            ..funds()
        };
        house.senders.put(gateway.address, small);
        house.facts.gas.publish(crate::facts::Gas::default());
        let quote = house.quote(&gateway).await;
        let told = house.payments.winners();
        house.books.synced.send_replace(false);
        let payment = gateway.pay(&quote, [1]);
        let mut paying = Box::pin(house.open_work("s", &payment, 1));
        let mut notified = Box::pin(told.notified());
        // as far as it gets: the winner is handed to the books, and no answer is out
        tokio::time::timeout(
            super::super::RESTART,
            std::future::poll_fn(|cx| {
                assert!(paying.as_mut().poll(cx).is_pending());
                assert!(notified.as_mut().poll(cx).is_pending());
                Poll::<()>::Pending
            }),
        )
        .await
        .unwrap_err();
        assert_eq!(house.books.state.lock().winners.len(), 1);
        house.books.synced.send_replace(true);
        paying.await.unwrap();
        notified.await;
    });
}

#[test]
fn work_is_charged_while_a_shard_restarts() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let receipt = house
            .open_work("s", &gateway.pay(&quote, [1]), 1000)
            .await
            .unwrap();
        crash(&house, &gateway).await;
        let mut expected = receipt.balance;
        house
            .payments
            .debit(receipt.reservation, 1000)
            .await
            .unwrap();
        expected.debit(protocol::money::Amount::wei(1000u64));
        assert_eq!(house.books.balance(gateway.address, "s"), Some(expected));
    });
}

#[test]
fn balances_prices_nonces_and_winners_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lpdb.sqlite3");
    let open = || -> Arc<dyn Books> { Arc::new(Ledger::open(&path, Options::default()).unwrap()) };
    let (payment, quote, balance) = {
        let books = open();
        let (sender, receiver) = std::sync::mpsc::channel();
        run(move || async move {
            let house = House::over(books, Arc::new(MemoryBooks::default()));
            let gateway = house.gateway(1);
            let quote = house.quote(&gateway).await;
            let payment = gateway.pay(&quote, [1, 5000]);
            let receipt = house.open_work("s", &payment, 1).await.unwrap();
            house.payments.debit(receipt.reservation, 77).await.unwrap();
            let balance = house.payments.balance(gateway.address, "s").await;
            sender.send((payment, quote, balance)).unwrap();
        });
        receiver.recv().unwrap()
    };
    let books = open();
    run(move || async move {
        let house = House::over(books, Arc::new(MemoryBooks::default()));
        let gateway = house.gateway(1);
        assert!(balance.is_some());
        assert_eq!(house.payments.balance(gateway.address, "s").await, balance);
        assert_eq!(
            house.payments.fixed_price(gateway.address, "s").await,
            Some(price(1))
        );
        assert!(house.refused("s", &payment).await.contains("already seen"));
        // the parameters of before are still good
        assert!(
            house
                .open_work("s", &gateway.pay(&quote, [2]), 1)
                .await
                .is_ok()
        );
    });
}
