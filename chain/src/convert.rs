//! The edge between ethers' types and ours.

use ethers::types as eth;
use protocol::address::Address;

pub use protocol::money::U256;

/// Our address as ethers writes it.
pub(crate) fn to_h160(address: Address) -> eth::H160 {
    eth::H160(address.0)
}

/// ethers' address as ours.
pub(crate) fn to_address(address: eth::H160) -> Address {
    Address(address.0)
}

/// An integer of the contracts in 64 bits; what does not fit is [`crate::types::NEVER`].
pub(crate) fn clamp(value: U256) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
