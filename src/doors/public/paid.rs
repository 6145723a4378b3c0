//! The paid side of the public port: quotes for those who look for a node, payments for work, signatures under results.
//!
//! Absent off-chain, where nothing is paid and nothing is signed.

use actors::facts::ModelKey;
use actors::quotes::{Purpose, QuoteError, Quotes};
use actors::ticket_validator::{PaymentRefusal, Payments, Receipt, Reservation, Work};
use bytes::Bytes;
use chain::signer::Signer;
use protocol::address::Address;
use protocol::money::{Payment, Price, estimated_pixels};
use protocol::pb;
use protocol::refusal::{DiscoveryRefusal, Refusal};
use protocol::segment::SegmentCredentials;
use protocol::signature::{keccak256, result_hash, sign_hash};

use super::admission::Admitted;
use super::refused::Refused;

/// What a door needs to be paid. Cheap to clone.
#[derive(Clone)]
pub struct Paid {
    /// Signs with the account that discovery names.
    pub signer: Signer,
    /// Makes quotes.
    pub quotes: Quotes,
    /// Takes payments and charges work.
    pub payments: Payments,
}

/// An accepted AI request: what it is charged to.
pub(super) struct Charge {
    paid: Paid,
    reservation: Reservation,
    price: f64,
}

impl Charge {
    /// Wei per unit.
    pub fn price(&self) -> f64 {
        self.price
    }

    /// Charges what was done, whether or not its answer reaches anybody.
    pub async fn debit(self, units: u64) {
        let charged = self.paid.payments.debit(self.reservation, units).await;
        if let Err(error @ PaymentRefusal::Unavailable(_)) = charged {
            tracing::error!(%error, units, "work was done and could not be charged");
        }
    }
}

/// Accepted work: what it is charged to, and what goes into the answer.
pub(super) struct Bought {
    paid: Paid,
    reservation: Reservation,
    quote: Option<actors::quotes::Quote>,
}

impl Paid {
    /// Puts price and ticket parameters for `sender` into `info`.
    pub(super) async fn offer(
        &self,
        sender: Address,
        purpose: &Purpose,
        info: &mut pb::OrchestratorInfo,
    ) -> Result<(), DiscoveryRefusal> {
        let quote = self.quotes.offer(sender, purpose).await;
        let quote = quote.map_err(|error| match &error {
            QuoteError::Reserve(_) => DiscoveryRefusal::SenderReserve(error.to_string()),
            _ => DiscoveryRefusal::NoQuote(error.to_string()),
        })?;
        quote.put_into(info);
        Ok(())
    }

    /// Takes the payment of a segment, and the segment's work.
    pub(super) async fn segment(
        &self,
        admitted: &Admitted,
        payment: &pb::Payment,
    ) -> Result<Bought, Refused> {
        let credentials = &admitted.credentials;
        let units = estimated_pixels(&credentials.profiles, credentials.duration_ms);
        let receipt = self
            .take(
                &admitted.token.session_id,
                payment,
                credentials,
                Some(units),
            )
            .await?;
        let quote = self
            .quotes
            .renew(
                protocol::payment::sender(payment),
                &admitted.token.session_id,
                receipt.fixed_price,
                &Purpose::video(),
            )
            .await;
        Ok(Bought {
            paid: self.clone(),
            reservation: receipt.reservation,
            quote,
        })
    }

    /// Takes the payment of an AI request and its work. Balances and fixed prices are kept by model, under `manifest`.
    pub(super) async fn request(
        &self,
        manifest: &str,
        model: ModelKey,
        payment: &pb::Payment,
        units: u64,
    ) -> Result<Charge, Refused> {
        let purpose = Purpose::models(vec![model]);
        let work = Work {
            purpose: &purpose,
            stream: manifest,
            units: Some(units),
        };
        let receipt = self.receive(manifest, payment, work).await?;
        Ok(Charge {
            paid: self.clone(),
            price: receipt.price.to_f64(),
            reservation: receipt.reservation,
        })
    }

    /// What each of `models` costs `sender`, as discovery tells those who ask for nothing in particular: whole wei per unit.
    pub(super) fn model_prices(
        &self,
        sender: Address,
        models: impl Iterator<Item = ModelKey>,
    ) -> Vec<pb::PriceInfo> {
        let priced = models.map(|model| {
            let purpose = Purpose::models(vec![model.clone()]);
            let price = self.quotes.list_price(sender, &purpose);
            let wei = price.map_or(0, |price| price.floor_i64());
            pb::PriceInfo {
                price_per_unit: wei,
                pixels_per_unit: 1,
                capability: model.capability,
                constraint: model.model,
            }
        });
        priced.collect()
    }

    /// Takes a payment that opens nothing. The description of the node that goes back; `None` when no fresh quote can be
    /// made, so that the gateway keeps what it has.
    pub(super) async fn ahead(
        &self,
        admitted: &Admitted,
        payment: &pb::Payment,
    ) -> Result<Option<pb::OrchestratorInfo>, Refused> {
        let credentials = &admitted.credentials;
        let purpose = Purpose::of(&credentials.capabilities);
        let key = credentials.stream_name();
        let receipt = self.take(&key, payment, credentials, None).await?;
        let sender = protocol::payment::sender(payment);
        let quote = self
            .quotes
            .renew(sender, &key, receipt.fixed_price, &purpose)
            .await;
        Ok(quote.map(|quote| {
            let mut info = admitted.info();
            quote.put_into(&mut info);
            info
        }))
    }

    /// The node's description with a quote at the fixed price of `manifest`; `None` when it has no fixed price.
    pub(super) async fn refresh(
        &self,
        sender: Address,
        manifest: &str,
        mut info: pb::OrchestratorInfo,
    ) -> Result<Option<pb::OrchestratorInfo>, QuoteError> {
        let Some(price): Option<Price> = self.payments.fixed_price(sender, manifest).await else {
            return Ok(None);
        };
        let quote = self
            .quotes
            .at_price(sender, price, &Purpose::video())
            .await?;
        quote.put_into(&mut info);
        Ok(Some(info))
    }

    async fn take(
        &self,
        key: &str,
        payment: &pb::Payment,
        credentials: &SegmentCredentials,
        units: Option<u64>,
    ) -> Result<Receipt, Refused> {
        let purpose = match units {
            Some(_) => Purpose::video(),
            None => Purpose::of(&credentials.capabilities),
        };
        let work = Work {
            purpose: &purpose,
            stream: &credentials.stream_name(),
            units,
        };
        self.receive(key, payment, work).await
    }

    async fn receive(
        &self,
        key: &str,
        payment: &pb::Payment,
        work: Work<'_>,
    ) -> Result<Receipt, Refused> {
        let payment = Payment::from_pb(payment).map_err(|error| {
            self.payments.count_refusal(&error.clone().into());
            Refusal::from(error)
        })?;
        let received = self.payments.receive(key, &payment, work).await;
        received.map_err(|refusal| Refused::from(Refusal::from(refusal)))
    }
}

impl Bought {
    /// The node's description for the answer; `None` when no fresh quote could be made.
    pub fn info(&self, admitted: &Admitted) -> Option<pb::OrchestratorInfo> {
        self.quote.map(|quote| {
            let mut info = admitted.info();
            quote.put_into(&mut info);
            info
        })
    }

    /// Charges what was done and signs it. Work that was done is charged whether or not its answer reaches anybody.
    pub async fn settle(self, pixels: u64, renditions: Vec<Bytes>) -> Vec<u8> {
        if let Err(error @ PaymentRefusal::Unavailable(_)) =
            self.paid.payments.debit(self.reservation, pixels).await
        {
            tracing::error!(%error, pixels, "work was done and could not be charged");
        }
        let signer = self.paid.signer;
        // hashing megabytes does not belong on a thread that serves others
        let signed = tokio::task::spawn_blocking(move || {
            let hashes: Vec<_> = renditions.iter().map(keccak256).collect();
            sign_hash(signer.key(), &result_hash(&hashes)).to_vec()
        });
        signed.await.unwrap_or_default()
    }
}
