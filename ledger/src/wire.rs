//! How hashes and amounts look in JSON: `0x` and digits, and wei in decimal text (a JSON number would lose digits).

use protocol::signature::Hash;

use crate::text::{hash_text, parse_hash};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn read<'de, D: Deserializer<'de>>(text: &str) -> Result<Hash, D::Error> {
    parse_hash(text)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is not 0x and 64 hexadecimal digits")))
}

/// One hash.
pub(crate) mod one_hash {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(hash: &Hash, to: S) -> Result<S::Ok, S::Error> {
        hash_text(hash).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hash, D::Error> {
        read::<D>(&String::deserialize(from)?)
    }
}

/// A hash or nothing.
pub(crate) mod maybe_hash {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(hash: &Option<Hash>, to: S) -> Result<S::Ok, S::Error> {
        hash.as_ref().map(hash_text).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Hash>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| read::<D>(&text))
            .transpose()
    }
}

/// Several hashes.
pub(crate) mod hashes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(hashes: &[Hash], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(hashes.iter().map(hash_text))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Hash>, D::Error> {
        Vec::<String>::deserialize(from)?
            .iter()
            .map(|text| read::<D>(text))
            .collect()
    }
}

/// An amount in wei.
pub(crate) mod wei {
    use super::*;
    use protocol::money::U256;

    pub(crate) fn serialize<S: Serializer>(amount: &U256, to: S) -> Result<S::Ok, S::Error> {
        amount.to_string().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<U256, D::Error> {
        let text = String::deserialize(from)?;
        U256::from_dec_str(&text)
            .map_err(|_| D::Error::custom(format!("{text:?} is no amount in wei")))
    }
}

/// An account.
pub(crate) mod address {
    use super::*;
    use protocol::address::Address;

    pub(crate) fn serialize<S: Serializer>(address: &Address, to: S) -> Result<S::Ok, S::Error> {
        address.to_string().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
