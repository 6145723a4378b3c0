//! Why a call reverted, and what that means for a winning ticket. Pure.

use std::fmt;

use ethers::types::U256;

/// Selector of `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];

/// Selector of `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// Longest text that is taken from a contract, in bytes.
const LONGEST_TEXT: usize = 1024;

/// Why a call reverted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revert {
    /// `require` with a text, or `Error(string)`.
    Reason(String),
    /// `assert`, overflow, division by zero and the like: the code of `Panic(uint256)`.
    Panic(U256),
    /// An error type of the contract.
    Custom {
        /// First four bytes.
        selector: [u8; 4],
        /// The rest.
        data: Vec<u8>,
    },
    /// No data at all: an old `require` without a text, or out of gas.
    Silent,
}

impl Revert {
    /// From the data of a revert.
    pub fn decode(data: &[u8]) -> Self {
        let Some((selector, rest)) = data.split_first_chunk::<4>() else {
            return Self::Silent;
        };
        let known = match *selector {
            ERROR => text(rest).map(Self::Reason),
            PANIC => rest
                .first_chunk::<32>()
                .map(|word| Self::Panic(U256::from_big_endian(word))),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Custom {
            selector: *selector,
            data: rest.to_vec(),
        })
    }

    /// From the words of a node that gives no data: `execution reverted: TEXT`, alone or after other words. `None` when
    /// it speaks of no revert.
    pub fn from_message(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("execution reverted")?;
        let text = rest.trim_start_matches(':').trim();
        // some nodes quote the text, some add the data
        let text = text.trim_matches(['"', '\'', ',', ' ']);
        Some(if text.is_empty() {
            Self::Silent
        } else {
            Self::Reason(text.chars().take(LONGEST_TEXT).collect())
        })
    }

    /// From data where there is some, else from the words.
    pub fn from_answer(data: &[u8], message: &str) -> Self {
        match Self::decode(data) {
            Self::Silent => Self::from_message(message).unwrap_or(Self::Silent),
            decoded => decoded,
        }
    }

    /// The contract's text; empty when there is none.
    pub fn reason(&self) -> &str {
        match self {
            Self::Reason(reason) => reason,
            _ => "",
        }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reason(reason) => f.write_str(reason),
            Self::Panic(code) => {
                let meaning = match code.low_u64() {
                    0x01 => "assertion failed",
                    0x11 => "arithmetic overflow",
                    0x12 => "division by zero",
                    0x32 => "index out of bounds",
                    _ => "panic",
                };
                write!(f, "{meaning} (panic 0x{code:x})")
            }
            Self::Custom { selector, .. } => {
                write!(f, "error 0x{} of the contract", hex::encode(selector))
            }
            Self::Silent => f.write_str("no reason given"),
        }
    }
}

/// ABI string: offset, length, bytes.
fn text(data: &[u8]) -> Option<String> {
    let word = |at: usize| -> Option<usize> {
        let word = data.get(at..at.checked_add(32)?)?;
        let (high, low) = word.split_at(24);
        if high.iter().any(|byte| *byte != 0) {
            return None;
        }
        usize::try_from(u64::from_be_bytes(low.try_into().ok()?)).ok()
    };
    let offset = word(0)?;
    let length = word(offset)?;
    let start = offset.checked_add(32)?;
    let bytes = data.get(start..start.checked_add(length)?)?;
    let bytes = bytes.get(..LONGEST_TEXT).unwrap_or(bytes);
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// What a revert of `redeemWinningTicket` says about the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RedemptionRevert {
    /// The ticket was redeemed already, by us or by somebody else.
    Used,
    /// Its two rounds are over.
    Expired,
    /// It can never be redeemed: the contract finds it malformed, unsigned or not winning.
    Invalid,
    /// The sender's money does not cover it now; a deposit would help.
    Funds,
    /// The sender may withdraw soon. Worth trying until the money is gone.
    SenderUnlocked,
    /// The round is not initialised yet.
    RoundNotInitialized,
    /// The protocol is paused.
    Paused,
    /// The recipient is not registered, or at the edge of the active set.
    RecipientInactive,
    /// A revert that is not known: worth trying again, and worth a look.
    Unknown,
}

/// Texts of the TicketBroker and what is behind it (payments A, chain 1.5).
const REDEMPTION: &[(&str, RedemptionRevert)] = &[
    (
        "ticket recipient is null address",
        RedemptionRevert::Invalid,
    ),
    ("ticket sender is null address", RedemptionRevert::Invalid),
    (
        "invalid length for ticket auxData: must be 64 bytes",
        RedemptionRevert::Invalid,
    ),
    (
        "ticket creationRound does not have a block hash",
        RedemptionRevert::Invalid,
    ),
    (
        "ticket creationRoundBlockHash invalid for creationRound",
        RedemptionRevert::Invalid,
    ),
    ("ticket is expired", RedemptionRevert::Expired),
    (
        "recipientRand does not match recipientRandHash",
        RedemptionRevert::Invalid,
    ),
    ("ticket is used", RedemptionRevert::Used),
    ("INVALID_SIGNATURE_LENGTH", RedemptionRevert::Invalid),
    (
        "invalid signature over ticket hash",
        RedemptionRevert::Invalid,
    ),
    ("ECDSA: invalid signature", RedemptionRevert::Invalid),
    ("ticket did not win", RedemptionRevert::Invalid),
    ("sender is unlocked", RedemptionRevert::SenderUnlocked),
    (
        "sender deposit and reserve are zero",
        RedemptionRevert::Funds,
    ),
    (
        "sender deposit and reserve insufficient to cover ticket face value",
        RedemptionRevert::Funds,
    ),
    (
        "current round is not initialized",
        RedemptionRevert::RoundNotInitialized,
    ),
    (
        "transcoder must be registered",
        RedemptionRevert::RecipientInactive,
    ),
    (
        "SafeMath: division by zero",
        RedemptionRevert::RecipientInactive,
    ),
    ("system is paused", RedemptionRevert::Paused),
];

impl RedemptionRevert {
    /// What `revert` says.
    pub fn classify(revert: &Revert) -> Self {
        let Revert::Reason(reason) = revert else {
            return Self::Unknown;
        };
        // a library may put words around its text, so the longest known text that occurs decides
        REDEMPTION
            .iter()
            .filter(|(text, _)| reason.contains(text))
            .max_by_key(|(text, _)| text.len())
            .map_or(Self::Unknown, |(_, meaning)| *meaning)
    }

    /// Whether waiting cannot help. A used ticket is final only when `usedTickets` says so, too.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Used | Self::Expired | Self::Invalid)
    }

    /// Label of metrics and of the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
            Self::Funds => "funds",
            Self::SenderUnlocked => "sender_unlocked",
            Self::RoundNotInitialized => "round_not_initialized",
            Self::Paused => "paused",
            Self::RecipientInactive => "recipient_inactive",
            Self::Unknown => "unknown",
        }
    }
}

/// What a revert of a reward call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RewardRevert {
    /// Reward was called for this round: nothing is left to do.
    AlreadyCalled,
    /// Not in the active set of this round.
    NotActive,
    /// The sender is not the reward caller of the orchestrator (LIP-118).
    NotTheCaller,
    /// The round is not initialised yet.
    RoundNotInitialized,
    /// The protocol is paused.
    Paused,
    /// A revert that is not known.
    Unknown,
}

impl RewardRevert {
    /// What `revert` says.
    pub fn classify(revert: &Revert) -> Self {
        const TEXTS: &[(&str, RewardRevert)] = &[
            ("has already called reward", RewardRevert::AlreadyCalled),
            (
                "caller must be an active transcoder",
                RewardRevert::NotActive,
            ),
            ("caller must be a reward caller", RewardRevert::NotTheCaller),
            (
                "current round is not initialized",
                RewardRevert::RoundNotInitialized,
            ),
            ("system is paused", RewardRevert::Paused),
        ];
        let reason = revert.reason();
        TEXTS
            .iter()
            .find(|(text, _)| reason.contains(text))
            .map_or(Self::Unknown, |(_, meaning)| *meaning)
    }
}

/// Whether a revert of `initializeRound` says that somebody else was first: as good as done.
pub fn is_round_initialized(revert: &Revert) -> bool {
    revert.reason().contains("round already initialized")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error_data(text: &str) -> Vec<u8> {
        let mut data = ERROR.to_vec();
        data.extend(ethers::abi::encode(&[ethers::abi::Token::String(
            text.to_owned(),
        )]));
        data
    }

    #[test]
    fn the_three_forms_of_revert_data_are_told_apart() {
        assert_eq!(
            Revert::decode(&error_data("ticket is used")),
            Revert::Reason("ticket is used".into())
        );
        let mut panic = PANIC.to_vec();
        panic.extend([0; 31]);
        panic.push(0x11);
        assert_eq!(
            Revert::decode(&panic).to_string(),
            "arithmetic overflow (panic 0x11)"
        );
        assert_eq!(
            Revert::decode(&[1, 2, 3, 4, 5]),
            Revert::Custom {
                selector: [1, 2, 3, 4],
                data: vec![5]
            }
        );
        assert_eq!(Revert::decode(&[]), Revert::Silent);
    }

    #[test]
    fn words_of_the_node_serve_when_there_is_no_data() {
        for (message, text) in [
            ("execution reverted: ticket is used", "ticket is used"),
            (
                "VM Exception: execution reverted: ticket is used",
                "ticket is used",
            ),
            ("execution reverted: \"ticket is used\"", "ticket is used"),
        ] {
            assert_eq!(Revert::from_answer(&[], message).reason(), text);
        }
        assert_eq!(
            Revert::from_message("execution reverted"),
            Some(Revert::Silent)
        );
        assert_eq!(Revert::from_message("nonce too low"), None);
        assert_eq!(
            Revert::from_answer(&error_data("from data"), "execution reverted: from words"),
            Revert::Reason("from data".into())
        );
    }

    #[test]
    fn every_refusal_of_a_ticket_is_either_final_or_worth_waiting() {
        let terminal = [
            "ticket recipient is null address",
            "ticket sender is null address",
            "invalid length for ticket auxData: must be 64 bytes",
            "ticket creationRound does not have a block hash",
            "ticket creationRoundBlockHash invalid for creationRound",
            "ticket is expired",
            "recipientRand does not match recipientRandHash",
            "ticket is used",
            "INVALID_SIGNATURE_LENGTH",
            "invalid signature over ticket hash",
            "ECDSA: invalid signature",
            "ticket did not win",
        ];
        for text in terminal {
            let meaning = RedemptionRevert::classify(&Revert::decode(&error_data(text)));
            assert!(meaning.is_terminal(), "{text}");
        }
        let waiting = [
            ("sender is unlocked", RedemptionRevert::SenderUnlocked),
            (
                "sender deposit and reserve are zero",
                RedemptionRevert::Funds,
            ),
            (
                "sender deposit and reserve insufficient to cover ticket face value",
                RedemptionRevert::Funds,
            ),
            (
                "current round is not initialized",
                RedemptionRevert::RoundNotInitialized,
            ),
            (
                "transcoder must be registered",
                RedemptionRevert::RecipientInactive,
            ),
            ("system is paused", RedemptionRevert::Paused),
            ("something new", RedemptionRevert::Unknown),
        ];
        for (text, meaning) in waiting {
            let got = RedemptionRevert::classify(&Revert::Reason(text.into()));
            assert_eq!(got, meaning);
            assert!(!got.is_terminal(), "{text}");
        }
        for revert in [Revert::Silent, Revert::Panic(1.into())] {
            assert!(!RedemptionRevert::classify(&revert).is_terminal());
        }
    }

    #[test]
    fn reward_that_was_called_already_counts_as_done() {
        let classify = |text: &str| RewardRevert::classify(&Revert::Reason(text.into()));
        assert_eq!(
            classify("caller has already called reward for the current round"),
            RewardRevert::AlreadyCalled
        );
        assert_eq!(
            classify("caller must be a reward caller set by the transcoder"),
            RewardRevert::NotTheCaller
        );
        assert_eq!(
            classify("caller must be an active transcoder"),
            RewardRevert::NotActive
        );
        assert!(is_round_initialized(&Revert::Reason(
            "round already initialized".into()
        )));
    }

    proptest! {
        #[test]
        fn any_data_is_read(data: Vec<u8>, error: bool) {
            let data = if error { [&ERROR[..], &data].concat() } else { data };
            let revert = Revert::decode(&data);
            let _ = (RedemptionRevert::classify(&revert), revert.to_string());
        }

        #[test]
        fn any_text_survives_its_encoding(text in ".{0,200}") {
            prop_assert_eq!(Revert::decode(&error_data(&text)), Revert::Reason(text));
        }
    }
}
