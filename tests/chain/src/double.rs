//! The compiled doubles: their interfaces and codes, and values on the way into their calls.

use std::collections::HashMap;
use std::sync::LazyLock;

use ethabi::ethereum_types::{Address, H256, U256};
use ethabi::{Contract, Token};
use serde::Deserialize;

/// A contract of `contracts/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Double {
    /// Stakes, pool, rewards, fees.
    BondingManager,
    /// Looks up the others.
    Controller,
    /// Creates all others.
    Deployment,
    /// Test LPT.
    Faucet,
    /// Votes of the treasury.
    Governor,
    /// Ether and inflation.
    Minter,
    /// Many reads in one call.
    Multicall,
    /// A vote.
    Poll,
    /// Ether in dollars.
    PriceFeed,
    /// Rounds and their hashes.
    RoundsManager,
    /// Service URIs.
    ServiceRegistry,
    /// Deposits, reserves, tickets.
    TicketBroker,
    /// LPT.
    Token,
}

#[derive(Deserialize)]
struct Compiled {
    abi: Contract,
    creation: String,
    runtime: String,
}

static COMPILED: LazyLock<HashMap<String, Compiled>> = LazyLock::new(|| {
    let text = include_str!(concat!(env!("OUT_DIR"), "/doubles.json"));
    serde_json::from_str(text).expect("compiled doubles")
});

impl Double {
    /// Those that the controller knows, and under which names.
    pub const REGISTERED: [(Self, &'static str); 8] = [
        (Self::Token, "LivepeerToken"),
        (Self::ServiceRegistry, "ServiceRegistry"),
        (Self::BondingManager, "BondingManager"),
        (Self::TicketBroker, "TicketBroker"),
        (Self::RoundsManager, "RoundsManager"),
        (Self::Minter, "Minter"),
        (Self::Faucet, "LivepeerTokenFaucet"),
        (Self::Governor, "LivepeerGovernor"),
    ];

    fn compiled(self) -> &'static Compiled {
        let name = format!("{self:?}");
        COMPILED.get(&name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Its functions and events.
    pub fn interface(self) -> &'static Contract {
        &self.compiled().abi
    }

    /// Code that creates it.
    pub fn creation_code(self) -> Vec<u8> {
        hex::decode(&self.compiled().creation).expect("code")
    }

    /// Code at its address. Only that of doubles without a constructor may be laid elsewhere.
    pub fn runtime_code(self) -> Vec<u8> {
        hex::decode(&self.compiled().runtime).expect("code")
    }

    /// Call data.
    pub fn encode(self, function: &str, arguments: &[Token]) -> Vec<u8> {
        let described = self.interface().function(function).expect("function");
        described
            .encode_input(arguments)
            .unwrap_or_else(|error| panic!("{self:?}.{function}: {error}"))
    }

    /// What a call returned.
    pub fn decode(self, function: &str, returned: &[u8]) -> Vec<Token> {
        let described = self.interface().function(function).expect("function");
        described
            .decode_output(returned)
            .unwrap_or_else(|error| panic!("{self:?}.{function}: {error}"))
    }
}

/// A value that can be an argument of a call.
pub trait Arg {
    /// As the encoder wants it.
    fn token(self) -> Token;
}

macro_rules! arg {
    ($($kind:ty => |$value:ident| $token:expr;)*) => {
        $(impl Arg for $kind {
            fn token(self) -> Token {
                let $value = self;
                $token
            }
        })*
    };
}

arg! {
    Token => |token| token;
    Address => |address| Token::Address(address);
    U256 => |number| Token::Uint(number);
    u64 => |number| Token::Uint(number.into());
    bool => |flag| Token::Bool(flag);
    &str => |text| Token::String(text.to_owned());
    H256 => |word| Token::FixedBytes(word.as_bytes().to_vec());
    &[u8] => |bytes| Token::Bytes(bytes.to_vec());
}

/// Arguments of a call, each an [`Arg`].
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::Arg::token($value)),*] };
}
