//! A session with an orchestrator: what it said of itself last, the quote in it, and the price that it began with.

use protocol::money::Price;
use protocol::pb;

use super::ClientError;
use crate::commands::push::pay::{PayError, Payer, Quote, Staged};

/// Validity left at which a token is renewed, seconds.
const RENEWAL_S: i64 = 180;

/// A session under one auth token.
#[derive(Debug)]
pub struct Session {
    /// What the orchestrator says of itself. Has an auth token.
    pub info: pb::OrchestratorInfo,
    /// What it asks for, or why that is not paid.
    quote: Result<Quote, PayError>,
    /// Price at the start of the stream's time with this orchestrator.
    initial: Option<Price>,
}

impl Session {
    /// From the answer to a discovery. With `before` the stream goes on with the orchestrator under a new token, else it
    /// is chosen now, if its quote is good.
    ///
    /// # Errors
    /// [`ClientError::Pay`] when `payer` does not choose it.
    pub fn begin(
        info: pb::OrchestratorInfo,
        payer: Option<&Payer>,
        before: Option<&Self>,
    ) -> Result<Self, ClientError> {
        let quote = quote(&info, payer);
        if let (Some(payer), None) = (payer, before) {
            payer.choose(quote.as_ref().map_err(Clone::clone)?)?;
        }
        let now = quote.as_ref().ok().and_then(|quote| quote.price);
        let initial = before.map_or(now, |before| before.initial);
        Ok(Self {
            info,
            quote,
            initial,
        })
    }

    /// As it goes on after an answer that brought a new description. A quote that is in use already must not come
    /// again: a gateway numbers tickets anew with each description and loses what it held under the same one.
    pub fn followed_by(&self, info: pb::OrchestratorInfo, payer: Option<&Payer>) -> Self {
        let rand_hash = |quote: &Quote| quote.params.recipient_rand_hash;
        let quote = quote(&info, payer).and_then(|next| match &self.quote {
            Ok(held) if rand_hash(held) == rand_hash(&next) => {
                Err(PayError::Repeated(chain::Hash(rand_hash(&next))))
            }
            _ => Ok(next),
        });
        Self {
            info,
            quote,
            initial: self.initial,
        }
    }

    /// Whether a new one must be asked for: its token or its ticket parameters are about to end.
    ///
    /// # Errors
    /// [`ClientError::Pay`] when `payer` cannot go on with it at all.
    pub fn runs_out(&self, payer: Option<&Payer>) -> Result<bool, ClientError> {
        if token_ends(&self.info) {
            return Ok(true);
        }
        let Some(payer) = payer else {
            return Ok(false);
        };
        match payer.check(self.quote()?, 1) {
            Ok(()) => Ok(false),
            Err(PayError::Expired) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Payment for a segment of about `pixels` pixels.
    ///
    /// # Errors
    /// [`ClientError::Pay`] when the quote is not paid.
    pub fn pay(&self, payer: &Payer, pixels: u64) -> Result<(String, Staged), ClientError> {
        let token = self.info.auth_token.as_ref();
        let session = token.map_or("", |token| token.session_id.as_str());
        Ok(payer.pay(self.quote()?, session, self.initial, pixels)?)
    }

    fn quote(&self) -> Result<&Quote, PayError> {
        self.quote.as_ref().map_err(Clone::clone)
    }
}

fn quote(info: &pb::OrchestratorInfo, payer: Option<&Payer>) -> Result<Quote, PayError> {
    payer.map_or(Err(PayError::NoParams), |payer| payer.quote(info))
}

fn token_ends(info: &pb::OrchestratorInfo) -> bool {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    info.auth_token
        .as_ref()
        .is_none_or(|token| now > token.expiration.saturating_sub(RENEWAL_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_three_minutes_before_their_end() {
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let session = |left| Session {
            info: pb::OrchestratorInfo {
                auth_token: Some(pb::AuthToken {
                    token: vec![],
                    session_id: String::new(),
                    expiration: now + left,
                }),
                ..Default::default()
            },
            quote: Err(PayError::NoParams),
            initial: None,
        };
        assert_eq!(session(170).runs_out(None), Ok(true));
        assert_eq!(session(300).runs_out(None), Ok(false));
    }
}
