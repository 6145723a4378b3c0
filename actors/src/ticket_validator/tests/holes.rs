//! The ways to be robbed that are known from the field, one test each.

use protocol::money::{Amount, Credit, MAX_NONCES, Price, U256};
use protocol::refusal::Refusal;

use super::super::PaymentRefusal;
use super::house::*;
use crate::facts::ModelKey;
use crate::quotes::{Purpose, Quote};

/// Units that one ticket pays at 1 wei each, without the margin of a gateway.
const ONE_TICKET: u64 = EV / 2;

#[test]
fn the_first_paid_payment_fixes_the_price_also_of_a_sender_never_seen() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let payment = gateway.pay(&quote, [1]);
        let receipt = house.open_work("s", &payment, 1).await.unwrap();
        assert_eq!(receipt.fixed_price, Some(price(1)));
        let fixed = house.payments.fixed_price(gateway.address, "s").await;
        assert_eq!(fixed, Some(price(1)));
        // a dearer list price does not reach the session, and its quotes repeat its price
        house.change_prices(|prices| prices.default = Some(price(50)));
        let renewed = house
            .quotes
            .renew(gateway.address, "s", fixed, &house.purpose)
            .await
            .unwrap();
        assert_eq!(renewed.price, price(1));
        let receipt = house
            .open_work("s", &gateway.pay(&renewed, [1]), 1)
            .await
            .unwrap();
        assert_eq!(receipt.price, price(1));
    });
}

#[test]
fn a_payment_without_tickets_fixes_no_price_and_opens_nothing() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let mut no_tickets = gateway.pay(&quote, [1]);
        no_tickets.ticket_sender_params.clear();
        for claim in [
            gateway.claim(None),
            gateway.claim(Some((0, 1))),
            gateway.claim(Some((1, i64::MAX))),
            gateway.claim(Some((1, 1))),
            no_tickets,
        ] {
            assert_eq!(house.refused("s", &claim).await, "Insufficient balance");
            assert!(house.pay_ahead("s", &claim).await.is_ok());
            assert_eq!(house.payments.fixed_price(gateway.address, "s").await, None);
        }
        assert_eq!(house.books.state.lock().writes, 0);
    });
}

#[test]
fn absurd_prices_are_refused_also_without_tickets() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        for claim in [(-1, 1), (1, -1), (1, 0), (i64::MIN, i64::MIN), (0, 0)] {
            let told = house.refused("s", &gateway.claim(Some(claim))).await;
            assert!(
                told.starts_with("invalid expected price"),
                "{claim:?}: {told}"
            );
        }
    });
}

#[test]
fn tickets_at_a_lower_price_that_was_quoted_pay_and_do_not_lower_the_charge() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        house.change_prices(|prices| prices.default = Some(price(10)));
        let dear = house.quote(&gateway).await;
        let receipt = house
            .open_work("s", &gateway.pay(&dear, [1]), 1)
            .await
            .unwrap();
        assert_eq!(receipt.fixed_price, Some(price(10)));
        // the price of the day falls, and discovery quotes it to a gateway that has a session
        house.change_prices(|prices| prices.default = Some(price(9)));
        let cheap = house.quote(&gateway).await;
        let receipt = house
            .open_work("s", &gateway.pay(&cheap, [1]), 1)
            .await
            .unwrap();
        assert_eq!(receipt.price, price(10), "charged as the session is");
        // the same price without a ticket that proves it is a mere claim
        let told = house.refused("s", &gateway.claim(Some((9, 1)))).await;
        assert!(
            told.contains("price 9 is below the price of the session, 10"),
            "{told}"
        );
    });
}

#[test]
fn claiming_price_0_neither_skips_the_credit_nor_lowers_the_charge() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let receipt = house
            .open_work("s", &gateway.pay(&quote, [1]), ONE_TICKET)
            .await
            .unwrap();
        house
            .payments
            .debit(receipt.reservation, ONE_TICKET)
            .await
            .unwrap();
        let told = house.refused("s", &gateway.claim(Some((0, 1)))).await;
        assert_eq!(
            told,
            "invalid expected price sent with payment err=\"price 0 is below the price of the session, 1\""
        );
        // no price at all is none that is lower: charged as the session is
        let more = gateway.pay(&quote, [2]);
        house.pay_ahead("s", &more).await.unwrap();
        let receipt = house
            .open_work("s", &gateway.claim(None), 100)
            .await
            .unwrap();
        assert_eq!(receipt.price, price(1));
        let before = receipt.balance;
        house
            .payments
            .debit(receipt.reservation, 100)
            .await
            .unwrap();
        let mut expected = before;
        expected.debit(Amount::wei(100u64));
        let after = house.payments.balance(gateway.address, "s").await;
        assert_eq!(after, Some(expected));
    });
}

#[test]
fn a_quote_for_one_purpose_pays_for_no_other() {
    run(|| async {
        let mut house = House::open();
        let gateway = house.gateway(1);
        let cheap = house.quote(&gateway).await;
        let model = ModelKey {
            capability: 27,
            model: "stabilityai/sd-turbo".into(),
        };
        house.change_prices(|prices| {
            prices.models.insert((None, model.clone()), price(1000));
        });
        house.purpose = Purpose::models(vec![model]);
        let told = house.refused("27_m", &gateway.pay(&cheap, [1])).await;
        assert_eq!(told, "invalid recipientRand for ticket recipientRandHash");
        let dear = house.quote(&gateway).await;
        assert_eq!(dear.price, price(1000));
        assert!(
            house
                .open_work("27_m", &gateway.pay(&dear, [1]), 1)
                .await
                .is_ok()
        );
    });
}

#[test]
fn a_quote_of_one_sender_pays_for_no_other() {
    run(|| async {
        let house = House::open();
        let (one, two) = (house.gateway(1), house.gateway(2));
        let quote = house.quote(&one).await;
        let told = house.refused("s", &two.pay(&quote, [1])).await;
        assert_eq!(told, "invalid recipientRand for ticket recipientRandHash");
    });
}

#[test]
fn one_ticket_opens_no_job_of_any_size_for_a_sender_without_history() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let large = 10 * EV;
        let one = house.open_work("s", &gateway.pay(&quote, [1]), large).await;
        assert_eq!(one.unwrap_err(), PaymentRefusal::Balance);
        // what an honest gateway sends is enough
        let rest = gateway.pay(&quote, 2..=11);
        let receipt = house.open_work("s", &rest, large).await.unwrap();
        house
            .payments
            .debit(receipt.reservation, large)
            .await
            .unwrap();
        // it has paid for as much, so it is trusted for as much
        let trusted = house
            .open_work("t", &gateway.pay(&quote, [12]), large)
            .await;
        assert!(trusted.is_ok());
        let dearer = house
            .open_work("u", &gateway.pay(&quote, [13]), 2 * large)
            .await;
        assert_eq!(dearer.unwrap_err(), PaymentRefusal::Balance);
    });
}

#[test]
fn never_is_more_credit_asked_than_one_set_of_parameters_can_bring() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let all = gateway.pay(&quote, 1..=MAX_NONCES as u32);
        assert!(house.open_work("s", &all, u64::MAX).await.is_ok());
    });
}

#[test]
fn unpaid_work_of_one_sender_is_limited_over_all_its_sessions() {
    run(|| async {
        let house = House::open();
        let mut terms = **house.terms.load();
        terms.by_estimate = false;
        terms.max_exposure = Some(Amount::wei(3 * EV));
        house.terms.store(std::sync::Arc::new(terms));
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let mut running = Vec::new();
        // each session owes one ticket's worth beyond its credit
        for (number, key) in (1..).zip(["a", "b", "c"]) {
            let payment = gateway.pay(&quote, [number]);
            running.push(house.open_work(key, &payment, 2 * EV).await.unwrap());
        }
        let payment = gateway.pay(&quote, [4]);
        let refusal = house.open_work("d", &payment, 2 * EV).await.unwrap_err();
        assert_eq!(refusal, PaymentRefusal::Exposure);
        assert_eq!(Refusal::from(refusal).wire_text(), "Insufficient balance");
        // work that was not done is given back with its guard
        running.pop();
        assert!(
            house
                .open_work("d", &gateway.claim(None), 2 * EV)
                .await
                .is_ok()
        );
        // and a new session does not wash off what is owed
        for receipt in running {
            house
                .payments
                .debit(receipt.reservation, 9 * EV)
                .await
                .unwrap();
        }
        let fresh = house.open_work("e", &gateway.pay(&quote, [5]), 1).await;
        assert_eq!(fresh.unwrap_err(), PaymentRefusal::Exposure);
    });
}

#[test]
fn what_is_free_for_everybody_is_free() {
    run(|| async {
        let house = House::open();
        house.change_prices(|prices| prices.default = Some(price(0)));
        let gateway = house.gateway(1);
        let receipt = house
            .open_work("s", &gateway.claim(Some((0, 1))), 1000)
            .await
            .unwrap();
        assert!(receipt.reservation.is_free());
        house
            .payments
            .debit(receipt.reservation, 1000)
            .await
            .unwrap();
        assert_eq!(house.payments.balance(gateway.address, "s").await, None);
    });
}

/// What a quote is worth, without what makes it unique.
fn terms(quote: &Quote) -> (Price, U256, U256, u64) {
    let params = &quote.params;
    (
        quote.price,
        params.face_value,
        params.win_prob,
        params.expiration_block,
    )
}

#[test]
fn paid_work_goes_on_when_no_fresh_quote_can_be_made() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let fixed = house
            .open_work("s", &gateway.pay(&quote, [1]), 1)
            .await
            .unwrap()
            .fixed_price;
        let renew = || {
            house
                .quotes
                .renew(gateway.address, "s", fixed, &house.purpose)
        };
        let last = renew().await.unwrap();
        // its reserve is in flight: no ticket would be covered
        house
            .senders
            .set_owed([(gateway.address, funds().deposit)].into());
        assert!(
            house
                .quotes
                .offer(gateway.address, &house.purpose)
                .await
                .is_err()
        );
        let again = renew().await.unwrap();
        assert_eq!(terms(&again), terms(&last));
        assert_ne!(
            again.params.recipient_rand_hash, last.params.recipient_rand_hash,
            "a gateway drops a set of parameters that it gets twice"
        );
        assert!(
            house
                .open_work("s", &gateway.pay(&again, [1]), 1)
                .await
                .is_ok()
        );
        // the gateway calls parameters expired one block before their end
        house.l1_block(L1 + 38);
        assert_eq!(renew().await.map(|quote| terms(&quote)), Some(terms(&last)));
        house.l1_block(L1 + 39);
        assert_eq!(renew().await, None);
        house.senders.set_owed([].into());
        assert!(renew().await.is_some_and(|quote| quote != last));
    });
}

#[test]
fn a_session_is_forgotten_when_idle_but_not_what_it_owes() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let good = house
            .open_work("good", &gateway.pay(&quote, [1]), 1)
            .await
            .unwrap();
        let bad = house
            .open_work("bad", &gateway.pay(&quote, [2]), 1)
            .await
            .unwrap();
        drop(good);
        house.payments.debit(bad.reservation, 3 * EV).await.unwrap();
        tokio::time::advance(super::super::session::IDLE).await;
        house.payments.sweep().await;
        let balance = |key: &'static str| house.payments.balance(gateway.address, key);
        assert!(balance("good").await.is_some());
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        house.payments.sweep().await;
        assert_eq!(balance("good").await, None);
        assert_eq!(house.books.balance(gateway.address, "good"), None);
        assert!(balance("bad").await.is_some_and(|owed| owed < Credit::ZERO));
        assert!(house.books.balance(gateway.address, "bad").is_some());
    });
}
