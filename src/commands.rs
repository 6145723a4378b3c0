//! What a person types: one file per command. Without a command, options alone mean `run`, as the reference has it.

mod bench;
mod check;
mod options;
mod push;
mod run;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code for settings or arguments that cannot be used.
pub const USAGE: u8 = 2;

const HELP: &str = "\
orchestrion: a Livepeer orchestrator node

usage: orchestrion [COMMAND] [OPTIONS]

commands:
  run       start the node (also without a command); `orchestrion -help` lists its options
  check     say what `run` with the same options would do, and every mistake in them
  options   print the table of options; --markdown as a document
  push      send a file as live streams to a node, verify and save what comes back
  bench     measure how many streams this machine transcodes in real time
  help      this text
";

/// Runs the command that `arguments` (without the program's name) ask for.
pub fn dispatch(arguments: Vec<OsString>) -> ExitCode {
    let (command, rest) = split(arguments);
    match command.as_str() {
        "run" => run::main(rest),
        "check" => check::main(rest),
        "options" => options::main(&rest),
        "push" => push::main(rest),
        "bench" => bench::main(rest),
        "help" => {
            print(HELP);
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("orchestrion: no command {other:?}; `orchestrion help` lists them");
            ExitCode::from(USAGE)
        }
    }
}

fn split(mut arguments: Vec<OsString>) -> (String, Vec<OsString>) {
    match arguments.first().and_then(|first| first.to_str()) {
        Some(first) if !first.starts_with('-') => {
            let command = first.to_owned();
            arguments.remove(0);
            (command, arguments)
        }
        _ => ("run".to_owned(), arguments),
    }
}

/// The environment, read once.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Prints to stdout; a reader that has gone away is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_alone_run_the_node() {
        let (command, rest) = split(vec!["-orchestrator".into(), "-transcoder".into()]);
        assert_eq!(command, "run");
        assert_eq!(rest.len(), 2);
        assert_eq!(split(vec![]).0, "run");
        assert_eq!(split(vec!["check".into(), "-v".into()]).0, "check");
    }
}
