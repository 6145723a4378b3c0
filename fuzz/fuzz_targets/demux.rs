//! `cargo +nightly fuzz run demux`: any bytes as a container.
#![no_main]

#[path = "../checks/containers.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::demux(data));
