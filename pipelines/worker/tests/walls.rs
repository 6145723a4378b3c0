//! The sandbox, tried from the inside by the real binary.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::Command;

use serde_json::Value;

/// Attempts that only the file rules can refuse.
const BY_FILES: [&str; 5] = [
    "read secret",
    "list directory",
    "write file",
    "write library",
    "memory of parent",
];

#[test]
fn no_attempt_to_leave_the_sandbox_succeeds() {
    let secret = tempfile::tempdir().unwrap();
    std::fs::write(secret.path().join("secret"), "key").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_orchestrion-worker"))
        // cargo names directories under a home that other users cannot enter
        .env_remove("LD_LIBRARY_PATH")
        .args(["--memory", "4294967296", "--scratch"])
        .arg(scratch.path())
        .arg("--self-test-walls")
        .arg(secret.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();

    let stands = |name: &str| {
        let walls = findings["walls"].as_array().unwrap();
        let wall = walls.iter().find(|wall| wall["name"] == name).unwrap();
        if !wall["missing"].is_null() {
            println!("wall {name} does not stand here: {}", wall["missing"]);
        }
        wall["missing"].is_null()
    };
    // every kernel this runs on has these
    for name in [
        "descriptors",
        "parent-death",
        "no-new-privileges",
        "not-dumpable",
        "limits",
        "capabilities",
        "seccomp",
    ] {
        assert!(stands(name), "{name}: {findings:#}");
    }
    // root may be withheld from whoever runs the tests, but never kept by a worker that has it
    if nix::unistd::geteuid().is_root() {
        assert!(stands("own-user"), "{findings:#}");
    }
    assert_ne!(findings["user"], 0, "{findings:#}");
    let files_guarded = stands("landlock");
    let attempts = findings["attempts"].as_array().unwrap();
    assert!(attempts.len() > 20);
    for attempt in attempts {
        let name = attempt["name"].as_str().unwrap();
        if files_guarded || !BY_FILES.contains(&name) {
            assert!(
                attempt["refused"].is_number(),
                "{name} succeeded: {findings:#}"
            );
        }
    }
}
