//! Tickets validated on one core, beside what libsecp256k1 takes for its part of it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use protocol::address::Address;
use protocol::money::{
    Binding, ExpirationParams, Payment, Price, QuoteSecret, TicketParams, U256, payment_message,
    win_prob,
};
use protocol::pb;
use protocol::signature::{SecretKey, personal_digest};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1};
use serde::Serialize;

/// Tickets per payment.
const BATCH: u32 = 100;
/// How long each is measured.
const MEASURING: Duration = Duration::from_secs(3);

/// Per second on one core.
#[derive(Debug, Serialize)]
pub struct Rates {
    /// Whole tickets: message, parameters, hash, signature, lot.
    pub tickets: f64,
    /// Public keys recovered by libsecp256k1 alone.
    pub recoveries: f64,
}

/// Measures both, one after the other on this thread.
pub fn rates() -> Rates {
    let key = SecretKey::from_bytes([7; 32]).expect("key");
    let sender = key.address();
    let secret = QuoteSecret::new([9; 32]);
    let price = Price::new(1212, 1000).expect("price");
    let binding = Binding {
        sender,
        price,
        session: b"video",
    };
    let face = U256::from(1_200_000_000_000_000_u64);
    let params = secret.seal(
        &binding,
        TicketParams {
            recipient: Address([1; 20]),
            face_value: face,
            win_prob: win_prob(face, 8_000_000_000_u64.into()),
            recipient_rand_hash: [0; 32],
            seed: U256::from_big_endian(&[3; 32]),
            expiration_block: 19_000_040,
            expiration: ExpirationParams {
                creation_round: 3333,
                creation_round_block_hash: [5; 32],
            },
        },
    );
    let message = payment_message(&key, &params, price, 1..=BATCH);
    let tickets = per_second(|| validate(&secret, &message)) * f64::from(BATCH);
    let signed: Vec<_> = message
        .ticket_sender_params
        .iter()
        .map(|one| {
            let digest = personal_digest(&params.ticket(sender, one.sender_nonce).hash());
            let recovery = RecoveryId::try_from(i32::from(one.sig[64]) - 27).expect("id");
            let sig = RecoverableSignature::from_compact(&one.sig[..64], recovery);
            (Message::from_digest(digest), sig.expect("signature"))
        })
        .collect();
    let curve = Secp256k1::verification_only();
    let recoveries = per_second(|| {
        for (digest, sig) in &signed {
            black_box(curve.recover_ecdsa(*digest, sig).expect("key"));
        }
    }) * f64::from(BATCH);
    Rates {
        tickets,
        recoveries,
    }
}

/// What the node does with a payment before it asks its books.
fn validate(secret: &QuoteSecret, message: &pb::Payment) {
    let payment = Payment::from_pb(message).expect("a payment");
    let batch = payment.batch.expect("tickets");
    let binding = Binding {
        sender: payment.sender,
        price: batch.price,
        session: b"video",
    };
    let rand = secret.recipient_rand(&binding, &batch.params);
    let rand = rand.expect("own parameters");
    for one in &batch.tickets {
        let ticket = batch.params.ticket(payment.sender, one.nonce);
        let sig = one.sig.expect("65 bytes");
        assert!(ticket.is_signed_by_sender(&sig));
        black_box(ticket.wins(&sig, &rand));
    }
}

fn per_second(mut work: impl FnMut()) -> f64 {
    work();
    let (begun, mut times) = (Instant::now(), 0.0);
    while begun.elapsed() < MEASURING {
        work();
        times += 1.0;
    }
    times / begun.elapsed().as_secs_f64()
}
