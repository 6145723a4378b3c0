//! `cargo +nightly fuzz run ledger_row`: any values as rows of the database.
#![no_main]

extern crate orchestrion_ledger as ledger;

#[path = "../checks/ledger.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::rows(data));
