//! Everything that can go wrong between this node and the chain.

use protocol::address::Address;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No end point gave a usable answer.
    #[error("no RPC end point answered {method}: {failures}")]
    Unavailable {
        /// JSON-RPC method, or `batch`.
        method: String,
        /// What each end point did, without credentials.
        failures: String,
    },

    /// Every end point is of another chain.
    #[error(
        "RPC end point {endpoint} is of chain {found}, not {expected}: check -ethUrl and -network"
    )]
    WrongChain {
        /// Label of the end point.
        endpoint: String,
        /// Chain wanted.
        expected: u64,
        /// Chain it said.
        found: u64,
    },

    /// The node answered with an error.
    #[error("{method}: the node answered {message} (code {code})")]
    Rpc {
        /// JSON-RPC method.
        method: String,
        /// Code of the answer.
        code: i64,
        /// The node's words.
        message: String,
        /// `data` of the answer as JSON text, empty when there was none.
        data: String,
    },

    /// The contract reverted.
    #[error("the contract reverted: {message}")]
    Reverted {
        /// The node's words, which may or may not hold the reason.
        message: String,
        /// What the contract gave back, ABI-encoded; may be empty.
        data: Vec<u8>,
    },

    /// The provider, or our limit on answers, wants fewer blocks in one query.
    #[error("the log query for blocks {from} to {to} is too large: {reason}")]
    Range {
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
        /// The provider's words or ours.
        reason: String,
    },

    /// An answer was not what its method gives.
    #[error("the answer to {what} cannot be read: {why}")]
    Decoding {
        /// Method or contract function.
        what: String,
        /// Where it went wrong.
        why: String,
    },

    /// There is no contract where one is needed.
    #[error("there is no contract code at {address} for {name}: check -ethController and -network")]
    NoCode {
        /// What should be there.
        name: &'static str,
        /// Where.
        address: Address,
    },

    /// The Controller knows no contract of this name.
    #[error("the Controller knows no {name}: {consequence}")]
    NotRegistered {
        /// Name of the contract.
        name: &'static str,
        /// What does not work without it.
        consequence: &'static str,
    },

    /// A URL that cannot be an end point.
    #[error("RPC URL {url} {why}")]
    Url {
        /// Without credentials.
        url: String,
        /// What is wrong and what to do.
        why: String,
    },

    /// The HTTP client could not be made.
    #[error("cannot make the HTTP client for RPC: {0}")]
    Http(String),

    /// The block has no L1 number and the RoundsManager gave none.
    #[error("chain {chain_id} gives no L1 block number: {why}")]
    NoL1Number {
        /// Chain.
        chain_id: u64,
        /// What was tried.
        why: String,
    },
}

impl Error {
    /// An answer that cannot be read.
    pub(crate) fn decoding(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Decoding {
            what: what.into(),
            why: why.to_string(),
        }
    }

    /// Whether the same question may succeed later without anybody changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Rpc { .. }
            | Self::Range { .. }
            | Self::Decoding { .. }
            | Self::NoL1Number { .. } => true,
            Self::WrongChain { .. }
            | Self::Reverted { .. }
            | Self::NoCode { .. }
            | Self::NotRegistered { .. }
            | Self::Url { .. }
            | Self::Http(_) => false,
        }
    }
}
