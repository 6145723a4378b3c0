//! Between an orchestrator and its remote transcoders: the job that is sent, and the results that come back by HTTP.
//!
//! The reference is at both ends in the field, so names, order and texts are its own.

use bytes::Bytes;

use crate::mixed::{self, Part};
use crate::profile::{Format, VideoProfile};
use crate::result::encode_path;
use crate::segment::{MAX_BYTES, SegmentCredentials};
use crate::{pb, texts};

/// `Authorization` of a post of results.
pub const RESULTS_PROTOCOL: &str = "Livepeer-Transcoder-1.0";
/// Path to which results are posted.
pub const RESULTS_PATH: &str = "/transcodeResults";
/// `Content-Type` of results that are the text of a failure.
pub const FAILURE_TYPE: &str = "livepeer/transcoding-error";
/// Type of results that are renditions; a boundary follows.
pub const RESULTS_TYPE: &str = "multipart/mixed";
/// Type of a part that holds a perceptual hash.
const HASH_TYPE: &str = "application/octet-stream";
/// Fewer bytes are no rendition.
const LEAST_RENDITION: usize = 25;

/// A rendition as a remote transcoder returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// The file.
    pub bytes: Bytes,
    /// Encoded pixels, as the transcoder counted them.
    pub pixels: u64,
    /// Its perceptual hash; empty where there is none.
    pub hash: Bytes,
}

/// What an orchestrator tells a remote transcoder.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// Transcode a segment.
    Job {
        /// Number under which the results are posted.
        task: i64,
        /// Where the segment is fetched.
        url: String,
        /// The orchestrator's account, or `offchain`: stands in the renditions' metadata.
        orchestrator: String,
        /// What is to be done.
        order: Box<SegmentCredentials>,
    },
    /// A session is over. One that nobody knows is no error, so this also shows that the link lives.
    SessionEnd(String),
}

impl Notice {
    /// As a message.
    pub fn to_pb(&self) -> pb::NotifySegment {
        match self {
            Self::Job {
                task,
                url,
                orchestrator,
                order,
            } => {
                let mut order = order.clone();
                order.capabilities = order.capabilities.with_unit_capacities();
                order.sig = Vec::new();
                order.storage = None;
                // The transcoder gets the bytes from us and takes our word for them.
                order.hash = [0; 32];
                let data = order.to_pb();
                pb::NotifySegment {
                    url: url.clone(),
                    task_id: *task,
                    orch_id: orchestrator.clone(),
                    profiles: data.profiles.clone(),
                    seg_data: Some(data),
                }
            }
            Self::SessionEnd(session_id) => pb::NotifySegment {
                seg_data: Some(pb::SegData {
                    auth_token: Some(pb::AuthToken {
                        session_id: session_id.clone(),
                        ..Default::default()
                    }),
                    ..Default::default()
                }),
                ..Default::default()
            },
        }
    }

    /// From a message.
    ///
    /// # Errors
    /// The number of the task and the text to be posted as its failure.
    pub fn from_pb(message: pb::NotifySegment) -> Result<Self, (i64, String)> {
        let task = message.task_id;
        let Some(data) = message.seg_data else {
            return Err((task, texts::EMPTY_SEG_DATA.to_owned()));
        };
        let session = data.auth_token.as_ref().map(|token| &token.session_id);
        if let Some(session) = session
            && !session.is_empty()
            && message.url.is_empty()
        {
            return Ok(Self::SessionEnd(session.clone()));
        }
        let order = SegmentCredentials::from_pb(data);
        let order = order.map_err(|refusal| (task, refusal.wire_text().to_string()))?;
        Ok(Self::Job {
            task,
            url: message.url,
            orchestrator: message.orch_id,
            order: Box::new(order),
        })
    }
}

/// File name under which a segment is fetched by remote transcoders.
pub fn input_file(seq: i64) -> String {
    format!("{seq}.tempfile")
}

/// Sequence number in such a file name.
pub fn input_seq(file: &str) -> Option<i64> {
    file.strip_suffix(".tempfile")?.parse().ok()
}

/// URL of it: `<service>/stream/<session ID>/<seq>.tempfile`.
pub fn input_url(service: &str, session_id: &str, seq: i64) -> String {
    let path = encode_path(["stream", session_id, &input_file(seq)]);
    format!("{service}/{path}")
}

/// Reads the body of results with renditions.
///
/// # Errors
/// The text with which the post is answered and the task fails.
pub fn read_results(body: &Bytes, boundary: &str) -> Result<Vec<Rendition>, String> {
    let parts = mixed::parse(body, boundary).map_err(|error| error.to_string())?;
    let mut renditions: Vec<Rendition> = Vec::new();
    for part in parts {
        if part.bytes.len() > MAX_BYTES {
            return Err(texts::INPUT_TOO_BIG.to_owned());
        }
        if let Some(pixels) = part.header("pixels") {
            let pixels = pixels
                .parse()
                .map_err(|_| format!("strconv.ParseInt: parsing {pixels:?}: invalid syntax"))?;
            renditions.push(Rendition {
                bytes: part.bytes,
                pixels,
                hash: Bytes::new(),
            });
        } else if part.header("content-type") == Some(HASH_TYPE) {
            let last = renditions.last_mut();
            last.ok_or("Unknown perceptual hash")?.hash = part.bytes;
        }
    }
    Ok(renditions)
}

/// Whether renditions are one per profile, and none of them next to nothing.
///
/// # Errors
/// The text that the gateway is told.
pub fn check_results(
    renditions: &[Rendition],
    profiles: &[VideoProfile],
) -> Result<(), &'static str> {
    if renditions.len() != profiles.len() {
        return Err(texts::MISMATCHED_SEGMENTS);
    }
    let empty = renditions
        .iter()
        .any(|rendition| rendition.bytes.len() < LEAST_RENDITION);
    if empty {
        return Err(texts::ZERO_SEGMENTS);
    }
    Ok(())
}

/// The body of results with these renditions, in the order of the profiles. `hashes`: each is followed by its perceptual
/// hash, empty or not.
pub fn write_results(renditions: &[(Format, Rendition)], hashes: bool, boundary: &str) -> Bytes {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let mut parts = Vec::new();
    for (format, rendition) in renditions {
        parts.push(Part {
            headers: vec![
                header("Content-Length", rendition.bytes.len().to_string()),
                header("Content-Type", format.mime().to_owned()),
                header("Pixels", rendition.pixels.to_string()),
            ],
            bytes: rendition.bytes.clone(),
        });
        if hashes {
            parts.push(Part {
                headers: vec![
                    header("Content-Length", rendition.hash.len().to_string()),
                    header("Content-Type", HASH_TYPE.to_owned()),
                ],
                bytes: rendition.hash.clone(),
            });
        }
    }
    mixed::write(&parts, boundary)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::capabilities::{Capabilities, CapabilitySet};

    fn order() -> SegmentCredentials {
        SegmentCredentials {
            manifest_id: b"movie".to_vec(),
            seq: 7,
            hash: [9; 32],
            profiles: crate::profile::presets("P144p30fps16x9").unwrap(),
            duration_ms: 2000,
            capabilities: Capabilities::demand(CapabilitySet::from_words(vec![0x400_1003])),
            auth_token: Some(pb::AuthToken {
                token: vec![1; 32],
                session_id: "s".into(),
                expiration: 5,
            }),
            clip: None,
            storage: Some(Default::default()),
            calc_perceptual_hash: true,
            force_reinit: true,
            sig: vec![3; 65],
        }
    }

    fn job(task: i64) -> Notice {
        Notice::Job {
            task,
            url: "https://o/stream/s/7.tempfile".into(),
            orchestrator: "offchain".into(),
            order: Box::new(order()),
        }
    }

    #[test]
    fn a_job_carries_the_token_and_neither_signature_nor_storage() {
        let message = job(0).to_pb();
        assert_eq!(message.profiles, b"invalid");
        let data = message.seg_data.clone().unwrap();
        assert_eq!(
            (data.hash, data.sig, data.storage.len()),
            (vec![0; 32], vec![], 0)
        );
        assert_eq!(data.auth_token, order().auth_token);
        let capacities = data.capabilities.unwrap().capacities;
        assert_eq!(
            capacities.keys().copied().collect::<Vec<_>>(),
            [0, 1, 12, 26],
            "one per bit, which older transcoders count by"
        );
        let sent = pb::NotifySegment::decode(&message.encode_to_vec()[..]).unwrap();
        let Notice::Job {
            task, order: read, ..
        } = Notice::from_pb(sent).unwrap()
        else {
            panic!("a job");
        };
        assert_eq!((task, read.profiles), (0, order().profiles));
    }

    #[test]
    fn the_end_of_a_session_is_no_job() {
        let notice = Notice::SessionEnd("s".into());
        assert_eq!(Notice::from_pb(notice.to_pb()), Ok(notice));
        assert_eq!(
            Notice::from_pb(pb::NotifySegment::default()),
            Err((0, "empty seg data".into()))
        );
    }

    #[test]
    fn results_round_trip_with_their_hashes_and_alphabetical_headers() {
        let rendition = Rendition {
            bytes: vec![0x47; 188].into(),
            pixels: 99,
            hash: Bytes::from_static(b"hash"),
        };
        let sent = [(Format::MpegTs, rendition.clone())];
        let body = write_results(&sent, true, "b");
        assert!(body.starts_with(
            b"--b\r\nContent-Length: 188\r\nContent-Type: video/mp2t\r\nPixels: 99\r\n\r\n"
        ));
        assert_eq!(read_results(&body, "b"), Ok(vec![rendition.clone()]));
        let without = Rendition {
            hash: Bytes::new(),
            ..rendition
        };
        let body = write_results(&sent, false, "b");
        assert_eq!(read_results(&body, "b"), Ok(vec![without]));
    }

    #[test]
    fn results_that_make_no_sense_are_told_by_text() {
        let read = |body: &'static str| read_results(&Bytes::from_static(body.as_bytes()), "b");
        assert_eq!(
            read("--b\r\nContent-Type: application/octet-stream\r\n\r\nx\r\n--b--"),
            Err("Unknown perceptual hash".into())
        );
        assert!(read("--b\r\nPixels: many\r\n\r\nx\r\n--b--").is_err());
        assert!(read("--b\r\nPixels: -1\r\n\r\nx\r\n--b--").is_err());
        assert_eq!(
            read("--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--"),
            Ok(vec![]),
            "what is neither is passed over"
        );
    }

    #[test]
    fn renditions_are_one_per_profile_and_not_empty() {
        let profiles = order().profiles;
        let of = |size: usize| Rendition {
            bytes: vec![0; size].into(),
            pixels: 1,
            hash: Bytes::new(),
        };
        assert_eq!(check_results(&[of(25)], &profiles), Ok(()));
        assert_eq!(check_results(&[of(24)], &profiles), Err("ZeroSegments"));
        assert_eq!(check_results(&[], &profiles), Err("MismatchedSegments"));
    }

    #[test]
    fn inputs_have_names_that_survive_a_url() {
        assert_eq!(
            input_url("https://o:8935", "a/b", -3),
            "https://o:8935/stream/a%2Fb/-3.tempfile"
        );
        assert_eq!(input_seq(&input_file(-3)), Some(-3));
        assert_eq!(input_seq("3.ts"), None);
    }
}
