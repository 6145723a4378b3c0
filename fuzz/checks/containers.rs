//! What must hold for any bytes. Called by the fuzz targets, and by a test that replays the corpus.

use orchestrion_containers::{ContainerError, Demuxer, MediaEvent, annexb, h264, h265};

fn demux_in_chunks(data: &[u8], size: usize) -> (Vec<MediaEvent>, Result<(), ContainerError>) {
    let mut demuxer = Demuxer::new();
    let mut events = Vec::new();
    let result = data
        .chunks(size.max(1))
        .try_for_each(|chunk| demuxer.push(chunk, &mut events))
        .and_then(|()| demuxer.finish(&mut events));
    let _ = demuxer.summary();
    (events, result)
}

/// A container gives the same events whole and in pieces, and never a panic.
pub fn demux(data: &[u8]) {
    let whole = demux_in_chunks(data, usize::MAX);
    for size in [1 + data.len() % 500, 188] {
        assert_eq!(demux_in_chunks(data, size), whole, "chunks of {size} bytes");
    }
}

/// Reading H.264 and H.265 units never panics, and the SEI repair keeps every byte.
pub fn h264(data: &[u8]) {
    let _ = (
        h264::find_sps(data),
        h264::parse_sps(data),
        h264::is_recovery_point(data),
        h264::is_idr(data),
    );
    let _ = (
        h264::has_parameter_sets(data),
        h265::has_parameter_sets(data),
    );
    let units: usize = annexb::nal_units(data)
        .map(|nal| nal.with_start_code.len())
        .sum();
    assert!(units <= data.len());
    if let Some(repaired) = h264::repair_sei_order(data) {
        assert_eq!(repaired.len(), data.len());
    }
}
