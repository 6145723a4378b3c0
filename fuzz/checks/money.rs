//! What must hold for any bytes of a payment or a queued winner. Called by the fuzz targets, and by a test that
//! replays the corpus.

use base64::{Engine, engine::general_purpose::STANDARD};
use orchestrion_protocol::{
    money::{Amount, Credit, Payment, Price, TicketParams, WinningTicket},
    pb,
};
use prost::Message;

/// A payment is read or refused, never a panic, and what was read survives being sent again.
pub fn payment(data: &[u8]) {
    let _ = Payment::decode_header(data);
    let Ok(payment) = Payment::decode_header(STANDARD.encode(data).as_bytes()) else {
        return;
    };
    if let Some(price) = payment.expected_price {
        assert_eq!(price.as_sent(), price);
        let charge = Amount::charge(&price, u64::MAX);
        let mut credit = Credit::ZERO;
        credit.debit(charge);
        assert!(credit.is_negative() || price.is_zero());
        credit.credit(charge);
        assert_eq!(credit, Credit::ZERO);
    }
    let batch = payment.batch.as_ref();
    let again = pb::Payment {
        ticket_params: batch.map(|b| b.params.to_pb_without_round()),
        sender: payment.sender.0.to_vec(),
        expiration_params: batch.map(|b| b.params.expiration.to_pb()),
        ticket_sender_params: batch
            .iter()
            .flat_map(|b| &b.tickets)
            .map(|t| pb::TicketSenderParams {
                sender_nonce: t.nonce,
                sig: t.sig.map_or_else(Vec::new, Vec::from),
            })
            .collect(),
        expected_price: payment.expected_price.as_ref().map(Price::to_wire),
    };
    assert_eq!(Payment::from_pb(&again).as_ref(), Ok(&payment));
    if let Some(batch) = batch {
        let value = Amount::of_ticket(batch.params.face_value, batch.params.win_prob);
        assert!(value <= Amount::wei(batch.params.face_value));
        for t in &batch.tickets {
            let ticket = batch.params.ticket(payment.sender, t.nonce);
            assert_eq!(ticket.value(), value);
            let _ = t.sig.map(|sig| ticket.is_signed_by_sender(&sig));
        }
    }
}

/// A queued winner is read or refused, never a panic, and what was read survives being sent again.
pub fn ticket(data: &[u8]) {
    if let Ok(params) = pb::TicketParams::decode(data)
        && let Ok(params) = TicketParams::from_pb(&params)
    {
        assert_eq!(TicketParams::from_pb(&params.to_pb()), Ok(params));
    }
    let Ok(message) = pb::Ticket::decode(data) else {
        return;
    };
    let Ok(winner) = WinningTicket::from_pb(&message) else {
        return;
    };
    let _ = winner.check();
    assert_eq!(WinningTicket::from_pb(&winner.to_pb()), Ok(winner));
}
