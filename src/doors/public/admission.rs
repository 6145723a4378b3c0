//! The checks that a segment and a payment share, in the order that decides which refusal is told: headers, signature,
//! capabilities, token, room.

use std::sync::Arc;

use actors::capability_broadcaster::Snapshot;
use actors::session_manager::Admission;
use actors::slots::Customer;
use http::HeaderMap;
use protocol::pb;
use protocol::refusal::Refusal;
use protocol::segment::SegmentCredentials;
use telemetry::metrics::label;

use super::Door;
use super::peer::Peer;
use super::refused::Refused;

/// Somebody who may work with us.
pub(super) struct Admitted {
    /// The payment header, unjudged.
    pub payment: pb::Payment,
    /// What the segment header says.
    pub credentials: SegmentCredentials,
    /// The token that was received; the answer carries it back.
    pub token: pb::AuthToken,
    /// The node's description of itself at this moment.
    pub snapshot: Arc<Snapshot>,
    /// The right to send a segment into the session.
    pub admission: Admission,
}

impl Admitted {
    /// The node's description with the received token.
    pub fn info(&self) -> pb::OrchestratorInfo {
        self.snapshot.info(self.token.clone())
    }
}

/// Checks the two headers and takes a slot.
pub(super) async fn admit(
    door: &Door,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<Admitted, Refused> {
    let context = &door.context;
    let value = |name| {
        headers
            .get(name)
            .map(http::HeaderValue::as_bytes)
            .unwrap_or_default()
    };
    let payment = protocol::payment::decode_header(value("livepeer-payment"))?;
    let credentials = SegmentCredentials::decode_header(value("livepeer-segment"))?;
    let sender = protocol::payment::sender(&payment);
    let snapshot = context.broadcast.load_full();
    let capabilities = &snapshot.identity().capabilities;
    let token = credentials
        .authorize(
            context.network,
            sender,
            capabilities,
            &context.tokens,
            (context.clock)(),
        )?
        .clone();
    let customer = Customer {
        sender,
        peer: peer.address,
    };
    let manifest = credentials.stream_name();
    let admitted = context
        .sessions
        .admit(&token.session_id, &manifest, customer)
        .await;
    let admission = admitted.map_err(|refusal| Refused {
        reason: match refusal {
            Refusal::Capped if context.sessions.slots().is_draining() => label::Refusal::Draining,
            ref other => Refused::from(other.clone()).reason,
        },
        refusal,
    })?;
    Ok(Admitted {
        payment,
        credentials,
        token,
        snapshot,
        admission,
    })
}
