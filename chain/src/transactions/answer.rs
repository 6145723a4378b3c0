//! What a node's answer to `eth_sendRawTransaction` means. Every client has words of its own.

use crate::{Error, Result, types::Hash};

/// What became of a transaction that was handed to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It waits in the node's pool.
    Accepted,
    /// The nonce was used in a block that the node knows.
    NonceUsed,
    /// Another transaction with the nonce waits, and pays as much.
    Outbid,
    /// It offers less than the node takes at all.
    TooCheap,
    /// The account cannot pay for it.
    Funds(String),
    /// Refused for another reason.
    Refused(String),
    /// No answer: it may have been taken all the same.
    Unsure(String),
}

/// Words of geth, nitro, reth, Erigon, Nethermind, Besu and anvil, in lower case. The first that occurs decides.
const WORDS: &[(&str, Kind)] = &[
    ("already known", Kind::Accepted),
    ("alreadyknown", Kind::Accepted),
    ("known transaction", Kind::Accepted),
    ("already imported", Kind::Accepted),
    ("already exists", Kind::Accepted),
    ("nonce too low", Kind::NonceUsed),
    ("nonce is too low", Kind::NonceUsed),
    ("oldnonce", Kind::NonceUsed),
    ("replacement transaction underpriced", Kind::Outbid),
    ("replacementnotallowed", Kind::Outbid),
    ("could not replace existing", Kind::Outbid),
    ("transaction underpriced", Kind::TooCheap),
    ("feetoolow", Kind::TooCheap),
    ("less than block base fee", Kind::TooCheap),
    ("max fee per gas less than", Kind::TooCheap),
    ("fee cap less than", Kind::TooCheap),
    ("gas price too low", Kind::TooCheap),
    ("insufficient funds", Kind::Funds),
    ("insufficientfunds", Kind::Funds),
    ("exceeds allowance", Kind::Funds),
];

#[derive(Clone, Copy)]
enum Kind {
    Accepted,
    NonceUsed,
    Outbid,
    TooCheap,
    Funds,
}

impl Answer {
    pub(super) fn read(answer: &Result<Hash>) -> Self {
        match answer {
            Ok(_) => Self::Accepted,
            Err(Error::Rpc { message, .. } | Error::Reverted { message, .. }) => {
                let lower = message.to_lowercase();
                let known = WORDS.iter().find(|(words, _)| lower.contains(words));
                match known {
                    Some((_, Kind::Accepted)) => Self::Accepted,
                    Some((_, Kind::NonceUsed)) => Self::NonceUsed,
                    Some((_, Kind::Outbid)) => Self::Outbid,
                    Some((_, Kind::TooCheap)) => Self::TooCheap,
                    Some((_, Kind::Funds)) => Self::Funds(message.clone()),
                    None => Self::Refused(message.clone()),
                }
            }
            Err(error) => Self::Unsure(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_several_clients_are_understood() {
        let answer = |message: &str| {
            Answer::read(&Err(Error::Rpc {
                method: "eth_sendRawTransaction".into(),
                code: -32000,
                message: message.into(),
                data: String::new(),
            }))
        };
        for words in [
            "already known",
            "AlreadyKnown",
            "transaction already imported",
        ] {
            assert_eq!(answer(words), Answer::Accepted);
        }
        for words in ["nonce too low: address 0x1, tx: 5 state: 7", "OldNonce"] {
            assert_eq!(answer(words), Answer::NonceUsed);
        }
        assert_eq!(
            answer("replacement transaction underpriced"),
            Answer::Outbid
        );
        assert_eq!(answer("transaction underpriced"), Answer::TooCheap);
        assert_eq!(
            answer("max fee per gas less than block base fee: address 0x1"),
            Answer::TooCheap
        );
        let funds = "Insufficient funds for gas * price + value";
        assert_eq!(answer(funds), Answer::Funds(funds.into()));
        assert_eq!(answer("no"), Answer::Refused("no".into()));
        let lost = Error::Unavailable {
            method: "eth_sendRawTransaction".into(),
            failures: "timed out".into(),
        };
        assert!(matches!(Answer::read(&Err(lost)), Answer::Unsure(_)));
    }
}
