//! Vectors made with other implementations, and the rules of form.

use proptest::prelude::*;

use super::*;

fn key() -> SecretKey {
    SecretKey::from_bytes([0x46; 32]).unwrap()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(bytes)
}

#[test]
fn known_signature_recovers_its_account() {
    let inner =
        hex::decode("b7da355477356fc4c47fcabcf232dc77a6db9b07b7e48b76261cc55cc8fbabb3").unwrap();
    let signature = hex::decode(concat!(
        "206443228e8f784bc3a122de0d85eb3ebff82d6a79cca26c7eeb907099a6404f",
        "6dff57bc6828f28bd6cd073c89d94cf3364204679ed8365fa45b5ee6af19a9841c"
    ))
    .unwrap();
    let address: Address = "0x3BadDb1eeE2105893136A3F96c8a963E9C6309d6"
        .parse()
        .unwrap();
    assert_eq!(
        recover_hash(&inner.try_into().unwrap(), &signature),
        Some(address)
    );
}

#[test]
fn discovery_signature_is_byte_exact() {
    let text = key().address().to_string();
    assert_eq!(text, "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
    let inner = keccak256(&text);
    assert_eq!(
        hex(inner),
        "969fa3eae55716669979e5c87080d2ff347c38c16743686c0af60e233463b8f9"
    );
    assert_eq!(
        hex(personal_digest(&inner)),
        "fc058f3381f8c14b7495a11911ac00cf0e565133b7eceaf88bae632a4747eff0"
    );
    let signature = sign_message(&key(), text.as_bytes());
    assert_eq!(
        hex(signature),
        concat!(
            "4e166c2cd389f60c02051be1252202fc8a9d9f81b34ace389523a47cb5e70d26",
            "5bcff71ffa9bda088fb65f04930ca11aa5818b5c688e0d130a32f3a03e9254c91c"
        )
    );
    assert!(verify(key().address(), text.as_bytes(), &signature));
}

#[test]
fn result_signature_covers_the_hash_of_hashes_directly() {
    let renditions = [
        keccak256("rendition one bytes"),
        keccak256("rendition two bytes"),
    ];
    let hash = result_hash(&renditions);
    assert_eq!(
        hex(hash),
        "cfdface37f503af6e4ac1f4e25143231168e516a5338dd9c932c5273e0fc251a"
    );
    let signature = sign_hash(&key(), &hash);
    assert_eq!(
        hex(signature),
        concat!(
            "4536c8f3f36d4f2649ef19f6fd66c9d1621770206f1e4f6f3679c3e6b31ac66e",
            "443b8bd674ce177ef5ab6a20ce0536e9b04ffa496ed71d579c08c5787a7c97f21c"
        )
    );
    assert_eq!(recover_hash(&hash, &signature), Some(key().address()));
}

#[test]
fn other_recovery_bytes_are_refused() {
    let good = sign_message(&key(), b"m");
    for v in (0..=255).filter(|v| *v != good[64]) {
        let mut bad = good;
        bad[64] = v;
        assert!(!verify(key().address(), b"m", &bad), "v = {v}");
    }
}

#[test]
fn the_mirrored_high_s_is_refused() {
    // order of the curve
    let order =
        hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
    let mut signature = sign_message(&key(), b"m");
    let mut borrow = 0i16;
    for i in (0..32).rev() {
        let digit = i16::from(order[i]) - i16::from(signature[32 + i]) - borrow;
        borrow = i16::from(digit < 0);
        signature[32 + i] = digit.rem_euclid(256) as u8;
    }
    signature[64] = 55 - signature[64];
    assert_eq!(recover(b"m", &signature), None);
}

#[test]
fn a_secret_key_is_not_shown() {
    assert_eq!(format!("{:?}", key()), "***");
    assert_eq!(SecretKey::from_bytes([0; 32]), Err(Error::SecretKey));
    assert_eq!(SecretKey::from_bytes([0xff; 32]), Err(Error::SecretKey));
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_nothing_else(secret: [u8; 32], message: Vec<u8>, other: Vec<u8>) {
        let Ok(key) = SecretKey::from_bytes(secret) else { return Ok(()) };
        let signature = sign_message(&key, &message);
        prop_assert!(verify(key.address(), &message, &signature));
        prop_assert!(matches!(signature[64], 27 | 28));
        prop_assert_eq!(verify(key.address(), &other, &signature), other == message);
        prop_assert!(!verify(Address::ZERO, &message, &signature));
    }

    #[test]
    fn arbitrary_signatures_never_panic(hash: [u8; 32], signature in prop::collection::vec(any::<u8>(), 0..70)) {
        let _ = recover_hash(&hash, &signature);
    }

    #[test]
    fn pieces_hash_like_the_whole(pieces: Vec<Vec<u8>>) {
        let mut hasher = Hasher::default();
        pieces.iter().for_each(|p| hasher.update(p));
        prop_assert_eq!(hasher.finish(), keccak256(pieces.concat()));
    }
}
