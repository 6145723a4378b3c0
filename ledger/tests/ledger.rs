//! The database as the node, the reference and an accident meet it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

extern crate orchestrion_ledger as ledger;

#[path = "ledger/credits.rs"]
mod credits;
#[path = "ledger/data.rs"]
mod data;
#[path = "ledger/kill.rs"]
mod kill;
#[path = "ledger/lives.rs"]
mod lives;
#[path = "ledger/refused.rs"]
mod refused;
#[path = "ledger/rows.rs"]
mod rows;
#[path = "ledger/speed.rs"]
mod speed;
#[path = "ledger/takeover.rs"]
mod takeover;
