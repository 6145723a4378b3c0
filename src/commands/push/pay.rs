//! Paying as the reference's gateway does: quotes are checked, tickets signed, and the credit at each recipient mirrored.
//!
//! | file | what |
//! |---|---|
//! | `options` | options of the command line |
//! | `wallet` | keys, deposits, and what the chain says |
//! | `quote` | which quotes are paid |
//! | `books` | the mirror of credit |
//! | `statement` | what was paid, printed |

mod books;
pub mod options;
mod quote;
pub mod statement;
pub mod wallet;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::address::Address;
use protocol::capabilities::Capabilities;
use protocol::discovery::signed_request;
use protocol::money::{Price, estimated_fee, payment_message};
use protocol::payment::encode_header;
use protocol::pb;
use protocol::segment::SegmentCredentials;
use protocol::signature::SecretKey;
use tokio::sync::watch;

pub use self::books::{Settlement, Staged};
pub use self::quote::{PayError, Quote, result_signer};

use self::books::Books;
use self::quote::{Funds, Limits, Time};
use self::statement::Statement;

/// What the chain says, as last seen.
#[derive(Debug, Clone, Default)]
pub struct ChainState {
    time: Time,
    funds: HashMap<Address, Funds>,
}

/// An account that pays for streams.
pub struct Payer {
    key: SecretKey,
    address: Address,
    limits: Limits,
    chain: watch::Receiver<Arc<ChainState>>,
    books: Mutex<Books>,
}

impl Payer {
    fn new(key: SecretKey, limits: Limits, chain: watch::Receiver<Arc<ChainState>>) -> Self {
        Self {
            address: key.address(),
            key,
            limits,
            chain,
            books: Mutex::default(),
        }
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Asks for a quote.
    pub fn request(&self, demand: &Capabilities) -> pb::OrchestratorRequest {
        signed_request(&self.key, demand)
    }

    /// Signs the credentials of a segment.
    pub fn sign(&self, credentials: &mut SegmentCredentials) {
        credentials.sign(&self.key);
    }

    /// The quote in a description.
    ///
    /// # Errors
    /// [`PayError`] when there is none, or of a wrong form.
    pub fn quote(&self, info: &pb::OrchestratorInfo) -> Result<Quote, PayError> {
        Quote::read(info, self.chain.borrow().time.round)
    }

    /// Whether an orchestrator with this quote is chosen.
    ///
    /// # Errors
    /// [`PayError`] says why not.
    pub fn choose(&self, quote: &Quote) -> Result<(), PayError> {
        quote.check_choice(&self.limits)?;
        self.check(quote, 1)
    }

    /// Whether `tickets` tickets would be made from a quote now.
    ///
    /// # Errors
    /// [`PayError::Expired`] wants a fresh quote, any other another orchestrator.
    pub fn check(&self, quote: &Quote, tickets: u32) -> Result<(), PayError> {
        let (time, funds) = {
            let chain = self.chain.borrow();
            let funds = chain.funds.get(&self.address).copied();
            (chain.time, funds.unwrap_or_default())
        };
        quote.check(tickets, &self.limits, time, funds)
    }

    /// Header of a payment for a segment of about `pixels` pixels in a session that began at the price `initial`.
    /// What it takes from the books must be settled.
    ///
    /// # Errors
    /// [`PayError`] when the quote is not paid; then the books are as before.
    pub fn pay(
        &self,
        quote: &Quote,
        session: &str,
        initial: Option<Price>,
        pixels: u64,
    ) -> Result<(String, Staged), PayError> {
        let price = quote.price_since(initial)?;
        let fee = estimated_fee(&price, pixels);
        let key = (quote.params.recipient, session.to_owned());
        let value = quote.params.ticket_value();
        let staged = self.books.lock().stage(key, fee, value, price);
        if staged.tickets > 0
            && let Err(error) = self.check(quote, staged.tickets)
        {
            self.settle(staged, Settlement::Unsent);
            return Err(error);
        }
        let nonces = quote.nonces(staged.tickets);
        let payment = payment_message(&self.key, &quote.params, price, nonces);
        Ok((encode_header(&payment), staged))
    }

    /// Books the end of a request.
    pub fn settle(&self, staged: Staged, settlement: Settlement) {
        self.books.lock().settle(staged, settlement);
    }

    /// What was paid so far.
    fn statement(&self, before: Funds, after: Funds) -> Statement {
        Statement::new(self.address, &self.books.lock(), before, after)
    }
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payer({})", self.address)
    }
}
