//! A gateway, as small as one can be: finds the node, sends segments, fetches what comes back.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message;
use protocol::capabilities::{Capabilities, CapabilitySet};
use protocol::discovery::off_chain_request;
use protocol::pb;
use protocol::profile::{Format, Gop, H264Profile, VideoCodec, VideoProfile};
use protocol::result::{self, Answer};
use protocol::segment::SegmentCredentials;
use protocol::signature::keccak256;
use reqwest::{Client, ClientBuilder, Response};

use super::media::Clip;
use super::node::Node;

/// What a gateway that takes pushed MPEG-TS demands.
pub const DEMAND: u64 = 0x400_1003;

/// A client that believes every certificate, as all peers do.
pub fn builder() -> ClientBuilder {
    // The second installation fails and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
}

/// Connections to one node.
#[derive(Clone)]
pub struct Gateway {
    base: String,
    /// HTTP/2.
    pub h2: Client,
    /// HTTP/1.1.
    pub h1: Client,
}

/// An error of gRPC.
#[derive(Debug, PartialEq, Eq)]
pub struct Status {
    /// Number of the code.
    pub code: u32,
    /// Text.
    pub message: String,
}

impl Gateway {
    /// A gateway for `node`.
    pub fn of(node: &Node) -> Self {
        Self::from_address(node, None)
    }

    /// A gateway that calls from an address of its own; all of 127/8 is this machine.
    pub fn from_address(node: &Node, address: impl Into<Option<IpAddr>>) -> Self {
        let address = address.into();
        let h2 = builder().local_address(address);
        let h2 = if node.public.starts_with("http:") {
            h2.http2_prior_knowledge()
        } else {
            h2
        };
        let h1 = builder().local_address(address).http1_only();
        Self {
            base: node.public.clone(),
            h2: h2.build().expect("client"),
            h1: h1.build().expect("client"),
        }
    }

    /// URL of a path on the node.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A unary call. Errors of a call that gave nothing travel in the head of the answer.
    pub async fn rpc<A: Message + Default>(
        &self,
        method: &str,
        question: &impl Message,
    ) -> Result<A, Status> {
        let message = question.encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).expect("length").to_be_bytes());
        frame.extend(message);
        let request = self
            .h2
            .post(self.url(&format!("/net.Orchestrator/{method}")));
        let request = request
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let answer = request.body(frame).send().await.expect("gRPC call");
        let text = |name| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        if let Ok(code @ 1..) = text("grpc-status").parse() {
            let message = percent_encoding::percent_decode_str(text("grpc-message"))
                .decode_utf8_lossy()
                .into_owned();
            return Err(Status { code, message });
        }
        let body = answer.bytes().await.expect("gRPC answer");
        assert_eq!(body[0], 0, "peers know no compression");
        Ok(A::decode(&body[5..]).expect("gRPC message"))
    }

    /// GetOrchestrator.
    pub async fn discover(&self) -> Result<pb::OrchestratorInfo, Status> {
        let demand = Capabilities::demand(CapabilitySet::from_words(vec![DEMAND]));
        self.rpc("GetOrchestrator", &off_chain_request(&demand))
            .await
    }

    /// A new stream.
    pub async fn stream(&self, manifest: &str, profiles: Vec<VideoProfile>) -> Stream {
        let info = self.discover().await.expect("discovery");
        Stream {
            gateway: self.clone(),
            info,
            manifest: manifest.to_owned(),
            profiles,
        }
    }
}

/// A live stream that is being pushed.
#[derive(Clone)]
pub struct Stream {
    /// Whose it is.
    pub gateway: Gateway,
    /// What discovery answered.
    pub info: pb::OrchestratorInfo,
    /// Its name.
    pub manifest: String,
    /// The ladder.
    pub profiles: Vec<VideoProfile>,
}

/// A rendition that was fetched.
pub struct Rendition {
    /// Pixels as billed.
    pub pixels: i64,
    /// The file.
    pub bytes: Bytes,
}

impl Stream {
    /// Session ID.
    pub fn session(&self) -> &str {
        self.info
            .auth_token
            .as_ref()
            .map(|token| token.session_id.as_str())
            .unwrap_or_default()
    }

    /// The message that goes into the segment header.
    pub fn seg_data(&self, seq: i64, clip: &Clip) -> pb::SegData {
        SegmentCredentials {
            manifest_id: self.manifest.clone().into_bytes(),
            seq,
            hash: keccak256(&clip.bytes),
            profiles: self.profiles.clone(),
            duration_ms: clip.duration_ms,
            capabilities: Capabilities::demand(CapabilitySet::from_words(vec![DEMAND])),
            auth_token: self.info.auth_token.clone(),
            clip: None,
            storage: None,
            calc_perceptual_hash: false,
            force_reinit: false,
            sig: Vec::new(),
        }
        .to_pb()
    }

    /// A request with the two headers, without a body.
    pub fn request(&self, client: &Client, data: &pb::SegData) -> reqwest::RequestBuilder {
        let request = client.post(self.gateway.url("/segment"));
        request
            .header("livepeer-segment", segment_header(data))
            .header("livepeer-payment", "")
    }

    /// Sends a segment and returns when the head of the answer is there.
    pub async fn begin(&self, seq: i64, clip: &Clip) -> Response {
        let request = self.request(&self.gateway.h2, &self.seg_data(seq, clip));
        request
            .header("content-type", "video/MP2T")
            .body(clip.bytes.clone())
            .send()
            .await
            .expect("send a segment")
    }

    /// Sends a segment and returns the result.
    pub async fn push(&self, seq: i64, clip: &Clip) -> Answer {
        finish(self.begin(seq, clip).await).await
    }

    /// Sends a segment; the error text, or one rendition per profile, fetched.
    pub async fn transcode(&self, seq: i64, clip: &Clip) -> Result<Vec<Rendition>, String> {
        let answer = self.push(seq, clip).await;
        assert_eq!(answer.seq, seq);
        let data = answer.outcome?;
        assert_eq!(data.segments.len(), self.profiles.len());
        let mut renditions = Vec::new();
        for segment in data.segments {
            let (status, bytes) = self.fetch(&segment.url).await;
            assert_eq!(status, 200, "{}", segment.url);
            renditions.push(Rendition {
                pixels: segment.pixels,
                bytes,
            });
        }
        Ok(renditions)
    }

    /// A rendition and its status, as gateways fetch it: HTTP/1.1.
    pub async fn fetch(&self, url: &str) -> (u16, Bytes) {
        let answer = self
            .gateway
            .h1
            .get(url)
            .send()
            .await
            .expect("fetch a rendition");
        (
            answer.status().as_u16(),
            answer.bytes().await.expect("bytes of a rendition"),
        )
    }

    /// EndTranscodingSession.
    pub async fn end(&self) -> Result<pb::EndTranscodingSessionResponse, Status> {
        let request = pb::EndTranscodingSessionRequest {
            auth_token: self.info.auth_token.clone(),
        };
        self.gateway.rpc("EndTranscodingSession", &request).await
    }
}

/// The result that follows a head with status 200.
pub async fn finish(head: Response) -> Answer {
    let status = head.status();
    let body = head.bytes().await.expect("body of a result");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    result::decode(&body).expect("a result")
}

/// Value of `Livepeer-Segment`.
pub fn segment_header(data: &pb::SegData) -> String {
    STANDARD.encode(data.encode_to_vec())
}

/// A rendition in MPEG-TS with everything else left to the node.
pub fn profile(name: &str, width: u32, height: u32, fps: u32) -> VideoProfile {
    VideoProfile {
        name: name.to_owned(),
        width,
        height,
        bitrate: 200_000,
        fps,
        fps_den: 0,
        format: Format::MpegTs,
        h264_profile: H264Profile::Default,
        gop: Gop::Default,
        codec: VideoCodec::H264,
        quality: 0,
    }
}

/// One small rendition.
pub fn small() -> Vec<VideoProfile> {
    vec![profile("small", 160, 90, 0)]
}
