//! Recordings of two tones in each format (`tests/whisper/recordings.sh`), and broken ones.

use std::f64::consts::TAU;
use std::io::Cursor;

use host::job::Blame;
use host::worker::Unwanted;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::sink::Sink;
use super::{BYTES_MOST, Format, RATE, SECONDS_MOST, decode};
use crate::Parts;

struct Waiting;

impl Parts for Waiting {
    fn send(&self, _: &Value) -> Result<(), Unwanted> {
        Ok(())
    }

    fn check(&self) -> Result<(), Unwanted> {
        Ok(())
    }
}

const WAV: &[u8] = include_bytes!("../../tests/whisper/tone.wav");
const OGG: &[u8] = include_bytes!("../../tests/whisper/tone.ogg");
const RECORDINGS: [(&str, Format, &[u8]); 11] = [
    ("wav", Format::Wav, WAV),
    (
        "flac",
        Format::Flac,
        include_bytes!("../../tests/whisper/tone.flac"),
    ),
    (
        "mp3",
        Format::Mp3,
        include_bytes!("../../tests/whisper/tone.mp3"),
    ),
    ("vorbis", Format::Ogg, OGG),
    (
        "opus",
        Format::Ogg,
        include_bytes!("../../tests/whisper/tone.opus"),
    ),
    (
        "aac",
        Format::Adts,
        include_bytes!("../../tests/whisper/tone.aac"),
    ),
    (
        "m4a",
        Format::Mp4,
        include_bytes!("../../tests/whisper/tone.m4a"),
    ),
    (
        "fragments",
        Format::Mp4,
        include_bytes!("../../tests/whisper/fragments.mp4"),
    ),
    (
        "webm with opus",
        Format::WebM,
        include_bytes!("../../tests/whisper/tone.webm"),
    ),
    (
        "webm with vorbis",
        Format::WebM,
        include_bytes!("../../tests/whisper/vorbis.webm"),
    ),
    (
        "webm from a browser",
        Format::WebM,
        include_bytes!("../../tests/whisper/live.webm"),
    ),
];

/// How much cosine and sine of a frequency there is.
fn component(samples: &[f32], hertz: f64) -> (f64, f64) {
    let turn = |at: usize| TAU * hertz * at as f64 / f64::from(RATE);
    let sums = samples.iter().enumerate().map(|(at, sample)| {
        let sample = 2.0 * f64::from(*sample) / samples.len() as f64;
        (sample * turn(at).cos(), sample * turn(at).sin())
    });
    sums.fold((0.0, 0.0), |sum, next| (sum.0 + next.0, sum.1 + next.1))
}

fn amplitude(samples: &[f32], hertz: f64) -> f64 {
    let (re, im) = component(samples, hertz);
    re.hypot(im)
}

/// A WAV file of 16 bits with as many channels as `sample` gives values for each moment.
fn wav(rate: u32, seconds: f64, channels: &[&dyn Fn(f64) -> f64]) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: channels.len() as u16,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for at in 0..(seconds * f64::from(rate)) as usize {
        for channel in channels {
            let sample = channel(at as f64 / f64::from(rate)) * 32_767.0;
            writer.write_sample(sample.round() as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn refusal(bytes: &[u8]) -> String {
    let error = decode(bytes, &Waiting).unwrap_err();
    assert_eq!(error.blame, Blame::Input, "{error}");
    error.text
}

#[test]
fn each_format_gives_both_tones_mixed_at_the_rate_of_the_models() {
    for (name, format, bytes) in RECORDINGS {
        assert_eq!(Format::of(bytes), Some(format), "{name}");
        let samples = decode(bytes, &Waiting).unwrap();
        // codecs fill up their last frame, and some the first
        let long = samples.len().abs_diff(9600);
        assert!(long < 1200, "{name} has {} samples", samples.len());
        let middle = &samples[2400..7200];
        for (hertz, expected) in [(440.0, 0.2), (1000.0, 0.2), (700.0, 0.0), (3000.0, 0.0)] {
            let found = amplitude(middle, hertz);
            assert!(
                (found - expected).abs() < 0.04,
                "{name} has {found} of {hertz} Hz"
            );
        }
    }
}

#[test]
fn resampling_keeps_tones_in_their_place_and_makes_no_new_ones() {
    for rate in [
        8000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000, 192_000,
    ] {
        let tone = |t: f64| 0.5 * (TAU * 1000.0 * t).sin();
        let samples = decode(&wav(rate, 0.5, &[&tone]), &Waiting).unwrap();
        assert!(
            samples.len().abs_diff(8000) <= 1,
            "{rate} Hz: {}",
            samples.len()
        );
        let middle = &samples[800..7200];
        let (re, im) = component(middle, 1000.0);
        // a sine is late by the part of it that is a negative cosine
        let late = (-re).atan2(im) / TAU * 16.0;
        assert!(late.abs() < 1.0, "{rate} Hz is {late} samples late");
        let apart = middle.iter().enumerate().map(|(at, sample)| {
            let turn = TAU * at as f64 / 16.0;
            (f64::from(*sample) - re * turn.cos() - im * turn.sin()).abs()
        });
        let most = apart.fold(0.0, f64::max);
        assert!(most < 2e-3, "{rate} Hz: {most} is no tone");
        assert!((re.hypot(im) - 0.5).abs() < 2e-3, "{rate} Hz: {re} {im}");
    }
    // 12 kHz would fold to 4 kHz
    let high = |t: f64| 0.5 * (TAU * 12_000.0 * t).sin();
    let samples = decode(&wav(48_000, 0.5, &[&high]), &Waiting).unwrap();
    let most = samples[800..7200]
        .iter()
        .fold(0f32, |most, sample| most.max(sample.abs()));
    assert!(most < 2e-3, "{most}");
}

#[test]
fn the_channels_are_mixed_evenly() {
    let samples = decode(
        &wav(16_000, 0.1, &[&|_| 0.6, &|_| -0.3, &|_| 0.0]),
        &Waiting,
    )
    .unwrap();
    assert_eq!(samples.len(), 1600);
    assert!(samples.iter().all(|sample| (sample - 0.1).abs() < 1e-3));
}

#[test]
fn a_wav_written_into_a_pipe_has_the_length_that_it_has() {
    let mut bytes = WAV.to_vec();
    let data = bytes.windows(4).position(|four| four == b"data").unwrap();
    bytes[data + 4..data + 8].fill(0xff);
    bytes[4..8].fill(0xff);
    bytes.push(7);
    assert_eq!(
        decode(&bytes, &Waiting).unwrap(),
        decode(WAV, &Waiting).unwrap()
    );
}

#[test]
fn floats_of_a_broken_file_do_no_harm() {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 44_100,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for sample in [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN, 0.5].repeat(2000) {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    let samples = decode(&file.into_inner(), &Waiting).unwrap();
    assert!(
        samples
            .iter()
            .all(|sample| sample.is_finite() && sample.abs() < 100.0)
    );
}

#[test]
fn what_is_no_recording_is_refused_and_says_why() {
    let silent = wav(16_000, 0.0, &[&|_| 0.0]);
    let mut large = WAV.to_vec();
    large.resize(BYTES_MOST + 1, 0);
    for (bytes, why) in [
        (&[][..], "missing"),
        (
            b"hello, this is no sound at all, but a letter",
            "no known format",
        ),
        (&[0; 5000], "no known format"),
        (&silent, "no samples"),
        (&large, "max file size is 50MB"),
        (b"RIFF\0\0\0\0WAVE", "broken WAV"),
        (b"fLaC", "broken FLAC"),
        (b"OggS", "broken Ogg"),
        (b"\0\0\0\x08ftyp\0\0\0\x08free", "broken MP4"),
        (b"\x1a\x45\xdf\xa3", "broken WebM"),
        (b"\xff\xf1\0\0\0\0\0\0\0\0", "broken AAC"),
    ] {
        let text = refusal(bytes);
        assert!(text.contains(why), "{text:?} does not say {why:?}");
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_is_all_decoded() {
    let mut sink = Sink::new(&Waiting);
    let second = vec![0.0; RATE as usize];
    for _ in 0..SECONDS_MOST {
        sink.put(RATE, 1, &second).unwrap();
    }
    let error = sink.put(RATE, 1, &[0.0]).unwrap_err();
    assert_eq!(error.blame, Blame::Input);
    assert!(error.text.contains("longer than 30 minutes"), "{error}");
}

#[test]
fn headers_that_lie_are_refused() {
    let with = |at: usize, value: &[u8]| {
        let mut bytes = wav(16_000, 0.1, &[&|_| 0.0]);
        bytes[at..at + value.len()].copy_from_slice(value);
        refusal(&bytes)
    };
    let data = wav(16_000, 0.1, &[&|_| 0.0])
        .windows(4)
        .position(|four| four == b"data")
        .unwrap();
    assert!(with(22, &[0, 0]).contains("zero channels"));
    // rate, and the bytes a second that follow from it
    for (rate, second) in [(0u32, 0u32), (1, 2), (1 << 30, 1 << 31)] {
        let bytes = [rate.to_le_bytes(), second.to_le_bytes()].concat();
        assert!(with(24, &bytes).contains("samples a second"));
    }
    assert!(with(data + 4, &0x7fff_fffeu32.to_le_bytes()).contains("broken WAV"));
}

#[test]
fn codebooks_larger_than_memory_are_refused() {
    let mut packets = ogg::PacketReader::new(Cursor::new(OGG));
    let mut file = Cursor::new(Vec::new());
    let mut writer = ogg::PacketWriter::new(&mut file);
    for number in 0..3 {
        let mut packet = packets.read_packet().unwrap().unwrap();
        if number == 2 {
            // of the first codebook: dimensions, and entries
            packet.data[11..16].fill(0xff);
        }
        let serial = packet.stream_serial();
        writer
            .write_packet(packet.data, serial, ogg::PacketWriteEndInfo::EndPage, 0)
            .unwrap();
    }
    drop(writer);
    let text = refusal(&file.into_inner());
    assert!(text.contains("codebooks"), "{text}");
}

#[test]
fn no_damage_makes_a_decoder_panic_or_blame_the_worker() {
    let mut random = StdRng::seed_from_u64(7);
    for (name, _, bytes) in RECORDINGS {
        for round in 0..24 {
            let mut bytes = bytes.to_vec();
            if round % 2 == 0 {
                bytes.truncate(random.random_range(0..bytes.len()));
            }
            for _ in 0..round / 4 {
                let first = if round % 3 == 0 {
                    bytes.len().min(200)
                } else {
                    bytes.len()
                };
                if first > 0 {
                    let at = random.random_range(0..first);
                    bytes[at] = random.random();
                }
            }
            if let Err(error) = decode(&bytes, &Waiting) {
                assert_eq!(error.blame, Blame::Input, "{name}: {error}");
            }
        }
    }
}
