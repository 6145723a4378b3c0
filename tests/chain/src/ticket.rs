//! Tickets and keys as the contract checks them, independent of the code under test.

use ethabi::Token;
use ethabi::ethereum_types::{Address, H256, U256};
use secp256k1::{Message, PublicKey, Secp256k1, SecretKey};
use sha3::{Digest, Keccak256};

/// Keccak-256.
pub fn keccak(bytes: &[u8]) -> H256 {
    H256::from_slice(&Keccak256::digest(bytes))
}

/// A key of a sender. Never fund one of these on a real chain.
pub struct Key(SecretKey);

impl Key {
    /// The key of the published vectors, address 0x2c7536E3605D9C16a7a3D7b1898e529396a65c23.
    pub fn vectors() -> Self {
        Self::from_hex("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318")
    }

    /// From 64 hex digits.
    pub fn from_hex(digits: &str) -> Self {
        let bytes: [u8; 32] = hex::decode(digits)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .expect("32 bytes in hex");
        Self(SecretKey::from_byte_array(bytes).expect("key"))
    }

    /// A key of its own for each number but 0.
    pub fn numbered(number: u64) -> Self {
        Self::from_hex(&format!("{number:064x}"))
    }

    /// Its address.
    pub fn address(&self) -> Address {
        let public = PublicKey::from_secret_key(&Secp256k1::new(), &self.0);
        Address::from(keccak(&public.serialize_uncompressed()[1..]))
    }

    /// Signs the EIP-191 digest of a hash: r, s, then v of 27 or 28.
    pub fn sign(&self, hash: H256) -> [u8; 65] {
        let digest = keccak(&[b"\x19Ethereum Signed Message:\n32", hash.as_bytes()].concat());
        let signature =
            Secp256k1::new().sign_ecdsa_recoverable(Message::from_digest(digest.0), &self.0);
        let (v, rs) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&rs);
        bytes[64] = 27 + u8::try_from(i32::from(v)).expect("0 or 1");
        bytes
    }
}

/// A ticket, all fields as the contract takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Who is paid.
    pub recipient: Address,
    /// Who pays.
    pub sender: Address,
    /// Wei of a winner.
    pub face_value: U256,
    /// Of 2^256.
    pub win_prob: U256,
    /// Counted by the sender.
    pub sender_nonce: U256,
    /// Keccak-256 of the recipient's number as one word.
    pub rand_hash: H256,
    /// Round and hash of the round, one word each.
    pub aux: Vec<u8>,
}

impl Ticket {
    /// The winning ticket of the published vectors with its signature and recipient's number: 0.25 ether, sent by
    /// [`Key::vectors`] to account 1 in round 3456, whose hash [`Self::vector_round_hash`] must be set.
    pub fn winner() -> (Self, [u8; 65], U256) {
        let rand = U256::from(0x1122_3344_5566_7788_u64);
        let ticket = Self {
            recipient: "70997970c51812dc3a010c7d01b50e0d17dc79c8"
                .parse()
                .expect("address"),
            sender: Key::vectors().address(),
            face_value: U256::exp10(18) / 4,
            win_prob: U256::one() << 250,
            sender_nonce: 12.into(),
            rand_hash: Self::rand_hash(rand),
            aux: Self::aux(3456, Self::vector_round_hash()),
        };
        let signature = Key::vectors().sign(ticket.hash());
        (ticket, signature, rand)
    }

    /// Hash of round 3456 in the vectors.
    pub fn vector_round_hash() -> H256 {
        keccak(b"orchestrion round block")
    }

    /// What a ticket carries of a recipient's number.
    pub fn rand_hash(rand: U256) -> H256 {
        keccak(&word(rand))
    }

    /// What a ticket carries of its round.
    pub fn aux(round: u64, hash: H256) -> Vec<u8> {
        [word(round.into()), hash.0].concat()
    }

    /// Hash of the packed fields.
    pub fn hash(&self) -> H256 {
        let packed = [
            self.recipient.as_bytes(),
            self.sender.as_bytes(),
            &word(self.face_value),
            &word(self.win_prob),
            &word(self.sender_nonce),
            self.rand_hash.as_bytes(),
            &self.aux,
        ];
        keccak(&packed.concat())
    }

    /// As an argument of a call.
    pub fn token(&self) -> Token {
        Token::Tuple(vec![
            Token::Address(self.recipient),
            Token::Address(self.sender),
            Token::Uint(self.face_value),
            Token::Uint(self.win_prob),
            Token::Uint(self.sender_nonce),
            Token::FixedBytes(self.rand_hash.as_bytes().to_vec()),
            Token::Bytes(self.aux.clone()),
        ])
    }
}

fn word(number: U256) -> [u8; 32] {
    let mut bytes = [0; 32];
    number.to_big_endian(&mut bytes);
    bytes
}
