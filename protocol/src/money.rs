//! Tickets, prices and balances: exact integers and rationals of bounded size, no floats.
//!
//! A ticket is worth its expected value, face value × win probability, where the probability is
//! `win_prob / (2^256 − 1)`. Sums of such values are kept as whole multiples of `1 / (2^256 − 1)` wei
//! ([`Amount`], [`Credit`]), so credits are exact and debits are rounded up by less than one such part.
//!
//! | file | what it holds |
//! |---|---|
//! | `rational` | non-negative fractions of 256-bit integers |
//! | `price` | wei per unit: from and to the wire, adjustment, what is quoted |
//! | `currency` | amounts with a currency, and the feed that turns them into wei |
//! | `credit` | amounts and balances |
//! | `quote` | face value and win probability |
//! | `funds` | what a sender has on chain, and how much of it is this node's |
//! | `params` | ticket parameters and their message |
//! | `secret` | the number that decides who wins, bound to the terms of a quote |
//! | `ticket` | hash, signature and win rule |
//! | `payment` | the message that carries tickets, and every reason to refuse it |
//! | `payer` | what a gateway does: how many tickets, signed |

mod credit;
mod currency;
mod funds;
mod params;
mod payer;
mod payment;
mod price;
mod quote;
mod rational;
mod secret;
mod ticket;
#[cfg(test)]
mod vectors;

pub use credit::{Amount, Credit};
pub use currency::{Currency, Feed, parse_amount};
pub use funds::{SenderFunds, to_signed};
pub use params::{ExpirationParams, TicketParams, minimal, uint_from_wire};
pub use payer::{PayerSession, estimated_fee, estimated_pixels, payment_message, tickets_needed};
pub use payment::{MAX_NONCES, MAX_TICKETS, Payment, PaymentError, SignedNonce, TicketBatch};
pub use price::{Price, PriceError};
pub use primitive_types::{U256, U512};
pub use quote::{FaceValueTerms, ReserveError, face_value, ticket_terms, win_prob};
pub use rational::Rational;
pub use secret::{Binding, QuoteSecret, RecipientRand};
pub use ticket::{Ticket, WinningTicket, lot};
