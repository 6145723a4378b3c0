//! Payments, redemption, reward and the account, as Prometheus sees them.

use super::*;

const GWEI: u128 = 1_000_000_000;
const ETH: u128 = GWEI * GWEI;
const SENDER: &str = "0xb595B18c88b1f651cA387489067f855b5C8E6720";

/// Makes every series about money appear.
pub(super) fn record_everything(metrics: &Metrics) {
    let payments = &metrics.payments;
    let payer = payments.payer("manifest", SENDER);
    payer.credited(2, 1, GWEI);
    payer.refused(PaymentRefusal::Expired);
    payments.quoted(SENDER, 1, 1);
    payments.price_told(SENDER, 1.2);
    payments.set_prices([(None, 1.0)]);
    payments.set_currency("USD", 3000.0);
    payments.set_funds(SENDER, 1, 1);
    metrics.account.declare();
    metrics
        .account
        .mined(Purpose::Redeem, true, Duration::from_secs(1), GWEI);
}

fn per_stream() -> Metrics {
    Metrics::new(&MetricsOptions {
        per_stream: true,
        ..options()
    })
    .expect("table")
}

#[test]
fn a_payment_writes_the_lines_of_the_reference() {
    let metrics = Metrics::new(&options()).expect("table");
    has(
        &metrics,
        &format!(r#"livepeer_winning_tickets_recv{{manifest_id="",{BASE},sender=""}} 0"#),
    );
    has(
        &metrics,
        &format!(r#"livepeer_value_redeemed{{{BASE},sender=""}} 0"#),
    );
    let payer = metrics.payments.payer("manifest", SENDER);
    payer.credited(3, 1, 24 * GWEI);
    payer.refused(PaymentRefusal::NonceSeen);
    payer.refused(PaymentRefusal::RecipientRand);
    payer.refused(PaymentRefusal::PriceTooLow);
    let none = r#"manifest_id="","#;
    for line in [
        format!(r#"livepeer_tickets_recv{{{none}{BASE},sender=""}} 3"#),
        format!(r#"livepeer_ticket_value_recv{{{none}{BASE},sender=""}} 24"#),
        format!(r#"livepeer_winning_tickets_recv{{{none}{BASE},sender=""}} 1"#),
        format!(
            r#"livepeer_payment_recv_errors{{error_code="PaymentError",{none}{BASE},sender=""}} 1"#
        ),
        format!(
            r#"livepeer_payment_recv_errors{{error_code="InvalidRecipientRand",{none}{BASE},sender=""}} 1"#
        ),
        format!(
            r#"livepeer_payment_recv_errors{{error_code="InvalidPrice",{none}{BASE},sender=""}} 1"#
        ),
        format!(r#"orchestrion_payment_refusals_total{{{BASE},reason="nonce_seen"}} 1"#),
        format!(r#"orchestrion_payment_refusals_total{{{BASE},reason="signature"}} 0"#),
        "# TYPE livepeer_ticket_value_recv counter".to_owned(),
    ] {
        has(&metrics, &line);
    }
}

#[test]
fn a_payment_whose_tickets_were_all_refused_counts_none() {
    let metrics = Metrics::new(&options()).expect("table");
    metrics.payments.payer("m", SENDER).credited(0, 0, 0);
    assert!(!page(&metrics).contains("livepeer_tickets_recv"));
}

#[test]
fn series_of_a_payer_vanish_with_its_last_handle() {
    let metrics = per_stream();
    let first = metrics.payments.payer("m1", SENDER);
    let second = metrics.payments.payer("m1", SENDER);
    first.credited(1, 1, GWEI);
    first.refused(PaymentRefusal::Price);
    drop(first);
    second.credited(1, 0, GWEI);
    has(
        &metrics,
        &format!(r#"livepeer_tickets_recv{{manifest_id="m1",{BASE},sender="{SENDER}"}} 2"#),
    );
    drop(second);
    assert!(!page(&metrics).contains("m1"), "{}", page(&metrics));
}

#[test]
fn without_a_sender_label_deposits_are_those_of_all_and_not_of_the_last() {
    let metrics = Metrics::new(&options()).expect("table");
    let payments = &metrics.payments;
    payments.set_funds("a", 3 * GWEI, 30 * GWEI);
    payments.set_funds("b", 4 * GWEI, 40 * GWEI);
    payments.set_funds("a", GWEI, 10 * GWEI);
    for name in ["gateway", "broadcaster"] {
        has(
            &metrics,
            &format!(r#"livepeer_{name}_deposit{{{BASE},sender=""}} 5"#),
        );
        has(
            &metrics,
            &format!(r#"livepeer_{name}_reserve{{{BASE},sender=""}} 50"#),
        );
    }
    payments.forget_sender("a");
    has(
        &metrics,
        &format!(r#"livepeer_gateway_deposit{{{BASE},sender=""}} 4"#),
    );
    has(&metrics, &format!("orchestrion_senders{{{BASE}}} 1"));
}

#[test]
fn a_forgotten_sender_leaves_no_series() {
    let metrics = per_stream();
    metrics.payments.set_funds(SENDER, 1, 1);
    metrics.payments.quoted(SENDER, -5 * 1_000_000_000, GWEI);
    metrics.payments.price_told(SENDER, 1.212);
    has(
        &metrics,
        &format!(r#"livepeer_gateway_max_float{{{BASE},sender="{SENDER}"}} -5"#),
    );
    has(
        &metrics,
        &format!(r#"livepeer_transcoding_price{{{BASE},sender="{SENDER}"}} 1.212"#),
    );
    metrics.payments.forget_sender(SENDER);
    assert!(!page(&metrics).contains(SENDER), "{}", page(&metrics));
}

#[test]
fn addresses_that_strangers_make_up_are_bounded() {
    let metrics = Metrics::new(&options()).expect("table");
    for number in 0..2000 {
        metrics.payments.quoted(&format!("0x{number:040}"), 1, GWEI);
    }
    let series = |metrics: &Metrics| {
        page(metrics)
            .lines()
            .filter(|line| line.starts_with("livepeer_gateway_max_float{"))
            .count()
    };
    assert_eq!(series(&metrics), 500);
    metrics.payments.forget_sender(&format!("0x{:040}", 7));
    metrics.payments.quoted(SENDER, 1, GWEI);
    assert_eq!(series(&metrics), 500);
    assert!(
        page(&metrics).contains(SENDER),
        "room that was given back is used"
    );
}

#[test]
fn a_price_that_is_gone_is_not_shown_any_more() {
    let metrics = Metrics::new(&options()).expect("table");
    metrics
        .payments
        .set_prices([(None, 900.5), (Some(SENDER), 700.0)]);
    has(
        &metrics,
        &format!(r#"orchestrion_price_wei_per_pixel{{gateway="default",{BASE}}} 900.5"#),
    );
    metrics.payments.set_prices([(None, 901.0)]);
    assert!(!page(&metrics).contains(SENDER));
}

#[test]
fn what_a_ticket_paid_is_booked_and_not_its_face_value() {
    let metrics = Metrics::new(&options()).expect("table");
    metrics.redemption.redeemed(SENDER, 10 * GWEI, 10 * GWEI);
    metrics.redemption.redeemed(SENDER, 10 * GWEI, 4 * GWEI);
    metrics.redemption.cost(GWEI);
    for line in [
        format!(r#"livepeer_value_redeemed{{{BASE},sender=""}} 14"#),
        format!("orchestrion_redeemed_face_value_gwei_total{{{BASE}}} 20"),
        format!(r#"orchestrion_redemptions_total{{{BASE},outcome="paid"}} 1"#),
        format!(r#"orchestrion_redemptions_total{{{BASE},outcome="paid_short"}} 1"#),
        format!("orchestrion_redemption_cost_gwei_total{{{BASE}}} 1"),
    ] {
        has(&metrics, &line);
    }
}

#[test]
fn a_queue_that_emptied_shows_zeros_and_no_deadline() {
    let metrics = Metrics::new(&options()).expect("table");
    metrics.redemption.set_queue(&QueueFigures {
        by_state: vec![(TicketState::Deferred, 2, 3 * GWEI)],
        deferred: vec![(Deferral::GasPrice, 2)],
        oldest_s: Some(90),
        rounds_left: Some(1),
        in_last_round: 2,
    });
    for line in [
        format!(r#"orchestrion_tickets{{{BASE},state="deferred"}} 2"#),
        format!(r#"orchestrion_tickets_value_gwei{{{BASE},state="deferred"}} 3"#),
        format!(r#"orchestrion_tickets_deferred{{{BASE},reason="gas_price"}} 2"#),
        format!("orchestrion_ticket_oldest_seconds{{{BASE}}} 90"),
        format!("orchestrion_ticket_rounds_left{{{BASE}}} 1"),
        format!("orchestrion_tickets_in_last_round{{{BASE}}} 2"),
    ] {
        has(&metrics, &line);
    }
    metrics.redemption.set_queue(&QueueFigures::default());
    has(
        &metrics,
        &format!(r#"orchestrion_tickets{{{BASE},state="deferred"}} 0"#),
    );
    has(
        &metrics,
        &format!("orchestrion_ticket_rounds_left{{{BASE}}} NaN"),
    );
}

#[test]
fn exactly_one_state_of_reward_is_set() {
    let metrics = Metrics::new(&options()).expect("table");
    let set = |metrics: &Metrics| -> Vec<String> {
        page(metrics)
            .lines()
            .filter(|line| line.starts_with("orchestrion_reward_state{") && line.ends_with(" 1"))
            .filter_map(|line| Some(line.split_once("state=\"")?.1.split_once('"')?.0.to_owned()))
            .collect()
    };
    assert_eq!(set(&metrics), ["off"]);
    metrics.rounds.set_reward_state(RewardState::GasPrice);
    assert_eq!(set(&metrics), ["gas_price"]);
}

#[test]
fn amounts_are_in_the_unit_that_the_name_says() {
    let metrics = Metrics::new(&options()).expect("table");
    metrics.account.set_gas_price(GWEI / 10, GWEI / 8);
    metrics.account.set_gas_bounds(0, Some(2 * GWEI));
    metrics.account.set_balances(ETH / 2, 7 * ETH);
    metrics.rounds.set(RoundFigures {
        current: 9,
        percent_over: 25,
        ..RoundFigures::default()
    });
    for line in [
        format!("livepeer_suggested_gas_price{{{BASE}}} 0.1"),
        format!("orchestrion_gas_price_smoothed_gwei{{{BASE}}} 0.125"),
        format!("livepeer_max_gas_price{{{BASE}}} 2"),
        format!("orchestrion_account_eth{{{BASE}}} 0.5"),
        format!("orchestrion_account_lpt{{{BASE}}} 7"),
        format!("orchestrion_round{{{BASE}}} 9"),
        format!("orchestrion_round_progress_ratio{{{BASE}}} 0.25"),
    ] {
        has(&metrics, &line);
    }
}
