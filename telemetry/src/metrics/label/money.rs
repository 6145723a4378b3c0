//! Label values about payments, redemption, reward and transactions.

label_values! {
    /// Why a payment or one of its tickets was refused.
    PaymentRefusal {
        /// It does not decode, or a field has a wrong form.
        Encoding = "encoding",
        /// It names no sender.
        SenderMissing = "sender_missing",
        /// The recipient is not in the active set of the round.
        Inactive = "inactive",
        /// Its expected price is none.
        Price = "price",
        /// Its expected price is below the session's.
        PriceTooLow = "price_too_low",
        /// More tickets than one payment may have.
        TooManyTickets = "too_many_tickets",
        /// What the chain says about the sender could not be had.
        SenderInfo = "sender_info",
        /// The sender is about to take its funds back.
        Unlocking = "unlocking",
        /// A ticket to somebody else.
        Recipient = "recipient",
        /// A ticket from nobody.
        Sender = "sender",
        /// Parameters, price or session that this node did not quote together.
        RecipientRand = "recipient_rand",
        /// A ticket that the sender did not sign.
        Signature = "signature",
        /// A ticket that was here before.
        NonceSeen = "nonce_seen",
        /// The parameters have as many tickets as are accepted.
        NonceLimit = "nonce_limit",
        /// The parameters have expired.
        Expired = "expired",
        /// The credit does not cover the work.
        Balance = "balance",
        /// The sender has as much unpaid work as one may have.
        Exposure = "exposure",
        /// A fault of this node.
        Internal = "internal",
    }
}

impl PaymentRefusal {
    /// The `error_code` of `livepeer_payment_recv_errors`: the codes that dashboards know.
    pub fn error_code(self) -> &'static str {
        match self {
            Self::Price | Self::PriceTooLow => "InvalidPrice",
            Self::RecipientRand => "InvalidRecipientRand",
            _ => "PaymentError",
        }
    }
}

label_values! {
    /// Why no ticket parameters were given to a sender.
    QuoteRefusal {
        /// The sender's reserve does not carry a ticket.
        Reserve = "reserve",
        /// It would, but for redemptions in flight.
        Pending = "pending",
        /// The configured highest face value is too low.
        MaxFaceValue = "max_face_value",
        /// Redeeming would cost more than a ticket pays at the gas price of now.
        Gas = "gas",
        /// Nobody is active in this round, so nobody has a share of a reserve.
        PoolSize = "pool_size",
        /// No usable round is known.
        Round = "round",
        /// The chain did not tell about the sender.
        Chain = "chain",
        /// No price is known.
        Price = "price",
    }
}

label_values! {
    /// State of a winning ticket.
    TicketState {
        /// Its parameters are still accepted; redeeming now would give the random number away.
        Waiting = "waiting",
        /// May be redeemed.
        Ready = "ready",
        /// Put off for a reason.
        Deferred = "deferred",
        /// A transaction is out.
        Submitted = "submitted",
        /// A receipt says success; a re-organisation may still undo it.
        Mined = "mined",
        /// Redeemed.
        Paid = "paid",
        /// A transaction was mined and failed; the ticket may still be good.
        Reverted = "reverted",
        /// The operator stopped it.
        Held = "held",
        /// Too old for the contract.
        Expired = "expired",
        /// Redeemed by somebody else.
        UsedElsewhere = "used_elsewhere",
        /// Marked as done before this node took the database over.
        Imported = "imported",
    }
}

label_values! {
    /// Why a ticket is put off.
    Deferral {
        /// Gas costs more than the operator allows.
        GasPrice = "gas_price",
        /// The transaction would eat too large a share of what is paid.
        Cost = "cost",
        /// The sender's deposit and reserve do not pay the face value now.
        SenderFunds = "sender_funds",
        /// The current round is not initialised.
        RoundNotInitialized = "round_not_initialized",
        /// The contract has no block hash for the creation round.
        RoundHash = "round_hash",
        /// The simulation was refused.
        Simulation = "simulation",
        /// The chain could not be asked.
        Chain = "chain",
        /// This node's own account cannot pay the gas.
        OwnFunds = "own_funds",
        /// Other tickets of the sender go first and use up its funds.
        Order = "order",
    }
}

label_values! {
    /// How the redemption of a ticket ended for good, or a try at it failed on the chain.
    RedemptionEnd {
        /// Mined and paid in full.
        Paid = "paid",
        /// Mined and paid less than the face value.
        PaidShort = "paid_short",
        /// Mined and failed; the ticket is looked at again.
        Reverted = "reverted",
        /// Redeemed by somebody else.
        UsedElsewhere = "used_elsewhere",
        /// Ran out of its rounds.
        Expired = "expired",
    }
}

label_values! {
    /// Where this round's reward stands.
    RewardState {
        /// This node does not call reward.
        Off = "off",
        /// The orchestrator is not active in this round, or the round is not initialised.
        NotDue = "not_due",
        /// To be called; also between two tries.
        Due = "due",
        /// Waits for cheaper gas.
        GasPrice = "gas_price",
        /// A transaction is out.
        Submitted = "submitted",
        /// Called for this round.
        Done = "done",
    }
}

label_values! {
    /// What a transaction is for.
    Purpose {
        /// To redeem a ticket.
        Redeem = "redeem",
        /// To call reward.
        Reward = "reward",
        /// To start a round.
        InitializeRound = "initialize_round",
        /// An order of the operator.
        Operator = "operator",
    }
}

label_values! {
    /// How a transaction ended.
    TransactionEnd {
        /// Mined with success.
        Mined = "mined",
        /// Mined and failed.
        Reverted = "reverted",
        /// Not sent: the simulation or the estimate was refused.
        Simulation = "simulation",
        /// Not sent: gas costs more than allowed.
        GasPrice = "gas_price",
        /// Not sent: the account does not hold the gas.
        OwnFunds = "own_funds",
        /// Another transaction took its nonce.
        Displaced = "displaced",
        /// No receipt after the last replacement.
        TimedOut = "timed_out",
        /// The chain could not be reached.
        Chain = "chain",
    }
}

label_values! {
    /// A fact of which the last good value is used while it cannot be renewed.
    StaleFact {
        /// Round, its hash, the active set.
        Rounds = "rounds",
        /// Gas price.
        Gas = "gas",
        /// Exchange rate.
        PriceFeed = "price_feed",
        /// L1 block number.
        L1Block = "l1_block",
        /// Funds of senders.
        Senders = "senders",
        /// Float told by the redeemer.
        Redeemer = "redeemer",
    }
}
