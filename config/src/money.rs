//! Amounts of wei and the accounts they go to, as operators write them.

use serde::{Serialize, Serializer};
use sha3::{Digest, Keccak256};
use std::fmt;

/// An amount of wei. Written out as text, because it outgrows the numbers of JSON readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Wei(pub u128);

impl fmt::Display for Wei {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Wei {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An Ethereum account: 20 bytes, never all zero. Shown with its EIP-55 checksum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account([u8; 20]);

impl Account {
    /// Reads 40 hexadecimal digits with or without `0x`. Where capitals and small letters are mixed they must be the checksum of
    /// EIP-55, so that a mistyped digit does not send money to nobody.
    ///
    /// # Errors
    /// What the text must be, to stand behind the name of an option.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be an address: 0x and 40 hexadecimal digits";
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .unwrap_or(text);
        if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(FORM);
        }
        let mut bytes = [0; 20];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| FORM)?;
        }
        let account = Self(bytes);
        let mixed = digits.bytes().any(|byte| byte.is_ascii_lowercase())
            && digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if bytes == [0; 20] {
            Err("must not be the zero address, which nobody owns")
        } else if mixed && account.to_string()[2..] != *digits {
            Err(
                "has a wrong checksum: a digit is mistyped; compare it, or write it in small letters if it is right",
            )
        } else {
            Ok(account)
        }
    }

    /// The 20 bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 20] {
        self.0
    }

    pub(crate) const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Account {
    /// `0x` and 40 digits; a letter is a capital where the Keccak-256 of the small digits has a nibble of 8 or more.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = Keccak256::digest(small.as_bytes());
        let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: String = small
            .chars()
            .zip(nibbles)
            .map(|(digit, nibble)| match nibble {
                8.. => digit.to_ascii_uppercase(),
                _ => digit,
            })
            .collect();
        write!(formatter, "0x{text}")
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mistyped_digit_of_a_checksummed_address_is_found() {
        let right = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
        assert_eq!(Account::parse(right).unwrap().to_string(), right);
        assert!(Account::parse(&right.to_lowercase()).is_ok());
        assert!(Account::parse(&right[2..].to_uppercase()).is_ok());
        assert!(
            Account::parse("0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4E")
                .unwrap_err()
                .contains("checksum")
        );
        assert!(
            Account::parse(&format!("0x{}", "0".repeat(40)))
                .unwrap_err()
                .contains("nobody")
        );
        for bad in [
            "",
            "0x",
            "0x12",
            "0xzd8A62f656a8d1615C1294fd71e9CFb3E4855A4F",
            "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f0",
        ] {
            assert!(Account::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same(bytes in any::<[u8; 20]>()) {
            prop_assume!(bytes != [0; 20]);
            let account = Account(bytes);
            prop_assert_eq!(Account::parse(&account.to_string()), Ok(account));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,44}|(0x)?[0-9a-fA-F]{38,42}") {
            let _ = Account::parse(&text);
        }
    }
}
