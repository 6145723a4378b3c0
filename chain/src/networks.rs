//! Networks that have a name, and addresses as operators write them.

use protocol::address::Address;

use crate::Error;

/// A network known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedNetwork {
    /// Value of `-network`.
    pub name: &'static str,
    /// Chain id of its nodes.
    pub chain_id: u64,
    /// Its Controller.
    pub controller: Address,
    /// Least gas price by default, wei.
    pub min_gas_price: u64,
    /// Gas assumed for redeeming a ticket until it is measured.
    pub redeem_gas: u64,
}

/// Gas assumed for redeeming a ticket on a network without a name.
pub const DEFAULT_REDEEM_GAS: u64 = 350_000;

/// Chainlink's ETH / USD feed on Arbitrum One.
pub const ARBITRUM_ETH_USD: Address = Address([
    0x63, 0x9f, 0xe6, 0xab, 0x55, 0xc9, 0x21, 0xf7, 0x4e, 0x7f, 0xac, 0x1e, 0xe9, 0x60, 0xc0, 0xb6,
    0x29, 0x3b, 0xa6, 0x12,
]);

/// The registry used for AI service URIs, on any chain.
pub const AI_SERVICE_REGISTRY: Address = Address([
    0x04, 0xc0, 0xb2, 0x49, 0x74, 0x01, 0x75, 0x99, 0x9e, 0x5b, 0xf5, 0xc9, 0xac, 0x1d, 0xa9, 0x24,
    0x31, 0xef, 0x34, 0xc5,
]);

/// Every named network.
pub const NETWORKS: &[NamedNetwork] = &[
    NamedNetwork {
        name: "arbitrum-one-mainnet",
        chain_id: 42161,
        controller: Address([
            0xd8, 0xe8, 0x32, 0x85, 0x01, 0xe9, 0x64, 0x5d, 0x16, 0xcf, 0x49, 0x53, 0x9e, 0xfc,
            0x04, 0xf7, 0x34, 0x60, 0x6e, 0xe4,
        ]),
        min_gas_price: 0,
        redeem_gas: 1_200_000,
    },
    NamedNetwork {
        name: "mainnet",
        chain_id: 1,
        controller: Address([
            0xf9, 0x6d, 0x54, 0xe4, 0x90, 0x31, 0x7c, 0x55, 0x7a, 0x96, 0x7a, 0xbf, 0xa5, 0xd6,
            0xe3, 0x30, 0x06, 0xbe, 0x69, 0xb3,
        ]),
        min_gas_price: 1_000_000_000,
        redeem_gas: DEFAULT_REDEEM_GAS,
    },
    NamedNetwork {
        name: "rinkeby",
        chain_id: 4,
        controller: Address([
            0x9a, 0x98, 0x27, 0x45, 0x59, 0x11, 0xa8, 0x58, 0xe5, 0x5f, 0x07, 0x91, 0x19, 0x04,
            0xfa, 0xcc, 0x0d, 0x66, 0x02, 0x7e,
        ]),
        min_gas_price: 0,
        redeem_gas: DEFAULT_REDEEM_GAS,
    },
    NamedNetwork {
        name: "arbitrum-one-rinkeby",
        chain_id: 421_611,
        controller: Address([
            0x9c, 0xec, 0x64, 0x91, 0x79, 0xe2, 0xc7, 0xab, 0x91, 0x68, 0x82, 0x71, 0xbc, 0xd0,
            0x9f, 0xb7, 0x07, 0xb3, 0xe5, 0x74,
        ]),
        min_gas_price: 0,
        redeem_gas: 1_200_000,
    },
];

/// The network of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static NamedNetwork> {
    NETWORKS.iter().find(|network| network.name == name)
}

/// A warning when `network` has a name whose chain is another than `chain_id`.
#[must_use]
pub fn disagreement(network: &str, chain_id: u64) -> Option<String> {
    let named = named(network).filter(|network| network.chain_id != chain_id)?;
    Some(format!(
        "-network {} is chain {}, but the RPC end point is of chain {chain_id}: the Controller address of {} is used there unless -ethController names another",
        named.name, named.chain_id, named.name
    ))
}

/// Whether blocks of this chain carry an L1 number beside their own, so that the own one must never stand in for it.
#[must_use]
pub fn is_arbitrum(chain_id: u64) -> bool {
    matches!(
        chain_id,
        42161 | 42170 | 421_611 | 421_613 | 421_614 | 412_346
    )
}

/// Whether the chain is one where the protocol still has its old L1 form (`withdrawFees()` without arguments).
#[must_use]
pub fn is_l1(chain_id: u64) -> bool {
    matches!(chain_id, 1 | 4)
}

/// An address as operators write it: `0x` optional, 40 hex digits; in mixed case the EIP-55 checksum must be right.
///
/// # Errors
/// [`Error::Address`] for anything else.
pub fn parse_address(text: &str) -> Result<Address, Error> {
    let error = || Error::Address {
        text: text.chars().take(100).collect(),
    };
    let address: Address = text.trim().parse().map_err(|_| error())?;
    let digits = text
        .trim()
        .trim_start_matches("0x")
        .trim_start_matches("0X");
    let mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
        && digits.bytes().any(|b| b.is_ascii_uppercase());
    let checksummed = address.to_string();
    if mixed && checksummed.trim_start_matches("0x") != digits {
        return Err(error());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_has_the_addresses_of_the_field() {
        for (name, controller) in [
            (
                "arbitrum-one-mainnet",
                "0xD8E8328501E9645d16Cf49539efC04f734606ee4",
            ),
            ("mainnet", "0xf96d54e490317c557a967abfa5d6e33006be69b3"),
            ("rinkeby", "0x9a9827455911a858E55f07911904fACC0D66027E"),
            (
                "arbitrum-one-rinkeby",
                "0x9ceC649179e2C7Ab91688271bcD09fb707b3E574",
            ),
        ] {
            assert_eq!(
                named(name).unwrap().controller,
                parse_address(controller).unwrap()
            );
        }
        assert_eq!(
            parse_address("0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612"),
            Ok(ARBITRUM_ETH_USD)
        );
        assert_eq!(
            parse_address("0x04C0b249740175999E5BF5c9ac1dA92431EF34C5"),
            Ok(AI_SERVICE_REGISTRY)
        );
    }

    #[test]
    fn a_name_and_another_chain_are_warned_about() {
        assert_eq!(disagreement("arbitrum-one-mainnet", 42161), None);
        assert_eq!(disagreement("my-devnet", 31337), None);
        let text = disagreement("arbitrum-one-mainnet", 31337).unwrap();
        assert!(text.contains("42161") && text.contains("31337"), "{text}");
    }

    #[test]
    fn a_mistyped_address_is_refused_not_turned_into_another() {
        for bad in [
            "",
            "0x",
            "controller",
            "0xD8E8328501E9645d16Cf49539efC04f734606ee",
            "0xD8E8328501E9645d16Cf49539efC04f734606ee44",
            "0xd8E8328501E9645d16Cf49539efC04f734606ee4",
            "0xG8E8328501E9645d16Cf49539efC04f734606ee4",
        ] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
        let one_case = "0xd8e8328501e9645d16cf49539efc04f734606ee4";
        assert!(parse_address(one_case).is_ok());
        assert!(parse_address(&one_case.to_uppercase()).is_ok());
    }

    proptest! {
        #[test]
        fn any_account_is_read_back_and_any_text_is_read_or_refused(bytes: [u8; 20], text in ".{0,60}") {
            let address = Address(bytes);
            prop_assert_eq!(parse_address(&address.to_string()), Ok(address));
            let _ = parse_address(&text);
        }
    }
}
