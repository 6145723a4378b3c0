//! The header known from a gateway, each refusal in its order, and round trips.

use proptest::prelude::*;

use super::*;
use crate::{
    capabilities::{Capability, JobTraits, required},
    profile::{Format, Gop, H264Profile, VideoCodec, presets},
};

const HEADER: &str = concat!(
    "CgVtb3ZpZRAMGiCOWJplegv9kFhdfneMK7OYZMiaNQKDy+6V5/Y2uLy3ECIHaW52YWxpZDDQDzoICgSDoIAgKgBCMgogAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAASCDBhMWIyYzNkGICx74YHigIhggEOUDI0MHAzMGZwczE2eDmIAaoDkAHwAZgBwM8koAEeigIhggEOUDM2",
    "MHAzMGZwczE2eDmIAYAFkAHoApgBgJ9JoAEe"
);

fn key() -> SecretKey {
    SecretKey::from_bytes([0x46; 32]).unwrap()
}

fn movie() -> SegmentCredentials {
    let profiles = presets("P240p30fps16x9,P360p30fps16x9").unwrap();
    let job = JobTraits {
        input: VideoCodec::H264,
        input_sampling: None,
        segments_pushed: true,
        perceptual_hash: false,
    };
    SegmentCredentials {
        manifest_id: b"movie".to_vec(),
        seq: 12,
        hash: keccak256("hello livepeer segment"),
        duration_ms: 2000,
        capabilities: Capabilities::demand(required(&job, &profiles)),
        auth_token: Some(pb::AuthToken {
            token: vec![0; 32],
            session_id: "0a1b2c3d".into(),
            expiration: 1_893_456_000,
        }),
        profiles,
        clip: None,
        storage: None,
        calc_perceptual_hash: false,
        force_reinit: false,
        sig: vec![],
    }
}

fn refused(data: &pb::SegData) -> String {
    let header = BASE64.encode(data.encode_to_vec());
    let refusal = SegmentCredentials::decode_header(header.as_bytes()).unwrap_err();
    assert_eq!(refusal.status(), 403);
    refusal.wire_text().into_owned()
}

#[test]
fn the_header_of_a_gateway_is_written_and_read_byte_exact() {
    assert_eq!(movie().encode_header(), HEADER);
    assert_eq!(
        SegmentCredentials::decode_header(HEADER.as_bytes()),
        Ok(movie())
    );
}

#[test]
fn flattened_bytes_and_signature_are_exact() {
    let mut movie = movie();
    assert_eq!(
        hex::encode(movie.hash),
        "8e589a657a0bfd90585d7e778c2bb39864c89a350283cbee95e7f636b8bcb710"
    );
    let flat = movie.flatten();
    assert_eq!(
        hex::encode(&flat),
        concat!(
            "6d6f766965",
            "000000000000000000000000000000000000000000000000000000000000000c",
            "8e589a657a0bfd90585d7e778c2bb39864c89a350283cbee95e7f636b8bcb710",
            "63306136353137613933633731376537"
        )
    );
    assert_eq!(
        hex::encode(keccak256(&flat)),
        "fac033c3728eb60da68958952976f92287b206feeb8040e50a7110b8bdc4bb59"
    );
    movie.sign(&key());
    assert_eq!(
        hex::encode(&movie.sig),
        concat!(
            "efc8d9ec5cc4fb72c01aa420b9e40263c6cf8a5c4b902c2e409b7f197c34f5be",
            "76cef32fd03c0aea5cd8dac6acc3294b0c39b5f483f93844244f2722b95b02bd1b"
        )
    );
    movie.seq = 0;
    assert_eq!(
        hex::encode(keccak256(movie.flatten())),
        "a903c6234a5bf8e319c4c15671dfe38e8ffb01cc0b467f428a74c1dd528f7b72"
    );
    assert_eq!(
        hex::encode(&keccak256("custom_640x360_1000000")[..4]),
        "d5aecc6b"
    );
}

#[test]
fn what_is_no_header_is_refused() {
    for (value, text) in [
        ("%%%", Some("ErrorSegEncoding")),
        ("AAA", Some("ErrorSegEncoding")),
        ("/////w==", None),
    ] {
        let refusal = SegmentCredentials::decode_header(value.as_bytes()).unwrap_err();
        assert_eq!((refusal.status(), refusal.label()), (403, "encoding"));
        if let Some(text) = text {
            assert_eq!(refusal.wire_text(), text);
        }
    }
}

#[test]
fn unknown_enums_are_refused_before_a_wrong_duration() {
    let with = |profile| pb::SegData {
        full_profiles: vec![profile],
        duration: -1,
        ..Default::default()
    };
    let plain = pb::VideoProfile::default();
    for (profile, text) in [
        (
            pb::VideoProfile {
                format: 7,
                ..plain.clone()
            },
            "unrecognized profile output format",
        ),
        (
            pb::VideoProfile {
                profile: 7,
                ..plain.clone()
            },
            "unrecognized encoder profile",
        ),
        (
            pb::VideoProfile {
                encoder: 7,
                ..plain.clone()
            },
            "unrecognized video codec",
        ),
        (plain, "invalid duration"),
    ] {
        assert_eq!(refused(&with(profile)), text);
    }
}

#[test]
fn durations_are_limited_and_zero_is_two_seconds() {
    let of = |duration| {
        SegmentCredentials::from_pb(pb::SegData {
            duration,
            ..Default::default()
        })
        .map(|c| c.duration_ms)
    };
    assert_eq!(of(0), Ok(2000));
    assert_eq!(of(1), Ok(1));
    assert_eq!(of(300_000), Ok(300_000));
    for wrong in [300_001, i32::MAX, -1, i32::MIN] {
        assert_eq!(of(wrong), Err(Refusal::Duration(wrong)));
    }
}

#[test]
fn eleven_renditions_are_left_to_the_transcoder() {
    let eleven = pb::SegData {
        full_profiles: vec![Default::default(); 11],
        ..Default::default()
    };
    assert_eq!(
        SegmentCredentials::from_pb(eleven).unwrap().profiles.len(),
        11
    );
}

#[test]
fn checks_come_in_the_order_of_the_reference() {
    let keys = TokenKey::new([1; 32]);
    let server = Capabilities::tested([Capability::H264], "0.9.1");
    let now_ms = 1_000_000;
    let sender = key().address();
    let mut movie = movie();
    let check = |c: &SegmentCredentials, network, server: &Capabilities, now_ms| {
        c.authorize(network, sender, server, &keys, now_ms)
            .map(|token| token.session_id.clone())
    };
    let nothing = Capabilities::default();
    movie.auth_token = None;
    assert_eq!(
        check(&movie, Network::OnChain, &nothing, now_ms),
        Err(Refusal::Signature)
    );
    movie.sign(&key());
    let unfit = check(&movie, Network::OnChain, &nothing, now_ms).unwrap_err();
    assert_eq!(unfit.wire_text(), "incompatible capabilities");
    assert_eq!(
        check(&movie, Network::OnChain, &server, now_ms),
        Err(Refusal::TokenMissing)
    );
    movie.auth_token = Some(TokenKey::new([2; 32]).issue("s".into(), 0));
    assert_eq!(
        check(&movie, Network::OnChain, &server, now_ms),
        Err(Refusal::TokenInvalid)
    );
    let token = keys.issue("s".into(), now_ms);
    let too_late = token.expiration as u64 * 1000 + 1;
    movie.auth_token = Some(token);
    assert_eq!(
        check(&movie, Network::OnChain, &server, too_late),
        Err(Refusal::TokenExpired)
    );
    assert_eq!(
        check(&movie, Network::OnChain, &server, now_ms),
        Ok("s".into())
    );
    movie.sig = b"not looked at".to_vec();
    assert_eq!(
        check(&movie, Network::OffChain, &server, now_ms),
        Ok("s".into())
    );
    let Err(refusal) = SegmentCredentials::decode_header(b"").and_then(|empty| {
        empty
            .authorize(Network::OffChain, Address::ZERO, &server, &keys, now_ms)
            .map(|_| ())
    }) else {
        panic!("empty credentials were accepted");
    };
    assert_eq!(refusal, Refusal::TokenMissing);
}

#[test]
fn hashes_are_padded_left_and_cut_left() {
    let of = |hash: Vec<u8>| {
        SegmentCredentials::from_pb(pb::SegData {
            hash,
            ..Default::default()
        })
        .unwrap()
        .hash
    };
    assert_eq!(of(vec![1])[30..], [0, 1]);
    assert_eq!(of((0..40).collect())[..], (8..40).collect::<Vec<u8>>()[..]);
}

#[test]
fn stream_names_cannot_break_a_log_line() {
    let named = SegmentCredentials {
        manifest_id: b"a\nb\xff/\xc3\xa9".to_vec(),
        ..movie()
    };
    assert_eq!(named.stream_name(), "a\\nb\u{fffd}/é");
}

fn any_profile() -> impl Strategy<Value = VideoProfile> {
    let format = prop_oneof![Just(Format::MpegTs), Just(Format::Mp4)];
    let gop = prop_oneof![
        Just(Gop::Default),
        Just(Gop::IntraOnly),
        (1..=i32::MAX as u32).prop_map(Gop::Millis),
        (i32::MIN..-1).prop_map(Gop::Invalid)
    ];
    let codec = prop_oneof![
        Just(VideoCodec::H264),
        Just(VideoCodec::H265),
        Just(VideoCodec::Vp8),
        Just(VideoCodec::Vp9)
    ];
    let h264_profile = prop_oneof![
        Just(H264Profile::Default),
        Just(H264Profile::Main),
        Just(H264Profile::ConstrainedHigh)
    ];
    let sizes = [
        0..=i32::MAX as u32,
        0..=i32::MAX as u32,
        0..=i32::MAX as u32,
    ];
    (
        "\\PC{1,12}",
        sizes,
        any::<[u32; 3]>(),
        format,
        h264_profile,
        gop,
        codec,
    )
        .prop_map(
            |(
                name,
                [width, height, bitrate],
                [fps, fps_den, quality],
                format,
                h264_profile,
                gop,
                codec,
            )| VideoProfile {
                name,
                width,
                height,
                bitrate,
                fps,
                fps_den,
                format,
                h264_profile,
                gop,
                codec,
                quality,
            },
        )
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(value: Vec<u8>, message: Vec<u8>) {
        let _ = SegmentCredentials::decode_header(&value);
        if let Ok(read) = SegmentCredentials::decode_header(BASE64.encode(message).as_bytes()) {
            let _ = (read.flatten(), read.stream_name());
        }
    }

    #[test]
    fn a_damaged_header_is_read_or_refused(at in 0..HEADER.len(), byte: u8) {
        let mut header = HEADER.as_bytes().to_vec();
        header[at] = byte;
        let _ = SegmentCredentials::decode_header(&header);
    }

    #[test]
    fn credentials_round_trip_and_keep_their_signature(
        manifest_id: Vec<u8>, seq: i64, hash: Hash, duration_ms in 1..=MAX_DURATION_MS, flags: [bool; 2],
        clip in prop::option::of(any::<[u64; 2]>()), profiles in prop::collection::vec(any_profile(), 0..12)
    ) {
        let mut credentials = SegmentCredentials {
            manifest_id, seq, hash, profiles, duration_ms,
            clip: clip.map(|[from_ms, to_ms]| Clip { from_ms, to_ms }),
            calc_perceptual_hash: flags[0],
            force_reinit: flags[1],
            ..movie()
        };
        credentials.sign(&key());
        let read = SegmentCredentials::decode_header(credentials.encode_header().as_bytes()).unwrap();
        prop_assert_eq!(&read, &credentials);
        prop_assert!(read.check_signature(Network::OnChain, key().address()).is_ok());
        prop_assert_eq!(read.check_signature(Network::OnChain, Address::ZERO), Err(Refusal::Signature));
        prop_assert!(read.check_signature(Network::OffChain, Address::ZERO).is_ok());
        let changed = SegmentCredentials { seq: seq.wrapping_add(1), ..read };
        // −n and n are signed alike
        prop_assert_eq!(
            changed.check_signature(Network::OnChain, key().address()).is_ok(),
            changed.seq.unsigned_abs() == seq.unsigned_abs()
        );
    }
}
