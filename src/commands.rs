//! What a person types: one file per command. Without a command, options alone mean `run`, as the reference has it.

mod account;
mod ask;
mod bench;
mod check;
mod drain;
mod models;
mod operator;
mod options;
mod push;
mod run;
mod runner;
mod tickets;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;

use telemetry::log;

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
  tickets   list winning tickets, show one, try or stop it, export proofs
  account   make a key, list the keys of a store
  drain     let the running node take no new streams; `undrain` ends that
  ask       send an AI request to a node and show the answer
  models    list the AI models on this machine, check one, say what it needs
  runner    serve a native AI model over the runner's HTTP interface
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
        "tickets" => tickets::main(rest),
        "account" => account::main(rest),
        "drain" => drain::main(rest, true),
        "undrain" => drain::main(rest, false),
        "ask" => ask::main(rest),
        "models" => models::main(rest),
        "runner" => runner::main(rest),
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

/// A command that works by itself, without a node's settings.
struct Tool<O> {
    /// Its name.
    name: &'static str,
    /// Help text.
    help: &'static str,
    /// Reads its options; `None` when help is asked for, an error in a line.
    read: fn(Vec<OsString>) -> Result<Option<O>, String>,
    /// Log level among its options, 1 to 6.
    verbosity: fn(&O) -> i32,
}

impl<O> Tool<O> {
    /// Reads the options, starts log and runtime, and does the work. Exit code 0 when all went well, 1 when not, 2 for wrong
    /// options.
    fn run<E: Display>(
        &self,
        arguments: Vec<OsString>,
        work: impl AsyncFnOnce(&O) -> Result<bool, E>,
    ) -> ExitCode {
        let name = self.name;
        let options = match (self.read)(arguments) {
            Ok(Some(options)) => options,
            Ok(None) => {
                print(self.help);
                return ExitCode::SUCCESS;
            }
            Err(mistake) => {
                eprintln!("orchestrion {name}: {mistake}");
                return ExitCode::from(USAGE);
            }
        };
        // A log that cannot be started is no reason not to work.
        let _ = log::init(log::Format::Logfmt, (self.verbosity)(&options));
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("orchestrion {name}: cannot start the runtime: {error}");
                return ExitCode::FAILURE;
            }
        };
        match runtime.block_on(work(&options)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("orchestrion {name}: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Options with one dash, as the node's have, read as those with two.
fn two_dashes(arguments: Vec<OsString>) -> impl Iterator<Item = OsString> {
    arguments.into_iter().map(|word| match word.to_str() {
        Some(text) if text.starts_with('-') && !text.starts_with("--") && text.len() > 1 => {
            format!("-{text}").into()
        }
        _ => word,
    })
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
