//! Imports run one way. Reads the manifests and the lock file through cargo, and fails when an arrow turns.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

const DAEMON: &str = "orchestrion";

/// What each package may use of ours, once built. The order is the order of the arrows.
const ALLOWED: &[(&str, &[&str])] = &[
    ("orchestrion-protocol", &[]),
    ("orchestrion-test-chain", &[]),
    ("orchestrion-telemetry", &[]),
    ("orchestrion-config", &[]),
    ("orchestrion-containers", &[]),
    ("orchestrion-host", &["orchestrion-protocol"]),
    (
        "orchestrion-video",
        &[
            "orchestrion-containers",
            "orchestrion-host",
            "orchestrion-protocol",
        ],
    ),
    ("orchestrion-native", &["orchestrion-host"]),
    (
        "orchestrion-worker",
        &[
            "orchestrion-host",
            "orchestrion-native",
            "orchestrion-video",
        ],
    ),
    (
        "orchestrion-runners",
        &["orchestrion-host", "orchestrion-protocol"],
    ),
    (
        "orchestrion-chain",
        &["orchestrion-protocol", "orchestrion-telemetry"],
    ),
    (
        "orchestrion-ledger",
        &["orchestrion-protocol", "orchestrion-telemetry"],
    ),
    (
        "orchestrion-actors",
        &[
            "orchestrion-chain",
            "orchestrion-config",
            "orchestrion-host",
            "orchestrion-ledger",
            "orchestrion-protocol",
            "orchestrion-runners",
            "orchestrion-telemetry",
        ],
    ),
    (
        DAEMON,
        &[
            "orchestrion-actors",
            "orchestrion-chain",
            "orchestrion-config",
            "orchestrion-containers",
            "orchestrion-host",
            "orchestrion-ledger",
            "orchestrion-protocol",
            "orchestrion-runners",
            "orchestrion-telemetry",
        ],
    ),
];

/// What a pure package must not have: it is given bytes, times and random numbers.
const IMPURE: &[&str] = &[
    "actix",
    "actix-rt",
    "axum",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "socket2",
    "tokio",
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("run cargo");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// What each package uses of ours, without what only its tests use.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let workspace: Workspace =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"]))
            .expect("metadata");
    let ours: BTreeSet<String> = workspace
        .packages
        .iter()
        .map(|package| package.name.clone())
        .collect();
    let used = |package: &Package| {
        let built = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"));
        built
            .map(|dependency| dependency.name.clone())
            .filter(|name| ours.contains(name))
            .collect()
    };
    workspace
        .packages
        .iter()
        .map(|package| (package.name.clone(), used(package)))
        .collect()
}

/// Every crate that a package links or builds with, its own included.
fn closure(package: &str) -> BTreeSet<String> {
    let tree = cargo(&[
        "tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}",
    ]);
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn imports_run_one_way() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    for (package, used) in arrows() {
        let may = allowed
            .get(package.as_str())
            .unwrap_or_else(|| panic!("{package} has no place in the list of arrows"));
        let wrong: Vec<_> = used
            .iter()
            .filter(|name| !may.contains(&name.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{package} must not use {wrong:?}");
    }
}

#[test]
fn the_list_of_arrows_has_no_circle() {
    let mut before = BTreeSet::new();
    for (package, may) in ALLOWED {
        assert!(
            may.iter().all(|name| before.contains(name)),
            "{package} uses what comes later"
        );
        before.insert(*package);
    }
}

#[test]
fn no_decoder_can_run_beside_the_keys() {
    let linked = closure(DAEMON);
    let media: Vec<_> = linked
        .iter()
        .filter(|name| {
            name.starts_with("gstreamer")
                || name.starts_with("glib")
                || name.starts_with("candle")
                || *name == "orchestrion-video"
                || *name == "orchestrion-native"
        })
        .collect();
    assert!(
        linked.contains("orchestrion-actors") && media.is_empty(),
        "{DAEMON} links {media:?}"
    );
    assert!(
        closure("orchestrion-worker").contains("gstreamer"),
        "the worker is where media is decoded"
    );
}

#[test]
fn pure_packages_have_no_sockets_clocks_or_dice() {
    for package in ["orchestrion-protocol", "orchestrion-containers"] {
        let linked = closure(package);
        let impure: Vec<_> = IMPURE
            .iter()
            .filter(|name| linked.contains(**name))
            .collect();
        assert!(
            linked.contains(package) && impure.is_empty(),
            "{package} links {impure:?}"
        );
    }
}
