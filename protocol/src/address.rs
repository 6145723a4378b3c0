//! Ethereum accounts: 20 bytes, shown with the EIP-55 checksum.

use std::{fmt, str::FromStr};

use crate::{Error, signature::keccak256};

/// Account of a gateway or an orchestrator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// Off-chain peers have this account.
    pub const ZERO: Self = Self([0; 20]);

    /// From a `bytes` field of a message: the last 20 bytes, left-padded with zeros when there are fewer.
    pub fn from_wire(bytes: &[u8]) -> Self {
        let mut out = [0; 20];
        for (to, from) in out.iter_mut().rev().zip(bytes.iter().rev()) {
            *to = *from;
        }
        Self(out)
    }

    /// Whether all bytes are zero.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Address {
    /// `0x` and 40 digits; a letter is upper case where the Keccak-256 of the lower-case digits has a nibble ≥ 8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.0);
        let hash = keccak256(digits.as_bytes());
        let nibbles = hash.iter().flat_map(|b| [b >> 4, b & 15]);
        let text: String = digits
            .chars()
            .zip(nibbles)
            .map(|(digit, nibble)| {
                if nibble >= 8 {
                    digit.to_ascii_uppercase()
                } else {
                    digit
                }
            })
            .collect();
        write!(f, "0x{text}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = Error;

    /// With or without `0x`, any case; the checksum is not enforced.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .unwrap_or(text);
        let mut out = [0; 20];
        hex::decode_to_slice(digits, &mut out).map_err(|_| Error::Address(text.to_owned()))?;
        Ok(Self(out))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";

    #[test]
    fn text_is_checksummed_and_read_in_any_case() {
        for text in [TEXT, &TEXT.to_lowercase(), &TEXT[2..], &TEXT.to_uppercase()] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), TEXT);
        }
        assert_eq!(Address::ZERO.to_string(), format!("0x{}", "0".repeat(40)));
    }

    #[test]
    fn short_long_and_foreign_texts_are_refused() {
        for text in [
            "",
            "0x",
            "0x12",
            &format!("{TEXT}0"),
            &TEXT.replace('d', "g"),
        ] {
            assert_eq!(
                text.parse::<Address>(),
                Err(Error::Address(text.to_owned()))
            );
        }
    }

    #[test]
    fn wire_bytes_are_padded_left_and_cut_left() {
        let mut short = [0; 20];
        short[18..].copy_from_slice(&[1, 2]);
        assert_eq!(Address::from_wire(&[1, 2]), Address(short));
        let long: Vec<u8> = (0..32).collect();
        assert_eq!(Address::from_wire(&long).0[..], long[12..]);
        assert!(Address::from_wire(&[]).is_zero());
    }

    proptest! {
        #[test]
        fn any_account_survives_its_text(bytes: [u8; 20]) {
            prop_assert_eq!(Address(bytes).to_string().parse::<Address>(), Ok(Address(bytes)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let _ = text.parse::<Address>();
        }
    }
}
