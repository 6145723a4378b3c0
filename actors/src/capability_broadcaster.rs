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
}

/// A ready answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    identity: Identity,
    info: pb::OrchestratorInfo,
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
        Self { identity, info }
    }

    /// What it was made from.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The answer with `token` in it.
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
pub struct SetCapabilities(pub Capabilities);

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

impl Handler<SetCapabilities> for CapabilityBroadcaster {
    type Result = ();

    fn handle(&mut self, message: SetCapabilities, _: &mut Self::Context) {
        let mut identity = self.published.load().identity.clone();
        identity.capabilities = message.0;
        self.published.store(Arc::new(Snapshot::new(identity)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_carries_the_token_and_nothing_else_changes() {
        let identity = Identity {
            address: Address::ZERO,
            service_uri: "https://192.0.2.1:8935".into(),
            nodes: vec![],
            capabilities: Capabilities::tested([], "0.9.1"),
        };
        let snapshot = Snapshot::new(identity);
        let token = pb::AuthToken {
            session_id: "s".into(),
            ..Default::default()
        };
        let info = snapshot.info(token.clone());
        assert_eq!(info.auth_token, Some(token));
        assert_eq!(info.transcoder, "https://192.0.2.1:8935");
    }
}
