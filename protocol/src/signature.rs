//! Keccak-256 and recoverable secp256k1 signatures as peers make and check them.
//!
//! Two rules exist. A *message* is hashed first and that hash is signed as an EIP-191 personal message; the *result*
//! of a segment is itself a hash (of hashes) and is signed as an EIP-191 personal message directly.

use std::{fmt, sync::LazyLock};

use secp256k1::{
    All, Message, PublicKey, Secp256k1,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use sha3::{Digest, Keccak256};

use crate::{Error, address::Address};

static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// r ‖ s ‖ v, with s in the lower half of the order and v 27 or 28.
pub type Signature = [u8; 65];

/// 32 bytes of Keccak-256.
pub type Hash = [u8; 32];

/// Keccak-256 in its original padding, not SHA3-256.
pub fn keccak256(data: impl AsRef<[u8]>) -> Hash {
    Keccak256::digest(data).into()
}

/// Keccak-256 of bytes that arrive piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(Keccak256);

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Hash of everything taken.
    pub fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// Private key of an account. Shown as `***`, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(secp256k1::SecretKey);

impl SecretKey {
    /// From 32 bytes, big-endian; an error unless 0 < key < order of the curve.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, Error> {
        secp256k1::SecretKey::from_byte_array(bytes)
            .map(Self)
            .map_err(|_| Error::SecretKey)
    }

    /// Account of this key.
    pub fn address(&self) -> Address {
        address_of(&PublicKey::from_secret_key(&CURVE, &self.0))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

/// EIP-191 digest of a 32-byte personal message.
pub fn personal_digest(inner: &Hash) -> Hash {
    let mut hasher = Hasher::default();
    hasher.update(b"\x19Ethereum Signed Message:\n32");
    hasher.update(inner);
    hasher.finish()
}

/// Signature over a message: its Keccak-256 signed as an EIP-191 personal message.
pub fn sign_message(key: &SecretKey, message: &[u8]) -> Signature {
    sign_hash(key, &keccak256(message))
}

/// Signature over a 32-byte hash as an EIP-191 personal message (nonce by RFC 6979).
pub fn sign_hash(key: &SecretKey, hash: &Hash) -> Signature {
    sign_digest(key, &personal_digest(hash))
}

/// Signature over a digest as it is, for what has a rule of its own: transactions and typed data. Never over bytes that
/// somebody else chose.
pub fn sign_digest(key: &SecretKey, digest: &Hash) -> Signature {
    let (id, compact) = CURVE
        .sign_ecdsa_recoverable(Message::from_digest(*digest), &key.0)
        .serialize_compact();
    let mut signature = [0; 65];
    signature[..64].copy_from_slice(&compact);
    signature[64] = match id {
        RecoveryId::Zero | RecoveryId::Two => 27,
        RecoveryId::One | RecoveryId::Three => 28,
    };
    signature
}

/// Whether `signature` is the one of `signer` over `message`. Any violation of the form is just `false`.
pub fn verify(signer: Address, message: &[u8], signature: &[u8]) -> bool {
    recover(message, signature) == Some(signer)
}

/// Account that signed `message`; `None` for a wrong length, a high s, or a v other than 27 and 28.
pub fn recover(message: &[u8], signature: &[u8]) -> Option<Address> {
    recover_hash(&keccak256(message), signature)
}

/// Account that signed a 32-byte hash as an EIP-191 personal message; `None` as in [`recover`].
pub fn recover_hash(hash: &Hash, signature: &[u8]) -> Option<Address> {
    let (v, compact) = signature.split_last()?;
    let id = match v {
        27 => RecoveryId::Zero,
        28 => RecoveryId::One,
        _ => return None,
    };
    let signature = RecoverableSignature::from_compact(compact, id).ok()?;
    let plain = signature.to_standard();
    let mut low = plain;
    low.normalize_s();
    if plain != low {
        return None;
    }
    let digest = Message::from_digest(personal_digest(hash));
    let key = CURVE.recover_ecdsa(digest, &signature).ok()?;
    Some(address_of(&key))
}

/// What the signature of a result covers: Keccak-256 over the hashes of the renditions, in their order.
pub fn result_hash<'a>(renditions: impl IntoIterator<Item = &'a Hash>) -> Hash {
    let mut hasher = Hasher::default();
    for hash in renditions {
        hasher.update(hash);
    }
    hasher.finish()
}

/// Last 20 bytes of the Keccak-256 of the uncompressed point without its prefix byte.
fn address_of(key: &PublicKey) -> Address {
    Address::from_wire(&keccak256(&key.serialize_uncompressed()[1..]))
}

#[cfg(test)]
mod tests;
