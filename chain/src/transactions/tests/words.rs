//! Texts of purposes, and what a receipt pays.

use proptest::prelude::*;
use protocol::address::Address;

use super::super::*;

fn any_purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|hash| Purpose::Redeem(Hash(hash))),
        any::<(u64, [u8; 20])>().prop_map(|(round, transcoder)| Purpose::Reward {
            round,
            transcoder: Address(transcoder)
        }),
        any::<u64>().prop_map(Purpose::InitializeRound),
        ".{0,40}".prop_map(Purpose::Operator),
        any::<u64>().prop_map(Purpose::FillNonce),
    ]
}

proptest! {
    #[test]
    fn purpose_survives_its_text(purpose in any_purpose()) {
        prop_assert_eq!(purpose.to_string().parse::<Purpose>(), Ok(purpose));
    }

    #[test]
    fn any_text_is_a_purpose_or_refused(text in ".{0,80}") {
        let _ = text.parse::<Purpose>();
    }
}

#[test]
fn payment_is_what_the_broker_says_was_moved_not_the_face_value() {
    let broker = Address([7; 20]);
    let transfer = |address, amount: u64| {
        let mut data = vec![0; 24];
        data.extend(amount.to_be_bytes());
        let mut topic = [0; 32];
        hex::decode_to_slice(
            "8b87351a208c06e3ceee59d80725fd77a23b4129e1b51ca231fc89b40712649c",
            &mut topic,
        )
        .unwrap();
        Log {
            address,
            topics: vec![Hash(topic), Hash::ZERO, Hash::ZERO],
            data,
            block: 1,
            block_hash: Hash::ZERO,
            transaction: Hash::ZERO,
            index: 0,
        }
    };
    let mut other = transfer(broker, 1000);
    other.topics[0] = Hash::ZERO;
    let mined = Mined {
        hash: Hash::ZERO,
        nonce: 1,
        block: 1,
        block_hash: Hash::ZERO,
        gas_used: 3,
        gas_price: 5.into(),
        logs: vec![
            transfer(broker, 30),
            transfer(broker, 4),
            transfer(Address([8; 20]), 500),
            other,
        ],
    };
    assert_eq!(mined.paid(broker), 34.into());
    assert_eq!(mined.paid(Address([9; 20])), 0.into());
    assert_eq!(mined.cost(), 15.into());
}
