//! One encrypted key as geth writes it: read V1 and V3, write V3. Knows neither directories nor prompts.
//!
//! The derived key is cut in two: bytes 0–15 decrypt, bytes 16–31 authenticate. The authentication code covers the
//! ciphertext and is checked before anything is decrypted.

use aes::{
    Aes128,
    cipher::{BlockDecryptMut, KeyIvInit, StreamCipher, block_padding::Pkcs7},
};
use hmac::Hmac;
use protocol::{address::Address, signature::SecretKey, signature::keccak256};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{KeystoreError, Password};

/// Largest key file that is read, in bytes; real ones have about 500.
pub const MAX_FILE: u64 = 64 * 1024;

/// Most memory that a file may ask of scrypt: 128 · n · r bytes. geth's own files ask for 256 MiB.
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;

/// Most rounds that a file may ask of PBKDF2. geth's own files ask for 262,144.
const MAX_PBKDF2_ROUNDS: u32 = 1 << 24;

/// How dear it is to try a password on a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScryptCost {
    /// log2 of n.
    pub log_n: u8,
    /// Block size.
    pub r: u32,
    /// Parallel lanes.
    pub p: u32,
}

impl ScryptCost {
    /// What geth writes: n = 262144, 256 MiB of memory, about a second.
    pub const STANDARD: Self = Self {
        log_n: 18,
        r: 8,
        p: 1,
    };
}

#[derive(Serialize, Deserialize)]
struct Document {
    address: String,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default)]
    id: String,
    /// A number; the text "1" marks the old form, which very old files carry inside `crypto`.
    #[serde(default)]
    version: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    #[serde(flatten)]
    kdf: Kdf,
    mac: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt {
        dklen: u32,
        n: u64,
        p: u32,
        r: u32,
        salt: String,
    },
    Pbkdf2 {
        c: u32,
        dklen: u32,
        prf: String,
        salt: String,
    },
}

/// Account of a key file, read without a password.
pub fn address(text: &str) -> Result<Address, KeystoreError> {
    /// The only member that is needed; the rest of a file may be in a form we cannot decrypt.
    #[derive(Deserialize)]
    struct Head {
        address: String,
    }
    let head: Head = serde_json::from_str(text).map_err(KeystoreError::Json)?;
    parse_address(&head.address)
}

/// The key in a file. Takes about a second and 256 MiB for geth's usual cost: keep it off the async runtime.
///
/// A wrong password is [`KeystoreError::Password`], found by the authentication code; a file whose key belongs to
/// another account than it says is [`KeystoreError::Foreign`].
pub fn decrypt(text: &str, password: &Password) -> Result<SecretKey, KeystoreError> {
    let document: Document = serde_json::from_str(text).map_err(KeystoreError::Json)?;
    let said = parse_address(&document.address)?;
    let old = document.version == "1" || document.crypto.version.as_deref() == Some("1");
    if !old && document.version != 3 {
        return Err(KeystoreError::Form("version is neither 3 nor \"1\""));
    }
    let crypto = document.crypto;
    let mac = bytes(&crypto.mac, "mac is not hexadecimal")?;
    let iv: [u8; 16] = bytes(&crypto.cipherparams.iv, "iv is not hexadecimal")?
        .try_into()
        .map_err(|_| KeystoreError::Form("iv does not have 16 bytes"))?;
    let mut text = Zeroizing::new(bytes(&crypto.ciphertext, "ciphertext is not hexadecimal")?);

    let derived = derive(&crypto.kdf, password)?;
    let (cipher_key, mac_key) = derived.split_at(16);
    if !bool::from(authentication(mac_key, &text).ct_eq(&mac)) {
        return Err(KeystoreError::Password);
    }
    match (crypto.cipher.as_str(), old) {
        ("aes-128-ctr", false) => apply_ctr(cipher_key, &iv, &mut text)?,
        ("aes-128-cbc", true) => {
            let hashed = Zeroizing::new(keccak256(cipher_key));
            let plain = cbc::Decryptor::<Aes128>::new_from_slices(&hashed[..16], &iv)
                .map_err(|_| KeystoreError::Form("key or iv has the wrong length"))?
                .decrypt_padded_mut::<Pkcs7>(&mut text)
                .map_err(|_| KeystoreError::Form("padding is broken"))?
                .len();
            text.truncate(plain);
        }
        _ => return Err(KeystoreError::Form("cipher is not one that geth used")),
    }
    let plain: Zeroizing<[u8; 32]> = Zeroizing::new(
        text.as_slice()
            .try_into()
            .map_err(|_| KeystoreError::Form("the key does not have 32 bytes"))?,
    );
    let key = SecretKey::from_bytes(*plain)
        .map_err(|_| KeystoreError::Form("the key is not on the curve"))?;
    if key.address() != said {
        return Err(KeystoreError::Foreign {
            said,
            found: key.address(),
        });
    }
    Ok(key)
}

/// A V3 file for the key in `plain`, whose account is `owner`. `salt`, `iv` and `id` are fresh random bytes.
pub fn encrypt(
    plain: &[u8; 32],
    owner: Address,
    password: &Password,
    cost: ScryptCost,
    salt: [u8; 32],
    iv: [u8; 16],
    id: [u8; 16],
) -> Result<String, KeystoreError> {
    let kdf = Kdf::Scrypt {
        dklen: 32,
        n: 1 << cost.log_n,
        p: cost.p,
        r: cost.r,
        salt: hex::encode(salt),
    };
    let derived = derive(&kdf, password)?;
    let (cipher_key, mac_key) = derived.split_at(16);
    let mut text = plain.to_vec();
    apply_ctr(cipher_key, &iv, &mut text)?;
    let document = Document {
        address: hex::encode(owner.0),
        crypto: Crypto {
            cipher: "aes-128-ctr".into(),
            mac: hex::encode(authentication(mac_key, &text)),
            ciphertext: hex::encode(text),
            cipherparams: CipherParams {
                iv: hex::encode(iv),
            },
            kdf,
            version: None,
        },
        id: uuid(id),
        version: 3.into(),
    };
    serde_json::to_string(&document).map_err(KeystoreError::Json)
}

/// Random bytes as the text of a version 4 UUID.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|range| &digits[range])
        .join("-")
}

fn apply_ctr(key: &[u8], iv: &[u8; 16], text: &mut [u8]) -> Result<(), KeystoreError> {
    ctr::Ctr128BE::<Aes128>::new_from_slices(key, iv)
        .map_err(|_| KeystoreError::Form("key or iv has the wrong length"))?
        .apply_keystream(text);
    Ok(())
}

fn authentication(mac_key: &[u8], ciphertext: &[u8]) -> [u8; 32] {
    let mut hasher = protocol::signature::Hasher::default();
    hasher.update(mac_key);
    hasher.update(ciphertext);
    hasher.finish()
}

fn derive(kdf: &Kdf, password: &Password) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let mut derived = Zeroizing::new([0; 32]);
    let password = password.expose().as_bytes();
    match kdf {
        Kdf::Scrypt {
            dklen,
            n,
            p,
            r,
            salt,
        } => {
            need(*dklen == 32, "dklen is not 32")?;
            need(n.is_power_of_two() && *n > 1, "n is not a power of two")?;
            let memory = n
                .checked_mul(128)
                .and_then(|m| m.checked_mul(u64::from(*r)))
                .and_then(|m| m.checked_mul(u64::from(*p)));
            need(
                memory.is_some_and(|m| m <= MAX_SCRYPT_MEMORY),
                "scrypt would take more than 1 GiB",
            )?;
            let log_n = n.trailing_zeros() as u8;
            let params = scrypt::Params::new(log_n, *r, *p)
                .map_err(|_| KeystoreError::Form("scrypt refuses n, r or p"))?;
            let salt = bytes(salt, "salt is not hexadecimal")?;
            scrypt::scrypt(password, &salt, &params, &mut *derived)
                .map_err(|_| KeystoreError::Form("scrypt refuses dklen"))?;
        }
        Kdf::Pbkdf2 {
            c,
            dklen,
            prf,
            salt,
        } => {
            need(*dklen == 32, "dklen is not 32")?;
            need(prf == "hmac-sha256", "prf is not hmac-sha256")?;
            need(
                (1..=MAX_PBKDF2_ROUNDS).contains(c),
                "pbkdf2 has no round or more than 16,777,216",
            )?;
            let salt = bytes(salt, "salt is not hexadecimal")?;
            pbkdf2::pbkdf2::<Hmac<Sha256>>(password, &salt, *c, &mut *derived);
        }
    }
    Ok(derived)
}

fn need(holds: bool, otherwise: &'static str) -> Result<(), KeystoreError> {
    if holds {
        Ok(())
    } else {
        Err(KeystoreError::Form(otherwise))
    }
}

fn bytes(digits: &str, otherwise: &'static str) -> Result<Vec<u8>, KeystoreError> {
    hex::decode(digits.strip_prefix("0x").unwrap_or(digits))
        .map_err(|_| KeystoreError::Form(otherwise))
}

fn parse_address(text: &str) -> Result<Address, KeystoreError> {
    match text.parse::<Address>() {
        Ok(address) if !address.is_zero() => Ok(address),
        _ => Err(KeystoreError::Form("address is missing, zero or malformed")),
    }
}
