//! The gRPC service, through the generated client.

use std::net::IpAddr;

use protocol::capabilities::{Capabilities, Capability, CapabilitySet};
use protocol::{discovery, pb};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::super::{PublicLimits, Transport};
use super::house::{House, NOW, SERVICE, run, segment};
use crate::doors::rpc::orchestrator_client::OrchestratorClient;

async fn connect(house: &House, last: u8) -> OrchestratorClient<Channel> {
    let endpoint = Endpoint::from_shared(house.url("")).expect("URI");
    let local = IpAddr::from([127, 0, 0, last]);
    OrchestratorClient::new(
        endpoint
            .local_address(Some(local))
            .connect()
            .await
            .expect("connected"),
    )
}

fn request() -> pb::OrchestratorRequest {
    discovery::off_chain_request(&Capabilities::demand(CapabilitySet::from_words(vec![
        0x0400_1003,
    ])))
}

#[test]
fn discovery_gives_what_an_off_chain_gateway_needs() {
    run(|| async {
        let house = House::open();
        let mut client = connect(&house, 1).await;
        let first = client
            .get_orchestrator(request())
            .await
            .expect("info")
            .into_inner();
        assert_eq!(first.transcoder, SERVICE);
        assert_eq!(first.address, [0; 20]);
        assert!(first.price_info.is_none() && first.ticket_params.is_none());
        let capabilities = Capabilities::from_pb(first.capabilities.clone());
        assert_eq!(
            capabilities,
            Capabilities::tested([Capability::H264], "0.9.1")
        );
        let token = first.auth_token.expect("token");
        assert_eq!(token.session_id.len(), 32);
        assert!(house.context.tokens.check(Some(&token), NOW).is_ok());
        let second = client
            .get_orchestrator(request())
            .await
            .expect("info")
            .into_inner();
        assert_ne!(
            second.auth_token.expect("token").session_id,
            token.session_id
        );
        assert_eq!(
            house.context.sessions.slots().used(),
            0,
            "asking must not cost a slot"
        );
    });
}

#[test]
fn ending_a_session_needs_a_token_of_ours() {
    run(|| async {
        let house = House::open();
        let mut client = connect(&house, 1).await;
        let missing = client
            .end_transcoding_session(pb::EndTranscodingSessionRequest::default())
            .await;
        assert_eq!(missing.expect_err("refused").code(), Code::InvalidArgument);
        let mut token = house.context.tokens.issue("unknown".into(), 0);
        let own = pb::EndTranscodingSessionRequest {
            auth_token: Some(token.clone()),
        };
        client
            .end_transcoding_session(own)
            .await
            .expect("an unknown session with an old token is no error");
        token.session_id.push('x');
        let foreign = pb::EndTranscodingSessionRequest {
            auth_token: Some(token),
        };
        let refused = client
            .end_transcoding_session(foreign)
            .await
            .expect_err("refused");
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::Unknown, "Invalid auth token")
        );
    });
}

#[test]
fn a_ping_off_chain_comes_back_empty() {
    run(|| async {
        let house = House::open();
        let ping = pb::PingPong {
            value: b"abc".to_vec(),
        };
        let pong = connect(&house, 1)
            .await
            .ping(ping)
            .await
            .expect("pong")
            .into_inner();
        assert!(pong.value.is_empty());
    });
}

#[test]
fn a_full_node_turns_strangers_away_and_renews_the_tokens_of_running_streams() {
    run(|| async {
        let house = House::with(PublicLimits::default(), 1, Transport::Plain);
        let slots = house.context.sessions.slots();
        let gateway = actors::slots::Customer {
            sender: protocol::address::Address::ZERO,
            peer: [127, 0, 0, 2].into(),
        };
        let _slot = slots.take(gateway).expect("free");
        let refused = connect(&house, 3)
            .await
            .get_orchestrator(request())
            .await
            .expect_err("full");
        assert_eq!(refused.code(), Code::Unknown);
        assert_eq!(
            refused.message(),
            "Invalid orchestrator request: OrchestratorCapped"
        );
        connect(&house, 2)
            .await
            .get_orchestrator(request())
            .await
            .expect("a renewal");
    });
}

#[test]
fn strangers_who_ask_too_often_are_held_off_and_gateways_are_not() {
    run(|| async {
        let limits = PublicLimits {
            failures_per_minute: 3,
            ..PublicLimits::default()
        };
        let house = House::with(limits, 10, Transport::Plain);
        let mut stranger = connect(&house, 2).await;
        for _ in 0..4 {
            stranger.get_orchestrator(request()).await.expect("info");
        }
        let refused = stranger
            .get_orchestrator(request())
            .await
            .expect_err("held off");
        assert_eq!(refused.code(), Code::ResourceExhausted);

        let media = b"media";
        let answer = segment(&house, &house.credentials(media), media)
            .send()
            .await
            .expect("answer");
        assert_eq!(answer.status(), 200);
        let mut gateway = connect(&house, 1).await;
        for _ in 0..50 {
            gateway.get_orchestrator(request()).await.expect("info");
        }
    });
}

#[test]
fn unknown_methods_are_unimplemented() {
    run(|| async {
        let house = House::open();
        let endpoint = Endpoint::from_shared(house.url("")).expect("URI");
        let channel = endpoint.connect().await.expect("connected");
        let mut client = crate::doors::rpc::transcoder_client::TranscoderClient::new(channel);
        let refused = client
            .register_transcoder(pb::RegisterRequest::default())
            .await
            .expect_err("not served");
        assert_eq!(refused.code(), Code::Unimplemented);
    });
}
