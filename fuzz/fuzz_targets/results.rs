//! `cargo +nightly fuzz run results`: any bytes as the results of a remote transcoder.
#![no_main]

#[path = "../checks/remote.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::results(data));
