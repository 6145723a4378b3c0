//! Owns the ready answer to GetOrchestrator: made anew when an input changes, read by doors without a message.
//!
//! Gateways ask once per segment of every stream, so nothing is computed when they do: the door adds a token to what lies ready.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};
use arc_swap::ArcSwap;
use protocol::address::Address;
use protocol::capabilities::Capabilities;
use protocol::{discovery, pb};

use crate::death::DeathNotice;

/// What the node says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Account that signs results; zero off-chain.
    pub address: Address,
    /// Service URI, byte-identical in every answer: gateways file the node under it.
    pub service_uri: String,
    /// Other instances of the operator.
    pub nodes: Vec<String>,
    /// What the node can do.
    pub capabilities: Capabilities,
    /// Cards behind its models, told to those who ask for nothing in particular.
    pub hardware: Vec<pb::HardwareInformation>,
}

/// A ready answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    identity: Identity,
    info: pb::OrchestratorInfo,
    /// The same for those who look for AI: gateways demand the whole video default set of such a node, which tells
    /// nothing of what it transcodes.
    info_ai: pb::OrchestratorInfo,
}

impl Snapshot {
    /// The answer for `identity`.
    pub fn new(identity: Identity) -> Self {
        let info = pb::OrchestratorInfo {
            address: identity.address.0.to_vec(),
            ..discovery::off_chain_info(
                &identity.service_uri,
                &identity.nodes,
                &identity.capabilities,
                pb::AuthToken::default(),
            )
        };
        let info_ai = pb::OrchestratorInfo {
            capabilities: Some(identity.capabilities.for_ai().to_pb()),
            ..info.clone()
        };
        Self {
            identity,
            info,
            info_ai,
        }
    }

    /// What it was made from.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The answer to `demand` with `token` in it. Cards are told to those who demand nothing.
    pub fn answer(&self, demand: &Capabilities, token: pb::AuthToken) -> pb::OrchestratorInfo {
        let info = if demand.demands_ai() {
            &self.info_ai
        } else {
            &self.info
        };
        let general = *demand == Capabilities::default();
        pb::OrchestratorInfo {
            auth_token: Some(token),
            hardware: if general {
                self.identity.hardware.clone()
            } else {
                Vec::new()
            },
            ..info.clone()
        }
    }

    /// The answer with `token` in it, for those whose work is video.
    pub fn info(&self, token: pb::AuthToken) -> pb::OrchestratorInfo {
        pb::OrchestratorInfo {
            auth_token: Some(token),
            ..self.info.clone()
        }
    }
}

/// Where the current answer is published.
pub type Broadcast = Arc<ArcSwap<Snapshot>>;

// ---- messages: asked by others ----

/// What the node can do has changed: a device came, went, or learnt something.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetOffer {
    /// Everything that it can do.
    pub capabilities: Capabilities,
    /// Cards behind its models.
    pub hardware: Vec<pb::HardwareInformation>,
}

/// See the module.
pub struct CapabilityBroadcaster {
    published: Broadcast,
    _notice: DeathNotice<&'static str>,
}

impl CapabilityBroadcaster {
    /// Goes on from what is published.
    pub fn new(published: Broadcast, notice: DeathNotice<&'static str>) -> Self {
        Self {
            published,
            _notice: notice,
        }
    }
}

impl Actor for CapabilityBroadcaster {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(16);
    }
}

impl Handler<SetOffer> for CapabilityBroadcaster {
    type Result = ();

    fn handle(&mut self, message: SetOffer, _: &mut Self::Context) {
        let mut identity = self.published.load().identity.clone();
        identity.capabilities = message.capabilities;
        identity.hardware = message.hardware;
        self.published.store(Arc::new(Snapshot::new(identity)));
    }
}

#[cfg(test)]
mod tests {
    use protocol::capabilities::Capability;

    use super::*;

    #[test]
    fn an_answer_carries_the_token_and_nothing_else_changes() {
        let identity = Identity {
            address: Address::ZERO,
            service_uri: "https://192.0.2.1:8935".into(),
            nodes: vec![],
            capabilities: Capabilities::tested([], "0.9.1"),
            hardware: vec![],
        };
        let snapshot = Snapshot::new(identity);
        let token = pb::AuthToken {
            session_id: "s".into(),
            ..Default::default()
        };
        let info = snapshot.info(token.clone());
        assert_eq!(info.auth_token, Some(token));
        assert_eq!(info.transcoder, "https://192.0.2.1:8935");

        let has = |demand: &Capabilities, wanted| {
            let info = snapshot.answer(demand, pb::AuthToken::default());
            Capabilities::from_pb(info.capabilities)
                .set
                .contains(wanted)
        };
        let untested = Capability::H264;
        let video = Capabilities::demand([Capability::H264].into_iter().collect());
        let llm = Capabilities::demand([Capability::Llm].into_iter().collect());
        assert!(!has(&video, untested) && !has(&Capabilities::default(), untested));
        assert!(
            has(&llm, untested),
            "a gateway that looks for AI wants the whole set"
        );
    }
}
