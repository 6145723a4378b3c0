//! Quotes from facts set by hand: prices, precedence, surcharge, face value, and every reason for none.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use protocol::capabilities::ModelConstraint;
use protocol::money::SenderFunds;

use super::*;
use crate::facts::Gas;
use crate::supervisor::AddrCell;

const SENDER: Address = Address([3; 20]);
const EV: u64 = 8_000_000_000;

struct Desk {
    quotes: Quotes,
    facts: PaymentFacts,
    senders: Senders,
    terms: Arc<ArcSwap<TicketTerms>>,
}

fn price(wei: u64, units: u64) -> Price {
    Price::new(wei, units).unwrap()
}

fn funds(reserve: u64) -> SenderFunds {
    SenderFunds {
        deposit: 1.into(),
        reserve_remaining: reserve.into(),
        ..SenderFunds::default()
    }
}

/// Gas of 0.01 gwei, pool of one, reserve of 3.6 × 10^15 wei: set A of the protocol's vectors.
fn desk() -> Desk {
    let metrics = crate::test_metrics();
    let facts = PaymentFacts::default();
    facts.rounds.publish(Rounds {
        last_initialized: 3333,
        hash: [1; 32],
        previous_hash: [2; 32],
        l1_block: 19_000_000,
        pool_size: 1,
        ..Rounds::unknown()
    });
    let senders = Senders::new(AddrCell::default(), Arc::clone(&metrics));
    let terms = Arc::new(ArcSwap::from_pointee(TicketTerms {
        ev: EV.into(),
        redeem_gas: 1_200_000,
        max_face_value: U256::zero(),
    }));
    let seeds = AtomicU64::new(1);
    let quotes = Quotes::new(QuotesSetup {
        recipient: Address([0x0e; 20]),
        secret: Arc::new(ArcSwap::from_pointee(QuoteSecret::new([5; 32]))),
        facts: facts.clone(),
        senders: senders.clone(),
        webhook: WebhookPrices::default(),
        terms: Arc::clone(&terms),
        random: Arc::new(move || [seeds.fetch_add(1, Ordering::Relaxed) as u8; 32]),
        metrics,
    });
    let desk = Desk {
        quotes,
        facts,
        senders,
        terms,
    };
    desk.gas(10_000_000);
    desk.prices(|prices| {
        prices.default = Some(price(12, 10));
        prices.adjust = true;
        prices.surcharge_percent = 20;
    });
    desk.senders.put(SENDER, funds(3_600_000_000_000_000));
    desk
}

impl Desk {
    fn gas(&self, wei: u64) {
        self.facts.gas.publish(Gas {
            last: wei.into(),
            smoothed: wei.into(),
            ..Gas::default()
        });
    }

    fn prices(&self, change: impl FnOnce(&mut Prices)) {
        let mut prices = (*self.facts.prices.get()).clone();
        change(&mut prices);
        self.facts.prices.publish(prices);
    }

    fn rounds(&self, change: impl FnOnce(&mut Rounds)) {
        let mut rounds = (*self.facts.rounds.get()).clone();
        change(&mut rounds);
        self.facts.rounds.publish(rounds);
    }

    fn offer(&self, purpose: &Purpose) -> Result<Quote, QuoteError> {
        self.quotes.offer(SENDER, purpose).now_or_never().unwrap()
    }

    fn video(&self) -> Result<Quote, QuoteError> {
        self.offer(&Purpose::video())
    }
}

#[test]
fn a_quote_has_the_figures_of_the_protocols_vectors() {
    let desk = desk();
    let quote = desk.video().unwrap();
    // 1.2 wei and 1 % for redeeming, in thousandths
    assert_eq!(quote.price, price(303, 250));
    assert_eq!(quote.params.face_value, 1_200_000_000_000_000u64.into());
    assert_eq!(
        format!("{:x}", quote.params.win_prob),
        "6fd91d84bcda58175fdfab3d77a168e2893e4958803b6b57ae84efcbf000"
    );
    assert_eq!(quote.params.expiration_block, 19_000_040);
    assert_eq!(quote.params.expiration.creation_round, 3333);
    assert_ne!(desk.video().unwrap().params.seed, quote.params.seed);
    let mut info = pb::OrchestratorInfo::default();
    quote.put_into(&mut info);
    let params = info.ticket_params.unwrap();
    assert_eq!(params.face_value, [0x04, 0x43, 0x64, 0xc5, 0xbb, 0, 0]);
    assert!(params.expiration_params.is_some());
    let told = info.price_info.unwrap();
    assert_eq!((told.price_per_unit, told.pixels_per_unit), (303, 250));
}

#[test]
fn one_ticket_of_any_quote_is_worth_its_expected_value() {
    let desk = desk();
    for gas in [0, 1_000_000, 10_000_000, 100_000_000, 4_000_000_000] {
        desk.gas(gas);
        let quote = desk.video().unwrap();
        assert!(quote.params.ticket_value() >= protocol::money::Amount::wei(EV));
    }
}

#[test]
fn the_price_of_a_session_stands_before_the_webhooks_before_a_gateways_before_the_default() {
    let desk = desk();
    desk.prices(|prices| {
        prices.adjust = false;
        prices.by_gateway.insert(SENDER, price(7, 1));
    });
    assert_eq!(desk.video().unwrap().price, price(7, 1));
    desk.quotes.setup.webhook.put(SENDER, Some(price(5, 1)));
    desk.prices(|prices| prices.adjust = true);
    // the webhook's stands as it is
    assert_eq!(desk.video().unwrap().price, price(5, 1));
    assert_eq!(
        desk.quotes.list_price(SENDER, &Purpose::video()),
        Ok(price(5, 1))
    );
    let renewed = desk
        .quotes
        .renew(SENDER, "s", Some(price(3, 1)), &Purpose::video())
        .now_or_never()
        .unwrap();
    assert_eq!(renewed.unwrap().price, price(3, 1));
}

#[test]
fn a_session_never_pays_a_surcharge_for_gas_and_others_at_most_the_cap() {
    let desk = desk();
    // a float of 3.6 × 10^15 wei caps the face value: redeeming costs a third of it
    desk.gas(1_000_000_000);
    assert_eq!(desk.video().unwrap().price, price(144, 100));
    let (fixed, video) = (Some(price(12, 10)), Purpose::video());
    let renewed = desk.quotes.renew(SENDER, "s", fixed, &video);
    assert_eq!(
        renewed.now_or_never().unwrap().unwrap().price,
        price(12, 10)
    );
    desk.prices(|prices| prices.surcharge_percent = 1000);
    assert_eq!(desk.video().unwrap().price, price(16, 10));
    desk.prices(|prices| prices.adjust = false);
    assert_eq!(desk.video().unwrap().price, price(12, 10));
}

#[test]
fn no_price_goes_out_that_does_not_fit_or_gives_work_away() {
    let desk = desk();
    let big = Price::new(
        U256::from_dec_str("123456789012345670000").unwrap(),
        312_345_678_901u64,
    )
    .unwrap();
    for adjust in [false, true] {
        for base in [
            big,
            price(1, 100_000),
            Price::new(U256::from(10).pow(20.into()), 1u64).unwrap(),
        ] {
            desk.prices(|prices| {
                prices.adjust = adjust;
                prices.default = Some(base);
            });
            let quote = desk.video().unwrap();
            let sent = quote.price.to_wire();
            assert!(sent.price_per_unit > 0 && sent.pixels_per_unit > 0);
            // what comes back is what was bound
            assert_eq!(Price::from_wire(Some(&sent)), Ok(quote.price));
        }
    }
}

#[test]
fn free_work_is_quoted_with_empty_tickets_to_anybody() {
    let desk = desk();
    desk.prices(|prices| prices.default = Some(Price::ZERO));
    desk.senders.put(SENDER, SenderFunds::default());
    let quote = desk.video().unwrap();
    assert!(quote.price.is_zero());
    assert!(quote.params.face_value.is_zero() && quote.params.win_prob.is_zero());
    assert_ne!(quote.params.recipient_rand_hash, [0; 32]);
}

#[test]
fn models_have_the_sum_of_their_prices_and_video_has_the_base_price() {
    let desk = desk();
    let model = |name: &str| ModelKey {
        capability: 35,
        model: name.into(),
    };
    desk.prices(|prices| {
        prices.adjust = false;
        prices.models.insert((None, model("a")), price(10, 1));
        prices
            .models
            .insert((Some(SENDER), model("a")), price(8, 1));
        prices.models.insert((None, model("b")), price(2, 1));
    });
    let of = |names: &[&str]| Purpose::models(names.iter().map(|name| model(name)).collect());
    assert_eq!(desk.offer(&of(&["a", "b"])).unwrap().price, price(10, 1));
    assert_eq!(desk.offer(&of(&["unpriced"])).unwrap().price, price(12, 10));
    assert_ne!(of(&["a", "b"]), of(&["b"]));
    let mut demand = Capabilities::default();
    demand
        .models
        .entry(35)
        .or_default()
        .insert("b".into(), ModelConstraint::default());
    assert_eq!(Purpose::of(&demand), Purpose::video());
    demand.capacities.insert(35, 1);
    assert_eq!(Purpose::of(&demand), of(&["b"]));
}

#[test]
fn names_of_models_cannot_be_made_to_look_like_others() {
    let model = |capability, name: &str| ModelKey {
        capability,
        model: name.into(),
    };
    let one = Purpose::models(vec![model(1, "a;1_1_b")]);
    let two = Purpose::models(vec![model(1, "a"), model(1, "b")]);
    assert_ne!(one.as_bytes(), two.as_bytes());
    assert_ne!(
        Purpose::models(vec![model(1, "video")]).as_bytes(),
        b"video"
    );
}

#[test]
fn the_previous_round_is_used_when_the_hash_is_zero_and_none_when_both_are() {
    let desk = desk();
    desk.rounds(|rounds| rounds.hash = [0; 32]);
    let params = desk.video().unwrap().params;
    assert_eq!(params.expiration.creation_round, 3332);
    desk.rounds(|rounds| rounds.previous_hash = [0; 32]);
    assert_eq!(desk.video(), Err(QuoteError::NoRound));
    let desk = self::desk();
    desk.rounds(|rounds| rounds.l1_block = 0);
    assert_eq!(desk.video(), Err(QuoteError::NoRound));
}

#[test]
fn each_reason_for_no_quote_begins_with_the_text_that_dashboards_match() {
    let told = |desk: &Desk| desk.video().unwrap_err().to_string();
    let reserve = "insufficient sender reserve";
    let desk = desk();
    desk.rounds(|rounds| rounds.pool_size = 0);
    assert!(told(&desk).starts_with(reserve));
    desk.rounds(|rounds| rounds.pool_size = 1);
    desk.senders
        .set_owed([(SENDER, 3_600_000_000_000_000u64.into())].into());
    assert!(told(&desk).starts_with(reserve));
    desk.senders.set_owed([].into());
    desk.senders.put(SENDER, funds(EV - 1));
    assert!(told(&desk).starts_with(reserve));
    desk.senders.put(SENDER, funds(3_600_000_000_000_000));
    let mut terms = **desk.terms.load();
    terms.max_face_value = U256::from(10_000_000_000_000u64);
    desk.terms.store(Arc::new(terms));
    let told_cap = told(&desk);
    assert!(
        told_cap.starts_with(reserve) && told_cap.contains("-maxFaceValue"),
        "{told_cap}"
    );
    desk.prices(|prices| prices.default = None);
    assert_eq!(desk.video(), Err(QuoteError::NoPrice));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_sender_costs_no_more_than_the_patience_and_gets_the_text_of_the_field() {
    let desk = desk();
    let stranger = Address([9; 20]);
    let error = desk
        .quotes
        .offer(stranger, &Purpose::video())
        .await
        .unwrap_err();
    assert_eq!(error, QuoteError::SenderUnknown);
    assert!(
        error
            .to_string()
            .starts_with("GetSenderInfo RPC call to remote node failed: ")
    );
}
