//! `orchestrion options`: the table of options as help text, or with `--markdown` as docs/options.md.

use std::ffi::OsString;
use std::process::ExitCode;

use super::{USAGE, print};

/// Prints the table.
pub fn main(arguments: &[OsString]) -> ExitCode {
    match arguments {
        [] => print(&config::help()),
        [only] if only == "--markdown" => print(&config::options_markdown()),
        _ => {
            eprintln!("orchestrion options: takes --markdown or nothing");
            return ExitCode::from(USAGE);
        }
    }
    ExitCode::SUCCESS
}
