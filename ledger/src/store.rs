//! The statements, one file per subject; each adds its methods to [`Ledger`](crate::Ledger).

pub(crate) mod blocks;
pub(crate) mod credits;
pub(crate) mod journal;
pub(crate) mod orchestrators;
pub(crate) mod outbox;
pub(crate) mod rewards;
pub(crate) mod rounds;
pub(crate) mod secrets;
pub(crate) mod settings;
pub(crate) mod takeover;
pub(crate) mod tickets;
pub(crate) mod unbonding;
