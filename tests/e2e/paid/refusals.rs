//! Every way to pay badly, through the port, and what is told. None of it opens work, and honest gateways go on.

use prost::Message;
use protocol::money::U256;
use protocol::{pb, texts};
use test_chain::{Double, args, ether};

use super::disk::Disk;
use super::payer::{Answer, Payer, Session};
use super::world::{ALL_WIN, World, h160};
use crate::gateway::{Gateway, Status};
use crate::media;
use crate::node::Node;

/// gRPC UNKNOWN, as peers get every refusal of discovery.
const UNKNOWN: u32 = 2;

type Spoil = fn(&mut pb::Payment);

fn params(payment: &mut pb::Payment) -> &mut pb::TicketParams {
    payment.ticket_params.as_mut().expect("parameters")
}

fn price(payment: &mut pb::Payment, price_per_unit: i64, pixels_per_unit: i64) {
    payment.expected_price = Some(pb::PriceInfo {
        price_per_unit,
        pixels_per_unit,
        ..Default::default()
    });
}

/// The other root of the curve: valid to those who do not look at the half.
fn high_s(sig: &mut [u8]) {
    let order = U256::from_str_radix(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        16,
    )
    .expect("order");
    let s = order - U256::from_big_endian(&sig[32..64]);
    s.to_big_endian(&mut sig[32..64]);
    sig[64] = 27 + 28 - sig[64];
}

/// What is done to a payment with one good ticket, and how the answer begins, or with `\n` all of it.
const SPOILED: &[(&str, Spoil)] = &[
    ("Could not find Sender for payment: ", |payment| {
        // the last 20 bytes still name who signed the segment
        payment.sender.insert(0, 0);
    }),
    ("invalid ticket recipient\n", |payment| {
        params(payment).recipient[0] ^= 1;
    }),
    ("invalid ticket recipient\n", |payment| {
        params(payment).recipient.pop();
    }),
    (
        "invalid ticket params: face_value has 33 bytes",
        |payment| {
            params(payment).face_value = vec![255; 33];
        },
    ),
    ("invalid ticket params: win_prob has 33 bytes", |payment| {
        params(payment).win_prob = vec![255; 33];
    }),
    ("invalid ticket params: seed has 40 bytes", |payment| {
        params(payment).seed = vec![255; 40];
    }),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            params(payment).recipient_rand_hash.push(0);
        },
    ),
    (
        "invalid ticket params: expiration_params is missing\n",
        |payment| {
            payment.expiration_params = None;
        },
    ),
    (
        "invalid ticket params: creation_round is negative: -1\n",
        |payment| {
            let round = payment.expiration_params.as_mut().expect("round");
            round.creation_round = -1;
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            params(payment).seed[0] ^= 1;
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            params(payment).face_value = vec![1];
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            params(payment).win_prob = vec![1];
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            params(payment).recipient_rand_hash[0] ^= 1;
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            params(payment).expiration_block[3] ^= 1;
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            let round = payment.expiration_params.as_mut().expect("round");
            round.creation_round += 1;
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            price(payment, 1, 1);
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            price(payment, 0, 1);
        },
    ),
    (
        "invalid recipientRand for ticket recipientRandHash\n",
        |payment| {
            price(payment, i64::MAX, 1);
        },
    ),
    (
        "invalid expected price sent with payment err=\"expected price is nil\"\n",
        |payment| payment.expected_price = None,
    ),
    (
        "invalid expected price sent with payment err=\"pixels per unit is 0\"\n",
        |payment| price(payment, 5, 0),
    ),
    (
        "invalid expected price sent with payment err=\"",
        |payment| {
            price(payment, -1, 1);
        },
    ),
    (
        "invalid expected price sent with payment err=\"",
        |payment| {
            price(payment, 1, -1);
        },
    ),
    // 2^63 in the wire's 64 bits
    (
        "invalid expected price sent with payment err=\"",
        |payment| {
            price(payment, i64::MIN, 1);
        },
    ),
    ("invalid ticket signature\n", |payment| {
        payment.ticket_sender_params[0].sig[5] ^= 1;
    }),
    ("invalid ticket signature\n", |payment| {
        high_s(&mut payment.ticket_sender_params[0].sig);
    }),
    ("invalid ticket signature\n", |payment| {
        payment.ticket_sender_params[0].sig.pop();
    }),
    ("invalid ticket signature\n", |payment| {
        payment.ticket_sender_params[0].sender_nonce += 1;
    }),
    ("payment has 2501 tickets", |payment| {
        let ticket = payment.ticket_sender_params[0].clone();
        payment.ticket_sender_params = vec![ticket; 2501];
    }),
];

fn assert_told(told: (u16, String), text: &str, what: &str) {
    assert_eq!(told.0, 400, "{what}: {told:?}");
    match text.ends_with('\n') {
        true => assert_eq!(told.1, text, "{what}"),
        false => assert!(told.1.starts_with(text), "{what}: {told:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spoiled_payment_is_told_what_is_wrong_and_buys_nothing() {
    let world = World::new(ALL_WIN).await;
    let node = world.node(&["-reward=false"]).await;
    let mut honest = world.payer(2).await.session(&node, "honest").await;
    let mut session = world.payer(1).await.session(&node, "spoiled").await;
    for path in ["/segment", "/payment"] {
        for (number, (text, spoil)) in SPOILED.iter().enumerate() {
            let mut payment = session.payment(1);
            spoil(&mut payment);
            let told = session.refused(path, &payment).await;
            assert_told(told, text, &format!("{path} {number}"));
        }
        honest.segment().await.expect("an honest gateway is served");
    }
    let empty = session.payment(0);
    let told = session.refused("/segment", &empty).await;
    assert_told(told, "Insufficient balance\n", "nothing was credited");
    session.segment().await.expect("a good payment is taken");
    let labels = [("reason", "payment")];
    let counted = node.metric("orchestrion_refusals_total", &labels).await;
    assert!(counted >= 2.0 * SPOILED.len() as f64, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_counts_once_and_parameters_for_six_hundred() {
    let world = World::new(ALL_WIN).await;
    let node = world.node(&["-reward=false"]).await;
    let mut session = world.payer(1).await.session(&node, "many").await;
    let payment = session.payment(1);
    let quoted = session.clone();
    let sender = session.payer.address();
    assert_eq!(session.send(&payment).await, Answer::Taken);
    for path in ["/segment", "/payment"] {
        let told = quoted.clone().refused(path, &payment).await;
        let text = format!("invalid ticket senderNonce: already seen sender={sender} nonce=1\n");
        assert_told(told, &text, path);
    }

    let mut session = session.payer.session(&node, "all at once").await;
    let payment = session.payment(601);
    let told = session.refused("/payment", &payment).await;
    let text = format!("invalid ticket senderNonce: too many values sender={sender} nonce=601\n");
    assert_told(told, &text, "one too many");
    // the six hundred before it are credited, and all of them and the first one are winners
    drop(node);
    let disk = Disk::of(world.home.directory());
    assert_eq!(disk.tickets().len(), 1 + 601);
    let mut credit = protocol::money::Credit::ZERO;
    credit.credit(session.params.ticket_value().times(600));
    assert_eq!(disk.credit(sender, "all at once"), credit);
}

/// Pays until the text of the refusal is this one: the node learns of the chain when it looks.
async fn await_refusal(node: &Node, session: &mut Session, begins: &str) {
    node.until(begins, async || {
        let payment = session.payment(1);
        let (status, text) = session.refused("/payment", &payment).await;
        (status == 400 && text.starts_with(begins)).then_some(())
    })
    .await;
    let payment = session.payment(1);
    let (status, text) = session.refused("/segment", &payment).await;
    assert!(status == 400 && text.starts_with(begins), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_end_after_forty_blocks_of_l1() {
    let world = World::new(ALL_WIN).await;
    let node = world.node(&["-reward=false"]).await;
    let mut session = world.payer(1).await.session(&node, "late").await;
    world.expire_params().await;
    await_refusal(&node, &mut session, "TicketParams expired\n").await;
    session.refresh().await.expect("a fresh quote");
    assert_eq!(session.pay(1).await, Answer::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_is_not_active_takes_no_payments() {
    let world = World::new(ALL_WIN).await;
    let node = world.node(&["-reward=false"]).await;
    let mut session = world.payer(1).await.session(&node, "inactive").await;
    let own = h160(world.orchestrator);
    world.chain.set_active(own, false).await;
    let round = world.chain.new_round().await;
    let text = format!(
        "orchestrator {} is inactive in round {round}, cannot process payments\n",
        world.orchestrator
    );
    await_refusal(&node, &mut session, &text).await;
    world.chain.set_active(own, true).await;
    world.chain.new_round().await;
    node.until("activity", async || {
        session.refresh().await.ok()?;
        (session.pay(1).await == Answer::Taken).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_take_their_money_back_pay_no_more() {
    let world = World::new(ALL_WIN).await;
    world
        .chain
        .send(Double::TicketBroker, "setPeriods", args![1_u64, 2_u64])
        .await;
    let node = world.node(&["-reward=false"]).await;
    let mut leaving = world.payer(1).await.session(&node, "leaving").await;
    let mut drained = world.payer(2).await.session(&node, "drained").await;
    let mut staying = world.payer(3).await.session(&node, "staying").await;
    for session in [&mut leaving, &mut drained, &mut staying] {
        session.segment().await.expect("a paid segment");
    }
    let sender = leaving.payer.address();
    world
        .chain
        .try_as_sender(h160(sender), "unlock")
        .await
        .expect("unlock");
    let text = format!("deposit and reserve for sender {sender} is set to unlock soon\n");
    await_refusal(&node, &mut leaving, &text).await;
    staying.segment().await.expect("others stay");

    world.chain.new_round().await;
    world
        .chain
        .try_as_sender(h160(sender), "withdraw")
        .await
        .expect("withdraw");
    let poor = drained.payer.address();
    world.chain.drain_sender(h160(poor)).await;
    // nothing tells of it: it is seen when the round is new
    world.chain.new_round().await;
    let text = format!("could not get sender info for {poor}: ");
    await_refusal(&node, &mut drained, &text).await;
    let gone = leaving.payer.discover(&Gateway::of(&node)).await;
    assert_no_reserve(gone.err());
    // what was paid is worked off, though no new quote can be made
    drained.segment_on_credit().await;
    staying.renew().await.expect("a quote");
    staying.segment().await.expect("others stay");
}

fn assert_no_reserve(refused: Option<Status>) {
    let refused = refused.expect("no quote");
    assert_eq!(refused.code, UNKNOWN);
    assert!(
        refused.message.starts_with(texts::SENDER_RESERVE),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_reserve_is_quoted_nothing() {
    let world = World::new(ALL_WIN).await;
    let node = world.node(&["-reward=false"]).await;
    let gateway = Gateway::of(&node);
    let poor = Payer::new(9);
    assert_no_reserve(poor.discover(&gateway).await.err());
    world.fund(&poor, ether(10), 0.into()).await;
    assert_no_reserve(poor.discover(&gateway).await.err());
    world.fund(&poor, 0.into(), ether(1)).await;
    node.until("a quote", async || poor.discover(&gateway).await.ok())
        .await;
    // and who does not sign is not even looked at
    let unsigned = gateway.discover().await.expect_err("a refusal");
    assert_eq!(unsigned.message, texts::DISCOVERY_SIGNATURE);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_must_be_signed_by_who_pays_and_tokens_be_fresh() {
    let world = World::new(ALL_WIN).await;
    let node = world.node(&["-reward=false"]).await;
    let mut session = world.payer(1).await.session(&node, "signed").await;
    let clip = media::tiny();
    let payment = session.payment(1);
    let told = async |data: &pb::SegData, payment: &pb::Payment| {
        let answer = session.post("/segment", data, payment, Some(clip)).await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("text"))
    };
    let unsigned = session.stream.seg_data(0, clip);
    let refused = (403, "ErrSegSig\n".to_owned());
    assert_eq!(told(&unsigned, &payment).await, refused);
    let mut forged = session.seg_data(0, clip);
    forged.seq = 1;
    assert_eq!(told(&forged, &payment).await, refused);
    let signed = session.seg_data(0, clip);
    let stranger = pb::Payment {
        sender: Payer::new(2).address().0.to_vec(),
        ..payment.clone()
    };
    assert_eq!(told(&signed, &stranger).await, refused);
    // nobody: no signature is that of the zero address
    let nobody = pb::Payment {
        sender: vec![0; 20],
        ..payment.clone()
    };
    assert_eq!(told(&signed, &nobody).await, refused);
    assert_eq!(told(&signed, &pb::Payment::default()).await, refused);

    let (_, tokens) = Disk::of(world.home.directory()).secrets();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = u64::try_from(now.expect("clock").as_millis()).expect("ms");
    let mut old = session.clone();
    old.stream.info.auth_token =
        Some(tokens.issue(session.stream.session().to_owned(), now - 31 * 60 * 1000));
    let data = old.seg_data(0, clip);
    assert_eq!(
        told(&data, &payment).await,
        (403, "expired auth token\n".to_owned())
    );
    session.segment().await.expect("a good one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_what_was_quoted_and_no_claim_makes_work_free() {
    let world = World::new(ALL_WIN).await;
    let node = world.node(&["-reward=false"]).await;
    let mut session = world.payer(1).await.session(&node, "claims").await;
    let bare = |price_per_unit, pixels_per_unit| pb::Payment {
        sender: Payer::new(1).address().0.to_vec(),
        expected_price: Some(pb::PriceInfo {
            price_per_unit,
            pixels_per_unit,
            ..Default::default()
        }),
        ..Default::default()
    };
    for (payment, text) in [
        (bare(0, 1), "Insufficient balance\n"),
        (bare(1, i64::MAX), "Insufficient balance\n"),
        (
            bare(-1, 1),
            "invalid expected price sent with payment err=\"",
        ),
        (
            bare(1, -1),
            "invalid expected price sent with payment err=\"",
        ),
        (
            bare(1, 0),
            "invalid expected price sent with payment err=\"pixels per unit is 0\"\n",
        ),
        (
            bare(i64::MIN, 1),
            "invalid expected price sent with payment err=\"",
        ),
    ] {
        let told = session.refused("/segment", &payment).await;
        assert_told(told, text, &format!("{:?}", payment.expected_price));
    }
    session.segment().await.expect("a paid segment");
    let told = session.refused("/segment", &bare(0, 1)).await;
    assert_told(
        told,
        "invalid expected price sent with payment err=\"price ",
        "below the price of the session",
    );
    session.segment().await.expect("a paid segment");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_payment_are_told_so_before_anything_else() {
    let world = World::new(ALL_WIN).await;
    let node = world.node(&["-reward=false"]).await;
    let session = world.payer(1).await.session(&node, "bytes").await;
    let header = crate::gateway::segment_header(&session.seg_data(0, media::tiny()));
    let gateway = &session.stream.gateway;
    for (payment, text) in [
        ("!!!", "base64 decode error: "),
        ("/////w==", "protobuf unmarshal error: "),
    ] {
        let request = gateway.h1.post(gateway.url("/payment"));
        let request = request
            .header("livepeer-segment", &header)
            .header("livepeer-payment", payment);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 402);
        let told = answer.text().await.expect("text");
        assert!(told.starts_with(text), "{told}");
    }
    let mut paying = session.clone();
    let payment = paying.payment(1);
    assert!(payment.encoded_len() > 200);
    assert_eq!(paying.send(&payment).await, Answer::Taken);
}
