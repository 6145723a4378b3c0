//! `cargo +nightly fuzz run ticket`: any bytes as ticket parameters and as a queued winner.
#![no_main]

#[path = "../checks/money.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::ticket(data));
