//! What must hold for any bytes that a remote transcoder posts. Called by the fuzz target, and by a test that replays the
//! corpus.

use bytes::Bytes;
use orchestrion_protocol::{
    profile::Format,
    remote::{read_results, write_results},
};

/// Boundary of every body of the corpus.
const BOUNDARY: &str = "6dc0a36d6a1c6ba5b2e3";

/// Results are read or refused, never a panic; what was read is a part of the body, and survives being sent again unless it
/// holds a boundary.
pub fn results(data: &[u8]) {
    let Ok(renditions) = read_results(&Bytes::copy_from_slice(data), BOUNDARY) else {
        return;
    };
    let held: usize = renditions
        .iter()
        .map(|r| r.bytes.len() + r.hash.len())
        .sum();
    assert!(held <= data.len());
    let contains = |bytes: &[u8]| bytes.windows(4).any(|window| window == b"\r\n--");
    if renditions
        .iter()
        .any(|r| contains(&r.bytes) || contains(&r.hash))
    {
        return;
    }
    let sent: Vec<_> = renditions
        .iter()
        .map(|rendition| (Format::MpegTs, rendition.clone()))
        .collect();
    let again = read_results(&write_results(&sent, true, BOUNDARY), BOUNDARY);
    assert_eq!(again.as_ref(), Ok(&renditions));
}
