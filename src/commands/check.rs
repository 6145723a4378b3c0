//! `orchestrion check`: what `run` with the same options would do, and every mistake in them. Starts nothing.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use super::{USAGE, environment, print};

/// `--json` prints the report for programs; everything else is as for `run`.
pub fn main(mut arguments: Vec<OsString>) -> ExitCode {
    let given = arguments.len();
    arguments.retain(|argument| argument != "--json" && argument != "-json");
    let json = arguments.len() < given;
    let report = config::check(arguments, &environment(), Path::new(""));
    if json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => print(&format!("{text}\n")),
            Err(error) => eprintln!("orchestrion check: {error}"),
        }
    } else {
        print(&report.to_string());
    }
    if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(USAGE)
    }
}
