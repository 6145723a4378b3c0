//! `orchestrion tickets`: what became of winning tickets, and what to do with one. Talks to the running node; where none
//! runs it opens the database itself.

mod arguments;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use self::arguments::{Action, Asked};
use self::source::Source;
use super::operator::OperatorError;
use super::{environment, print};

/// Why a command was not carried out. Each kind has an exit code of its own.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The command makes no sense.
    #[error("{0}\n\n{HELP}")]
    Usage(String),
    /// Neither a node nor a database could be asked, or it failed.
    #[error("{0}")]
    Failed(String),
    /// There is no such ticket.
    #[error("{0}")]
    Unknown(String),
    /// The ticket cannot do that from where it is.
    #[error("{0}")]
    Refused(String),
}

impl Fault {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => super::USAGE,
            Self::Unknown(_) => 3,
            Self::Refused(_) => 4,
        }
    }
}

impl From<OperatorError> for Fault {
    fn from(error: OperatorError) -> Self {
        let text = error.to_string();
        match error {
            OperatorError::Failed(_) => Self::Failed(text),
            OperatorError::Refused { code, .. } => match &*code {
                "unknown_ticket" => Self::Unknown(text),
                "illegal_step" => Self::Refused(text),
                "bad_request" => Self::Usage(text),
                _ => Self::Failed(text),
            },
        }
    }
}

const HELP: &str = "\
usage: orchestrion tickets COMMAND [OPTIONS]

commands:
  list             tickets in order of arrival
  sums             count and value by state
  show HASH        the whole life of one
  retry HASH       try it now, whatever put it off or stopped it
  hold HASH        stop it until it is released; -all in place of HASH stops redemption until it is released
  release HASH     let it go on; -all in place of HASH lets redemption go on
  export           tickets with their proofs as JSON; the secret number only of those that gateways can use no more

options:
  -state S[,S]     only in these states; `unfinished` for all that are not done
  -sender ADDRESS  only of this gateway
  -after N         go on behind this place, which the list before names
  -limit N         at most so many (list: 100, export: all)
  -note TEXT       why a ticket is held
  -json            for programs
  -file            read the database and ask no node

Where the node is, is read as `run` reads it: -cliAddr, -cliSocket, -cliToken, -dataDir, -network, -config, LP_….

exit codes: 0 done, 1 nobody could be asked, 2 wrong use, 3 no such ticket, 4 the ticket cannot do that now
";

/// Carries the command out.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    match run(arguments, &environment(), Path::new("")) {
        Ok(done) => {
            for notice in &done.notices {
                eprintln!("{notice}");
            }
            print(&done.output);
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("orchestrion tickets: {fault}");
            ExitCode::from(fault.exit_code())
        }
    }
}

/// What a command found.
#[derive(Debug)]
struct Done {
    output: String,
    /// For people, beside the output.
    notices: Vec<String>,
}

fn run(
    arguments: Vec<OsString>,
    environment: &BTreeMap<String, String>,
    directory: &Path,
) -> Result<Done, Fault> {
    let asked = arguments::parse(arguments).map_err(Fault::Usage)?;
    if let Action::Help = asked.action {
        return Ok(Done {
            output: HELP.to_owned(),
            notices: Vec::new(),
        });
    }
    let location = config::locate(asked.rest.clone(), environment, directory)
        .map_err(|errors| Fault::Usage(errors.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::Failed(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let source = Source::find(&location, asked.file).await?;
        let done = carry_out(&source, asked).await;
        // whatever came of it, the database is left in order
        source.close().await?;
        done
    })
}

async fn carry_out(source: &Source, asked: Asked) -> Result<Done, Fault> {
    let mut notices = vec![source.to_string()];
    let json = asked.json;
    let output = match asked.action {
        // answered before anybody was asked
        Action::Help => String::new(),
        Action::List(pairs) => {
            let list = source.list(&pairs).await?;
            let broken = list.unreadable.iter();
            notices.extend(broken.map(|row| format!("a row cannot be read: {row}")));
            match json {
                true => pretty(&list)?,
                false => table::list(&list, unix_now()),
            }
        }
        Action::Sums => {
            let sums = source.sums().await?;
            match json {
                true => pretty(&sums)?,
                false => table::sums(&sums),
            }
        }
        Action::Show(hash) => {
            let detail = source.show(hash).await?;
            match json {
                true => pretty(&detail)?,
                false => table::detail(&detail, unix_now()),
            }
        }
        Action::Export(pairs) => export(source, pairs).await?,
        Action::Step(step, hash) => {
            let ticket = source.step(step, hash).await?;
            match json {
                true => pretty(&ticket)?,
                false => table::ticket(&ticket, unix_now()),
            }
        }
        Action::HoldAll(held) => {
            source.hold_all(held).await?;
            let now = if held { "held" } else { "released" };
            format!("redemption is {now}\n")
        }
    };
    Ok(Done { output, notices })
}

/// Every proof that is asked for as one array, page by page.
async fn export(source: &Source, mut pairs: super::operator::Pairs) -> Result<String, Fault> {
    let all = pairs.iter().all(|(name, _)| *name != "limit");
    let mut rows = Vec::new();
    loop {
        let page = source.export(&pairs).await?;
        for ticket in &page.tickets {
            rows.push(serde_json::to_string(ticket).map_err(not_json)?);
        }
        match page.next.filter(|_| all) {
            Some(next) => {
                pairs.retain(|(name, _)| *name != "after");
                pairs.push(("after", next.to_string()));
            }
            None => return Ok(format!("[\n{}\n]\n", rows.join(",\n"))),
        }
    }
}

fn pretty(value: &impl Serialize) -> Result<String, Fault> {
    let text = serde_json::to_string_pretty(value).map_err(not_json)?;
    Ok(format!("{text}\n"))
}

fn not_json(error: serde_json::Error) -> Fault {
    Fault::Failed(format!("cannot be written as JSON: {error}"))
}

fn unix_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
