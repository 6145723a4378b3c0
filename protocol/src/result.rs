//! The answer to a segment, and the names under which its renditions are fetched.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use prost::Message;

use crate::{Error, pb, profile::VideoProfile, texts};

/// What stays as it is in a path segment: letters, digits and the other unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Suffix of the perceptual hash of a rendition, after its own name.
pub const PERCEPTUAL_HASH_SUFFIX: &str = ".phash";

/// Result of a segment whose renditions can be fetched. `segments` are in the order of the profiles, one each;
/// `sig` is empty off-chain.
pub fn success(
    seq: i64,
    segments: Vec<pb::TranscodedSegmentData>,
    sig: Vec<u8>,
    info: Option<pb::OrchestratorInfo>,
) -> pb::TranscodeResult {
    let data = pb::TranscodeData { segments, sig };
    pb::TranscodeResult {
        seq,
        info,
        result: Some(pb::transcode_result::Result::Data(data)),
    }
}

/// Result of a segment that failed; see [`texts`] for what gateways make of the text.
pub fn failure(
    seq: i64,
    text: impl Into<String>,
    info: Option<pb::OrchestratorInfo>,
) -> pb::TranscodeResult {
    pb::TranscodeResult {
        seq,
        info,
        result: Some(pb::transcode_result::Result::Error(text.into())),
    }
}

/// A result as its receiver sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Sequence number of the segment.
    pub seq: i64,
    /// Renditions, or the text of the failure.
    pub outcome: Result<pb::TranscodeData, String>,
    /// The orchestrator's description of itself from now on.
    pub info: Option<pb::OrchestratorInfo>,
}

/// Reads the body of an answer with status 200. One with neither member set has the outcome `UnknownResponse`.
///
/// # Errors
/// [`Error::ResultMessage`] when the bytes are no such message.
pub fn decode(body: &[u8]) -> Result<Answer, Error> {
    let message =
        pb::TranscodeResult::decode(body).map_err(|e| Error::ResultMessage(e.to_string()))?;
    let outcome = match message.result {
        Some(pb::transcode_result::Result::Data(data)) => Ok(data),
        Some(pb::transcode_result::Result::Error(text)) => Err(text),
        None => Err(texts::UNKNOWN_RESPONSE.to_owned()),
    };
    Ok(Answer {
        seq: message.seq,
        outcome,
        info: message.info,
    })
}

/// Who made a rendition, as the reference writes it into its metadata (TS service provider, MP4 comment). `orchestrator`
/// is the account of the node, `offchain` without one.
pub fn provider(version: &str, orchestrator: &str) -> String {
    format!("Livepeer Transcoder {version} ({orchestrator})")
}

/// File name of a rendition inside its profile's directory: `<seq>.ts` or `<seq>.mp4`.
pub fn rendition_file(profile: &VideoProfile, seq: i64) -> String {
    format!("{seq}{}", profile.format.extension())
}

/// File name of the perceptual hash of a rendition, beside it.
pub fn hash_file(profile: &VideoProfile, seq: i64) -> String {
    rendition_file(profile, seq) + PERCEPTUAL_HASH_SUFFIX
}

/// URL of a rendition: `<service>/stream/<session ID>/<profile name>/<seq><ext>`, each segment of the path escaped.
pub fn rendition_url(service: &str, session_id: &str, profile: &VideoProfile, seq: i64) -> String {
    let path = encode_path([
        "stream",
        session_id,
        &profile.name,
        &rendition_file(profile, seq),
    ]);
    format!("{service}/{path}")
}

/// Joins segments with `/` after escaping each, so that a `/`, `?`, `#` or `%` inside one survives.
/// A segment that is `.` or `..` is escaped as well, but readers of URLs may still take it for a step up.
pub fn encode_path<'a>(segments: impl IntoIterator<Item = &'a str>) -> String {
    let escaped = segments.into_iter().map(|segment| match segment {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        other => utf8_percent_encode(other, ESCAPED).to_string(),
    });
    escaped.collect::<Vec<_>>().join("/")
}

/// Segments of a path (without its leading `/`), unescaped. `None` when one is not UTF-8.
/// They are names to look up, never steps: `..` is an ordinary name here and must not reach a file system.
pub fn decode_path(path: &str) -> Option<Vec<String>> {
    path.split('/')
        .map(|segment| {
            percent_decode_str(segment)
                .decode_utf8()
                .ok()
                .map(|s| s.into_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::{Format, presets};

    #[test]
    fn a_failure_is_byte_exact() {
        let message = failure(12, texts::BUSY, None);
        assert_eq!(
            hex::encode(message.encode_to_vec()),
            "080c12104f7263686573747261746f7242757379"
        );
    }

    #[test]
    fn an_answer_without_outcome_is_unknown() {
        assert_eq!(decode(b"").unwrap().outcome, Err("UnknownResponse".into()));
        assert!(matches!(decode(b"\xff\xff"), Err(Error::ResultMessage(_))));
    }

    #[test]
    fn urls_have_profile_and_number() {
        let mut profile = presets("P240p30fps16x9").unwrap().remove(0);
        let url = |p: &VideoProfile| rendition_url("https://o:8935", "0a1b", p, 7);
        assert_eq!(
            url(&profile),
            "https://o:8935/stream/0a1b/P240p30fps16x9/7.ts"
        );
        profile.name = "50% a/b?#é".into();
        profile.format = Format::Mp4;
        assert_eq!(
            url(&profile),
            "https://o:8935/stream/0a1b/50%25%20a%2Fb%3F%23%C3%A9/7.mp4"
        );
        profile.name = "..".into();
        assert_eq!(url(&profile), "https://o:8935/stream/0a1b/%2E%2E/7.mp4");
    }

    #[test]
    fn a_path_that_is_no_text_has_no_segments() {
        assert_eq!(decode_path("a/%ff"), None);
        assert_eq!(
            decode_path("a//%2"),
            Some(vec!["a".into(), String::new(), "%2".into()])
        );
    }

    proptest! {
        #[test]
        fn paths_round_trip(segments in prop::collection::vec("\\PC{0,12}", 1..5)) {
            let path = encode_path(segments.iter().map(String::as_str));
            prop_assert!(path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\".contains(&b)));
            prop_assert_eq!(decode_path(&path), Some(segments));
        }

        #[test]
        fn any_body_and_path_is_read_or_refused(body: Vec<u8>, path: String) {
            let _ = (decode(&body), decode_path(&path));
        }

        #[test]
        fn results_round_trip(seq: i64, urls: Vec<String>, sig: Vec<u8>, text: String) {
            let segments: Vec<_> = urls
                .into_iter()
                .map(|url| pb::TranscodedSegmentData { url, pixels: seq, ..Default::default() })
                .collect();
            let sent = success(seq, segments.clone(), sig.clone(), Some(Default::default()));
            let answer = decode(&sent.encode_to_vec()).unwrap();
            prop_assert_eq!(answer, Answer {
                seq, outcome: Ok(pb::TranscodeData { segments, sig }), info: Some(Default::default()),
            });
            prop_assert_eq!(decode(&failure(seq, &*text, None).encode_to_vec()).unwrap().outcome, Err(text));
        }
    }
}
