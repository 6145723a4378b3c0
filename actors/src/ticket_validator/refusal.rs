//! Why a payment is refused, as the gateway is told and as it is counted.

use protocol::money::PaymentError;
use protocol::refusal::Refusal;
use telemetry::metrics::label;

/// Why a payment, or the work it should open, is refused. Nothing of a payment is half credited: what was credited
/// before the refusal is in the books, the rest is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentRefusal {
    /// The payment itself, or one of its tickets.
    #[error(transparent)]
    Payment(#[from] PaymentError),
    /// The credit does not cover what is asked for this work.
    #[error("balance of the sender is too low")]
    Balance,
    /// The sender has as much unpaid work as one sender may have.
    #[error("unpaid work of the sender is above -maxSenderExposure")]
    Exposure,
    /// The books cannot be reached or written; the gateway may try again.
    #[error("payment cannot be booked: {0}")]
    Unavailable(String),
}

impl PaymentRefusal {
    /// What is counted.
    pub fn label(&self) -> label::PaymentRefusal {
        use PaymentError as Error;
        use label::PaymentRefusal as Label;
        match self {
            Self::Balance => Label::Balance,
            Self::Exposure => Label::Exposure,
            Self::Unavailable(_) => Label::Internal,
            Self::Payment(error) => match error {
                Error::SenderMissing(_) => Label::SenderMissing,
                Error::Inactive { .. } => Label::Inactive,
                Error::ExpectedPrice(_) => Label::Price,
                Error::PriceTooLow { .. } => Label::PriceTooLow,
                Error::TooManyTickets(_) => Label::TooManyTickets,
                Error::SenderInfo { .. } => Label::SenderInfo,
                Error::Unlocking(_) => Label::Unlocking,
                Error::Recipient => Label::Recipient,
                Error::Sender => Label::Sender,
                Error::RecipientRand => Label::RecipientRand,
                Error::Signature => Label::Signature,
                Error::NonceSeen { .. } => Label::NonceSeen,
                Error::NonceLimit { .. } => Label::NonceLimit,
                Error::Expired => Label::Expired,
                Error::ExpirationParams
                | Error::TicketParams
                | Error::NegativeRound(_)
                | Error::Field { .. }
                | Error::Loser => Label::Encoding,
            },
        }
    }
}

impl From<PaymentRefusal> for Refusal {
    /// 400 with the text of the payment, 400 `Insufficient balance`, or 500 for a fault of this node.
    fn from(refusal: PaymentRefusal) -> Self {
        match refusal {
            PaymentRefusal::Payment(error) => error.into(),
            PaymentRefusal::Balance | PaymentRefusal::Exposure => Self::Balance,
            PaymentRefusal::Unavailable(cause) => Self::Info(cause),
        }
    }
}
