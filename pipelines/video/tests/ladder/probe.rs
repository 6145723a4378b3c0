//! Facts that the probe tells, with and without decoding.

use host::job::{JobError, ProbeJob, ProbeReport};
use orchestrion_video::ProbeRun;

use crate::media::{AAC, H264, Parts, make, segments, source};

fn probe(job: ProbeJob, input: &[u8]) -> Result<(ProbeReport, Vec<u8>), JobError> {
    let mut run = ProbeRun::start(job)?;
    for piece in input.chunks(7000) {
        run.push(piece)?;
    }
    run.finish()
}

fn job(decode: bool, thumbnails: u32) -> ProbeJob {
    ProbeJob {
        decode,
        thumbnails,
        thumbnail_width: 101,
    }
}

#[test]
fn decoding_counts_every_frame_at_its_time() {
    let source = Parts::of(&segments()[2]);
    let (report, _) = probe(job(true, 0), &segments()[2]).unwrap();
    assert_eq!(
        (report.container.as_str(), report.video_codec.as_str()),
        ("mpegts", "H264")
    );
    assert_eq!((report.width, report.height, report.frames), (320, 180, 30));
    assert_eq!(report.video_profile, "High");
    assert_eq!(report.video_pts, source.pts());
    assert_eq!(report.key_frames, [0]);
    assert_eq!(
        report.audio_pts,
        source
            .audio
            .iter()
            .map(|packet| packet.pts)
            .collect::<Vec<_>>()
    );
}

#[test]
fn without_decoding_the_container_tells_the_same() {
    let (read, pixels) = probe(job(false, 0), &segments()[2]).unwrap();
    let (decoded, _) = probe(job(true, 0), &segments()[2]).unwrap();
    assert_eq!(read, decoded);
    assert!(pixels.is_empty());
}

#[test]
fn thumbnails_are_small_rgb_pictures_of_the_content() {
    let red = make(
        &format!("-f lavfi -i color=red:s=320x180:r=30:d=1 {H264}"),
        "red.mp4",
    );
    let (report, pixels) = probe(job(false, 3), &red).unwrap();
    assert_eq!(report.container, "mp4");
    assert_eq!(report.thumbnails, [(101, 56); 3]);
    assert_eq!(pixels.len(), 3 * 101 * 56 * 3);
    assert!(
        pixels
            .chunks(3)
            .all(|pixel| pixel[0] > 230 && pixel[1] < 25 && pixel[2] < 25)
    );
}

#[test]
fn what_cannot_be_probed_has_the_texts_of_a_transcode() {
    assert_eq!(
        probe(job(true, 0), b"no media").unwrap_err().text,
        "Invalid data found when processing input"
    );
    let audio = make(&format!("{} -map 1 {AAC}", source(1)), "audio.ts");
    assert_eq!(
        probe(job(false, 0), &audio).unwrap_err().text,
        "TranscoderInvalidVideo"
    );
}
