//! Every text that a gateway may be told, once, and what it leaves in the books.

use protocol::money::{Credit, SenderFunds, U256};
use protocol::pb;

use super::house::*;

/// Changes a good payment, and is told this.
type Case = (&'static str, fn(&mut pb::Payment));

const CASES: &[Case] = &[
    ("Could not find Sender for payment: ", |p| p.sender.clear()),
    (
        "invalid expected price sent with payment err=\"expected price is nil\"",
        |p| {
            p.expected_price = None;
        },
    ),
    (
        "invalid expected price sent with payment err=\"pixels per unit is 0\"",
        |p| {
            p.expected_price.as_mut().unwrap().pixels_per_unit = 0;
        },
    ),
    (
        "invalid expected price sent with payment err=\"price per unit is negative",
        |p| {
            p.expected_price.as_mut().unwrap().price_per_unit = -1;
        },
    ),
    (
        "invalid expected price sent with payment err=\"pixels per unit is negative",
        |p| {
            p.expected_price.as_mut().unwrap().pixels_per_unit = i64::MIN;
        },
    ),
    ("invalid ticket params: expiration_params is missing", |p| {
        p.expiration_params = None
    }),
    ("invalid ticket recipient", |p| {
        p.ticket_params.as_mut().unwrap().recipient = vec![9; 20];
    }),
    ("invalid ticket sender", |p| p.sender = vec![0; 20]),
    // a changed price, face value or seed is no quote of this node
    ("invalid recipientRand for ticket recipientRandHash", |p| {
        p.expected_price.as_mut().unwrap().price_per_unit = i64::MAX;
    }),
    ("invalid recipientRand for ticket recipientRandHash", |p| {
        p.ticket_params.as_mut().unwrap().face_value = vec![0xff; 32];
    }),
    ("invalid ticket signature", |p| {
        p.ticket_sender_params[0].sig[3] ^= 1
    }),
    ("invalid ticket signature", |p| {
        p.ticket_sender_params[0].sig.pop();
    }),
    // the sender of the payment did not sign the ticket
    ("invalid ticket signature", |p| {
        p.ticket_sender_params[0].sender_nonce = 77
    }),
];

#[test]
fn each_bad_payment_is_told_its_text_and_credits_nothing() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        for (text, spoil) in CASES {
            let mut payment = gateway.pay(&house.quote(&gateway).await, [1]);
            spoil(&mut payment);
            let told = house.refused("s", &payment).await;
            assert!(told.starts_with(text), "{told:?} instead of {text:?}");
        }
        assert_eq!(house.books.balance(gateway.address, "s"), None);
        assert_eq!(house.payments.fixed_price(gateway.address, "s").await, None);
    });
}

#[test]
fn what_the_chain_says_of_sender_and_recipient_is_told() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let payment = gateway.pay(&house.quote(&gateway).await, [1]);
        house.change_rounds(|rounds| rounds.recipient_active = false);
        assert_eq!(
            house.refused("s", &payment).await,
            format!(
                "orchestrator {RECIPIENT} is inactive in round {ROUND}, cannot process payments"
            )
        );
        house.change_rounds(|rounds| rounds.recipient_active = true);
        let put = |withdraw_round, chain: SenderFunds| {
            let chain = SenderFunds {
                withdraw_round,
                ..chain
            };
            house.senders.put(gateway.address, chain);
        };
        let unlocking = format!(
            "deposit and reserve for sender {} is set to unlock soon",
            gateway.address
        );
        for round in [1, ROUND, ROUND + 1] {
            put(round, funds());
            assert_eq!(house.refused("s", &payment).await, unlocking);
        }
        // drained after the quote: its winners would pay nothing
        put(0, SenderFunds::default());
        let told = house.refused("s", &payment).await;
        assert!(
            told.starts_with(&format!(
                "could not get sender info for {}: ",
                gateway.address
            )),
            "{told}"
        );
        put(ROUND + 2, funds());
        assert!(house.open_work("s", &payment, 1).await.is_ok());
    });
}

#[test]
fn a_sender_that_the_chain_does_not_tell_about_is_told_so() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        // the same node after a start without its chain: the quote is its own, the sender is not known
        let other = House::open();
        let told = other.refused("s", &gateway.pay(&quote, [1])).await;
        assert!(
            told.starts_with("could not get sender info for 0x"),
            "{told}"
        );
    });
}

#[test]
fn a_nonce_counts_once_and_601_are_too_many() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        let payment = gateway.pay(&quote, 1..=600);
        let receipt = house.open_work("s", &payment, 1).await.unwrap();
        assert_eq!(receipt.tickets, 600);
        let sender = gateway.address;
        assert_eq!(
            house.refused("s", &gateway.pay(&quote, [1])).await,
            format!("invalid ticket senderNonce: already seen sender={sender} nonce=1")
        );
        assert_eq!(
            house.refused("s", &gateway.pay(&quote, [601])).await,
            format!("invalid ticket senderNonce: too many values sender={sender} nonce=601")
        );
        // another set of parameters counts from the start
        let fresh = house.quote(&gateway).await;
        assert!(
            house
                .open_work("s", &gateway.pay(&fresh, [1]), 1)
                .await
                .is_ok()
        );
        // in one payment: what came before the limit is credited
        let fresh = house.quote(&gateway).await;
        let told = house.refused("t", &gateway.pay(&fresh, 1..=601)).await;
        assert!(told.contains("too many values"), "{told}");
        let balance = house.payments.balance(sender, "t").await.unwrap();
        assert!(balance.covers(fresh.params.ticket_value().times(600)));
    });
}

#[test]
fn parameters_end_at_their_block_and_not_before() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        let quote = house.quote(&gateway).await;
        assert_eq!(quote.params.expiration_block, L1 + 40);
        house.l1_block(L1 + 39);
        assert!(
            house
                .open_work("s", &gateway.pay(&quote, [1]), 1)
                .await
                .is_ok()
        );
        house.l1_block(L1 + 40);
        let told = house.refused("s", &gateway.pay(&quote, [2])).await;
        assert_eq!(told, "TicketParams expired");
        // the clock of this node stepping back does not bring a ticket back
        house.l1_block(L1);
        assert!(
            house
                .refused("s", &gateway.pay(&quote, [1]))
                .await
                .contains("already seen")
        );
        assert!(
            house
                .refused("s", &gateway.pay(&quote, [2]))
                .await
                .contains("already seen")
        );
    });
}

#[test]
fn a_batch_is_credited_up_to_its_first_bad_ticket_and_searched_for_winners_to_its_end() {
    run(|| async {
        let house = House::open();
        let gateway = house.gateway(1);
        // every ticket wins: its face value is its expected value
        let small = SenderFunds {
            reserve_remaining: U256::from(EV) * 10,
            ..funds()
        };
        house.senders.put(gateway.address, small);
        house.facts.gas.publish(crate::facts::Gas::default());
        let quote = house.quote(&gateway).await;
        assert_eq!(quote.params.face_value, EV.into());
        let mut payment = gateway.pay(&quote, [1, 2, 3]);
        payment.ticket_sender_params[1].sig[0] ^= 1;
        let told = house.refused("s", &payment).await;
        assert_eq!(told, "invalid ticket signature");
        let balance = house.payments.balance(gateway.address, "s").await;
        let mut one = Credit::ZERO;
        one.credit(quote.params.ticket_value());
        assert_eq!(balance, Some(one));
        let winners = |house: &House| -> Vec<u32> {
            let state = house.books.state.lock();
            state.winners.iter().map(|w| w.ticket.nonce).collect()
        };
        assert_eq!(winners(&house), [1, 3]);
        // a winner whose parameters have expired is money all the same
        house.l1_block(L1 + 40);
        let told = house.refused("s", &gateway.pay(&quote, [4])).await;
        assert_eq!(told, "TicketParams expired");
        assert_eq!(winners(&house), [1, 3, 4]);
        // a replay of winners costs no further write
        let writes = house.books.state.lock().writes;
        house.refused("s", &gateway.pay(&quote, [1, 3, 4])).await;
        assert_eq!(house.books.state.lock().writes, writes);
    });
}
