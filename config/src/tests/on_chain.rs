//! Settings of nodes that join a chain: what is demanded, what is warned of, what comes out.

use super::*;

const MAINNET: [&str; 10] = [
    "-network",
    "arbitrum-one-mainnet",
    "-orchestrator",
    "-transcoder",
    "-serviceAddr",
    "orch.example.com:8935",
    "-ethUrl",
    "https://rpc.example.com/key1, http://other.example.com:8545/key2",
    "-pricePerUnit",
    "900",
];
const RECIPIENT: &str = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";

fn with(more: &[&'static str]) -> Vec<&'static str> {
    MAINNET.iter().chain(more).copied().collect()
}

fn without(name: &str) -> Vec<&'static str> {
    let mut words = MAINNET.to_vec();
    let at = words.iter().position(|word| *word == name).unwrap();
    words.drain(at..at + 2);
    words
}

fn chain(words: &[&str]) -> Chain {
    settings(words).chain.unwrap()
}

fn payments(words: &[&str]) -> Payments {
    settings(words).payments.unwrap()
}

/// The one mistake of these arguments.
fn mistake(words: &[&str]) -> String {
    let found = mistakes(words);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

fn warned(words: &[&str], part: &str) -> bool {
    warnings(words).iter().any(|text| text.contains(part))
}

#[test]
fn an_orchestrator_on_chain_comes_out_with_the_defaults_of_the_reference() {
    let settings = settings(&MAINNET);
    assert!(settings.roles.orchestrator && settings.roles.reward.is_none());
    let chain = settings.chain.unwrap();
    assert_eq!(
        (chain.chain_id, chain.redeem_gas),
        (Some(42_161), 1_200_000)
    );
    assert_eq!(
        chain.controller.to_string(),
        "0xD8E8328501E9645d16Cf49539efC04f734606ee4"
    );
    assert_eq!(
        chain
            .end_points
            .urls
            .iter()
            .map(SecretUrl::expose)
            .collect::<Vec<_>>(),
        [
            "https://rpc.example.com/key1",
            "http://other.example.com:8545/key2"
        ]
    );
    assert_eq!(
        chain.key_store,
        KeyStore::Directory(Path::new("/home/op/.lpData/arbitrum-one-mainnet/keystore").to_owned())
    );
    assert_eq!(
        (chain.account, chain.orchestrator, chain.password),
        (None, None, None)
    );
    let sending = chain.transactions;
    assert_eq!(
        (
            sending.gas_limit,
            sending.min_gas_price,
            sending.max_gas_price
        ),
        (None, Wei(0), None)
    );
    assert_eq!(
        (
            sending.timeout.as_secs(),
            sending.replacements,
            sending.confirmations
        ),
        (300, 1, 1)
    );
    let payments = settings.payments.unwrap();
    assert_eq!(payments.tickets.expected_value, Wei(8_000_000_000));
    assert_eq!(payments.tickets.max_face_value, None);
    assert_eq!(payments.prices.base.to_string(), "900 wei per pixel");
    assert!(payments.prices.auto_adjust && payments.prices.feed.is_none());
    let redemption = settings.redemption.unwrap();
    assert!(redemption.elsewhere.is_none() && redemption.server.is_none());
}

#[test]
fn what_a_chain_demands_is_demanded_one_line_each() {
    assert!(
        mistake(&without("-pricePerUnit")).starts_with("-pricePerUnit: must be given on-chain")
    );
    assert!(mistake(&without("-ethUrl")).starts_with("-ethUrl: must be given on-chain"));
    assert!(mistake(&without("-serviceAddr")).starts_with("-serviceAddr: must be given on-chain"));
    assert!(mistakes(&["-network", "arbitrum-one-mainnet"])[0].contains("needs a role on a chain"));
    assert!(
        mistake(&[
            "-network",
            "arbitrum-one-mainet",
            "-reward",
            "-ethUrl",
            "http://127.0.0.1:8545"
        ])
        .contains("is not one of offchain, arbitrum-one-mainnet")
    );
    let free = with(&["-pricePerUnit", "0"]);
    assert!(warned(&free, "served for nothing"));
}

#[test]
fn values_that_would_lose_money_in_silence_are_refused() {
    for (more, part) in [
        (["-pricePerUnit", "1e12"], "without exponent"),
        (["-pricePerUnit", "-1"], "0 or more"),
        (["-maxFaceValue", "8000000000"], "must be above -ticketEV"),
        (
            ["-ethOrchAddr", "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4E"],
            "checksum",
        ),
        (
            ["-ethOrchAddr", "0x0000000000000000000000000000000000000000"],
            "nobody owns",
        ),
        (["-transactionTimeout", "0"], "above 0"),
        (["-pixelsPerUnit", "0"], "above 0"),
        (["-ethStaleAfter", "5s"], "-blockPollingInterval, 5 s"),
        (
            ["-ethKeystorePath", "/no/such/place"],
            "neither a directory nor a file",
        ),
        (["-pricePerGateway", "{}"], "must be {\"gateways\""),
        (["-redeemerAddr", "http://r:1"], "over TLS"),
        (
            ["-ethUrl", "https://a.example.com,b.example.com"],
            "each beginning with https://",
        ),
        (["-ethUrl", "wss://a.example.com"], "the http form"),
        (["-ethUrl", ","], "each beginning with https://"),
    ] {
        let mistake = mistake(&with(&more));
        assert!(mistake.contains(part), "{more:?}: {mistake}");
    }
    assert!(
        mistake(&with(&["-minGasPrice", "2", "-maxGasPrice", "1"]))
            .contains("below the least gas price")
    );
    assert!(
        mistake(&with(&["-maxGasPrice", "2", "-rewardMaxGasPrice", "1"]))
            .contains("must not be below")
    );
}

#[test]
fn traps_that_work_and_cost_are_said() {
    assert!(warned(&with(&["-ticketEV", "0"]), "nothing is ever paid"));
    assert!(warned(&with(&["-gasLimit", "500000"]), "asks the chain"));
    assert!(warned(
        &with(&["-maxFaceValue", "1200000000000000"]),
        "more than 1000000000 wei"
    ));
    assert!(!warned(
        &with(&["-maxFaceValue", "3600000000000000"]),
        "-maxFaceValue"
    ));
    assert!(warned(
        &with(&["-ethController", RECIPIENT]),
        "takes the place of"
    ));
    assert!(warned(&with(&["-network", "mainnet"]), "no gateway works"));
    assert!(warned(
        &with(&["-redeemerAddr", "10.0.0.2"]),
        "without -redeemerToken"
    ));
    assert!(warned(
        &with(&["-ethPassword", "hunter2"]),
        "list of processes"
    ));
}

#[test]
fn gas_prices_unset_are_not_gas_prices_of_zero() {
    let least = |more: &[&'static str]| chain(&with(more)).transactions.min_gas_price;
    assert_eq!(least(&["-network", "mainnet"]), Wei(1_000_000_000));
    assert_eq!(least(&["-network", "mainnet", "-minGasPrice", "0"]), Wei(0));
    let sending = chain(&with(&["-maxGasPrice", "7"])).transactions;
    assert_eq!(
        (sending.max_gas_price, sending.reward_max_gas_price),
        (Some(Wei(7)), Some(Wei(7)))
    );
}

#[test]
fn a_private_network_brings_its_controller() {
    let words = with(&["-network", "devnet", "-ethController", RECIPIENT]);
    let own = chain(&words);
    assert_eq!(
        (
            own.chain_id,
            own.redeem_gas,
            own.controller.to_string().as_str()
        ),
        (None, 350_000, RECIPIENT)
    );
    assert!(settings(&words).program.data_dir.ends_with("devnet"));
    assert!(mistake(&with(&["-network", "../x", "-ethController", RECIPIENT])).contains("slashes"));
    let learned = with(&[
        "-network",
        "devnet",
        "-ethController",
        RECIPIENT,
        "-redeemGas",
        "400000",
    ]);
    assert_eq!(chain(&learned).redeem_gas, 400_000);
}

#[test]
fn prices_in_a_currency_need_a_feed_that_stands_on_this_network() {
    let prices = payments(&with(&[
        "-pricePerUnit",
        "0.02usd",
        "-pixelsPerUnit",
        "1e12",
    ]))
    .prices;
    assert_eq!(prices.base.to_string(), "0.02 USD for 1000000000000 pixels");
    let feed = prices.feed.unwrap();
    assert_eq!(
        (
            feed.contract.to_string().as_str(),
            feed.max_age.as_secs(),
            feed.max_change_percent
        ),
        ("0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612", 26 * 3600, 50)
    );
    assert!(
        payments(&with(&["-pricePerUnit", "1ETH"]))
            .prices
            .feed
            .is_none()
    );
    let private = [
        "-network",
        "devnet",
        "-ethController",
        RECIPIENT,
        "-pricePerUnit",
        "1USD",
    ];
    assert!(mistake(&with(&private)).starts_with("-priceFeedAddr: must be given"));
}

#[test]
fn prices_by_gateway_may_lie_in_a_file_and_their_change_is_applied_live() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prices.json");
    let write = |price: &str| {
        let json = format!(
            r#"{{"gateways":[{{"ethaddress":"{RECIPIENT}","priceperunit":{price},"pixelsperunit":2}}]}}"#
        );
        std::fs::write(&path, json).unwrap();
    };
    let words = [
        &MAINNET[..],
        &["-pricePerBroadcaster", path.to_str().unwrap()],
    ]
    .concat();
    write("3");
    let old = load_words(&words).unwrap();
    write("4.5");
    let new = load_words(&words).unwrap();
    let gateways = &new.settings.payments.as_ref().unwrap().prices.gateways;
    assert_eq!(
        gateways.values().next().unwrap().to_string(),
        "4.5 wei for 2 pixels"
    );
    let diff = reload_diff(&old, &new);
    assert_eq!(
        diff.applied
            .iter()
            .map(|change| change.name)
            .collect::<Vec<_>>(),
        ["pricePerGateway"]
    );
    assert!(diff.needs_restart.is_empty());
}

#[test]
fn prices_and_caps_change_live_and_keys_do_not() {
    let old = load_words(&MAINNET).unwrap();
    let new = load_words(&with(&[
        "-pricePerUnit",
        "901",
        "-maxFaceValue",
        "4000000000000000",
        "-maxGasPrice",
        "5",
        "-ethAcctAddr",
        RECIPIENT,
        "-ticketEV",
        "9000000000",
    ]))
    .unwrap();
    let diff = reload_diff(&old, &new);
    let names = |changes: &[Change]| changes.iter().map(|change| change.name).collect::<Vec<_>>();
    assert_eq!(
        names(&diff.applied),
        ["maxGasPrice", "pricePerUnit", "maxFaceValue"]
    );
    assert_eq!(names(&diff.needs_restart), ["ethAcctAddr", "ticketEV"]);
}

#[test]
fn a_passphrase_says_how_it_was_given_and_a_key_file_is_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("pass"), " hunter2\n").unwrap();
    std::fs::write(directory.path().join("key"), "{}").unwrap();
    let words = with(&["-ethPassword", "pass", "-ethKeystorePath", "key"]);
    let loaded = load_in(words.iter().map(OsString::from), &home(), directory.path()).unwrap();
    let chain = loaded.settings.chain.unwrap();
    assert_eq!(
        chain.key_store,
        KeyStore::File(directory.path().join("key"))
    );
    let password = chain.password.unwrap();
    assert_eq!(
        (password.secret.expose(), password.source),
        ("hunter2", PasswordSource::File)
    );
    let value = Password {
        secret: Secret::new("hunter2"),
        source: PasswordSource::Value,
    };
    assert_eq!(
        self::chain(&with(&["-ethPassword", "hunter2"])).password,
        Some(value)
    );
}

#[test]
fn nodes_without_video_need_neither_price_nor_address() {
    let base = [
        "-network",
        "arbitrum-one-mainnet",
        "-ethUrl",
        "http://127.0.0.1:8545",
        "-ethOrchAddr",
        RECIPIENT,
    ];
    let alone = |more: &[&'static str]| settings(&[&base[..], more].concat());
    for (more, redeems) in [
        (&["-reward"][..], false),
        (&["-initializeRound"], false),
        (&["-redeemer"], true),
        (&["-redeemer", "-reward"], true),
    ] {
        let settings = alone(more);
        assert!(
            !settings.roles.orchestrator && settings.payments.is_none(),
            "{more:?}"
        );
        assert_eq!(settings.redemption.is_some(), redeems, "{more:?}");
        assert_eq!(
            settings.network.listen.address.to_string(),
            "127.0.0.1:8935"
        );
    }
    assert_eq!(alone(&["-reward"]).roles.reward, Some(true));
    assert!(mistake(&["-reward"]).contains("needs a chain"));
    assert!(mistakes(&with(&["-redeemer"]))[0].contains("is a node of its own"));
}

#[test]
fn a_redeemer_that_others_reach_wants_a_token_unless_told_otherwise() {
    let base = [
        "-network",
        "arbitrum-one-mainnet",
        "-ethUrl",
        "http://127.0.0.1:8545",
        "-redeemer",
        "-httpAddr",
        ":8935",
    ];
    let words = |more: &[&'static str]| [&base[..], more].concat();
    assert!(mistake(&words(&[])).contains("set -redeemerToken as well"));
    assert!(warned(
        &words(&["-redeemerInsecure"]),
        "anybody who reaches this redeemer"
    ));
    let server = settings(&words(&["-redeemerToken", "t0ken"]))
        .redemption
        .unwrap()
        .server
        .unwrap();
    assert_eq!(server.token.unwrap().expose(), "t0ken");
    let client = settings(&with(&[
        "-redeemerAddr",
        "redeem.lan",
        "-redeemerToken",
        "t0ken",
    ]))
    .redemption
    .unwrap()
    .elsewhere
    .unwrap();
    assert_eq!(
        (
            client.address.to_string().as_str(),
            client.token.unwrap().expose()
        ),
        ("redeem.lan:8935", "t0ken")
    );
}

#[test]
fn off_chain_the_options_of_a_chain_are_accepted_and_said_to_do_nothing() {
    let words = [
        "-ticketEV",
        "1",
        "-reward",
        "-ethUrl",
        "http://127.0.0.1:8545",
        "-orchestrator",
        "-transcoder",
    ];
    for name in ["-ticketEV", "-reward", "-ethUrl"] {
        assert!(
            warned(
                &words,
                &format!("{name} (command line): has no effect off-chain")
            ),
            "{name}"
        );
    }
    let settings = settings(&words);
    assert!(
        settings.chain.is_none() && settings.payments.is_none() && settings.redemption.is_none()
    );
    assert_eq!(settings.roles.reward, Some(false));
    assert!(!warned(&["-reward=false"], "-reward"));
}

#[test]
fn no_key_of_a_list_of_urls_is_shown() {
    let loaded = load_words(&MAINNET).unwrap();
    assert!(
        loaded
            .banner
            .contains("https://rpc.example.com/***,http://other.example.com:8545/***"),
        "{}",
        loaded.banner
    );
    let report = check(MAINNET.map(OsString::from), &home(), Path::new(""));
    let (text, json) = (report.to_string(), serde_json::to_string(&report).unwrap());
    for print in [&text, &json, &format!("{loaded:?}")] {
        assert!(
            !print.contains("key1") && !print.contains("key2"),
            "{print}"
        );
    }
    for part in [
        "chain read from",
        "900 wei per pixel",
        "8000000000 wei expected",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    // A comma inside a password looks like two URLs.
    assert_eq!(
        find("ethUrl").unwrap().shown("https://u:12,34@example.com"),
        "***"
    );
}
