//! Known call data, and the selectors of chain 1.3.

use protocol::money::{ExpirationParams, RecipientRand, Ticket as SignedTicket};

use super::*;

fn contracts() -> Contracts {
    let mut contracts = Contracts::new(Address([1; 20]), None);
    for (name, byte) in ContractName::ALL.into_iter().zip(2..) {
        contracts.set(name, Address([byte; 20]));
    }
    contracts
}

fn word(digits: &str) -> [u8; 32] {
    let mut word = [0; 32];
    hex::decode_to_slice(digits, &mut word).unwrap();
    word
}

fn winner() -> WinningTicket {
    let mut rand = [0; 32];
    rand[24..].copy_from_slice(&0x1122_3344_5566_7788_u64.to_be_bytes());
    let mut sig = [0; 65];
    hex::decode_to_slice("ef3fcd913e816c5c138496431146d9559cbcd1bf50cf7d108f4759e45c7f3a08589b2e349961908975ef9e9aba4448423f27a76c053574647c43b1449fbccac11c", &mut sig).unwrap();
    WinningTicket {
        ticket: SignedTicket {
            recipient: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
                .parse()
                .unwrap(),
            sender: "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
                .parse()
                .unwrap(),
            face_value: 250_000_000_000_000_000_u64.into(),
            win_prob: U256::one() << 250,
            nonce: 12,
            recipient_rand_hash: word(
                "b3f3d108f39395b1e53b863250c43c522d8c9159dced616a65e02f299f7f8302",
            ),
            expiration: ExpirationParams {
                creation_round: 3456,
                creation_round_block_hash: word(
                    "3c9dbc6b9adcc23618e4c07c29be2fb8c3b005fd6b50316a0c1d57918854bd75",
                ),
            },
        },
        sig,
        recipient_rand: RecipientRand::from_bytes(rand),
        expiration_block: 0,
    }
}

/// The 548 bytes of chain 10.2.
const REDEEM: &str = "ec8b3cb6\
0000000000000000000000000000000000000000000000000000000000000060\
00000000000000000000000000000000000000000000000000000000000001a0\
0000000000000000000000000000000000000000000000001122334455667788\
00000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c8\
0000000000000000000000002c7536e3605d9c16a7a3d7b1898e529396a65c23\
00000000000000000000000000000000000000000000000003782dace9d90000\
0400000000000000000000000000000000000000000000000000000000000000\
000000000000000000000000000000000000000000000000000000000000000c\
b3f3d108f39395b1e53b863250c43c522d8c9159dced616a65e02f299f7f8302\
00000000000000000000000000000000000000000000000000000000000000e0\
0000000000000000000000000000000000000000000000000000000000000040\
0000000000000000000000000000000000000000000000000000000000000d80\
3c9dbc6b9adcc23618e4c07c29be2fb8c3b005fd6b50316a0c1d57918854bd75\
0000000000000000000000000000000000000000000000000000000000000041\
ef3fcd913e816c5c138496431146d9559cbcd1bf50cf7d108f4759e45c7f3a08\
589b2e349961908975ef9e9aba4448423f27a76c053574647c43b1449fbccac1\
1c00000000000000000000000000000000000000000000000000000000000000";

#[test]
fn winning_ticket_is_redeemed_with_the_known_bytes() {
    let write = redeem_winning_ticket(&contracts(), &winner()).unwrap();
    assert_eq!(hex::encode(&write.data), REDEEM);
    assert_eq!(write.to, contracts().get(ContractName::TicketBroker));
    assert_eq!(write.data.len(), 548);
}

#[test]
fn reward_carries_the_known_bytes() {
    let hint = Hint {
        prev: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
            .parse()
            .unwrap(),
        next: Address::ZERO,
    };
    let write = reward(&contracts(), hint).unwrap();
    assert_eq!(
        hex::encode(write.data),
        "818710560000000000000000000000003c44cdddb6a900fa2b585dd299e03d12fa4293bc0000000000000000000000000000000000000000000000000000000000000000"
    );
}

#[test]
fn every_write_has_the_selector_and_the_contract_of_the_protocol() {
    use ContractName::*;
    let c = contracts();
    let one = U256::one();
    let me = Address([9; 20]);
    let hint = Hint::default();
    let both = BondHints::default();
    let writes = [
        (
            batch_redeem_winning_tickets(&c, &[winner()]),
            0xd01b_808e_u32,
            TicketBroker,
        ),
        (fund_deposit(&c, one), 0x6caa_736b, TicketBroker),
        (fund_reserve(&c, one), 0x6f9c_3c8f, TicketBroker),
        (
            fund_deposit_and_reserve(&c, one, one),
            0x511f_4073,
            TicketBroker,
        ),
        (unlock(&c), 0xa69d_f4b5, TicketBroker),
        (cancel_unlock(&c), 0xc2c4_c2c8, TicketBroker),
        (withdraw(&c), 0x3ccf_d60b, TicketBroker),
        (initialize_round(&c), 0xd480_7fb2, RoundsManager),
        (reward_for(&c, me, hint), 0xb556_966a, BondingManager),
        (set_reward_caller(&c, me), 0x0103_e60e, BondingManager),
        (transcoder(&c, 1, 1), 0x43d3_461a, BondingManager),
        (bond(&c, one, me, both), 0x6bd9_add4, BondingManager),
        (unbond(&c, one, hint), 0x9500_ed9b, BondingManager),
        (rebond(&c, 1, hint), 0x7fc4_606f, BondingManager),
        (
            rebond_from_unbonded(&c, me, 1, hint),
            0x0584_a373,
            BondingManager,
        ),
        (withdraw_stake(&c, 1), 0x25d5_971f, BondingManager),
        (
            withdraw_fees(&c, 42161, me, one),
            0xad3b_1b47,
            BondingManager,
        ),
        (withdraw_fees(&c, 1, me, one), 0x4763_43ee, BondingManager),
        (claim_earnings(&c, 1), 0x24b1_babf, BondingManager),
        (
            set_service_uri(&c, "https://o:8935"),
            0x5f11_301b,
            ServiceRegistry,
        ),
        (approve_bonding(&c, one), 0x095e_a7b3, LivepeerToken),
        (transfer(&c, me, one), 0xa905_9cbb, LivepeerToken),
        (request_tokens(&c), 0x338c_dca1, LivepeerTokenFaucet),
        (
            vote_on_proposal(&c, one, 1, ""),
            0x5678_1388,
            LivepeerGovernor,
        ),
        (
            vote_on_proposal(&c, one, 1, "why"),
            0x7b3c_71d3,
            LivepeerGovernor,
        ),
    ];
    for (write, selector, name) in writes {
        let write = write.unwrap();
        assert_eq!(write.selector(), selector.to_be_bytes(), "{}", write.method);
        assert_eq!(write.to, c.get(name), "{}", write.method);
    }
    assert_eq!(vote(me, one).selector(), 0x0121_b93f_u32.to_be_bytes());
}

#[test]
fn only_funding_sends_wei_along() {
    let c = contracts();
    let both = fund_deposit_and_reserve(&c, 3.into(), 4.into()).unwrap();
    assert_eq!(both.value, 7.into());
    assert_eq!(fund_deposit(&c, 3.into()).unwrap().value, 3.into());
    assert_eq!(unlock(&c).unwrap().value, 0.into());
}

#[test]
fn contract_that_is_not_there_is_named() {
    let empty = Contracts::new(Address([1; 20]), None);
    assert!(matches!(
        redeem_winning_ticket(&empty, &winner()),
        Err(crate::Error::NotRegistered {
            name: "TicketBroker",
            ..
        })
    ));
}
