//! Auth tokens: the proof that a session was given out by this process's GetOrchestrator.
//!
//! A token is HMAC-SHA256(key, session ID ‖ expiration), so nothing is stored per session. A new key voids all tokens.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{pb::AuthToken, refusal::Refusal};

/// How long a token is good for, seconds. Gateways renew when 180 s are left, so it must be well above that.
pub const LIFETIME_S: i64 = 1800;

/// Text of a session ID made from random bytes: lower-case hexadecimal. 16 bytes make it unguessable.
pub fn session_id(random: &[u8]) -> String {
    hex::encode(random)
}

/// Key of one process. Shown as `***`.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// From 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        // HMAC pads a shorter key with zeros to the block of 64 bytes
        let mut block = [0; 64];
        block[..32].copy_from_slice(&random);
        Self(Hmac::new(&block.into()))
    }

    /// Token for a session, good for [`LIFETIME_S`] from `now_ms` (Unix milliseconds).
    pub fn issue(&self, session_id: String, now_ms: u64) -> AuthToken {
        let now_s = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
        let expiration = now_s.saturating_add(LIFETIME_S);
        AuthToken {
            token: self
                .mac(&session_id, expiration)
                .finalize()
                .into_bytes()
                .to_vec(),
            session_id,
            expiration,
        }
    }

    /// Whether this key made the token, compared in constant time. Its age does not matter: ending a session is
    /// allowed with an old token.
    pub fn made(&self, token: &AuthToken) -> bool {
        self.mac(&token.session_id, token.expiration)
            .verify_slice(&token.token)
            .is_ok()
    }

    /// The checks before a segment or payment, in the order that decides which refusal is told: present, made by this
    /// key, not expired at `now_ms` (Unix milliseconds).
    pub fn check<'a>(
        &self,
        token: Option<&'a AuthToken>,
        now_ms: u64,
    ) -> Result<&'a AuthToken, Refusal> {
        let token = token.ok_or(Refusal::TokenMissing)?;
        if !self.made(token) {
            return Err(Refusal::TokenInvalid);
        }
        if i128::from(now_ms) > i128::from(token.expiration) * 1000 {
            return Err(Refusal::TokenExpired);
        }
        Ok(token)
    }

    fn mac(&self, session_id: &str, expiration: i64) -> Hmac<Sha256> {
        let magnitude = expiration.unsigned_abs();
        let leading_zeros = magnitude.leading_zeros() as usize / 8;
        let mut mac = self.0.clone();
        mac.update(session_id.as_bytes());
        mac.update(&magnitude.to_be_bytes()[leading_zeros..]);
        mac
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> TokenKey {
        TokenKey::new(std::array::from_fn(|i| i as u8))
    }

    #[test]
    fn token_is_byte_exact() {
        let now_ms = (1_893_456_000 - 1800) * 1000;
        let token = key().issue("0a1b2c3d".into(), now_ms);
        assert_eq!(token.expiration, 1_893_456_000);
        assert_eq!(
            hex::encode(token.token),
            "79acae87071fc0a03a158a455f600f20a50345841252ce2d828d3b8e3776e642"
        );
    }

    #[test]
    fn each_check_has_its_refusal_and_the_limit_is_inclusive() {
        let token = key().issue("s".into(), 1_000_000);
        let end_ms = token.expiration as u64 * 1000;
        assert!(key().check(Some(&token), end_ms).is_ok());
        assert_eq!(
            key().check(Some(&token), end_ms + 1),
            Err(Refusal::TokenExpired)
        );
        assert_eq!(key().check(None, 0), Err(Refusal::TokenMissing));
        // a stranger's expired token is invalid first
        let foreign = TokenKey::new([9; 32]);
        assert_eq!(
            foreign.check(Some(&token), end_ms + 1),
            Err(Refusal::TokenInvalid)
        );
        let later = AuthToken {
            expiration: token.expiration + 1,
            ..token.clone()
        };
        assert_eq!(key().check(Some(&later), 0), Err(Refusal::TokenInvalid));
        assert!(key().made(&token));
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", key()), "***");
    }

    #[test]
    fn session_ids_are_two_digits_a_byte() {
        assert_eq!(session_id(&[0x0a, 0xff]), "0aff");
        assert_eq!(session_id(&[7; 16]).len(), 32);
    }

    proptest! {
        #[test]
        fn any_token_is_judged_without_panic(
            token: Vec<u8>, session_id: String, expiration: i64, now: u64
        ) {
            let token = AuthToken { token, session_id, expiration };
            prop_assert_eq!(key().check(Some(&token), now), Err(Refusal::TokenInvalid));
        }

        #[test]
        fn own_tokens_are_good_until_they_expire(session: String, now in 0..u64::MAX / 4) {
            let token = key().issue(session, now);
            prop_assert!(key().check(Some(&token), now).is_ok());
        }
    }
}
