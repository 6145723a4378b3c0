//! The demuxer and the muxer together: round trips, other layouts of the same file, and hostile input.

mod hostile;
mod layouts;
mod media;
mod round_trip;
