//! The payment header of a segment: its form only. What its tickets are worth is not judged here.

use base64::{Engine, engine::GeneralPurpose};
use prost::Message;

use crate::{address::Address, pb, refusal::Refusal};

/// Standard alphabet with padding; as tolerant of unused low bits as the peers' reader.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Reads the value of `Livepeer-Payment`; empty (as off-chain) gives an empty payment.
pub fn decode_header(value: &[u8]) -> Result<pb::Payment, Refusal> {
    let bytes = BASE64
        .decode(value)
        .map_err(|e| Refusal::PaymentEncoding(e.to_string()))?;
    pb::Payment::decode(&bytes[..]).map_err(|e| Refusal::PaymentMessage(e.to_string()))
}

/// Value of `Livepeer-Payment`.
pub fn encode_header(payment: &pb::Payment) -> String {
    BASE64.encode(payment.encode_to_vec())
}

/// Who pays, and so who must have signed the segment; zero when the payment names nobody.
pub fn sender(payment: &pb::Payment) -> Address {
    Address::from_wire(&payment.sender)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_header_is_an_empty_payment() {
        let payment = decode_header(b"").unwrap();
        assert_eq!(payment, pb::Payment::default());
        assert_eq!(sender(&payment), Address::ZERO);
    }

    #[test]
    fn broken_headers_are_402_with_the_cause() {
        for (value, prefix) in [
            (&b"!!!!"[..], "base64 decode error: "),
            (b"AAA", "base64 decode error: "),
            (b"____", "base64 decode error: "),
            (b"/////w==", "protobuf unmarshal error: "),
        ] {
            let refusal = decode_header(value).unwrap_err();
            assert_eq!(refusal.status(), 402);
            assert!(
                refusal.wire_text().starts_with(prefix),
                "{}",
                refusal.wire_text()
            );
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(value: Vec<u8>, message: Vec<u8>) {
            let _ = decode_header(&value);
            let _ = decode_header(BASE64.encode(message).as_bytes());
        }

        #[test]
        fn payments_round_trip(sender: Vec<u8>, nonces: Vec<u32>, sig: Vec<u8>, price: (i64, i64)) {
            let tickets = nonces.into_iter().map(|sender_nonce| pb::TicketSenderParams { sender_nonce, sig: sig.clone() });
            let payment = pb::Payment {
                sender,
                ticket_sender_params: tickets.collect(),
                expected_price: Some(pb::PriceInfo { price_per_unit: price.0, pixels_per_unit: price.1, ..Default::default() }),
                ..Default::default()
            };
            prop_assert_eq!(decode_header(encode_header(&payment).as_bytes()), Ok(payment));
        }
    }
}
