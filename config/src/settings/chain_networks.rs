//! The networks known by name: their controller contract and the numbers that depend on the chain. Any other name is a private network,
//! whose controller the operator gives.

use crate::money::Account;

/// What is known of a network before it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownNetwork {
    pub(super) name: &'static str,
    /// What an end point of this network must answer.
    pub(super) chain_id: u64,
    controller: [u8; 20],
    /// Least gas price, in wei, that counts.
    pub(super) min_gas_price: u64,
    /// Gas that redeeming a ticket takes, as gateways assume.
    pub(super) redeem_gas: u64,
    /// Whether work is done there today.
    pub(super) alive: bool,
}

/// Gas that redeeming a ticket takes on a chain that is its own first layer, and on private networks.
pub(super) const LAYER_1_REDEEM_GAS: u64 = 350_000;
const ARBITRUM_REDEEM_GAS: u64 = 1_200_000;

pub(super) const KNOWN: &[KnownNetwork] = &[
    KnownNetwork {
        name: "arbitrum-one-mainnet",
        chain_id: 42_161,
        controller: bytes(0xd8e8_3285_01e9_645d, 0x16cf_4953_9efc_04f7, 0x3460_6ee4),
        min_gas_price: 0,
        redeem_gas: ARBITRUM_REDEEM_GAS,
        alive: true,
    },
    KnownNetwork {
        name: "mainnet",
        chain_id: 1,
        controller: bytes(0xf96d_54e4_9031_7c55, 0x7a96_7abf_a5d6_e330, 0x06be_69b3),
        min_gas_price: 1_000_000_000,
        redeem_gas: LAYER_1_REDEEM_GAS,
        alive: false,
    },
    KnownNetwork {
        name: "rinkeby",
        chain_id: 4,
        controller: bytes(0x9a98_2745_5911_a858, 0xe55f_0791_1904_facc, 0x0d66_027e),
        min_gas_price: 0,
        redeem_gas: LAYER_1_REDEEM_GAS,
        alive: false,
    },
    KnownNetwork {
        name: "arbitrum-one-rinkeby",
        chain_id: 421_611,
        controller: bytes(0x9cec_6491_79e2_c7ab, 0x9168_8271_bcd0_9fb7, 0x07b3_e574),
        min_gas_price: 0,
        redeem_gas: ARBITRUM_REDEEM_GAS,
        alive: false,
    },
];

impl KnownNetwork {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|network| network.name == name)
    }

    pub(super) const fn controller(&self) -> Account {
        Account::from_bytes(self.controller)
    }
}

/// Name of the public network with this chain id, where ether is dear; `None` for any other chain.
#[must_use]
pub fn public_network(chain_id: u64) -> Option<&'static str> {
    let known = KNOWN.iter().find(|network| network.chain_id == chain_id)?;
    Some(known.name)
}

const fn bytes(high: u64, middle: u64, low: u32) -> [u8; 20] {
    let (high, middle, low) = (high.to_be_bytes(), middle.to_be_bytes(), low.to_be_bytes());
    let mut all = [0; 20];
    let mut index = 0;
    while index < 20 {
        all[index] = match index {
            0..8 => high[index],
            8..16 => middle[index - 8],
            _ => low[index - 16],
        };
        index += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_those_of_the_deployments() {
        let controllers = [
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
        ];
        assert_eq!(controllers.len(), KNOWN.len());
        for (name, address) in controllers {
            let network = KnownNetwork::find(name).unwrap();
            assert_eq!(
                network.controller().to_string().to_lowercase(),
                address.to_lowercase()
            );
        }
    }
}
