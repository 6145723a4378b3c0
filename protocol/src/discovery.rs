//! GetOrchestrator: who asks, and how an off-chain node describes itself.

use crate::{
    Network,
    address::Address,
    capabilities::Capabilities,
    pb,
    refusal::DiscoveryRefusal,
    signature::{SecretKey, sign_message, verify},
};

/// A request of a gateway without an account: address of zeros, nothing signed.
pub fn off_chain_request(demand: &Capabilities) -> pb::OrchestratorRequest {
    pb::OrchestratorRequest {
        address: Address::ZERO.0.to_vec(),
        capabilities: Some(demand.to_pb()),
        ..Default::default()
    }
}

/// A request of a gateway with an account: the checksummed text of its address is signed.
pub fn signed_request(key: &SecretKey, demand: &Capabilities) -> pb::OrchestratorRequest {
    let address = key.address();
    pb::OrchestratorRequest {
        address: address.0.to_vec(),
        sig: sign_message(key, address.to_string().as_bytes()).to_vec(),
        capabilities: Some(demand.to_pb()),
        ..Default::default()
    }
}

/// Account of the gateway that asks, proved by its signature on-chain, unproved off-chain.
pub fn requester(
    request: &pb::OrchestratorRequest,
    network: Network,
) -> Result<Address, DiscoveryRefusal> {
    let address = Address::from_wire(&request.address);
    match network {
        Network::OnChain if !verify(address, address.to_string().as_bytes(), &request.sig) => {
            Err(DiscoveryRefusal::Signature)
        }
        _ => Ok(address),
    }
}

/// How an off-chain node describes itself: price and ticket parameters absent (present but empty ones make gateways
/// fail), address of 20 zeros (an empty one matches a gateway's default block list).
///
/// `transcoder` is the service URI and must be the same text every time, since gateways file the node under it.
/// `auth_token` is a new one for discovery and the received one in the result of a segment.
pub fn off_chain_info(
    transcoder: &str,
    nodes: &[String],
    capabilities: &Capabilities,
    auth_token: pb::AuthToken,
) -> pb::OrchestratorInfo {
    pb::OrchestratorInfo {
        transcoder: transcoder.to_owned(),
        address: Address::ZERO.0.to_vec(),
        capabilities: Some(capabilities.to_pb()),
        auth_token: Some(auth_token),
        nodes: nodes.to_vec(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::capabilities::{Capability, CapabilitySet};

    #[test]
    fn off_chain_request_is_byte_exact() {
        let demand = Capabilities::demand(CapabilitySet::from_words(vec![0x0400_1003]));
        let expected = format!("0a14{}1a080a0483a080202a00", "0".repeat(40));
        assert_eq!(
            hex::encode(off_chain_request(&demand).encode_to_vec()),
            expected
        );
    }

    #[test]
    fn off_chain_info_has_what_must_be_there_and_lacks_what_must_not() {
        let capabilities = Capabilities::tested([Capability::H264], "0.9.1");
        let token = pb::AuthToken {
            session_id: "s".into(),
            ..Default::default()
        };
        let info = off_chain_info("https://127.0.0.1:8935", &[], &capabilities, token.clone());
        let info = pb::OrchestratorInfo::decode(&info.encode_to_vec()[..]).unwrap();
        assert_eq!(info.price_info, None);
        assert_eq!(info.ticket_params, None);
        assert_eq!(info.address, [0; 20]);
        assert_eq!(info.transcoder, "https://127.0.0.1:8935");
        assert_eq!(info.auth_token, Some(token));
        assert_eq!(Capabilities::from_pb(info.capabilities), capabilities);
        assert!(
            info.hardware.is_empty()
                && info.capabilities_prices.is_empty()
                && info.storage.is_empty()
        );
    }

    #[test]
    fn on_chain_only_the_key_of_the_address_may_ask() {
        let key = SecretKey::from_bytes([0x46; 32]).unwrap();
        let mut request = signed_request(&key, &Capabilities::default());
        assert_eq!(requester(&request, Network::OnChain), Ok(key.address()));
        request.address[0] ^= 1;
        assert_eq!(
            requester(&request, Network::OnChain),
            Err(DiscoveryRefusal::Signature)
        );
        assert!(requester(&request, Network::OffChain).is_ok());
        let empty = pb::OrchestratorRequest::default();
        assert_eq!(
            requester(&empty, Network::OnChain),
            Err(DiscoveryRefusal::Signature)
        );
        assert_eq!(requester(&empty, Network::OffChain), Ok(Address::ZERO));
    }

    #[test]
    fn the_end_of_a_session_is_byte_exact() {
        let token = pb::AuthToken {
            session_id: "0a1b2c3d".into(),
            ..Default::default()
        };
        let seg_data = pb::SegData {
            auth_token: Some(token),
            ..Default::default()
        };
        let notify = pb::NotifySegment {
            seg_data: Some(seg_data),
            ..Default::default()
        };
        assert_eq!(
            hex::encode(notify.encode_to_vec()),
            "1a0c420a12083061316232633364"
        );
    }

    proptest! {
        #[test]
        fn any_request_is_judged(address: Vec<u8>, sig: Vec<u8>) {
            let request = pb::OrchestratorRequest { address, sig, ..Default::default() };
            let _ = requester(&request, Network::OnChain);
        }
    }
}
