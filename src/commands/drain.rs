//! `orchestrion drain` and `undrain`: the running node takes no new streams, and takes them again. Running streams go on.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::operator::{Client, OperatorError, Pairs};
use super::{environment, print};

const HELP: &str = "\
usage: orchestrion drain [-wait] [OPTIONS]
       orchestrion undrain [OPTIONS]

drain     the node takes no new streams until `undrain` or its next start; running ones go on
  -wait   return when the last stream has ended

Where the node is, is read as `run` reads it: -cliAddr, -cliSocket, -cliToken, -dataDir, -network, -config, LP_….

exit codes: 0 done, 1 the node could not be asked, 2 wrong use
";

/// How often a waiting `drain` looks.
const LOOK: Duration = Duration::from_secs(1);

/// What the node answers; see the API's `status`.
#[derive(Debug, Deserialize)]
struct Status {
    sessions: usize,
}

/// What keeps the command from its work.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}\n\n{HELP}")]
    Usage(String),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] std::io::Error),
    #[error(transparent)]
    Node(#[from] OperatorError),
}

/// Carries the command out; `draining` tells `drain` from `undrain`.
pub fn main(arguments: Vec<OsString>, draining: bool) -> ExitCode {
    let (wait, rest) = match asked(arguments, draining) {
        Some(asked) => asked,
        None => {
            print(HELP);
            return ExitCode::SUCCESS;
        }
    };
    match run(rest, draining, wait) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let name = if draining { "drain" } else { "undrain" };
            eprintln!("orchestrion {name}: {fault}");
            match fault {
                Fault::Usage(_) => ExitCode::from(super::USAGE),
                Fault::Runtime(_) | Fault::Node(_) => ExitCode::FAILURE,
            }
        }
    }
}

/// Takes out `-wait`; all others are the node's options. `None` when help is asked for.
fn asked(arguments: Vec<OsString>, draining: bool) -> Option<(bool, Vec<OsString>)> {
    let is = |argument: &OsString, names: &[&str]| {
        let text = argument.to_string_lossy();
        names.contains(&text.trim_start_matches('-')) && text.starts_with('-')
    };
    if arguments
        .iter()
        .any(|argument| is(argument, &["h", "help"]))
    {
        return None;
    }
    let before = arguments.len();
    let rest: Vec<_> = arguments
        .into_iter()
        .filter(|argument| !(draining && is(argument, &["wait"])))
        .collect();
    Some((rest.len() < before, rest))
}

fn run(rest: Vec<OsString>, draining: bool, wait: bool) -> Result<(), Fault> {
    let location = config::locate(rest, &environment(), Path::new(""))
        .map_err(|errors| Fault::Usage(errors.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let node = Client::new(&location)?;
        let mut status: Status = node.post("drain", &json!({ "draining": draining })).await?;
        if !draining {
            print(&format!("the node at {node} takes streams again\n"));
            return Ok(());
        }
        print(&format!(
            "the node at {node} takes no new streams; running: {}\n",
            status.sessions
        ));
        while wait && status.sessions > 0 {
            tokio::time::sleep(LOOK).await;
            status = node.get("status", &Pairs::new()).await?;
        }
        if wait {
            print("the last stream has ended\n");
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_drain_can_wait_and_the_nodes_options_go_on() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let (wait, rest) = asked(words(&["--wait", "-cliAddr", ":1"]), true).expect("no help");
        assert!(wait);
        assert_eq!(rest, words(&["-cliAddr", ":1"]));
        let (wait, rest) = asked(words(&["-wait"]), false).expect("no help");
        assert!(!wait);
        assert_eq!(rest, words(&["-wait"]), "refused as an unknown option");
        assert!(asked(words(&["-help"]), true).is_none());
    }
}
