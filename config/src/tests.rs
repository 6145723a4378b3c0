//! The settings as a whole: defaults, precedence, mistakes, notices and redaction.

use super::*;
use proptest::prelude::*;

mod laws;
mod on_chain;

pub(crate) fn home() -> BTreeMap<String, String> {
    BTreeMap::from([("HOME".to_owned(), "/home/op".to_owned())])
}

pub(crate) fn load_words(words: &[&str]) -> Result<Loaded, ConfigErrors> {
    load(words.iter().map(OsString::from), &home())
}

fn settings(words: &[&str]) -> Settings {
    load_words(words).unwrap().settings
}

fn mistakes(words: &[&str]) -> Vec<String> {
    load_words(words).unwrap_err().mistakes
}

fn warnings(words: &[&str]) -> Vec<String> {
    let notices = load_words(words).unwrap().notices;
    notices
        .into_iter()
        .filter(|notice| notice.level == Level::Warning)
        .map(|notice| notice.text)
        .collect()
}

#[test]
fn without_options_a_combined_local_node_comes_out() {
    let loaded = load_words(&[]).unwrap();
    let settings = &loaded.settings;
    assert!(settings.roles.orchestrator && settings.roles.transcoder);
    assert_eq!(
        settings.network.service.to_string(),
        "https://127.0.0.1:8935"
    );
    assert_eq!(
        settings.network.listen.address.to_string(),
        "127.0.0.1:8935"
    );
    assert_eq!(
        settings.network.operator.address.to_string(),
        "127.0.0.1:7935"
    );
    assert_eq!(
        settings.program.data_dir,
        Path::new("/home/op/.lpData/offchain")
    );
    assert_eq!(settings.video.max_sessions, 10);
    assert_eq!(settings.video.hevc_decoding, None);
    assert_eq!(settings.limits.body_bytes, 1 << 30);
    assert_eq!(settings.limits.drain_timeout.as_secs(), 30);
    assert!(
        loaded
            .notices
            .iter()
            .any(|notice| notice.text.contains("no role given"))
    );
    assert_eq!(loaded.banner, "all options have their defaults\n");
}

#[test]
fn unset_is_not_the_same_as_the_default() {
    assert_eq!(
        settings(&["-hevcDecoding=false"]).video.hevc_decoding,
        Some(false)
    );
    assert_eq!(
        settings(&["-x264Lookahead", "0"]).video.x264.lookahead,
        Some(0)
    );
    assert_eq!(settings(&[]).video.x264.lookahead, None);
}

#[test]
fn command_line_beats_environment_beats_file_beats_default() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("o.conf"),
        "maxSessions 3\nv 5\nmonitor\n",
    )
    .unwrap();
    let mut environment = home();
    environment.insert("LP_MAXSESSIONS".to_owned(), "4".to_owned());
    environment.insert("LP_CONFIG".to_owned(), "o.conf".to_owned());
    environment.insert("LP_MONITOR".to_owned(), String::new());
    let load = |words: &[&str]| {
        load_in(
            words.iter().map(OsString::from),
            &environment,
            directory.path(),
        )
        .unwrap()
    };
    let loaded = load(&["-maxSessions", "5"]);
    assert_eq!(
        (
            loaded.settings.video.max_sessions,
            loaded.settings.program.verbosity
        ),
        (5, 5)
    );
    assert!(
        loaded.settings.monitoring.metrics,
        "an empty variable counts as absent"
    );
    assert!(
        loaded.banner.contains("(command line)") && loaded.banner.contains("(o.conf:2)"),
        "{}",
        loaded.banner
    );
    assert_eq!(load(&[]).settings.video.max_sessions, 4);
    environment.remove("LP_MAXSESSIONS");
    assert_eq!(
        load_in([], &environment, directory.path())
            .unwrap()
            .settings
            .video
            .max_sessions,
        3
    );
}

#[test]
fn all_mistakes_come_at_once_with_value_origin_and_remedy() {
    let mut environment = home();
    environment.insert("LP_V".to_owned(), "loud".to_owned());
    let words = [
        "-maxSessions",
        "0",
        "-network",
        "arbitrum-one-mainnet",
        "-orchestrator",
        "-transcoder",
        "-bogus",
        "x",
        "-cliAddr",
        "0.0.0.0:7935",
        "-httpAddr",
        "http://a/b",
        "-reward=perhaps",
    ];
    let errors = load(words.iter().map(OsString::from), &environment).unwrap_err();
    assert_eq!(
        errors.mistakes,
        [
            "-bogus (command line): no such option",
            "-maxSessions \"0\" (command line): must be a whole number above 0, or auto",
            "-reward \"perhaps\" (command line): must be true or false",
            "-v \"loud\" (environment LP_V): must be a whole number from 0 to 10",
            "-serviceAddr: must be given on-chain: the public host:port told to gateways, the same as registered on the chain",
            "-httpAddr \"http://a/b\" (command line): must not have a path or query; write only host and port",
            "-cliAddr \"0.0.0.0:7935\" (command line): is reachable from other machines; set -cliToken as well, or listen on 127.0.0.1",
            "-ethUrl: must be given on-chain: the JSON-RPC URL of a node of this network, or several parted by commas",
            "-pricePerUnit: must be given on-chain; 0 works for nothing, which the node does not assume",
        ]
    );
    assert_eq!(errors.to_string().lines().count(), 9);
}

#[test]
fn roles_that_are_not_built_are_refused_and_a_shared_file_is_not() {
    assert!(mistakes(&["-orchestrator"])[0].contains("-orchSecret"));
    assert!(mistakes(&["-transcoder"])[0].contains("-orchSecret"));
    assert!(mistakes(&["-gateway"])[0].contains("no gateway"));
    assert!(mistakes(&["-aiWorker"])[0].contains("-orchSecret"));
    assert!(mistakes(&["-orchestrator", "-aiWorker"])[0].contains("-aiModels"));
    assert!(mistakes(&["-orchestrator=false"])[0].contains("without a role"));
    let combined = [
        "-orchestrator",
        "-transcoder",
        "-gateway",
        "-liveAISaveNSegments",
        "3",
    ];
    let notices = load_words(&combined).unwrap().notices;
    assert!(
        notices
            .iter()
            .any(|notice| notice.text.contains("-gateway") && notice.level == Level::Info)
    );
    assert!(
        notices
            .iter()
            .any(|notice| notice.text.contains("needs AI"))
    );
}

#[test]
fn what_is_not_built_is_said_unless_it_is_turned_off() {
    assert!(
        warnings(&["-netint", "x"])
            .iter()
            .any(|text| text.contains("needs Netint devices, not in this build"))
    );
    assert!(
        !warnings(&["-startupAvailabilityCheck=false"])
            .iter()
            .any(|text| text.contains("startupAvailabilityCheck"))
    );
    assert!(
        warnings(&["-datadir", "x"])
            .iter()
            .any(|text| text.contains("old name of -dataDir"))
    );
    assert_eq!(
        settings(&["-datadir", "x"]).program.data_dir,
        Path::new("x")
    );
}

#[test]
fn addresses_that_others_cannot_reach_are_said() {
    let said =
        |words: &[&str], text: &str| warnings(words).iter().any(|warning| warning.contains(text));
    assert!(said(
        &["-serviceAddr", "10.0.0.1:8935"],
        "not a public address"
    ));
    assert!(said(&["-serviceAddr", ":8935"], "has no host"));
    assert!(said(&["-serviceAddr", "o.example.com"], "has no port"));
    assert!(said(
        &["-serviceAddr", "o.example.com:8935"],
        "without payment"
    ));
    let network = settings(&["-serviceAddr", "o.example.com:9000"]).network;
    assert_eq!(
        (
            network.service.to_string().as_str(),
            network.listen.address.to_string().as_str()
        ),
        ("https://o.example.com:9000", ":9000")
    );
    assert_eq!(
        settings(&["-serviceAddr", "none"]).network.service,
        ServiceAddr::None
    );
}

#[test]
fn the_operator_port_beyond_loopback_wants_a_token_which_may_lie_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "t0ken\n").unwrap();
    let words = ["-cliAddr", "0.0.0.0:7935", "-cliToken", "token"];
    let loaded = load_in(words.iter().map(OsString::from), &home(), directory.path()).unwrap();
    assert_eq!(
        loaded.settings.network.operator.token.unwrap().expose(),
        "t0ken"
    );
    assert!(
        warnings(&["-cliToken", "/run/no/such.secret"])
            .iter()
            .any(|text| text.contains("looks like a path") && !text.contains("such"))
    );
    assert!(
        warnings(&["-pricePerGateway", "./no.json"])
            .iter()
            .any(|text| text.contains("\"./no.json\""))
    );
}

#[test]
fn a_certificate_needs_its_key_and_both_must_be_there() {
    assert_eq!(mistakes(&["-tlsCert", "/no/cert.pem"]).len(), 2);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c"), "x").unwrap();
    let words = ["-tlsCert", "c", "-tlsKey", "c"];
    assert!(
        load_in(words.iter().map(OsString::from), &home(), directory.path())
            .unwrap()
            .settings
            .network
            .tls
            .is_some()
    );
}

#[test]
fn devices_and_sessions_are_checked() {
    assert_eq!(
        settings(&["-nvidia", "1,0"]).video.devices,
        Devices::Nvidia(vec![0, 1])
    );
    assert_eq!(
        settings(&["-nvidia", "all"]).video.devices,
        Devices::AllNvidia
    );
    assert!(mistakes(&["-nvidia", "0,0"])[0].contains("twice"));
    assert!(mistakes(&["-nvidia", "0", "-netint", "x"])[0].contains("together"));
    assert!(mistakes(&["-maxSessions", "auto"])[0].contains("give a number"));
    assert!(mistakes(&["-x264Preset", "warp"])[0].contains("ultrafast"));
}

#[test]
fn both_halves_of_a_split_node_are_read() {
    let split = |words: &[&str]| settings(&[words, &["-orchSecret", "s"]].concat());
    let half = split(&["-orchestrator", "-maxSessions", "auto"]);
    assert!(!half.roles.transcoder && half.video.remote_sessions);
    assert_eq!(half.video.max_sessions, 0);
    let half = split(&["-orchestrator", "-maxSessions", "3"]);
    assert!(!half.video.remote_sessions, "a number is the limit");
    let whole = split(&["-orchestrator", "-transcoder", "-maxSessions", "3"]);
    assert!(whole.video.remote_sessions, "remote transcoders add to it");
    assert!(whole.remote.orchestrator.is_none());
    let half = split(&["-transcoder", "-orchAddr", "10.0.0.1:8935,b:1"]);
    assert!(!half.roles.orchestrator && !half.video.remote_sessions);
    let orchestrator = half.remote.orchestrator.map(|address| address.to_string());
    assert_eq!(orchestrator.as_deref(), Some("https://10.0.0.1:8935"));
    assert_eq!(format!("{:?}", half.remote.secret), "Some(***)");
    for words in [
        &["-transcoder", "-orchSecret", "s"][..],
        &["-transcoder", "-orchSecret", "s", "-orchAddr", "no-port"],
        &["-transcoder", "-orchAddr", "10.0.0.1:8935"],
        &[
            "-transcoder",
            "-orchSecret",
            "s",
            "-orchAddr",
            "a:1",
            "-maxSessions",
            "auto",
        ],
    ] {
        assert_eq!(mistakes(words).len(), 1, "{words:?}");
    }
}

#[test]
fn lists_of_hosts_and_networks_are_read() {
    let network = settings(&[
        "-segmentUrlAllow",
        "Store.lan, 10.0.0.0/8",
        "-trustedProxies",
        "127.0.0.1",
        "-nodes",
        "a.example.com:1,https://b.example.com",
    ])
    .network;
    assert_eq!(
        network.segment_url_allow,
        [
            AllowedSegmentHost::Name("store.lan".to_owned()),
            AllowedSegmentHost::Range(Cidr::parse("10.0.0.0/8").unwrap())
        ]
    );
    assert_eq!(network.trusted_proxies.len(), 1);
    assert_eq!(
        network.nodes,
        ["https://a.example.com:1", "https://b.example.com"]
    );
    assert!(mistakes(&["-segmentUrlAllow", "http://x"])[0].contains("without scheme"));
    assert!(mistakes(&["-nodes", "http://x"])[0].contains("https"));
}

#[test]
fn a_missing_home_asks_for_a_data_directory() {
    let errors = load([], &BTreeMap::new()).unwrap_err();
    assert_eq!(
        errors.mistakes,
        ["-dataDir: must be given, because HOME is not set"]
    );
}

#[test]
fn variables_that_no_option_has_are_said() {
    let mut environment = home();
    environment.insert("LP_MAXSESION".to_owned(), "1".to_owned());
    let notices = load([], &environment).unwrap().notices;
    assert!(
        notices.iter().any(|notice| notice.text
            == "environment LP_MAXSESION: no option has this variable; did you mean -maxSessions?"),
        "{notices:?}"
    );
}

#[test]
fn the_sample_files_are_accepted() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let loaded = load_in(
        ["-config", "orchestrion.conf"].map(OsString::from),
        &home(),
        &samples,
    )
    .unwrap();
    assert_eq!(
        loaded.settings.network.service.to_string(),
        "https://orchestrator.example.com:8935"
    );
    assert!(loaded.settings.monitoring.metrics);
    let paid = load_in(
        ["-config", "on-chain.conf"].map(OsString::from),
        &home(),
        &samples,
    )
    .unwrap()
    .settings;
    assert_eq!(
        paid.payments.unwrap().prices.base.to_string(),
        "0.02 USD for 1000000000000 pixels"
    );
    assert_eq!(paid.chain.unwrap().end_points.urls.len(), 2);
    // What is commented out must be accepted as well, were it only for its names.
    for name in ["orchestrion.conf", "on-chain.conf"] {
        let text = std::fs::read_to_string(samples.join(name)).unwrap();
        for line in text
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|line| !line.starts_with(' '))
        {
            assert!(find(line.split(' ').next().unwrap()).is_some(), "{line}");
        }
    }
}

#[test]
fn a_check_says_what_would_start_and_what_hinders_it() {
    let good = check(
        ["-maxSessions", "2"].map(OsString::from),
        &home(),
        Path::new(""),
    );
    assert!(good.ok);
    let text = good.to_string();
    for part in [
        "would start",
        "https://127.0.0.1:8935",
        "sessions at once",
        "maxSessions",
        "(command line)",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    let bad = check(
        ["-maxSessions", "none"].map(OsString::from),
        &home(),
        Path::new(""),
    );
    assert!(!bad.ok && bad.settings.is_none());
    assert!(
        bad.to_string()
            .contains("would not start: 1 mistake to correct")
    );
    let json = serde_json::to_value(&bad).unwrap();
    assert_eq!(json["ok"], false);
}
