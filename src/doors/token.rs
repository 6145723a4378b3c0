//! A bearer token, as the operator port and the redeemer ask for.

use std::fmt;

use subtle::ConstantTimeEq;

/// Shortest token accepted, characters.
pub const SHORTEST: usize = 16;

/// A secret that prints as `***` and is compared in constant time.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token of at least [`SHORTEST`] characters without blanks; `None` otherwise.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fit = text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        fit.then(|| Self(text.to_owned()))
    }

    /// Whether an `Authorization` header carries this token. Takes as long for a wrong token as for a right one of
    /// the same length.
    pub fn is_in(&self, header: &str) -> bool {
        let Some((scheme, given)) = header.split_once(' ') else {
            return false;
        };
        let same = given.trim().as_bytes().ct_eq(self.0.as_bytes());
        scheme.eq_ignore_ascii_case("bearer") & bool::from(same)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::new("0123456789abcdef\n").expect("long enough");
        assert!(token.is_in("Bearer 0123456789abcdef"));
        assert!(token.is_in("bearer  0123456789abcdef"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdefg",
            "Basic 0123456789abcdef",
        ] {
            assert!(!token.is_in(wrong), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "***");
    }

    #[test]
    fn short_or_blank_tokens_are_none() {
        assert!(Token::new("short").is_none());
        assert!(Token::new("0123456789 abcdef").is_none());
        assert!(Token::new("").is_none());
    }
}
