//! `cargo +nightly fuzz run ai`: any bytes as an AI request.
#![no_main]

#[path = "../checks/ai.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::request(data));
