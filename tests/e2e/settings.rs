//! The command line: what is wrong is told at once and ends the program with code 2.

use super::node::{program, scratch};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program(arguments).output().expect("run the program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn all_mistakes_are_told_at_once() {
    let (code, _, told) = run(&[
        "run",
        "-maxSessions",
        "many",
        "-cliAddr",
        "no:address:at all",
        "-noSuchOption",
        "1",
    ]);
    assert_eq!(code, Some(2), "{told}");
    for part in ["maxSessions", "many", "cliAddr", "noSuchOption"] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    let operator = format!("127.0.0.1:{}", super::node::free_port());
    let directory = scratch();
    let path = directory.path().to_str().expect("text");
    let (code, _, told) = run(&[
        "run",
        "-serviceAddr",
        &address,
        "-cliAddr",
        &operator,
        "-dataDir",
        path,
        "-testTranscoder=false",
    ]);
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains(&address) && told.contains("-httpAddr"),
        "{told}"
    );
}

#[test]
fn help_lists_the_options_and_version_names_the_program() {
    let (code, help, _) = run(&["-help"]);
    assert_eq!(code, Some(0));
    assert!(
        help.contains("-serviceAddr") && help.contains("-maxSessions"),
        "{help}"
    );
    let (code, version, _) = run(&["-version"]);
    assert_eq!(code, Some(0));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let (code, _, told) = run(&["no-such-command"]);
    assert_eq!(code, Some(2), "{told}");
}

#[test]
fn check_says_what_is_wrong_and_starts_nothing() {
    let directory = scratch();
    let path = directory.path().join("data");
    let text = path.to_str().expect("text");
    let (code, told, _) = run(&["check", "-dataDir", text, "-maxSessions", "3"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, told, _) = run(&["check", "-dataDir", text, "-maxSessions", "none"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("maxSessions"), "{told}");
    assert!(!path.exists(), "nothing was made");
}
