//! Input that is unusual or damaged and must still be transcoded.

use crate::media::{H264, OnDisk, make, one, profile, segments};

#[test]
fn every_pixel_format_becomes_eight_bit_four_two_zero() {
    for format in ["yuv422p", "yuv444p", "yuv420p10le"] {
        let arguments =
            format!("-f lavfi -i testsrc2=s=320x180:r=30:d=0.5 {H264} -pix_fmt {format}");
        let (rendition, bytes) = one(profile(), &make(&arguments, "in.ts"));
        assert_eq!(rendition.frames, 15, "{format}");
        assert_eq!(
            OnDisk::new(&bytes, "out.ts").video("pix_fmt"),
            ["yuv420p"],
            "{format}"
        );
    }
}

#[test]
fn interlaced_pictures_are_taken_as_frames() {
    let arguments = format!("-f lavfi -i testsrc2=s=320x192:r=25:d=0.6 {H264} -flags +ildct+ilme");
    let (rendition, bytes) = one(profile(), &make(&arguments, "in.ts"));
    assert_eq!(rendition.frames, 15);
    assert_eq!(
        OnDisk::new(&bytes, "out.ts").video("field_order"),
        ["progressive"]
    );
}

#[test]
fn hevc_is_decoded() {
    let arguments = "-f lavfi -i testsrc2=s=320x180:r=30:d=0.5 -c:v libx265 -preset ultrafast -x265-params log-level=none";
    let (rendition, _) = one(profile(), &make(arguments, "in.ts"));
    assert_eq!(
        (rendition.width, rendition.height, rendition.frames),
        (160, 90, 15)
    );
}

#[test]
fn uneven_and_portrait_sizes_follow_the_size_rule() {
    for (size, expected) in [("321x181", (160, 90)), ("180x320", (146, 260))] {
        let arguments = format!("-f lavfi -i testsrc2=s={size}:r=30:d=0.5 {H264} -pix_fmt yuv444p");
        let (rendition, _) = one(profile(), &make(&arguments, "in.ts"));
        assert_eq!((rendition.width, rendition.height), expected, "{size}");
    }
}

#[test]
fn a_new_size_within_a_segment_is_scaled_to_that_of_the_first() {
    let part = |size: &str, start: &str| {
        let source = format!("-f lavfi -i testsrc2=s={size}:r=30:d=0.5 {H264}");
        make(&format!("{source} -output_ts_offset {start}"), "part.ts")
    };
    let whole = [
        part("320x180", "1"),
        part("480x360", "1.5"),
        part("241x135", "2"),
    ]
    .concat();
    let (rendition, bytes) = one(profile(), &whole);
    assert_eq!(
        (rendition.width, rendition.height, rendition.frames),
        (160, 90, 45)
    );
    let sizes = OnDisk::new(&bytes, "out.ts").video("width,height");
    assert_eq!(sizes, ["160", "90"]);
}

#[test]
fn a_truncated_segment_gives_what_a_decoder_finds_in_it() {
    let whole = &segments()[1];
    let cut = &whole[..whole.len() * 2 / 3 + 77];
    let found = OnDisk::new(cut, "cut.ts").ffprobe_lossy_frames();
    let (rendition, _) = one(profile(), cut);
    assert_eq!(rendition.frames, found);
    assert!(found > 10 && found < 30);
}

#[test]
fn flipped_bytes_and_lost_packets_do_not_end_a_segment() {
    let whole = &segments()[1];
    let mut flipped = whole.to_vec();
    (0..40).for_each(|i| flipped[whole.len() / 4 + i * 1009] ^= 0x55);
    assert!(one(profile(), &flipped).0.frames >= 25);
    let lost: Vec<u8> = whole
        .chunks(188)
        .enumerate()
        .filter(|(i, _)| *i < 20 || i % 97 != 0)
        .flat_map(|(_, packet)| packet.iter().copied())
        .collect();
    assert!(one(profile(), &lost).0.frames >= 25);
}

impl OnDisk {
    /// Frames that ffmpeg decodes from a damaged file.
    fn ffprobe_lossy_frames(&self) -> u64 {
        let run = std::process::Command::new("ffprobe")
            .args(["-v", "quiet", "-count_frames", "-select_streams", "v:0"])
            .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
            .arg(&self.path)
            .output()
            .expect("these tests need ffprobe; install the Debian package ffmpeg");
        String::from_utf8(run.stdout)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }
}
