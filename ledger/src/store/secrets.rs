//! The secrets behind quotes and auth tokens: both or none, because one without the other refuses what gateways hold
//! with a text that sends them looking elsewhere.

use std::fmt;

use protocol::money::QuoteSecret;
use rusqlite::Connection;

use crate::schema::{meta, set_meta};
use crate::{Ledger, LedgerError, Pending};

/// Key of auth tokens, bytes.
pub const TOKEN_KEY: usize = 32;

/// What quotes and tokens are made with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// As [`QuoteSecret::to_bytes`] gives it, with the generations it keeps.
    pub quote: Vec<u8>,
    /// Key of auth tokens.
    pub token: [u8; TOKEN_KEY],
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Ledger {
    /// The secrets of the last run, or these fresh ones, stored first; durable. When either is missing or unreadable
    /// both are replaced.
    pub fn secrets_or(&self, fresh: Secrets) -> Pending<Secrets> {
        self.durable(move |connection| match load(connection)? {
            Some(secrets) => Ok(secrets),
            None => {
                save(connection, &fresh)?;
                Ok(fresh.clone())
            }
        })
    }

    /// Replaces both, as after a rotation; durable.
    pub fn save_secrets(&self, secrets: Secrets) -> Pending<()> {
        self.durable(move |connection| save(connection, &secrets))
    }
}

fn save(connection: &Connection, secrets: &Secrets) -> Result<(), LedgerError> {
    set_meta(connection, "secret_quote", hex::encode(&secrets.quote))?;
    set_meta(connection, "secret_token", hex::encode(secrets.token))?;
    Ok(())
}

fn load(connection: &Connection) -> Result<Option<Secrets>, LedgerError> {
    let part = |name| -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(meta(connection, name)?.and_then(|text| hex::decode(text).ok()))
    };
    let (Some(quote), Some(token)) = (part("secret_quote")?, part("secret_token")?) else {
        return Ok(None);
    };
    let Ok(token) = token.try_into() else {
        return Ok(None);
    };
    Ok(QuoteSecret::from_bytes(&quote)
        .is_ok()
        .then_some(Secrets { quote, token }))
}
