//! Audio PES packets: collected whole and handed out untouched, one event each.

use super::MAX_UNIT_BYTES;
use crate::{AudioCodec, AudioPacket, MediaEvent, TICKS_PER_SECOND};
use bytes::{Bytes, BytesMut};

const ADTS_RATES: [i64; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000,
    7350,
];

/// Duration in ticks of a run of whole ADTS frames (ISO/IEC 13818-7), rounded down; 0 if it holds none.
pub(super) fn adts_duration(data: &[u8]) -> i64 {
    let mut rest = data;
    let (mut samples, mut rate) = (0, 1);
    while let [0xff, b1, b2, b3, b4, b5, b6, ..] = rest {
        let index = usize::from(b2 >> 2 & 0x0f);
        let length = usize::from(b3 & 3) << 11 | usize::from(*b4) << 3 | usize::from(b5 >> 5);
        let Some(known) = ADTS_RATES.get(index) else {
            break;
        };
        if b1 & 0xf6 != 0xf0 || length < 7 {
            break;
        }
        rate = *known;
        samples += 1024 * (i64::from(b6 & 3) + 1);
        rest = rest.get(length..).unwrap_or_default();
    }
    samples * TICKS_PER_SECOND / rate
}

/// Collects the PES packets of one audio stream.
#[derive(Debug)]
pub(super) struct AudioCollector {
    pub codec: AudioCodec,
    buffer: BytesMut,
    open: bool,
    time: Option<i64>,
    last: Option<i64>,
    last_duration: i64,
    /// PES packets thrown away for their size.
    pub dropped: u64,
}

impl AudioCollector {
    pub fn new(codec: AudioCodec) -> Self {
        Self {
            codec,
            buffer: BytesMut::new(),
            open: false,
            time: None,
            last: None,
            last_duration: 0,
            dropped: 0,
        }
    }

    /// PTS of the packet handed out last.
    pub fn last_pts(&self) -> Option<i64> {
        self.last
    }

    /// Duration in ticks of the packet handed out last, as far as known.
    pub fn last_duration(&self) -> i64 {
        self.last_duration
    }

    /// A PES packet begins; the one before must have been closed.
    pub fn open(&mut self, pts: Option<i64>) {
        self.open = true;
        self.time = pts;
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if !self.open {
            return;
        }
        if self.buffer.len() + bytes.len() > MAX_UNIT_BYTES {
            self.buffer.clear();
            self.open = false;
            self.dropped += 1;
            return;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The PES packet is whole, or as whole as it will be.
    pub fn close(&mut self, out: &mut Vec<MediaEvent>) {
        let data: Bytes = self.buffer.split().freeze();
        if !std::mem::take(&mut self.open) || data.is_empty() {
            return;
        }
        let expected = self
            .last
            .map_or(0, |last| last.saturating_add(self.last_duration));
        let pts = self.time.unwrap_or(expected);
        self.last_duration = match &self.codec {
            AudioCodec::Aac => adts_duration(&data),
            // Without knowledge of the codec the last distance is the best guess.
            AudioCodec::Other { .. } => match (self.time, self.last) {
                (Some(now), Some(last)) => now.saturating_sub(last).clamp(0, TICKS_PER_SECOND * 10),
                _ => self.last_duration,
            },
        };
        self.last = Some(pts);
        out.push(MediaEvent::AudioPacket(AudioPacket { pts, data }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_duration_of_several_adts_frames_adds_up() {
        let frame = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x1f, 0xfc, 0x00];
        assert_eq!(adts_duration(&frame.repeat(3)), 5760);
        assert_eq!(adts_duration(b"no adts"), 0);
    }

    #[test]
    fn a_packet_without_time_follows_the_one_before() {
        let frame = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x1f, 0xfc, 0x00];
        let mut collector = AudioCollector::new(AudioCodec::Aac);
        let mut out = Vec::new();
        for time in [Some(9000), None] {
            collector.open(time);
            collector.push(&frame.repeat(2));
            collector.close(&mut out);
        }
        let pts: Vec<_> = out
            .iter()
            .map(|event| match event {
                MediaEvent::AudioPacket(packet) => packet.pts,
                other => panic!("unexpected {other:?}"),
            })
            .collect();
        assert_eq!(pts, [9000, 9000 + 3840]);
    }
}
