//! The credentials of a segment: the header `Livepeer-Segment`, read, written, signed and checked.
//!
//! [`SegmentCredentials::decode_header`] and [`SegmentCredentials::authorize`] make the checks in the order that peers
//! know; what depends on the node's load, the payment and the body comes after them.

use base64::Engine;
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::{
    Network,
    address::Address,
    capabilities::Capabilities,
    payment::BASE64,
    pb,
    profile::{VideoProfile, encode_lists, from_lists},
    refusal::Refusal,
    signature::{Hash, SecretKey, keccak256, sign_message, verify},
    token::TokenKey,
};

/// Most bytes of a segment, a downloaded object or a rendition.
pub const MAX_BYTES: usize = 300_000_000;

/// Longest segment, ms.
pub const MAX_DURATION_MS: u32 = 300_000;

/// Taken for a segment that states no duration, ms.
pub const DEFAULT_DURATION_MS: u32 = 2000;

/// `Content-Type` of a request whose body is the URL of the segment.
pub const URL_CONTENT_TYPE: &str = "application/vnd+livepeer.uri";

/// What stands in the legacy field `profiles`, so that peers who know only that field fail.
const LEGACY_PROFILES: &[u8] = b"invalid";

/// Part of a segment to keep, in ms relative to its first video frame; 0 = open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clip {
    /// Frames before are dropped.
    pub from_ms: u64,
    /// Frames after are dropped.
    pub to_ms: u64,
}

/// Decoded form of `SegData`.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentCredentials {
    /// Name of the stream, chosen by the gateway; any bytes.
    pub manifest_id: Vec<u8>,
    /// Sequence number; negative ones are legal.
    pub seq: i64,
    /// Keccak-256 of the media bytes.
    pub hash: Hash,
    /// Renditions, in the order in which they are to be returned.
    pub profiles: Vec<VideoProfile>,
    /// Duration, ms, 1 to 300 000.
    pub duration_ms: u32,
    /// What the job demands.
    pub capabilities: Capabilities,
    /// Token from GetOrchestrator.
    pub auth_token: Option<pb::AuthToken>,
    /// Part to keep.
    pub clip: Option<Clip>,
    /// The gateway's own object store.
    pub storage: Option<pb::OsInfo>,
    /// Perceptual hashes are wanted.
    pub calc_perceptual_hash: bool,
    /// The transcoding session starts afresh with this segment.
    pub force_reinit: bool,
    /// Signature over [`flatten`](Self::flatten).
    pub sig: Vec<u8>,
}

impl SegmentCredentials {
    /// Reads the value of `Livepeer-Segment`. An empty value gives empty credentials, which fail later checks.
    pub fn decode_header(value: &[u8]) -> Result<Self, Refusal> {
        let bytes = BASE64
            .decode(value)
            .map_err(|e| Refusal::SegmentEncoding(e.to_string()))?;
        let data =
            pb::SegData::decode(&bytes[..]).map_err(|e| Refusal::SegmentMessage(e.to_string()))?;
        Self::from_pb(data)
    }

    /// Reads a message: first its renditions, then its duration may be refused.
    pub fn from_pb(data: pb::SegData) -> Result<Self, Refusal> {
        let profiles = from_lists(&data)?;
        let duration_ms = match u32::try_from(data.duration) {
            Ok(0) => DEFAULT_DURATION_MS,
            Ok(ms) if ms <= MAX_DURATION_MS => ms,
            _ => return Err(Refusal::Duration(data.duration)),
        };
        Ok(Self {
            manifest_id: data.manifest_id,
            seq: data.seq,
            hash: hash_from_wire(&data.hash),
            profiles,
            duration_ms,
            capabilities: Capabilities::from_pb(data.capabilities),
            auth_token: data.auth_token,
            clip: data.segment_parameters.map(|p| Clip {
                from_ms: p.from,
                to_ms: p.to,
            }),
            storage: data.storage.into_iter().next(),
            calc_perceptual_hash: data.calc_perceptual_hash,
            force_reinit: data.force_session_reinit,
            sig: data.sig,
        })
    }

    /// As a message, the renditions in the list that their needs call for.
    pub fn to_pb(&self) -> pb::SegData {
        let lists = encode_lists(&self.profiles);
        pb::SegData {
            manifest_id: self.manifest_id.clone(),
            seq: self.seq,
            hash: self.hash.to_vec(),
            profiles: LEGACY_PROFILES.to_vec(),
            sig: self.sig.clone(),
            duration: i32::try_from(self.duration_ms).unwrap_or(i32::MAX),
            capabilities: Some(self.capabilities.to_pb()),
            auth_token: self.auth_token.clone(),
            calc_perceptual_hash: self.calc_perceptual_hash,
            storage: self.storage.iter().cloned().collect(),
            full_profiles: lists.first,
            full_profiles2: lists.second,
            full_profiles3: lists.third,
            segment_parameters: self.clip.map(|c| pb::SegParameters {
                from: c.from_ms,
                to: c.to_ms,
            }),
            force_session_reinit: self.force_reinit,
        }
    }

    /// Value of `Livepeer-Segment`.
    pub fn encode_header(&self) -> String {
        BASE64.encode(self.to_pb().encode_to_vec())
    }

    /// The bytes that are signed: manifest ID ‖ |seq| in 32 bytes big-endian ‖ hash ‖ for each rendition 8 hexadecimal
    /// digits of the Keccak-256 of its name. Nothing else is covered, not the sizes and not the duration.
    pub fn flatten(&self) -> Vec<u8> {
        let mut out = self.manifest_id.clone();
        out.extend([0; 24]);
        out.extend(self.seq.unsigned_abs().to_be_bytes());
        out.extend(self.hash);
        for profile in &self.profiles {
            out.extend(hex::encode(&keccak256(&profile.name)[..4]).into_bytes());
        }
        out
    }

    /// Signs with the account that pays.
    pub fn sign(&mut self, key: &SecretKey) {
        self.sig = sign_message(key, &self.flatten()).to_vec();
    }

    /// Whether the sender of the payment signed this segment. Off-chain always.
    pub fn check_signature(&self, network: Network, sender: Address) -> Result<(), Refusal> {
        match network {
            Network::OnChain if !verify(sender, &self.flatten(), &self.sig) => {
                Err(Refusal::Signature)
            }
            _ => Ok(()),
        }
    }

    /// The checks between decoding and the question whether there is room: signature, capabilities, token present,
    /// made here, not expired. Gives the token, whose session ID is the key of all that follows.
    ///
    /// `sender` comes from the payment, `now_ms` is Unix milliseconds.
    pub fn authorize(
        &self,
        network: Network,
        sender: Address,
        server: &Capabilities,
        key: &TokenKey,
        now_ms: u64,
    ) -> Result<&pb::AuthToken, Refusal> {
        self.check_signature(network, sender)?;
        self.capabilities
            .satisfied_by(server)
            .map_err(Refusal::Capabilities)?;
        key.check(self.auth_token.as_ref(), now_ms)
    }

    /// Name of the stream for logs: bytes that are no text are replaced, control characters escaped.
    pub fn stream_name(&self) -> String {
        let text = String::from_utf8_lossy(&self.manifest_id);
        text.chars()
            .flat_map(|c| {
                if c.is_control() {
                    c.escape_default().collect()
                } else {
                    vec![c]
                }
            })
            .collect()
    }
}

/// The last 32 bytes, left-padded with zeros when there are fewer.
fn hash_from_wire(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().rev().zip(bytes.iter().rev()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests;
