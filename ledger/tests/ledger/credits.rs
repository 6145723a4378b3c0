//! Balances, prices, nonces, secrets, settings and rewards over a restart.

use std::time::Duration;

use ledger::{
    Ledger, LedgerError, NewTransaction, NonceUse, PaymentRecord, RewardRecord, RewardState,
    Secrets, State, TransactionEnd,
};
use protocol::address::Address;
use protocol::money::{Amount, Credit, Price, QuoteSecret, U256};

use super::data::*;

fn balance(wei: u64) -> Credit {
    let mut credit = Credit::ZERO;
    credit.credit(Amount::wei(wei));
    credit
}

fn payment(wei: u64, nonces: Vec<u32>) -> PaymentRecord {
    PaymentRecord {
        sender: Address([7; 20]),
        key: "session".to_owned(),
        balance: balance(wei),
        fixed_price: Price::new(303, 250),
        nonces: vec![NonceUse {
            rand_hash: [3; 32],
            expiration_block: 100,
            nonces,
        }],
        winners: Vec::new(),
    }
}

#[test]
fn balance_price_and_nonces_survive_a_restart_and_the_first_price_stays() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    ledger
        .apply_payment(payment(10, vec![1, 2]))
        .wait()
        .unwrap();
    let mut second = payment(20, vec![2, 5000]);
    second.fixed_price = Price::new(9, 1);
    assert_eq!(ledger.apply_payment(second).wait().unwrap().known_nonces, 1);
    let mut negative = Credit::ZERO;
    negative.debit(Amount::wei(3));
    ledger
        .set_balance(Address([7; 20]), "session", negative)
        .wait()
        .unwrap();
    close(ledger);

    let ledger = open(&path(&dir));
    let credits = ledger
        .load_credits(Duration::from_secs(600), 100)
        .wait()
        .unwrap();
    assert_eq!(credits.entries.len(), 1);
    assert_eq!(credits.entries[0].balance, negative);
    assert_eq!(credits.entries[0].fixed_price, Price::new(303, 250));
    let nonces = ledger.load_nonces(99).wait().unwrap();
    assert_eq!(nonces.len(), 1);
    for (nonce, known) in [(1, true), (2, true), (3, false), (5000, true)] {
        assert_eq!(nonces[0].nonces.contains(nonce), known);
    }
    assert_eq!(
        ledger.load_nonces(100).wait().unwrap(),
        [],
        "expired by the L1 clock"
    );
}

#[test]
fn a_limit_bounds_what_is_loaded_and_idle_entries_go() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    for n in 0..5 {
        ledger
            .set_balance(Address([7; 20]), format!("{n}"), balance(n))
            .wait()
            .unwrap();
    }
    let credits = ledger
        .load_credits(Duration::from_secs(600), 3)
        .wait()
        .unwrap();
    assert_eq!((credits.entries.len(), credits.left_out), (3, 2));
    close(ledger);
    rusqlite::Connection::open(path(&dir))
        .unwrap()
        .execute_batch("UPDATE orn_credits SET used_at = used_at - 601 WHERE key < '4'")
        .unwrap();
    let ledger = open(&path(&dir));
    let keep = vec![(Address([7; 20]), "0".to_owned())];
    let gone = ledger
        .forget_idle_credits(Duration::from_secs(600), keep)
        .wait()
        .unwrap();
    assert_eq!(gone, 3, "the one in use and the young one stay");
}

#[test]
fn the_order_of_calls_is_the_order_of_effects() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    let answers: Vec<_> = (1..=2000)
        .map(|n| ledger.set_balance(Address([7; 20]), "k", balance(n)))
        .collect();
    // awaited backwards
    for answer in answers.into_iter().rev() {
        answer.wait().unwrap();
    }
    let credits = ledger
        .load_credits(Duration::from_secs(600), 3)
        .wait()
        .unwrap();
    assert_eq!(credits.entries[0].balance, balance(2000));
}

#[test]
fn both_secrets_are_kept_or_both_are_new() {
    let fresh = |n: u8| Secrets {
        quote: QuoteSecret::new([n; 32]).to_bytes(),
        token: [n; 32],
    };
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    assert!(ledger.secrets_or(fresh(1)).wait().unwrap() == fresh(1));
    close(ledger);
    let ledger = open(&path(&dir));
    assert!(ledger.secrets_or(fresh(2)).wait().unwrap() == fresh(1));
    assert_eq!(format!("{:?}", fresh(1)), "***");
    close(ledger);
    rusqlite::Connection::open(path(&dir))
        .unwrap()
        .execute_batch("DELETE FROM orn_meta WHERE name = 'secret_quote'")
        .unwrap();
    let ledger = open(&path(&dir));
    assert!(ledger.secrets_or(fresh(3)).wait().unwrap() == fresh(3));
}

#[test]
fn settings_rewards_and_the_l1_clock_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    ledger
        .set_setting("price.base", Some("5".to_owned()))
        .wait()
        .unwrap();
    ledger
        .set_setting("price.x", Some("6".to_owned()))
        .wait()
        .unwrap();
    ledger.set_setting("price.x", None).wait().unwrap();
    let reward = |round, state| RewardRecord {
        round,
        state,
        detail: String::new(),
        tx: Some([1; 32]),
        minted: U256::from(7),
    };
    ledger
        .set_reward(reward(1, RewardState::Due))
        .wait()
        .unwrap();
    ledger
        .set_reward(reward(1, RewardState::Mined))
        .wait()
        .unwrap();
    ledger
        .set_reward(reward(2, RewardState::Missed))
        .wait()
        .unwrap();
    let round = |round| ledger::RoundRecord {
        round,
        block_hash: [8; 32],
        start_block: 9,
    };
    ledger.note_round(round(1)).wait().unwrap();
    ledger.note_round(round(2)).wait().unwrap();
    ledger.raise_l1_block(50).wait().unwrap();
    ledger.raise_l1_block(40).wait().unwrap();
    close(ledger);
    let ledger = open(&path(&dir));
    let settings = ledger.settings().wait().unwrap();
    assert_eq!(
        settings.into_iter().collect::<Vec<_>>(),
        [("price.base".to_owned(), "5".to_owned())]
    );
    assert_eq!(
        ledger.rewards(5).wait().unwrap(),
        [
            reward(2, RewardState::Missed),
            reward(1, RewardState::Mined)
        ]
    );
    assert_eq!(ledger.rounds(5).wait().unwrap(), [round(2), round(1)]);
    assert_eq!(ledger.l1_block().wait().unwrap(), Some(50));
}

#[test]
fn a_transaction_and_its_ticket_move_together_and_every_hash_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    let ticket = winner(1).ticket.hash();
    let new = NewTransaction {
        account: Address([1; 20]),
        nonce: 9,
        purpose: "redeem".to_owned(),
        ticket: Some(ticket),
        hash: [1; 32],
        raw: vec![1],
    };
    let unknown = ledger.begin_transaction(new.clone()).wait();
    assert!(matches!(unknown, Err(LedgerError::UnknownTicket(_))));
    assert_eq!(
        ledger.open_transactions().wait().unwrap(),
        [],
        "undone as a whole"
    );
    ledger.add_winners(vec![winner(1)]).wait().unwrap();
    assert_eq!(ledger.release_tickets(19_000_039).wait().unwrap(), 0);
    assert_eq!(ledger.release_tickets(19_000_040).wait().unwrap(), 1);
    let id = ledger.begin_transaction(new.clone()).wait().unwrap();
    ledger
        .replace_transaction(id, [2; 32], vec![2], true)
        .wait()
        .unwrap();
    close(ledger);
    let ledger = open(&path(&dir));
    let open_ones = ledger.open_transactions().wait().unwrap();
    assert_eq!(open_ones.len(), 1);
    assert_eq!(open_ones[0].hashes, [[1; 32], [2; 32]]);
    assert_eq!(open_ones[0].raw, [2]);
    assert_eq!(open_ones[0].first_cancel, Some(1));
    let of_ticket = ledger.ticket_transactions(ticket).wait().unwrap();
    assert_eq!(of_ticket, open_ones);
    let stored = ledger.ticket(ticket).wait().unwrap();
    assert_eq!(
        stored.state,
        ledger::TicketState::Submitted {
            nonce: 9,
            hashes: vec![[1; 32], [2; 32]]
        }
    );
    ledger
        .end_transaction(
            id,
            TransactionEnd::Mined {
                tx: [2; 32],
                block: 3,
            },
        )
        .wait()
        .unwrap();
    assert_eq!(ledger.open_transactions().wait().unwrap(), []);
    let mined = |account, purpose: &str| {
        let found = ledger.mined_transaction(Address([account; 20]), purpose.to_owned());
        found.wait().unwrap()
    };
    assert_eq!(mined(1, "redeem"), Some([2; 32]));
    assert_eq!((mined(2, "redeem"), mined(1, "reward")), (None, None));
    ledger.reopen_transaction(id).wait().unwrap();
    assert_eq!(ledger.open_transactions().wait().unwrap().len(), 1);
    assert_eq!(ledger.last_nonce(Address([1; 20])).wait().unwrap(), Some(9));
    let none = ledger.reopen_transaction(77).wait();
    assert!(matches!(none, Err(LedgerError::UnknownTransaction(77))));
}

#[test]
fn winners_for_a_redeemer_wait_in_the_outbox_until_it_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    options.forward_winners = true;
    let ledger = Ledger::open(path(&dir), options.clone()).unwrap();
    let mut paid = payment(10, vec![1]);
    paid.winners = vec![winner(1), winner(2), winner(1)];
    let applied = ledger.apply_payment(paid).wait().unwrap();
    assert_eq!((applied.winners.new, applied.winners.known), (2, 1));
    ledger
        .outbox_failed(winner(1).ticket.hash(), "down".to_owned())
        .wait()
        .unwrap();
    close(ledger);
    let ledger = Ledger::open(path(&dir), options).unwrap();
    let waiting = ledger.outbox(10).wait().unwrap();
    let found: Vec<_> = waiting
        .iter()
        .map(|entry| (entry.winner, entry.attempts))
        .collect();
    assert_eq!(found, [(winner(1), 1), (winner(2), 0)]);
    ledger
        .outbox_delivered(winner(1).ticket.hash())
        .wait()
        .unwrap();
    assert_eq!(ledger.outbox(10).wait().unwrap().len(), 1);
    assert_eq!(ledger.add_winners(vec![winner(1)]).wait().unwrap().known, 1);
    let sums = ledger.ticket_sums().wait().unwrap();
    assert!(
        sums.iter().all(|sum| sum.count == 0),
        "none in the reference's queue"
    );
    assert_eq!(sums[0].state, State::Waiting);
}
