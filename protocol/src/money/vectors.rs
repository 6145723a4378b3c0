//! Known values: those of the reference's own tests, and two sets of parameters computed with other tools.

use base64::{Engine, engine::general_purpose::STANDARD};
use primitive_types::U256;
use prost::Message;

use super::{
    secret::{rand_over, reference_message},
    *,
};
use crate::{
    pb,
    profile::presets,
    signature::{SecretKey, Signature, keccak256, personal_digest},
};

const RECIPIENT: &str = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
const SENDER: &str = "0xb595B18c88b1f651cA387489067f855b5C8E6720";
const EV: u64 = 8_000_000_000;

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn uint(text: &str) -> U256 {
    U256::from_str_radix(text, 16).unwrap()
}

fn dec(text: &str) -> U256 {
    U256::from_dec_str(text).unwrap()
}

fn sender_key() -> SecretKey {
    SecretKey::from_bytes([0x47; 32]).unwrap()
}

fn secret() -> [u8; 32] {
    std::array::from_fn(|i| i as u8)
}

/// Seed bytes 01, 02, … 20.
fn seed_a() -> U256 {
    U256::from_big_endian(&std::array::from_fn::<u8, 32, _>(|i| i as u8 + 1))
}

fn round() -> ExpirationParams {
    ExpirationParams {
        creation_round: 3333,
        creation_round_block_hash: keccak256("round 3333"),
    }
}

/// 0.01 gwei, price 1212/1000; the hash of the secret number is the reference's.
fn set_a() -> (Binding<'static>, TicketParams) {
    let params = TicketParams {
        recipient: RECIPIENT.parse().unwrap(),
        face_value: 1_200_000_000_000_000u64.into(),
        win_prob: uint("6fd91d84bcda58175fdfab3d77a168e2893e4958803b6b57ae84efcbf000"),
        recipient_rand_hash: bytes(
            "3b98ea9ef7ed9c57d40138c8436340852b973def4f55865bf4049cb2db412274",
        ),
        seed: seed_a(),
        expiration_block: 19_000_040,
        expiration: round(),
    };
    let binding = Binding {
        sender: SENDER.parse().unwrap(),
        price: Price::new(1212, 1000).unwrap(),
        session: b"",
    };
    (binding, params)
}

/// A seed with a leading zero byte, a probability slightly above a quarter, price 7/1.
fn set_b() -> (Binding<'static>, TicketParams) {
    let (binding, params) = set_a();
    let mut seed: [u8; 32] = std::array::from_fn(|i| i as u8 + 1);
    seed[0] = 0;
    let params = TicketParams {
        face_value: 32_000_000_000u64.into(),
        win_prob: uint("4000000000000000000000000000000000000000000000000000000154cb8000"),
        recipient_rand_hash: bytes(
            "de3a4f35dede970cdecf7b6b5f28405a8c87e411dcdb230db7658939f6f5b41f",
        ),
        seed: U256::from_big_endian(&seed),
        ..params
    };
    let price = Price::new(7, 1).unwrap();
    (Binding { price, ..binding }, params)
}

fn reference_rand(binding: &Binding<'_>, params: &TicketParams) -> RecipientRand {
    rand_over(secret(), &reference_message(binding, params))
}

#[test]
fn ticket_hashes_are_those_of_the_contract() {
    let zero = Ticket::default();
    let hash = "41b1a0649752af1b28b3dc29a1556eee781e4a4c3a1f7f53f90fa834de098c4d";
    for (ticket, expected) in [
        (
            Ticket {
                nonce: u32::MAX,
                ..zero
            },
            "e1393fc7f6de093780674022f96cb8e3872235167d037c04d554e58c0e63d280",
        ),
        (
            Ticket { nonce: 1, ..zero },
            "ce0918ba94518293e9712effbe5fca4f1f431089833a5b8c257cb1e024595f68",
        ),
        (
            Ticket {
                face_value: 1.into(),
                win_prob: 500.into(),
                ..zero
            },
            "87ef13f2d37e4d5352a01d3c77b8179d80e0887f1953bfabfd0bfd7b0f689ddd",
        ),
        (
            Ticket {
                face_value: 500.into(),
                win_prob: 1.into(),
                ..zero
            },
            "aa4b35071043587992ac8b9dd1b2cf1d8311130e6458cf0b2342484e21af5f5b",
        ),
        (
            Ticket {
                recipient: "73AEd7b5dEb30222fa896f399d46cC99c7BEe57F".parse().unwrap(),
                ..zero
            },
            "81e353ae39046e2b77b9f996abbaeed527fda559b61ef90f299c4499dd508ccc",
        ),
        (
            Ticket {
                recipient_rand_hash: bytes(hash),
                ..zero
            },
            "be5eaf9a49a39540b9bb02f1a21904f61324a29819e2c032824bfaa10c100b17",
        ),
        (
            Ticket {
                expiration: ExpirationParams {
                    creation_round: 10,
                    creation_round_block_hash: bytes(hash),
                },
                ..zero
            },
            "e502907c16036ab3d11b78c5a2e93c20f3d6415c67f91de4ed01348182b3b2e2",
        ),
    ] {
        assert_eq!(hex::encode(ticket.hash()), expected);
    }
}

#[test]
fn auxiliary_data_is_64_bytes_or_none() {
    let hash = "7624778dedc75f8b322b9fa1632a610d40b85e106c7d9bf0e743a9ce291b9c6f";
    let zeros = |n: usize| "00".repeat(n);
    for (creation_round, block_hash, expected) in [
        (5, bytes(hash), format!("{}05{hash}", zeros(31))),
        (0, bytes(hash), format!("{}{hash}", zeros(32))),
        (5, [0; 32], format!("{}05{}", zeros(31), zeros(32))),
        (0, [0; 32], String::new()),
    ] {
        let params = ExpirationParams {
            creation_round,
            creation_round_block_hash: block_hash,
        };
        assert_eq!(hex::encode(params.aux_data()), expected);
    }
    assert_eq!(
        hex::encode(round().creation_round_block_hash),
        "db3a4b87b6f86e7d1df737af877e428052a826b012741e1f139cdccfddf24d0b"
    );
}

#[test]
fn set_a_has_its_message_secret_number_and_loser() {
    let (binding, params) = set_a();
    let message = reference_message(&binding, &params);
    assert_eq!(message.len(), 160);
    assert_eq!(
        hex::encode(&message[..96]),
        "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20b595b18c88b1f651ca387489067f855b5c8e6720\
         044364c5bb00006fd91d84bcda58175fdfab3d77a168e2893e4958803b6b57ae84efcbf0000121eae8012ffa"
    );
    let rand = reference_rand(&binding, &params);
    assert_eq!(
        hex::encode(rand.reveal()),
        "c74af93eacf531703dfb058e94c8f2b65a21916984dbffc3d163662dcfe07fe1"
    );
    assert_eq!(rand.hash(), params.recipient_rand_hash);

    let ticket = params.ticket(binding.sender, 1);
    assert_eq!(
        hex::encode(ticket.hash()),
        "29575cb8375941f2a564ec17709d5e7fcd02efebd425d2243d352bcf285d133e"
    );
    assert_eq!(
        hex::encode(personal_digest(&ticket.hash())),
        "e3f58560217d759c5775fed788287c4ed7daf53e6ac8914d3a328fea8ab7583b"
    );
    let sig = ticket.sign(&sender_key());
    assert_eq!(
        hex::encode(sig),
        "c663e593288a0197a15a768b29c29a175f9c1280b31637b042ab0e48e8db66f366f72553d8abcff918006f29fb2ef6e402f782f5\
         c35189ba44e122f32f2af4d11b"
    );
    assert!(ticket.is_signed_by_sender(&sig));
    assert_eq!(
        lot(&sig, &rand),
        uint("d265bc8990e48feca7ffb901fcfaecafa97bedf3060f9f4e385ca20325c5d8a1")
    );
    assert!(!ticket.wins(&sig, &rand));

    let high_s: Signature = bytes(
        "c663e593288a0197a15a768b29c29a175f9c1280b31637b042ab0e48e8db66f39908daac27543006e7ff90d604d1091ab7b759f0\
         ebf716817af13b99a10b4c701c",
    );
    assert!(!ticket.is_signed_by_sender(&high_s));

    let second = params.ticket(binding.sender, 2);
    assert_eq!(
        hex::encode(second.hash()),
        "0d8978a8c9e8dae6b1b67fe6095540b9355aee55464e19cd1ea93a61b9f01974"
    );
    let sig = second.sign(&sender_key());
    assert_eq!(
        hex::encode(sig),
        "2f0517027f5898e037d4c3468696d6bee02e1512d392139c86dc264d1ba8ef1b789b4768848b4654b3cf6a1a2d2d9fa9dcd821ce\
         9b81d93bd5e89be3f1462e4e1c"
    );
    assert_eq!(lot(&sig, &rand) >> 224, uint("3a8b67ed"));
    assert!(!second.wins(&sig, &rand));
}

#[test]
fn secret_numbers_cover_empty_rounds_and_free_work() {
    let (binding, params) = set_a();
    let no_round = TicketParams {
        expiration: ExpirationParams::default(),
        ..params
    };
    let free = TicketParams {
        face_value: U256::zero(),
        win_prob: U256::zero(),
        ..params
    };
    let free_binding = Binding {
        price: Price::ZERO,
        ..binding
    };
    for (binding, params, length, rand, hash) in [
        (
            binding,
            no_round,
            96,
            "b051d6e04f0ee8379c18523cec99d4596b950f9b1be71f197edb3e224455ee92",
            "44522bc77dcb67ab8f1b1ff01afec08b8e3e7f0e63b05d19c71873dbdb039878",
        ),
        (
            free_binding,
            free,
            121,
            "a781add8f6aa50131aa29f574521fb76838cb4cf814f4b323804aa097d2480fc",
            "60364d777a05655e71e50dbde4a65e86e774e012115889683d0e3546bebbffaa",
        ),
    ] {
        assert_eq!(reference_message(&binding, &params).len(), length);
        let number = reference_rand(&binding, &params);
        assert_eq!(hex::encode(number.reveal()), rand);
        assert_eq!(hex::encode(number.hash()), hash);
    }
}

#[test]
fn set_b_loses_once_and_wins_twice() {
    let (binding, params) = set_b();
    assert_eq!(minimal(params.seed).len(), 31);
    assert_eq!(
        minimal(params.face_value),
        hex::decode("0773594000").unwrap()
    );
    assert_eq!(reference_message(&binding, &params).len(), 158);
    let rand = reference_rand(&binding, &params);
    assert_eq!(
        hex::encode(rand.reveal()),
        "985ae4b0f7ad6bf6a1fa226d92671fe47a5557da549e2e4d2e0950c7326aaf9f"
    );
    assert_eq!(rand.hash(), params.recipient_rand_hash);
    for (nonce, hash, sig, lot_start) in [
        (
            1,
            "bd446854272e9140717f0f0e232d47e7382350a163af31eba622b9ee30fd70ea",
            "a0bdf6fc828c7919a9dadc9a4fb6ec0700ebadd5dd35217ce4a78cc95108aa606b4f2c8bb5d9354f1b16e5f2951358fd6b6e1bd4\
             0649771e2cc5993eecc27aea1b",
            "5d542cc7",
        ),
        (
            9,
            "416ee4f26a0d2d1c1c3156ed26c46875f9bd87b8cd8e270e11c0675a69944705",
            "28875d421c514e7184a65335db2b322e8b59db98c2aea4317630f884670791251f484023f1b73910227d62d70c4d3216137570d7\
             44abba6b94048b179a736f691c",
            "2cfe5967",
        ),
        (
            10,
            "21c5b291ed4e6d4f4d7fb2f8dfb517cf19020a6df7a4f86a2a8445ca4f73e89c",
            "3ed5e43425bd0aa332964169b520d6ab83d7df21a4a472fb4278117db99f635b122b44dfbb408fa6e3b634819620944e226fe75e\
             b1881527ec6b4b776477c7091b",
            "123893be",
        ),
    ] {
        let ticket = params.ticket(binding.sender, nonce);
        assert_eq!(hex::encode(ticket.hash()), hash);
        let signed = ticket.sign(&sender_key());
        assert_eq!(hex::encode(signed), sig);
        assert_eq!(lot(&signed, &rand) >> 224, uint(lot_start));
    }
    let winners: Vec<u32> = (1..=11)
        .filter(|nonce| {
            let ticket = params.ticket(binding.sender, *nonce);
            ticket.wins(&ticket.sign(&sender_key()), &rand)
        })
        .collect();
    assert_eq!(winners, [9, 10]);
}

#[test]
fn the_secret_number_is_hashed_with_its_leading_zeros() {
    let (binding, params) = set_a();
    let params = TicketParams {
        seed: 432.into(),
        ..params
    };
    let rand = reference_rand(&binding, &params);
    assert_eq!(
        hex::encode(rand.reveal()),
        "00cf6acd7d8ae2ab585b05a13da5a870c2b8b5f1caa6a467fd59b0a4d0ddd0f8"
    );
    assert_eq!(
        hex::encode(rand.hash()),
        "fe2e249532f8c00f97ff4ae70f6ef449ec839bf8b89c4df45b38121c1cdf2181"
    );
    assert_eq!(
        hex::encode(keccak256(&rand.reveal()[1..])),
        "ce76516a4d72e45e39a38af1eaf33d622257889561174c704b6cc149938443cb"
    );
}

const PAYMENT_B9: &str = "CogBChSdimL2VqjRYVwSlP1x6c+z5IVaTxIFB3NZQAAaIEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFUy4AAIiDeOk813t6XDN7Pe2tfKEBajIfkEdzbIw23ZYk59vW0HyofAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fIDIEASHq6BIUtZWxjIix9lHKOHSJBn+FW1yOZyAaJQiFGhIg2zpLh7b4bn0d9zevh35CgFKoJrASdB4fE5zcz93yTQsiRQgJEkEoh11CHFFOcYSmUzXbKzIui1nbmMKupDF2MPiEZweRJR9IQCPxtzkQIn1i1wxNMhYTdXDXRKu6a5QEixeac29pHCoECAcQAQ==";
const TICKETLESS: &str = "EhS1lbGMiLH2Uco4dIkGf4VbXI5nICoECAcQAQ==";
const REDEEMER_B9: &str = "CmcKFJ2KYvZWqNFhXBKU/XHpz7PkhVpPEgUHc1lAABogQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAVTLgAAiIN46TzXe3pcM3s97a18oQFqMh+QR3NsjDbdliTn29bQfMgQBIeroEhS1lbGMiLH2Uco4dIkGf4VbXI5nIBolCIUaEiDbOkuHtvhufR33N6+HfkKAUqgmsBJ0Hh8TnNzP3fJNCyJFCAkSQSiHXUIcUU5xhKZTNdsrMi6LWduYwq6kMXYw+IRnB5ElH0hAI/G3ORAifWLXDE0yFhN1cNdEq7prlASLF5pzb2kcKiCYWuSw961r9qH6Im2SZx/kelVX2lSeLk0uCVDHMmqvnw==";

#[test]
fn payments_are_byte_exact() {
    let (binding, params) = set_b();
    let key = sender_key();
    let message = payment_message(&key, &params, binding.price, [9]);
    assert_eq!(STANDARD.encode(message.encode_to_vec()), PAYMENT_B9);
    let ticketless = payment_message(&key, &params, binding.price, []);
    assert_eq!(STANDARD.encode(ticketless.encode_to_vec()), TICKETLESS);

    let payment = Payment::decode_header(PAYMENT_B9.as_bytes()).unwrap();
    assert_eq!(payment.sender, binding.sender);
    let batch = payment.batch.unwrap();
    assert_eq!((batch.params, batch.price), (params, binding.price));
    let [signed] = batch.tickets[..] else {
        panic!("one ticket");
    };
    let winner = WinningTicket {
        ticket: params.ticket(payment.sender, signed.nonce),
        sig: signed.sig.unwrap(),
        recipient_rand: reference_rand(&binding, &params),
        expiration_block: params.expiration_block,
    };
    assert_eq!(winner.check(), Ok(()));
    let queued = winner.to_pb().encode_to_vec();
    assert_eq!(queued.len(), 271);
    assert_eq!(STANDARD.encode(&queued), REDEEMER_B9);
    let read = WinningTicket::from_pb(&pb::Ticket::decode(&queued[..]).unwrap());
    assert_eq!(read, Ok(winner));

    let payment = Payment::decode_header(TICKETLESS.as_bytes()).unwrap();
    assert_eq!(payment.batch, None);
    assert_eq!(payment.expected_price, Some(binding.price));
}

fn terms(gas: u64, max_float: i128, max_face: u64) -> FaceValueTerms {
    FaceValueTerms {
        ev: EV.into(),
        redeem_gas: 1_200_000,
        gas_price: gas.into(),
        max_float,
        max_face_value: max_face.into(),
    }
}

#[test]
fn face_values_and_probabilities_have_the_figures_of_the_reference() {
    const FLOOR: i128 = 3_600_000_000_000_000;
    let l1 = FaceValueTerms {
        ev: 1_000_000_000_000u64.into(),
        redeem_gas: 350_000,
        ..terms(20_000_000_000, 1_000_000_000_000_000_000, 0)
    };
    for (terms, face, p) in [
        (
            terms(10_000_000, FLOOR, 0),
            1_200_000_000_000_000u64,
            "6fd91d84bcda58175fdfab3d77a168e2893e4958803b6b57ae84efcbf000",
        ),
        (
            terms(100_000_000, FLOOR, 0),
            3_600_000_000_000_000,
            "25485f2c3ef372b2754a8e69d28b22f62dbf6dc82abe791d3a2ceee0c000",
        ),
        (
            terms(100_000_000, 3_500_000_000_000_000, 0),
            3_500_000_000_000_000,
            "2659116f56b142c62f7fe2f080c9a04dab65d0011605be67348677a1f000",
        ),
        (
            terms(4_000_000_000, FLOOR, 0),
            3_600_000_000_000_000,
            "25485f2c3ef372b2754a8e69d28b22f62dbf6dc82abe791d3a2ceee0c000",
        ),
        (
            terms(10_000_000, FLOOR, 12_000_000_000_000),
            12_000_000_000_000,
            "2bb0cf87d9c54a6921735ee402bb0cf87d9c54a6921735ee402bb210dfc000",
        ),
        (
            terms(0, 1_000_000_000_000_000_000, 0),
            800_000_000_000,
            "028f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c5cbd2000",
        ),
        (terms(0, EV.into(), 0), EV, &"f".repeat(64)),
        (
            l1,
            700_000_000_000_000_000,
            "17f7aae5962ec9bbddafedd6507e04308b1fa200adc39700811b0e2fe000",
        ),
    ] {
        assert_eq!(face_value(&terms), Ok(face.into()));
        assert_eq!(win_prob(face.into(), terms.ev), uint(p));
    }
    for terms in [
        terms(4_000_000_000, FLOOR - 1, 0),
        terms(10_000_000, FLOOR, 10_000_000_000_000),
        terms(0, i128::from(EV) - 1, 0),
    ] {
        let text = face_value(&terms).unwrap_err().to_string();
        assert!(text.starts_with("insufficient sender reserve"), "{text}");
    }
}

#[test]
fn constants_of_the_reference_tests_are_reproduced() {
    let of = |gas: u64, max_float: i128| FaceValueTerms {
        ev: 5.into(),
        redeem_gas: 10_000,
        ..terms(gas, max_float, 0)
    };
    for (terms, face, p) in [
        (
            of(100, i128::MAX),
            100_000_000u64,
            "5789604461865809771178549250434395392663499233282028201972879200395660",
        ),
        (
            of(777, i128::MAX),
            777_000_000,
            "745122839364969082519761808292714979750772102095499125093034646125570",
        ),
        (
            of(1, 10_001),
            10_001,
            "57890255593098787833002192285115442382396752657554526567072084795477017120",
        ),
    ] {
        assert_eq!(face_value(&terms), Ok(face.into()));
        assert_eq!(win_prob(face.into(), terms.ev), dec(p));
    }
}

fn price(num: u128, den: u128) -> Price {
    Price::new(num, den).unwrap()
}

#[test]
fn adjusted_prices_have_the_figures_of_the_reference() {
    // base, multiplier as face value and cost, exact, in thousandths
    for (base, (face, cost), exact, cut) in [
        (price(1, 1), (100, 1), price(101, 100), price(101, 100)),
        (price(10, 1), (100, 1), price(101, 10), price(101, 10)),
        (price(1, 10), (100, 1), price(101, 1000), price(101, 1000)),
        (price(25, 10), (100, 1), price(101, 40), price(101, 40)),
        (price(10, 1), (10, 1), price(11, 1), price(11, 1)),
        (price(10, 1), (1, 10), price(110, 1), price(110, 1)),
        (
            price(25_000, 1),
            (926_899_968_213_313u64, 31_250_000_000_000u64),
            price(23_953_749_205_332_825_000, 926_899_968_213_313),
            price(25_842_863, 1000),
        ),
        (price(1, 100), (100, 1), price(101, 10_000), price(1, 100)),
        (price(1, 2000), (100, 1), price(101, 200_000), Price::ZERO),
    ] {
        let adjusted = base.adjusted(face.into(), cost.into());
        assert_eq!(adjusted, exact);
        assert_eq!(adjusted.in_thousandths(), cut);
        // the reference gives the last one away, we do not
        let quoted = if cut.is_zero() { exact } else { cut };
        assert_eq!(adjusted.quoted(), quoted);
    }
    let huge = price(10u128.pow(20), 1);
    assert_eq!(huge.quoted().wire_pair(), (i64::MAX, 1000));
    // redeeming costs nothing, or nothing is at stake
    assert_eq!(price(10, 1).adjusted(100.into(), 0.into()), price(10, 1));
    assert_eq!(price(10, 1).adjusted(0.into(), 100.into()), price(10, 1));
}

#[test]
fn currency_prices_are_exact_and_go_out_without_wrapping() {
    let feed = Feed::new("ETH / USD", U256::from(312_345_678_901u64), 8).unwrap();
    let from = |text: &str, units: &str| {
        let (amount, currency) = parse_amount(text).unwrap();
        let (units, _) = parse_amount(units).unwrap();
        let factor = currency.wei_factor(Some(&feed)).unwrap();
        Price::from_settings(amount, factor, units).unwrap()
    };
    let base = from("0.02USD", "1e12");
    assert_eq!(base, price(2_000_000_000_000, 312_345_678_901));
    let quoted = base.adjusted(100.into(), 1.into()).quoted();
    assert_eq!(quoted, price(6467, 1000));

    // the reference sends a negative number here
    let long = from("1.2345678901234567USD", "1e6");
    assert_eq!(long, price(123_456_789_012_345_670_000, 312_345_678_901));
    let sent = long.as_sent();
    assert!(sent >= long && sent <= long.plus(&price(1, 1_000_000)));
    assert_eq!(sent.rational().floor(), U256::from(395_256_913));

    let feed = Feed::new("ETH / USD", U256::from(420_666_000), 6).unwrap();
    assert_eq!(feed.per_eth.to_string(), "210333/500");
}

#[test]
fn set_a_needs_two_tickets_and_then_none_for_long() {
    let (binding, params) = set_a();
    let profiles = presets("P240p30fps16x9,P360p30fps16x9").unwrap();
    let pixels = estimated_pixels(&profiles, 2000);
    assert_eq!(pixels, 19_958_400);
    let fee = estimated_fee(&binding.price, pixels);
    assert_eq!(fee.whole_wei(), U256::from(24_673_372));
    let value = params.ticket_value();
    assert_eq!(value.whole_wei(), U256::from(EV));

    let charge = Amount::charge(&binding.price, pixels);
    let mut credit = Credit::ZERO;
    let sent: Vec<u32> = (0..332)
        .map(|_| {
            let n = tickets_needed(fee, value, &credit);
            credit.credit(value.times(n));
            assert!(credit.covers(Amount::wei(EV)));
            credit.debit(charge);
            n
        })
        .collect();
    assert_eq!(sent[..2], [1, 1]);
    let next = sent[2..].iter().position(|n| *n > 0).map(|n| n + 2);
    assert_eq!(next, Some(331));
    let mut first = Credit::ZERO;
    first.credit(value);
    first.debit(charge);
    assert_eq!(first.to_string(), "7975810419.2");
}

#[test]
fn accounts_of_the_vectors_are_those_of_their_keys() {
    let recipient = SecretKey::from_bytes([0x46; 32]).unwrap();
    assert_eq!(recipient.address().to_string(), RECIPIENT);
    assert_eq!(sender_key().address().to_string(), SENDER);
}
