//! Where the contracts are: the Controller says, under the hash of each name.

use std::fmt;

use protocol::address::Address;
use protocol::signature::keccak256;

use crate::types::Hash;
use crate::{Error, Result};

/// A contract that the Controller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContractName {
    /// The token, LPT.
    LivepeerToken,
    /// Where orchestrators publish their URI.
    ServiceRegistry,
    /// Stake, rewards and fees.
    BondingManager,
    /// Deposits, reserves and tickets.
    TicketBroker,
    /// Rounds.
    RoundsManager,
    /// Inflation.
    Minter,
    /// Test tokens; test networks only.
    LivepeerTokenFaucet,
    /// Votes on proposals.
    LivepeerGovernor,
}

impl ContractName {
    /// Every name, in the order they are looked up.
    pub const ALL: [Self; 8] = [
        Self::LivepeerToken,
        Self::ServiceRegistry,
        Self::BondingManager,
        Self::TicketBroker,
        Self::RoundsManager,
        Self::Minter,
        Self::LivepeerTokenFaucet,
        Self::LivepeerGovernor,
    ];

    /// The name whose hash the Controller knows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LivepeerToken => "LivepeerToken",
            Self::ServiceRegistry => "ServiceRegistry",
            Self::BondingManager => "BondingManager",
            Self::TicketBroker => "TicketBroker",
            Self::RoundsManager => "RoundsManager",
            Self::Minter => "Minter",
            Self::LivepeerTokenFaucet => "LivepeerTokenFaucet",
            Self::LivepeerGovernor => "LivepeerGovernor",
        }
    }

    /// Keccak-256 of the name.
    #[must_use]
    pub fn id(self) -> Hash {
        Hash(keccak256(self.as_str().as_bytes()))
    }

    /// Whether a paid node can run without it.
    #[must_use]
    pub fn is_required(self) -> bool {
        matches!(
            self,
            Self::BondingManager | Self::TicketBroker | Self::RoundsManager
        )
    }

    /// What does not work while the Controller does not know it.
    #[must_use]
    pub fn without_it(self) -> &'static str {
        match self {
            Self::LivepeerToken => "LPT cannot be read, bonded or moved",
            Self::ServiceRegistry => "the service URI can be neither read nor set",
            Self::BondingManager => "stake, rewards and fees are out of reach, so no paid work",
            Self::TicketBroker => "tickets can be neither checked nor redeemed, so no paid work",
            Self::RoundsManager => "rounds are unknown, so no paid work",
            Self::Minter => "rewards cannot be computed: they are called without hints",
            Self::LivepeerTokenFaucet => "test tokens cannot be requested",
            Self::LivepeerGovernor => "proposals cannot be voted on",
        }
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|name| *name == self).unwrap_or(0)
    }
}

impl fmt::Display for ContractName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Addresses of all contracts. One that the Controller does not know is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contracts {
    /// The Controller itself.
    pub controller: Address,
    /// Registry of service URIs when it is another than the Controller's (AI nodes).
    pub own_registry: Option<Address>,
    addresses: [Address; ContractName::ALL.len()],
}

/// A contract that is now elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractChange {
    /// Which.
    pub name: ContractName,
    /// Where it was; zero when it was not there.
    pub from: Address,
    /// Where it is; zero when it is gone.
    pub to: Address,
}

impl Contracts {
    /// None found yet.
    #[must_use]
    pub fn new(controller: Address, own_registry: Option<Address>) -> Self {
        Self {
            controller,
            own_registry,
            addresses: [Address::ZERO; ContractName::ALL.len()],
        }
    }

    /// Sets what the Controller said about `name`.
    pub fn set(&mut self, name: ContractName, address: Address) {
        if let Some(slot) = self.addresses.get_mut(name.place()) {
            *slot = address;
        }
    }

    /// Where `name` is; zero when the Controller does not know it.
    #[must_use]
    pub fn get(&self, name: ContractName) -> Address {
        if let (ContractName::ServiceRegistry, Some(own)) = (name, self.own_registry) {
            return own;
        }
        let found = self.addresses.get(name.place());
        found.copied().unwrap_or(Address::ZERO)
    }

    /// Where `name` is.
    ///
    /// # Errors
    /// [`Error::NotRegistered`] with the consequence when the Controller does not know it.
    pub fn require(&self, name: ContractName) -> Result<Address> {
        let address = self.get(name);
        if address.is_zero() {
            return Err(Error::NotRegistered {
                name: name.as_str(),
                consequence: name.without_it(),
            });
        }
        Ok(address)
    }

    /// Which contract sits at `address`.
    #[must_use]
    pub fn name_of(&self, address: Address) -> Option<ContractName> {
        if address.is_zero() {
            return None;
        }
        let mut names = ContractName::ALL.into_iter();
        names.find(|name| self.get(*name) == address)
    }

    /// Contracts whose events are watched; those not known are left out.
    #[must_use]
    pub fn watched(&self) -> Vec<Address> {
        let names = [
            ContractName::RoundsManager,
            ContractName::BondingManager,
            ContractName::TicketBroker,
            ContractName::ServiceRegistry,
        ];
        let addresses = names.into_iter().map(|name| self.get(name));
        addresses.filter(|address| !address.is_zero()).collect()
    }

    /// What differs from `before`.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<ContractChange> {
        let pairs = ContractName::ALL.map(|name| ContractChange {
            name,
            from: before.get(name),
            to: self.get(name),
        });
        pairs.into_iter().filter(|c| c.from != c.to).collect()
    }

    /// One line per contract that the Controller does not know, with the consequence.
    #[must_use]
    pub fn missing(&self) -> Vec<(ContractName, &'static str)> {
        let missing = ContractName::ALL
            .into_iter()
            .filter(|name| self.get(*name).is_zero());
        missing.map(|name| (name, name.without_it())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_hashes_of_the_field() {
        for (name, hash) in [
            (
                ContractName::LivepeerToken,
                "0x3443e257065fe41dd0e4d1f5a1b73a22a62e300962b57f30cddf41d0f8273ba7",
            ),
            (
                ContractName::ServiceRegistry,
                "0x79c5d2a4a07754f4bacb0ffba18ac516030ee589ebc89db8627680c4d4cdb230",
            ),
            (
                ContractName::BondingManager,
                "0x2517d59a36a86548e38734e8ab416f42afff4bca78706a66ad65750dae7f9e37",
            ),
            (
                ContractName::TicketBroker,
                "0xbd1aa3e8d2464256d7fd3dcf645c16418d5d8c51d971f1ad7d57e7b1b5eee239",
            ),
            (
                ContractName::RoundsManager,
                "0xe8438ea868df48e3fc21f2f087b993c9b1837dc0f6135064161ce7d7a1701fe8",
            ),
            (
                ContractName::Minter,
                "0x6e58ad548d72b425ea94c15f453bf26caddb061d82b2551db7fdd3cefe0e9940",
            ),
            (
                ContractName::LivepeerTokenFaucet,
                "0x5f8d58050c9f37ce30acebdd762a0683b7f2bb88ded15cdd64e219c282603664",
            ),
            (
                ContractName::LivepeerGovernor,
                "0xaea11c65571dd8b6188d3a5cf5e5d3d4695845e6f217cad0b453b4e276c6cdcd",
            ),
        ] {
            assert_eq!(name.id().to_string(), hash, "{name}");
        }
    }

    #[test]
    fn a_contract_not_known_names_what_is_lost() {
        let contracts = Contracts::new(Address([1; 20]), None);
        let error = contracts.require(ContractName::Minter).unwrap_err();
        assert!(error.to_string().contains("hints"), "{error}");
        assert_eq!(contracts.missing().len(), ContractName::ALL.len());
        assert!(contracts.watched().is_empty());
        assert_eq!(contracts.name_of(Address::ZERO), None);
    }

    #[test]
    fn a_swapped_contract_is_seen_and_an_own_registry_stays() {
        let before = Contracts::new(Address([1; 20]), Some(Address([9; 20])));
        let mut after = before;
        after.set(ContractName::TicketBroker, Address([2; 20]));
        after.set(ContractName::ServiceRegistry, Address([3; 20]));
        let changes = after.changes_since(&before);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].name, ContractName::TicketBroker);
        assert_eq!(after.get(ContractName::ServiceRegistry), Address([9; 20]));
        assert_eq!(after.watched(), [Address([2; 20]), Address([9; 20])]);
        assert_eq!(
            after.name_of(Address([2; 20])),
            Some(ContractName::TicketBroker)
        );
    }
}
