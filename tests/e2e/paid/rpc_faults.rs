//! What end points do: lose answers, go away, fall behind, change their mind about blocks, become another chain.

use std::time::Duration;

use serde_json::Value;
use test_chain::{Fault, Head, L1Field, Proxy};

use super::faults::Scene;
use super::payer::Answer;
use super::world::{ALL_WIN, World, h160};

/// How long the end point is away: a minute by hand, a little above the longest time-out of a request otherwise.
fn outage() -> Duration {
    let seconds = std::env::var("ORCHESTRION_PAID_OUTAGE_S").ok();
    Duration::from_secs(seconds.map_or(15, |text| text.parse().expect("seconds")))
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_receipts_lead_to_no_second_transaction() {
    let mut scene = Scene::new(&[]).await;
    let proxy = &scene.world.proxy;
    proxy.fail_times("eth_sendRawTransaction", Fault::LoseAnswer, 2);
    proxy.fail("eth_getTransactionReceipt", Fault::Answer(Value::Null));
    scene.world.expire_params().await;
    scene.world.await_paid(&scene.node, &scene.winners).await;
    scene.stream.delivers(3).await;
    scene.world.proxy.heal("eth_getTransactionReceipt");
    let (proxy, chain) = (&scene.world.proxy, &scene.world.chain);
    scene
        .node
        .until("quiet", async || {
            scene.world.tick().await;
            let labels = [("state", "submitted")];
            let submitted = scene.node.metric("orchestrion_tickets", &labels).await;
            (submitted == 0.0).then_some(())
        })
        .await;
    let own = h160(scene.world.orchestrator);
    let redeemed = chain.nonce(own).await;
    assert_eq!(redeemed, scene.world.redeemed().await.len() as u64);
    assert!(proxy.count("eth_sendRawTransaction") >= redeemed);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_end_point_is_away_paid_work_goes_on() {
    let mut scene = Scene::new(&[]).await;
    scene.world.proxy.fail("*", Fault::Drop);
    scene.world.expire_params().await;
    let back = tokio::time::Instant::now() + outage();
    while tokio::time::Instant::now() < back {
        scene.stream.delivers(1).await;
        let (status, _) = scene.node.get("/livez").await;
        assert_eq!(status, 200);
    }
    assert_eq!(scene.world.redeemed().await.len(), 0);
    scene.world.proxy.heal("*");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_end_points_the_one_that_stands_still_is_left() {
    let world = World::new(ALL_WIN).await;
    let live = Proxy::before(&world.chain).await;
    live.l1_field(L1Field::Hex);
    live.zero_tip(true);
    let urls = format!("{},{}", world.proxy.url(), live.url());
    let mut scene = Scene::at(world, &["-ethUrl", &urls, "-ethStaleAfter", "2s"]).await;
    let height = scene.world.chain.height().await;
    scene.world.proxy.head(Head::At(height));
    scene.world.expire_params().await;
    scene.world.await_paid(&scene.node, &scene.winners).await;
    scene.stream.delivers(1).await;
    // and now the other one falls back behind the first
    scene.world.proxy.head(Head::Live);
    live.head(Head::Behind(400));
    scene.stream.delivers(2).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_five_replaced_blocks_take_back_is_redeemed_again() {
    let mut scene = Scene::new(&["-ethConfirmations", "8"]).await;
    scene.world.chain.mine(6).await;
    scene.world.expire_params().await;
    let count = scene.winners.len();
    scene
        .node
        .until("redemptions", async || {
            (scene.world.redeemed().await.len() >= count).then_some(())
        })
        .await;
    scene.world.chain.reorg(5).await;
    assert_eq!(scene.world.redeemed().await.len(), 0, "they are gone");
    scene.stream.delivers(2).await;
    scene.world.await_paid(&scene.node, &scene.winners).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_an_end_point_that_has_become_another_chain() {
    let scene = Scene::new(&[]).await;
    let proxy = &scene.world.proxy;
    proxy.chain_id(Some(1));
    // whoever comes back after a failure is asked who it is
    proxy.fail_times("*", Fault::Drop, 3);
    let sent = proxy.count("eth_sendRawTransaction");
    scene.world.expire_params().await;
    for _ in 0..6 {
        scene.world.tick().await;
    }
    assert_eq!(proxy.count("eth_sendRawTransaction"), sent);
    proxy.chain_id(None);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_not_initialised_and_a_paused_protocol_are_waited_out() {
    let mut scene = Scene::new(&[]).await;
    scene.world.chain.next_round().await;
    scene.stream.delivers(3).await;
    assert_eq!(scene.world.redeemed().await.len(), 0);
    scene.world.chain.initialize_round().await;
    scene.world.chain.pause(true).await;
    scene.stream.delivers(3).await;
    assert_eq!(scene.world.redeemed().await.len(), 0);
    scene.world.chain.pause(false).await;
    scene.world.await_paid(&scene.node, &scene.winners).await;
    // a sender without new tickets is served as before
    let mut late = scene
        .world
        .payer(3)
        .await
        .session(&scene.node, "late")
        .await;
    assert_eq!(late.pay(1).await, Answer::Taken);
    scene.end().await;
}
