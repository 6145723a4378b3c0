//! `cargo +nightly fuzz run h264`: any bytes as a video elementary stream.
#![no_main]

#[path = "../checks/containers.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::h264(data));
