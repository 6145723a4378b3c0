//! The ladder and the probe against media made by, and judged by, the ffmpeg command line.
//!
//! ffmpeg and ffprobe must be installed; without them these tests fail and say so.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clip;
mod containers_in_out;
mod encoder;
mod media;
mod odd_input;
mod picture;
mod probe;
mod refusals;
mod timeline;
