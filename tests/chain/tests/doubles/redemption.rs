//! Tickets: every check in its order, both rules of funds, and what is really paid.

use orchestrion_test_chain::{
    Address, Chain, Double, H256, Key, Receipt, SenderInfo, Ticket, U256, args, ether,
};

const HASH: &str = "028d034d0391cc4a3e36877b82112065013dd0c6394a5cad25e219af2bfd38c2";
const SIGNATURE: &str = "ef3fcd913e816c5c138496431146d9559cbcd1bf50cf7d108f4759e45c7f3a08\
                         589b2e349961908975ef9e9aba4448423f27a76c053574647c43b1449fbccac11c";
const HALF_ORDER: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// A chain on which the ticket of the vectors can be redeemed.
async fn ready() -> Chain {
    let chain = Chain::start().await;
    let (ticket, ..) = Ticket::winner();
    chain
        .set_round_hash(3456, Ticket::vector_round_hash())
        .await;
    chain.fund_sender(ticket.sender, ether(1), ether(2)).await;
    chain.add_transcoder(ticket.recipient, ether(100)).await;
    chain
}

/// The same ticket with other fields, signed by its sender.
fn altered(change: impl FnOnce(&mut Ticket)) -> (Ticket, [u8; 65], U256) {
    let (mut ticket, _, rand) = Ticket::winner();
    change(&mut ticket);
    let signature = Key::vectors().sign(ticket.hash());
    (ticket, signature, rand)
}

async fn refusal(chain: &Chain, (ticket, signature, rand): (Ticket, [u8; 65], U256)) -> String {
    chain
        .try_redeem(&ticket, &signature, rand)
        .await
        .unwrap_err()
}

async fn redeem(chain: &Chain, (ticket, signature, rand): (Ticket, [u8; 65], U256)) -> Receipt {
    let receipt = chain.try_redeem(&ticket, &signature, rand).await.unwrap();
    assert!(receipt.success);
    receipt
}

#[tokio::test]
async fn the_contract_and_the_harness_agree_with_the_vectors() {
    let chain = ready().await;
    let (ticket, signature, rand) = Ticket::winner();
    assert_eq!(
        format!("{:x}", ticket.sender),
        "2c7536e3605d9c16a7a3d7b1898e529396a65c23"
    );
    assert_eq!(format!("{:x}", ticket.hash()), HASH);
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, SIGNATURE);
    let asked = args![ticket.token()];
    let hash = chain
        .word(Double::TicketBroker, "getTicketHash", asked)
        .await;
    assert_eq!(hash, ticket.hash());
    let (_, signature, _) = Ticket::winner();
    let data = Double::TicketBroker.encode(
        "redeemWinningTicket",
        args![ticket.token(), signature.as_slice(), rand],
    );
    assert_eq!(data.len(), 548);
    assert_eq!(data[..4], [0xec, 0x8b, 0x3c, 0xb6]);
}

#[tokio::test]
async fn a_winner_is_paid_once_from_the_deposit() {
    let chain = ready().await;
    let (ticket, ..) = Ticket::winner();
    assert!(!chain.used(ticket.hash()).await);
    redeem(&chain, Ticket::winner()).await;
    assert!(chain.used(ticket.hash()).await);
    let after = chain.sender_info(ticket.sender).await;
    assert_eq!(after.deposit, ether(1) - ticket.face_value);
    assert_eq!(after.reserve, ether(2));
    assert_eq!(chain.paid_to(ticket.recipient).await, ticket.face_value);
    assert_eq!(
        chain.pending_fees(ticket.recipient).await,
        ticket.face_value
    );
    assert_eq!(refusal(&chain, Ticket::winner()).await, "ticket is used");
}

#[tokio::test]
async fn fees_leave_as_ether() {
    let chain = ready().await;
    let (ticket, ..) = Ticket::winner();
    redeem(&chain, Ticket::winner()).await;
    let purse = Address::repeat_byte(7);
    let all = args![purse, ticket.face_value];
    chain
        .try_bonding(ticket.recipient, "withdrawFees", all)
        .await
        .unwrap();
    assert_eq!(chain.balance(purse).await, ticket.face_value);
    assert!(chain.pending_fees(ticket.recipient).await.is_zero());
    let more = chain
        .try_bonding(ticket.recipient, "withdrawFees", args![purse, 1])
        .await;
    assert_eq!(more.unwrap_err(), "insufficient fees to withdraw");
}

#[tokio::test]
async fn each_check_has_its_text() {
    let chain = ready().await;
    let cases = [
        (
            "ticket recipient is null address",
            altered(|t| t.recipient = Address::zero()),
        ),
        (
            "ticket sender is null address",
            altered(|t| t.sender = Address::zero()),
        ),
        (
            "invalid length for ticket auxData: must be 64 bytes",
            altered(|t| t.aux.truncate(63)),
        ),
        (
            "ticket creationRound does not have a block hash",
            altered(|t| t.aux = Ticket::aux(3400, Ticket::vector_round_hash())),
        ),
        (
            "ticket creationRoundBlockHash invalid for creationRound",
            altered(|t| t.aux = Ticket::aux(3456, H256::repeat_byte(1))),
        ),
        ("recipientRand does not match recipientRandHash", {
            let (ticket, signature, rand) = Ticket::winner();
            (ticket, signature, rand + 1)
        }),
        ("invalid signature over ticket hash", {
            let (ticket, _, rand) = Ticket::winner();
            let signature = Key::numbered(5).sign(ticket.hash());
            (ticket, signature, rand)
        }),
        ("ECDSA: invalid signature", {
            let (ticket, mut signature, rand) = Ticket::winner();
            signature[64] -= 27;
            (ticket, signature, rand)
        }),
        ("ECDSA: invalid signature 's' value", {
            let (ticket, signature, rand) = Ticket::winner();
            (ticket, twin(signature), rand)
        }),
        ("ticket did not win", altered(|t| t.sender_nonce = 7.into())),
        (
            "transcoder must be registered",
            altered(|t| (t.recipient, t.win_prob) = (Address::repeat_byte(9), U256::MAX)),
        ),
    ];
    for (text, case) in cases {
        assert_eq!(refusal(&chain, case).await, text);
    }
    let (ticket, signature, rand) = Ticket::winner();
    let short = chain.try_redeem(&ticket, &signature[..64], rand).await;
    assert_eq!(short.unwrap_err(), "INVALID_SIGNATURE_LENGTH");
    // nothing above spent it
    redeem(&chain, Ticket::winner()).await;
}

/// The other signature of the same key over the same hash, which contracts refuse.
fn twin(mut signature: [u8; 65]) -> [u8; 65] {
    let order = U256::from_str_radix(ORDER, 16).unwrap();
    let s = U256::from_big_endian(&signature[32..64]);
    assert!(s <= U256::from_str_radix(HALF_ORDER, 16).unwrap());
    (order - s).to_big_endian(&mut signature[32..64]);
    signature[64] = 27 + 28 - signature[64];
    signature
}

#[tokio::test]
async fn checks_run_in_their_order() {
    let chain = ready().await;
    let (mut ticket, mut signature, rand) = Ticket::winner();
    redeem(&chain, Ticket::winner()).await;
    // used, and with a bad signature: the first of both is said
    signature[10] ^= 1;
    assert_eq!(
        chain
            .try_redeem(&ticket, &signature, rand)
            .await
            .unwrap_err(),
        "ticket is used"
    );
    // a wrong number comes before that
    let text = chain
        .try_redeem(&ticket, &signature, rand + 1)
        .await
        .unwrap_err();
    assert_eq!(text, "recipientRand does not match recipientRandHash");
    // and the round before that
    ticket.aux = Ticket::aux(1, H256::zero());
    let text = chain
        .try_redeem(&ticket, &signature, rand + 1)
        .await
        .unwrap_err();
    assert_eq!(text, "ticket creationRound does not have a block hash");
    ticket.recipient = Address::zero();
    let text = chain
        .try_redeem(&ticket, &signature, rand + 1)
        .await
        .unwrap_err();
    assert_eq!(text, "ticket recipient is null address");
    chain.next_round().await;
    let text = chain
        .try_redeem(&ticket, &signature, rand + 1)
        .await
        .unwrap_err();
    assert_eq!(text, "current round is not initialized");
    chain.pause(true).await;
    let text = chain
        .try_redeem(&ticket, &signature, rand + 1)
        .await
        .unwrap_err();
    assert_eq!(text, "system is paused");
}

#[tokio::test]
async fn a_ticket_lives_in_its_round_and_the_next() {
    let chain = ready().await;
    chain.new_round().await;
    let kept = chain.snapshot().await;
    redeem(&chain, Ticket::winner()).await;
    chain.revert(kept).await;
    chain.new_round().await;
    assert_eq!(refusal(&chain, Ticket::winner()).await, "ticket is expired");
}

#[tokio::test]
async fn the_live_rule_refuses_what_funds_do_not_cover() {
    let chain = ready().await;
    let big = || altered(|t| (t.face_value, t.win_prob) = (ether(4), U256::MAX));
    let text = "sender deposit and reserve insufficient to cover ticket face value";
    assert_eq!(refusal(&chain, big()).await, text);
    chain
        .fund_sender(big().0.sender, ether(1), U256::zero())
        .await;
    redeem(&chain, big()).await;
    assert_eq!(chain.paid_to(big().0.recipient).await, ether(4));
    let drained = chain.sender_info(big().0.sender).await;
    assert!(drained.deposit.is_zero() && drained.reserve.is_zero());
    assert_eq!(drained.claimed, ether(2));
}

#[tokio::test]
async fn the_old_rule_pays_what_is_there_even_nothing() {
    let chain = ready().await;
    chain.pay_what_is_there(true).await;
    // three in the pool: a third of the reserve each
    for other in [2, 3] {
        chain.add_transcoder(chain.account(other), ether(100)).await;
    }
    let (ticket, ..) = Ticket::winner();
    let nth = |nonce: u64| {
        altered(move |t| {
            (t.face_value, t.win_prob, t.sender_nonce) = (ether(10), U256::MAX, nonce.into());
        })
    };
    let share = ether(2) / 3;
    assert_eq!(
        chain.claimable(ticket.sender, ticket.recipient).await,
        share
    );
    redeem(&chain, nth(1)).await;
    assert_eq!(chain.paid_to(ticket.recipient).await, ether(1) + share);

    let second = redeem(&chain, nth(2)).await;
    assert_eq!(second.logs, 1, "only the redemption, no transfer");
    assert_eq!(chain.paid_to(ticket.recipient).await, ether(1) + share);
    assert!(chain.used(nth(2).0.hash()).await);

    chain.drain_sender(ticket.sender).await;
    assert_eq!(
        refusal(&chain, nth(3)).await,
        "sender deposit and reserve are zero"
    );
}

#[tokio::test]
async fn even_the_live_rule_pays_no_more_than_a_share() {
    let chain = ready().await;
    chain.set_reserve_share(Some(ether(1) / 4)).await;
    let face = altered(|t| (t.face_value, t.win_prob) = (ether(2), U256::MAX));
    let recipient = face.0.recipient;
    redeem(&chain, face).await;
    assert_eq!(chain.paid_to(recipient).await, ether(1) + ether(1) / 4);
}

#[tokio::test]
async fn who_is_not_active_has_no_share() {
    let chain = ready().await;
    let (ticket, ..) = Ticket::winner();
    assert_eq!(
        chain.claimable(ticket.sender, ticket.recipient).await,
        ether(2)
    );
    chain.set_active(ticket.recipient, false).await;
    assert!(
        chain
            .claimable(ticket.sender, ticket.recipient)
            .await
            .is_zero()
    );
    redeem(&chain, Ticket::winner()).await;
}

#[tokio::test]
async fn a_sender_unlocks_waits_and_withdraws() {
    let chain = ready().await;
    let sender = Ticket::winner().0.sender;
    let early = chain.try_as_sender(sender, "withdraw").await;
    assert_eq!(early.unwrap_err(), "no unlock request in progress");
    chain.try_as_sender(sender, "unlock").await.unwrap();
    assert_eq!(chain.sender_info(sender).await.withdraw_round, 3458.into());
    chain.try_as_sender(sender, "cancelUnlock").await.unwrap();
    chain.try_as_sender(sender, "unlock").await.unwrap();
    let twice = chain.try_as_sender(sender, "unlock").await;
    assert_eq!(twice.unwrap_err(), "unlock already initiated");
    let early = chain.try_as_sender(sender, "withdraw").await;
    assert_eq!(early.unwrap_err(), "account is locked");

    chain.new_round().await;
    let kept = chain.snapshot().await;
    redeem(&chain, Ticket::winner()).await;
    chain.revert(kept).await;
    let hash = chain.round_hash(3457).await;
    let late = || altered(|t| (t.aux, t.win_prob) = (Ticket::aux(3457, hash), U256::MAX));
    chain.new_round().await;
    assert_eq!(refusal(&chain, late()).await, "sender is unlocked");

    chain.try_as_sender(sender, "withdraw").await.unwrap();
    let info = chain.sender_info(sender).await;
    assert_eq!((info.deposit, info.reserve), (U256::zero(), U256::zero()));
    for event in [
        "Unlock",
        "UnlockCancelled",
        "Withdrawal",
        "DepositFunded",
        "ReserveFunded",
    ] {
        let told = chain.events(Double::TicketBroker, event).await;
        assert_eq!(
            told.first().unwrap().params[0].1.clone().into_address(),
            Some(sender),
            "{event}"
        );
    }
}

#[tokio::test]
async fn a_sender_without_history_has_nothing() {
    let chain = Chain::start().await;
    let nobody = chain.sender_info(Address::repeat_byte(1)).await;
    let zero = U256::zero();
    let empty = SenderInfo {
        deposit: zero,
        withdraw_round: zero,
        reserve: zero,
        claimed: zero,
    };
    assert_eq!(nobody, empty);
}

#[tokio::test]
async fn a_batch_skips_what_fails() {
    let chain = ready().await;
    let (good, signature, rand) = Ticket::winner();
    let (bad, bad_signature, _) = altered(|t| t.sender_nonce = 7.into());
    use orchestrion_test_chain::Token;
    let arguments = [
        Token::Array(vec![bad.token(), good.token()]),
        Token::Array(vec![
            Token::Bytes(bad_signature.to_vec()),
            Token::Bytes(signature.to_vec()),
        ]),
        Token::Array(vec![Token::Uint(rand), Token::Uint(rand)]),
    ];
    // An estimate would be too low: what runs out of gas inside is skipped as well.
    chain
        .send(
            Double::TicketBroker,
            "batchRedeemWinningTickets",
            &arguments,
        )
        .await;
    assert!(chain.used(good.hash()).await && !chain.used(bad.hash()).await);
}
