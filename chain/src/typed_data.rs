//! EIP-712: the digest of typed data, from the JSON that wallets pass around. Strict: what is missing, unknown, out of
//! range or of the wrong length is an error, since a signature over something else than was shown is worse than none.
//!
//! `types` must list `EIP712Domain`, and the domain is hashed as its types say.

use std::collections::{BTreeMap, BTreeSet};

use ethers::types::{I256, U256};
use protocol::{
    address::Address,
    signature::{Hash, keccak256},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How deep structures and arrays may nest.
const MAX_DEPTH: usize = 32;

/// Most types of a document.
const MAX_TYPES: usize = 256;

/// Why typed data has no digest.
#[derive(Debug, thiserror::Error)]
pub enum TypedDataError {
    /// Not JSON of the right shape.
    #[error("typed data is not of the form types, primaryType, domain, message: {0}")]
    Json(#[from] serde_json::Error),
    /// A type is used that is neither a basic type nor listed.
    #[error("typed data uses the type {0}, which is not listed under types")]
    UnknownType(String),
    /// A member of a structure has no value.
    #[error("typed data has no value for {0}")]
    Missing(String),
    /// A value that no type asks for.
    #[error("typed data has a value for {0}, which its type does not list")]
    Unexpected(String),
    /// A value does not fit its type.
    #[error("typed data: {member} is not a valid {kind}")]
    Value {
        /// Member of the structure.
        member: String,
        /// Its type.
        kind: String,
    },
    /// More types or deeper nesting than is read.
    #[error("typed data is larger or nested deeper than this node reads")]
    TooLarge,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    types: BTreeMap<String, Vec<Member>>,
    primary_type: String,
    domain: Map<String, Value>,
    message: Map<String, Value>,
}

#[derive(Deserialize)]
struct Member {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Typed data that was read and hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypedData {
    /// `hashStruct(EIP712Domain)`.
    pub domain: Hash,
    /// `hashStruct(primaryType)`.
    pub message: Hash,
}

impl TypedData {
    /// Reads and hashes a JSON document.
    pub fn parse(json: &[u8]) -> Result<Self, TypedDataError> {
        let document: Document = serde_json::from_slice(json)?;
        if document.types.len() > MAX_TYPES {
            return Err(TypedDataError::TooLarge);
        }
        let types = Types(&document.types);
        Ok(Self {
            domain: types.hash_struct("EIP712Domain", &document.domain, 0)?,
            message: types.hash_struct(&document.primary_type, &document.message, 0)?,
        })
    }

    /// What is signed.
    pub fn digest(&self) -> Hash {
        let mut bytes = vec![0x19, 0x01];
        bytes.extend(self.domain);
        bytes.extend(self.message);
        keccak256(bytes)
    }
}

struct Types<'a>(&'a BTreeMap<String, Vec<Member>>);

impl Types<'_> {
    fn members(&self, kind: &str) -> Result<&[Member], TypedDataError> {
        self.0
            .get(kind)
            .map(Vec::as_slice)
            .ok_or_else(|| TypedDataError::UnknownType(kind.to_owned()))
    }

    /// `Name(type name,…)` of a type, followed by those of all types it uses, sorted.
    fn encode_type(&self, kind: &str) -> Result<String, TypedDataError> {
        let mut used = BTreeSet::new();
        let mut queue = vec![kind];
        while let Some(next) = queue.pop() {
            if used.insert(next) {
                for member in self.members(next)? {
                    let base = base_type(&member.kind);
                    if self.0.contains_key(base) {
                        queue.push(base);
                    }
                }
            }
        }
        used.remove(kind);
        std::iter::once(kind)
            .chain(used)
            .map(|name| {
                let members: Vec<_> = self
                    .members(name)?
                    .iter()
                    .map(|member| format!("{} {}", member.kind, member.name))
                    .collect();
                Ok(format!("{name}({})", members.join(",")))
            })
            .collect()
    }

    fn hash_struct(
        &self,
        kind: &str,
        values: &Map<String, Value>,
        depth: usize,
    ) -> Result<Hash, TypedDataError> {
        if depth > MAX_DEPTH {
            return Err(TypedDataError::TooLarge);
        }
        let members = self.members(kind)?;
        if let Some(name) = values
            .keys()
            .find(|name| members.iter().all(|member| member.name != **name))
        {
            return Err(TypedDataError::Unexpected(format!("{kind}.{name}")));
        }
        let mut encoded = keccak256(self.encode_type(kind)?).to_vec();
        for member in members {
            let path = || format!("{kind}.{}", member.name);
            let value = values
                .get(&member.name)
                .ok_or_else(|| TypedDataError::Missing(path()))?;
            let word = self.word(&member.kind, value, depth + 1)?.ok_or_else(|| {
                TypedDataError::Value {
                    member: path(),
                    kind: member.kind.clone(),
                }
            })?;
            encoded.extend(word);
        }
        Ok(keccak256(encoded))
    }

    /// The 32 bytes that stand for a value; `None` when it does not fit its type.
    fn word(
        &self,
        kind: &str,
        value: &Value,
        depth: usize,
    ) -> Result<Option<Hash>, TypedDataError> {
        if depth > MAX_DEPTH {
            return Err(TypedDataError::TooLarge);
        }
        if let Some((item, length)) = array(kind) {
            let Value::Array(values) = value else {
                return Ok(None);
            };
            if !length.is_empty() && length.parse() != Ok(values.len()) {
                return Ok(None);
            }
            let mut encoded = Vec::with_capacity(values.len() * 32);
            for value in values {
                match self.word(item, value, depth + 1)? {
                    Some(word) => encoded.extend(word),
                    None => return Ok(None),
                }
            }
            return Ok(Some(keccak256(encoded)));
        }
        if self.0.contains_key(kind) {
            let Value::Object(values) = value else {
                return Ok(None);
            };
            return self.hash_struct(kind, values, depth + 1).map(Some);
        }
        basic(kind, value).ok_or_else(|| TypedDataError::UnknownType(kind.to_owned()))
    }
}

/// `item` and length of `item[length]`.
fn array(kind: &str) -> Option<(&str, &str)> {
    kind.strip_suffix(']')?.rsplit_once('[')
}

/// The type without any `[…]` behind it.
fn base_type(kind: &str) -> &str {
    kind.split_once('[').map_or(kind, |(base, _)| base)
}

/// Outer `None`: no basic type. Inner: the value does not fit.
fn basic(kind: &str, value: &Value) -> Option<Option<Hash>> {
    let bits = |digits: &str| match digits {
        "" => Some(256),
        digits => digits
            .parse::<usize>()
            .ok()
            .filter(|bits| bits % 8 == 0 && (8..=256).contains(bits)),
    };
    Some(match kind {
        "bool" => value.as_bool().map(|value| word_of(u8::from(value).into())),
        "string" => value.as_str().map(keccak256),
        "bytes" => hexadecimal(value).map(keccak256),
        "address" => value.as_str().and_then(account).map(|address| {
            let mut word = [0; 32];
            word[12..].copy_from_slice(&address.0);
            word
        }),
        _ => {
            if let Some(digits) = kind.strip_prefix("uint") {
                let bits = bits(digits)?;
                unsigned(value)
                    .filter(|value| value.bits() <= bits)
                    .map(word_of)
            } else if let Some(digits) = kind.strip_prefix("int") {
                let bits = bits(digits)?;
                signed(value)
                    .filter(|value| {
                        // two's complement: what is left after the sign bit must fit
                        let positive = if value.is_negative() { !*value } else { *value };
                        positive.into_raw().bits() < bits
                    })
                    .map(|value| word_of(value.into_raw()))
            } else if let Some(digits) = kind.strip_prefix("bytes") {
                let length = digits
                    .parse::<usize>()
                    .ok()
                    .filter(|length| (1..=32).contains(length))?;
                hexadecimal(value)
                    .filter(|bytes| bytes.len() == length)
                    .map(|bytes| {
                        let mut word = [0; 32];
                        word[..length].copy_from_slice(&bytes);
                        word
                    })
            } else {
                return None;
            }
        }
    })
}

fn word_of(value: U256) -> Hash {
    let mut word = [0; 32];
    value.to_big_endian(&mut word);
    word
}

fn account(text: &str) -> Option<Address> {
    text.strip_prefix("0x")?.parse().ok()
}

fn hexadecimal(value: &Value) -> Option<Vec<u8>> {
    hex::decode(value.as_str()?.strip_prefix("0x")?).ok()
}

/// A number, or its decimal or 0x text.
fn unsigned(value: &Value) -> Option<U256> {
    match value {
        Value::Number(number) => decimal(&number.to_string()),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) if (1..=64).contains(&digits.len()) => {
                U256::from_str_radix(digits, 16).ok()
            }
            Some(_) => None,
            None => decimal(text),
        },
        _ => None,
    }
}

/// As [`unsigned`], with a sign in front of decimal digits.
fn signed(value: &Value) -> Option<I256> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    match text.strip_prefix('-') {
        Some(digits) => {
            let magnitude = decimal(digits)?;
            let value = I256::from_raw(magnitude.overflowing_neg().0);
            (value.is_negative() || magnitude.is_zero()).then_some(value)
        }
        None => I256::try_from(unsigned(&Value::String(text))?).ok(),
    }
}

fn decimal(text: &str) -> Option<U256> {
    let is_plain = !text.is_empty() && text.len() <= 78 && text.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| U256::from_dec_str(text).ok()).flatten()
}

#[cfg(test)]
pub(crate) mod tests;
