//! A gateway that pays, and keeps books of its own of what was acknowledged.

use std::sync::Arc;

use prost::Message;
use protocol::address::Address;
use protocol::capabilities::{Capabilities, CapabilitySet};
use protocol::discovery::signed_request;
use protocol::money::{
    Amount, Credit, Price, Ticket, TicketParams, estimated_fee, estimated_pixels, payment_message,
    tickets_needed,
};
use protocol::payment::encode_header;
use protocol::segment::SegmentCredentials;
use protocol::signature::{Hash, SecretKey, Signature, keccak256, recover_hash, result_hash};
use protocol::{pb, result, texts};
use reqwest::Response;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::gateway::{DEMAND, Gateway, Status, Stream, segment_header, small};
use crate::media::{self, Clip};
use crate::node::Node;

/// An account that pays.
#[derive(Clone)]
pub struct Payer {
    key: Arc<SecretKey>,
}

/// A ticket that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What was signed.
    pub ticket: Ticket,
    /// How.
    pub sig: Signature,
    /// What it was made from.
    pub params: TicketParams,
    /// The price that was quoted with that.
    pub price: Price,
}

impl Sent {
    /// What names it on the chain: sender, hash of the secret number, nonce.
    pub fn name(&self) -> (Address, Hash, u32) {
        let ticket = &self.ticket;
        (ticket.sender, ticket.recipient_rand_hash, ticket.nonce)
    }
}

/// What became of a request, as its sender knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Taken.
    Taken,
    /// Refused: status and text.
    Refused(u16, String),
    /// No answer: it may have been taken.
    None,
}

impl Payer {
    /// With the key of 32 times `number`.
    pub fn new(number: u8) -> Self {
        Self {
            key: Arc::new(SecretKey::from_bytes([number; 32]).expect("key")),
        }
    }

    /// Its account.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Signs with its account.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// GetOrchestrator.
    pub async fn discover(&self, gateway: &Gateway) -> Result<pb::OrchestratorInfo, Status> {
        let demand = Capabilities::demand(CapabilitySet::from_words(vec![DEMAND]));
        gateway
            .rpc("GetOrchestrator", &signed_request(&self.key, &demand))
            .await
    }

    /// A new session with a stream of one small rendition.
    pub async fn try_session(&self, node: &Node, manifest: &str) -> Result<Session, Status> {
        let gateway = Gateway::of(node);
        let info = self.discover(&gateway).await?;
        let (params, price) = quote(&info).expect("a quote");
        Ok(Session {
            payer: self.clone(),
            discovered: info.clone(),
            stream: Stream {
                gateway,
                info,
                manifest: manifest.to_owned(),
                profiles: small(),
            },
            params,
            price,
            next_nonce: 1,
            seq: 0,
            sent: Vec::new(),
            credit: Credit::ZERO,
            tickets: Vec::new(),
        })
    }

    /// The same, which must work.
    pub async fn session(&self, node: &Node, manifest: &str) -> Session {
        self.try_session(node, manifest).await.expect("discovery")
    }
}

/// Ticket parameters and price of a node's description of itself.
pub fn quote(info: &pb::OrchestratorInfo) -> Option<(TicketParams, Price)> {
    let params = info.ticket_params.as_ref()?;
    let params = TicketParams::from_pb(params).expect("ticket parameters");
    let price = Price::from_wire(info.price_info.as_ref()).expect("price");
    Some((params, price))
}

/// A stream and what was paid for it.
#[derive(Clone)]
pub struct Session {
    /// Who pays.
    pub payer: Payer,
    /// What is bought.
    pub stream: Stream,
    /// The last quote.
    pub params: TicketParams,
    /// Its price.
    pub price: Price,
    /// What was acknowledged, in order.
    pub tickets: Vec<Sent>,
    /// Their value, less what was delivered.
    pub credit: Credit,
    next_nonce: u32,
    seq: i64,
    sent: Vec<Sent>,
    discovered: pb::OrchestratorInfo,
}

impl Session {
    /// A payment with so many new tickets.
    pub fn payment(&mut self, tickets: u32) -> pb::Payment {
        let nonces = self.next_nonce..self.next_nonce + tickets;
        self.next_nonce = nonces.end;
        self.payment_of(nonces)
    }

    /// A payment with tickets of these nonces, new or not.
    pub fn payment_of(&mut self, nonces: impl IntoIterator<Item = u32>) -> pb::Payment {
        let payment = payment_message(self.payer.key(), &self.params, self.price, nonces);
        let sender = self.payer.address();
        let sent = payment.ticket_sender_params.iter().map(|one| Sent {
            ticket: self.params.ticket(sender, one.sender_nonce),
            sig: one.sig[..].try_into().expect("65 bytes"),
            params: self.params,
            price: self.price,
        });
        self.sent = sent.collect();
        payment
    }

    /// A payment with one ticket that was sent before.
    pub fn again(&self, sent: &Sent) -> pb::Payment {
        payment_message(
            self.payer.key(),
            &sent.params,
            sent.price,
            [sent.ticket.nonce],
        )
    }

    /// Tickets that an honest gateway adds to the next segment.
    fn needed(&self, clip: &Clip) -> u32 {
        let pixels = estimated_pixels(&self.stream.profiles, clip.duration_ms);
        let fee = estimated_fee(&self.price, pixels);
        tickets_needed(fee, self.params.ticket_value(), &self.credit)
    }

    /// The tickets of the last payment that was made.
    pub fn last_sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Books the last payment as acknowledged.
    pub fn acknowledge(&mut self) {
        for sent in std::mem::take(&mut self.sent) {
            self.credit.credit(sent.ticket.value());
            self.tickets.push(sent);
        }
    }

    /// What a segment's header says, signed by the payer.
    pub fn seg_data(&self, seq: i64, clip: &Clip) -> pb::SegData {
        self.sign(self.stream.seg_data(seq, clip))
    }

    /// Signs a header.
    pub fn sign(&self, data: pb::SegData) -> pb::SegData {
        let mut credentials = SegmentCredentials::from_pb(data).expect("a proper header");
        credentials.sign(self.payer.key());
        credentials.to_pb()
    }

    /// Posts a payment with a header, and a body to `/segment`.
    pub async fn post(
        &self,
        path: &str,
        data: &pb::SegData,
        payment: &pb::Payment,
        clip: Option<&Clip>,
    ) -> reqwest::Result<Response> {
        let request = self
            .stream
            .gateway
            .h1
            .post(self.stream.gateway.url(path))
            .header("livepeer-segment", segment_header(data))
            .header("livepeer-payment", encode_header(payment));
        let request = match clip {
            Some(clip) => request
                .header("content-type", "video/MP2T")
                .body(clip.bytes.clone()),
            None => request,
        };
        request.send().await
    }

    /// Sends a payment alone. What is acknowledged is booked, and the quote in the answer is used from now on.
    pub async fn send(&mut self, payment: &pb::Payment) -> Answer {
        let data = self.seg_data(0, media::tiny());
        let Ok(answer) = self.post("/payment", &data, payment, None).await else {
            return Answer::None;
        };
        let status = answer.status().as_u16();
        let Ok(body) = answer.bytes().await else {
            return Answer::None;
        };
        if status != 200 {
            self.sent.clear();
            let text = String::from_utf8_lossy(&body).trim_end().to_owned();
            return Answer::Refused(status, text);
        }
        self.acknowledge();
        let result = pb::PaymentResult::decode(&body[..]).expect("PaymentResult");
        self.adopt(result.info);
        Answer::Taken
    }

    /// Pays with so many new tickets.
    pub async fn pay(&mut self, tickets: u32) -> Answer {
        let payment = self.payment(tickets);
        self.send(&payment).await
    }

    /// Sends a payment with a segment whose answer is not looked at beyond a refusal.
    pub async fn refused(&mut self, path: &str, payment: &pb::Payment) -> (u16, String) {
        let clip = media::tiny();
        let data = self.seg_data(0, clip);
        let body = (path == "/segment").then_some(clip);
        let answer = self
            .post(path, &data, payment, body)
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("text");
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Pushes the next segment as an honest gateway does: pays what is missing, verifies the answer, books the work.
    ///
    /// A gateway knows the height of L1 and takes a new quote when its own has ended; this one is told.
    pub async fn segment(&mut self) -> Result<(), String> {
        let pushed = self.push().await;
        match pushed {
            Err(text) if text == format!("400 {}\n", texts::TICKET_EXPIRED) => {
                self.renew().await.map_err(|status| status.message)?;
                self.push().await
            }
            pushed => pushed,
        }
    }

    async fn push(&mut self) -> Result<(), String> {
        let clip = media::tiny();
        let tickets = self.needed(clip);
        let payment = self.payment(tickets);
        let seq = self.seq;
        let data = self.seg_data(seq, clip);
        let answer = self
            .post("/segment", &data, &payment, Some(clip))
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("{status} {}", String::from_utf8_lossy(&body)));
        }
        self.seq += 1;
        // a paid segment whose transcode fails is paid all the same
        self.acknowledge();
        let answer = result::decode(&body).expect("a result");
        let done = answer.outcome?;
        let mut hashes = Vec::new();
        for segment in &done.segments {
            let pixels = u64::try_from(segment.pixels).expect("pixels");
            self.credit.debit(Amount::charge(&self.price, pixels));
            let (status, bytes) = self.stream.fetch(&segment.url).await;
            assert_eq!(status, 200, "{}", segment.url);
            hashes.push(keccak256(&bytes));
        }
        let signer = recover_hash(&result_hash(&hashes), &done.sig).expect("a signature");
        assert_eq!(
            signer.0[..],
            self.stream.info.address[..],
            "PM Check Failed"
        );
        self.adopt(answer.info);
        Ok(())
    }

    /// Pushes the next segment without a ticket: there must be credit for it. The answer may come without a quote.
    pub async fn segment_on_credit(&mut self) {
        let (clip, seq) = (media::tiny(), self.seq);
        let payment = self.payment(0);
        let data = self.seg_data(seq, clip);
        let answer = self.post("/segment", &data, &payment, Some(clip)).await;
        let answer = answer.expect("an answer");
        let status = answer.status();
        let body = answer.bytes().await.expect("body");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        result::decode(&body)
            .expect("a result")
            .outcome
            .expect("renditions");
        self.seq += 1;
    }

    /// Takes what came with an answer, as gateways do; an answer without it changes nothing.
    fn adopt(&mut self, info: Option<pb::OrchestratorInfo>) {
        let Some(info) = info else { return };
        assert_eq!(info.transcoder, self.stream.info.transcoder);
        assert_eq!(info.auth_token, self.stream.info.auth_token);
        if let Some((params, price)) = quote(&info) {
            self.requote(params, price);
            self.stream.info = info;
        }
    }

    /// Another quote; nonces count anew.
    pub fn requote(&mut self, params: TicketParams, price: Price) {
        if params.recipient_rand_hash != self.params.recipient_rand_hash {
            self.next_nonce = 1;
        }
        (self.params, self.price) = (params, price);
    }

    /// What gateways of video do when their quote or token ends: discovery, and with it another session that begins without
    /// credit.
    pub async fn renew(&mut self) -> Result<(), Status> {
        self.refresh().await?;
        self.stream.info = self.discovered.clone();
        self.credit = Credit::ZERO;
        Ok(())
    }

    /// A fresh quote from discovery, for the session that there is, as gateways of live jobs do.
    pub async fn refresh(&mut self) -> Result<(), Status> {
        let info = self.payer.discover(&self.stream.gateway).await?;
        let (params, price) = quote(&info).expect("a quote");
        self.requote(params, price);
        self.discovered = info;
        Ok(())
    }

    /// Pushes segments in the background, each when the one before is there, until it is told to stop.
    pub fn keep_streaming(mut self) -> Streaming {
        let (stop, mut stopped) = watch::channel(false);
        let (tell, delivered) = watch::channel(0);
        let pushing = tokio::spawn(async move {
            while !*stopped.borrow() {
                let pushed = self.segment().await;
                pushed.unwrap_or_else(|text| panic!("a paid segment was lost: {text}"));
                tell.send_modify(|count| *count += 1);
                let pause = tokio::time::sleep(std::time::Duration::from_millis(300));
                tokio::select! {
                    () = pause => {}
                    _ = stopped.changed() => {}
                }
            }
            self
        });
        Streaming {
            stop,
            delivered,
            pushing,
        }
    }
}

/// A paid stream in the background, of which no segment may be lost.
pub struct Streaming {
    stop: watch::Sender<bool>,
    delivered: watch::Receiver<u64>,
    pushing: JoinHandle<Session>,
}

impl Streaming {
    /// Returns when so many more segments were delivered.
    pub async fn delivers(&mut self, count: u64) {
        let goal = *self.delivered.borrow() + count;
        // a lost segment ends the task, and `finish` tells how
        let _ = self
            .delivered
            .wait_for(|delivered| *delivered >= goal)
            .await;
    }

    /// One more segment, then the end; the session with its books.
    pub async fn finish(mut self) -> Session {
        self.delivers(1).await;
        let _ = self.stop.send(true);
        self.pushing.await.expect("no session was dropped")
    }
}
