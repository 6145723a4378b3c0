//! Words known from peers, packing, and each rule of the test of compatibility.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::profile::{Format, Gop, H264Profile, VideoCodec, VideoProfile, presets};

fn word(capabilities: &[Capability]) -> Vec<u64> {
    capabilities
        .iter()
        .copied()
        .collect::<CapabilitySet>()
        .words()
        .to_vec()
}

fn numbered(numbers: impl IntoIterator<Item = u32>) -> CapabilitySet {
    let mut set = CapabilitySet::default();
    numbers.into_iter().for_each(|n| set.insert_number(n));
    set
}

fn push_job() -> JobTraits {
    JobTraits {
        input: VideoCodec::H264,
        input_sampling: None,
        segments_pushed: true,
        perceptual_hash: false,
    }
}

fn ladder() -> Vec<VideoProfile> {
    presets("P240p30fps16x9,P360p30fps16x9").unwrap()
}

#[test]
fn words_are_those_of_the_reference() {
    assert_eq!(word(Capability::VIDEO_DEFAULT), [0x0400_5fff]);
    let legacy: Vec<_> = (0..12).filter_map(Capability::from_number).collect();
    assert_eq!(word(&legacy), [0xfff]);
    let optional: Vec<_> = [
        15, 16, 17, 18, 21, 22, 23, 24, 25, 27, 28, 29, 30, 31, 32, 34, 36,
    ]
    .into();
    let all = numbered((0..13).chain([14, 26]).chain(optional.clone()));
    assert_eq!(all.words(), [0x15_ffe7_dfff]);
    let software = numbered(all.numbers().filter(|n| ![15, 16, 18].contains(n)));
    assert_eq!(software.words(), [0x15_ffe2_5fff]);
}

#[test]
fn jobs_demand_what_gateways_demand() {
    assert_eq!(required(&push_job(), &ladder()).words(), [0x0400_1003]);
    let rtmp = JobTraits {
        segments_pushed: false,
        ..push_job()
    };
    assert_eq!(required(&rtmp, &ladder()).words(), [0x1003]);
    let rich = VideoProfile {
        format: Format::Mp4,
        fps_den: 1001,
        h264_profile: H264Profile::Baseline,
        gop: Gop::IntraOnly,
        ..ladder().remove(0)
    };
    assert_eq!(required(&rtmp, &[rich]), numbered([0, 2, 3, 7, 11, 12]));
    let hevc = JobTraits {
        input: VideoCodec::H265,
        perceptual_hash: true,
        ..rtmp
    };
    let to_hevc = VideoProfile {
        codec: VideoCodec::H265,
        ..ladder().remove(0)
    };
    assert_eq!(required(&hevc, &[to_hevc]), numbered([1, 12, 14, 15, 16]));
}

#[test]
fn what_we_advertise_serves_a_push_job_once_h264_was_tested() {
    let job = Capabilities::demand(required(&push_job(), &ladder()));
    assert_eq!(
        job.satisfied_by(&Capabilities::tested([], "0.9.1")),
        Err(Incompatible::Missing(vec![0]))
    );
    let server = Capabilities::tested([Capability::H264], "0.9.1");
    assert_eq!(job.satisfied_by(&server), Ok(()));
    assert_eq!(server.capacities.get(&26), Some(&1));
    assert!(server.set.contains(Capability::StorageS3) && server.mandatory.words().is_empty());
    assert!(
        !server.set.contains(Capability::StorageGcs),
        "never run against Google"
    );
}

#[test]
fn wire_bytes_are_exact() {
    let message = pb::Capabilities {
        bitstring: vec![0x0400_1003],
        ..Default::default()
    };
    assert_eq!(hex::encode(message.encode_to_vec()), "0a0483a08020");
    let with_model = hex::decode(concat!(
        "0a05ffbf81a0202a2412220821121e0a1c0a0c736d6f6c6c6d322d3133356d12",
        "0c080110021a06302e31342e31"
    ))
    .unwrap();
    let caps = Capabilities::from_pb(Some(pb::Capabilities::decode(&with_model[..]).unwrap()));
    assert_eq!(caps.set.words(), [0x0002_0400_5fff]);
    let model = &caps.models[&33]["smollm2-135m"];
    assert_eq!(
        (model.warm, model.capacity, model.runner_version.as_str()),
        (true, 2, "0.14.1")
    );
    assert_eq!(caps.to_pb().encode_to_vec(), with_model);
}

#[test]
fn a_longer_list_is_incompatible_even_if_zero() {
    let long = Capabilities::demand(CapabilitySet::from_words(vec![1, 0]));
    let server = Capabilities::demand(CapabilitySet::from_words(vec![1]));
    assert_eq!(
        long.satisfied_by(&server),
        Err(Incompatible::Missing(vec![]))
    );
    assert_eq!(server.satisfied_by(&long), Ok(()));
}

#[test]
fn mandatory_capabilities_must_be_known() {
    let server = Capabilities {
        mandatory: numbered([12]),
        ..Capabilities::of(numbered([0, 12]), "0.9.1")
    };
    assert_eq!(
        Capabilities::demand(numbered([0])).satisfied_by(&server),
        Err(Incompatible::Mandatory)
    );
    assert_eq!(
        Capabilities::demand(numbered([0, 12])).satisfied_by(&server),
        Ok(())
    );
}

#[test]
fn versions_compare_without_suffix() {
    for (min, version, accepted) in [
        ("", "", true),
        ("", "undefined", true),
        ("0.9.1", "", false),
        ("0.9.1", "undefined", false),
        ("nonsense", "0.1", true),
        ("nonsense", "", false),
        ("0.9.1", "nonsense", false),
        ("0.9.1", "0.9.1-abcdef-dirty", true),
        ("0.9.1-rc2", "0.9.1-rc1", true),
        ("0.9.1", "0.9.0", false),
        ("0.9", "v0.9.0+build", true),
        ("0.9.9", "0.10.0", true),
        ("0.9.1", "0.9.1-", false),
        ("0.9.1", "0.9.1.1", false),
        ("0.9.1", "0.9.+1", false),
    ] {
        assert_eq!(
            version_at_least(min, version),
            accepted,
            "{version:?} for {min:?}"
        );
    }
}

#[test]
fn models_must_exist_warm_and_new_enough() {
    let with = |warm, version: &str| {
        let model = ModelConstraint {
            warm,
            runner_version: version.into(),
            ..Default::default()
        };
        let models = BTreeMap::from([(27, BTreeMap::from([("m".to_owned(), model)]))]);
        Capabilities {
            models,
            ..Capabilities::default()
        }
    };
    let refused = Err(Incompatible::Model {
        capability: 27,
        model: "m".into(),
    });
    assert_eq!(with(false, "").satisfied_by(&with(false, "")), Ok(()));
    assert_eq!(with(true, "").satisfied_by(&with(false, "")), refused);
    assert_eq!(
        with(false, "1.1.0").satisfied_by(&with(false, "1.0.0")),
        refused
    );
    let other = Capabilities {
        models: BTreeMap::from([(27, BTreeMap::new())]),
        ..Default::default()
    };
    assert_eq!(with(false, "").satisfied_by(&other), refused);
    assert_eq!(
        with(true, "9.0.0").satisfied_by(&Capabilities::default()),
        Ok(())
    );
}

#[test]
fn helpers_add_their_capacity() {
    let mut own = Capabilities::of(numbered([0, 12]), "0.9.1");
    own.absorb(&Capabilities::demand(numbered([12, 16])));
    assert_eq!(own.set, numbered([0, 12, 16]));
    assert_eq!(own.capacities, BTreeMap::from([(0, 1), (12, 2), (16, 1)]));
}

#[test]
fn a_hostile_list_stays_small() {
    let hostile = Capabilities::demand(CapabilitySet::from_words(vec![u64::MAX; 100_000]));
    assert_eq!(
        hostile.clone().with_unit_capacities().capacities.len(),
        1024
    );
    let mut set = CapabilitySet::default();
    set.insert_number(u32::MAX);
    assert!(set.words().is_empty());
    let Err(Incompatible::Missing(missing)) = hostile.satisfied_by(&Capabilities::default()) else {
        panic!("accepted");
    };
    assert_eq!(missing.len(), 16);
}

#[test]
fn refusals_name_what_is_missing() {
    assert_eq!(
        Incompatible::Missing(vec![16, 99]).to_string(),
        "missing HEVC encode, #99"
    );
    assert_eq!(numbered([0, 26]).to_string(), "H.264, Segment slicing");
}

proptest! {
    #[test]
    fn packing_round_trips(numbers in prop::collection::btree_set(0u32..1024, 0..40)) {
        let set = numbered(numbers.iter().copied());
        prop_assert_eq!(set.numbers().collect::<Vec<_>>(), numbers.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(set.words().len(), numbers.last().map_or(0, |n| *n as usize / 64 + 1));
        prop_assert!(set.is_within(&set));
        prop_assert_eq!(&CapabilitySet::from_words(set.words().to_vec()), &set);
    }

    #[test]
    fn within_means_nothing_is_missing(a in prop::collection::vec(any::<u64>(), 0..4), b in prop::collection::vec(any::<u64>(), 0..4)) {
        let (a, b) = (CapabilitySet::from_words(a), CapabilitySet::from_words(b));
        let none_missing = a.missing_in(&b).next().is_none();
        prop_assert_eq!(a.is_within(&b), none_missing && a.words().len() <= b.words().len());
    }

    #[test]
    fn any_version_text_is_judged(min in ".{0,20}", version in "v?[0-9.+a-z-]{0,20}") {
        let _ = version_at_least(&min, &version);
    }

    #[test]
    fn any_message_survives_the_way_through(bytes: Vec<u8>) {
        if let Ok(message) = pb::Capabilities::decode(&bytes[..]) {
            let caps = Capabilities::from_pb(Some(message));
            prop_assert_eq!(&Capabilities::from_pb(Some(caps.to_pb())), &caps);
        }
    }
}
