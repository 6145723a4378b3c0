//! The gRPC service that gateways find the node by. Gateways ask once per segment of every stream, so the answer is a
//! published snapshot with a new token in it, and no mailbox lies on the way.

use std::sync::Arc;

use actors::quotes::Purpose;
use actors::slots::Customer;
use protocol::capabilities::Capabilities;
use protocol::refusal::DiscoveryRefusal;
use protocol::signature::{SecretKey, sign_message};
use protocol::{Network, discovery, pb, texts, token};
use telemetry::metrics::label::{self, Stage};
use tonic::{Request, Response, Status};

use super::Door;
use super::peer::Peer;
use super::refused::{blames_caller, discovery_reason};
use crate::doors::rpc::orchestrator_server::Orchestrator;

/// Length of a ping.
const HASH_BYTES: usize = 32;

/// See the module.
pub(super) struct Discovery(pub Arc<Door>);

impl Discovery {
    fn refuse(&self, peer: Peer, refusal: &DiscoveryRefusal) -> Status {
        let context = &self.0.context;
        let reason = match refusal {
            DiscoveryRefusal::Capped if context.sessions.slots().is_draining() => {
                label::Refusal::Draining
            }
            other => discovery_reason(other),
        };
        context.metrics.video.refused(Stage::Discovery, reason);
        if blames_caller(reason) {
            self.0.gate.failed(peer.address);
        }
        tracing::debug!(clientIP = %peer.address, error = %refusal, "gateway turned away");
        Status::unknown(refusal.wire_text())
    }
}

#[tonic::async_trait]
impl Orchestrator for Discovery {
    async fn get_orchestrator(
        &self,
        request: Request<pb::OrchestratorRequest>,
    ) -> Result<Response<pb::OrchestratorInfo>, Status> {
        let context = &self.0.context;
        context.metrics.video.discovery_request();
        let peer = peer_of(&request)?;
        let sender = discovery::requester(request.get_ref(), context.network)
            .map_err(|refusal| self.refuse(peer, &refusal))?;
        if context.network == Network::OffChain {
            self.0.gate.unverified(peer.address);
        }
        // A gateway with a running stream only renews its token, and is served also when the node is full.
        // Streams take no place from models; a node that drains takes neither.
        let demand = Capabilities::from_pb(request.into_inner().capabilities);
        let slots = context.sessions.slots();
        let full = if demand.demands_ai() {
            slots.is_draining()
        } else {
            slots.refuses(&Customer {
                sender,
                peer: peer.address,
            })
        };
        if full {
            return Err(self.refuse(peer, &DiscoveryRefusal::Capped));
        }
        if let Some(webhook) = &context.webhook {
            webhook.admit(sender).await.map_err(|refusal| {
                self.refuse(peer, &DiscoveryRefusal::Webhook(refusal.to_string()))
            })?;
        }
        let session_id = token::session_id(&rand::random::<[u8; 16]>());
        let token = context.tokens.issue(session_id, (context.clock)());
        let mut info = context.broadcast.load().answer(&demand, token);
        if let Some(paid) = &context.paid {
            if demand == Capabilities::default() {
                let models = context.models.offer();
                info.capabilities_prices = paid.model_prices(sender, models.keys());
            }
            let offered = paid.offer(sender, &Purpose::of(&demand), &mut info).await;
            offered.map_err(|refusal| self.refuse(peer, &refusal))?;
        }
        Ok(Response::new(info))
    }

    async fn end_transcoding_session(
        &self,
        request: Request<pb::EndTranscodingSessionRequest>,
    ) -> Result<Response<pb::EndTranscodingSessionResponse>, Status> {
        let peer = peer_of(&request)?;
        let Some(token) = request.into_inner().auth_token else {
            self.0.gate.failed(peer.address);
            return Err(Status::invalid_argument("auth_token is missing"));
        };
        if !self.0.context.tokens.made(&token) {
            self.0.gate.failed(peer.address);
            return Err(Status::unknown(texts::END_SESSION_TOKEN));
        }
        self.0.context.sessions.end(&token.session_id).await;
        Ok(Response::new(pb::EndTranscodingSessionResponse {}))
    }

    async fn ping(&self, request: Request<pb::PingPong>) -> Result<Response<pb::PingPong>, Status> {
        self.0.gate.unverified(peer_of(&request)?.address);
        // Without an account nothing is signed.
        let value = match &self.0.context.paid {
            Some(paid) => pong(paid.signer.key(), &request.into_inner().value)?,
            None => Vec::new(),
        };
        Ok(Response::new(pb::PingPong { value }))
    }
}

/// Signs a ping. Only one of the form that peers send, a hash of 32 bytes: the same signature under other bytes would be
/// that of a ticket or of a segment, and with it the account's own deposit could be spent.
fn pong(key: &SecretKey, ping: &[u8]) -> Result<Vec<u8>, Status> {
    if ping.len() != HASH_BYTES {
        return Err(Status::invalid_argument("a ping is 32 bytes"));
    }
    Ok(sign_message(key, ping).to_vec())
}

pub(super) fn peer_of<T>(request: &Request<T>) -> Result<Peer, Status> {
    request
        .extensions()
        .get::<Peer>()
        .copied()
        .ok_or_else(|| Status::internal("the request has no peer"))
}

#[cfg(test)]
mod tests {
    use protocol::address::Address;
    use protocol::money::{ExpirationParams, Ticket, U256};
    use protocol::signature::{Hash, verify};

    use super::*;

    #[test]
    fn nobody_gets_a_signature_under_words_of_his_own() {
        let key = SecretKey::from_bytes([0x46; 32]).unwrap();
        let ping: Hash = [7; 32];
        let pong_of = |bytes: &[u8]| pong(&key, bytes);
        assert!(verify(key.address(), &ping, &pong_of(&ping).unwrap()));
        // the packed fields of a ticket, whose hash is what a ticket's signature stands under
        let ticket = Ticket {
            recipient: Address([1; 20]),
            sender: key.address(),
            face_value: U256::exp10(18),
            win_prob: U256::MAX,
            nonce: 1,
            recipient_rand_hash: [2; 32],
            expiration: ExpirationParams::default(),
        };
        let word = |n: U256| {
            let mut bytes = [0; 32];
            n.to_big_endian(&mut bytes);
            bytes
        };
        let packed = [
            &ticket.recipient.0[..],
            &ticket.sender.0,
            &word(ticket.face_value),
            &word(ticket.win_prob),
            &word(1.into()),
            &ticket.recipient_rand_hash,
        ]
        .concat();
        assert!(
            ticket.is_signed_by_sender(&sign_message(&key, &packed)),
            "what a careless answer would give away"
        );
        for words in [
            &packed[..],
            b"",
            key.address().to_string().as_bytes(),
            &[7; 33],
        ] {
            assert_eq!(
                pong_of(words).unwrap_err().code(),
                tonic::Code::InvalidArgument
            );
        }
    }
}
