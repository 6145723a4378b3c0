//! `cargo +nightly fuzz run payment`: any bytes as a payment.
#![no_main]

#[path = "../checks/money.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::payment(data));
