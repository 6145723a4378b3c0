//! What was asked. The options of `tickets` are taken out; all others go to where the node's own are read.

use std::ffi::OsString;

use protocol::signature::Hash;

use crate::commands::operator::Pairs;
use crate::doors::operator::ticket_filter;

/// A command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// What to do.
    pub action: Action,
    /// Print for programs.
    pub json: bool,
    /// Ask no node.
    pub file: bool,
    /// Options of the node.
    pub rest: Vec<OsString>,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Explain.
    Help,
    /// List tickets.
    List(Pairs),
    /// Count them by state.
    Sums,
    /// Show one.
    Show(Hash),
    /// Print proofs.
    Export(Pairs),
    /// Do something with one.
    Step(Step, Hash),
    /// Stop redemption, or let it go on.
    HoldAll(bool),
}

/// What an operator does with a ticket.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Try it now.
    Retry,
    /// Stop it.
    Hold {
        /// Why.
        note: String,
    },
    /// Let it go on.
    Release,
}

/// How many tickets a list shows when nobody says.
const LISTED: &str = "100";

/// Reads the arguments behind `tickets`.
///
/// # Errors
/// What is wrong, in a line.
pub fn parse(arguments: Vec<OsString>) -> Result<Asked, String> {
    let mut arguments = arguments.into_iter().peekable();
    let command = arguments.next().unwrap_or_else(|| "help".into());
    let command = command.to_string_lossy().into_owned();
    // only right behind the command: further on a word may be the value of a node's option
    let named = arguments.next_if(|next| !next.to_string_lossy().starts_with('-'));
    let mut own = Own::default();
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        let Some(flag) = flag_of(&argument) else {
            rest.push(argument);
            continue;
        };
        own.take(flag, || arguments.next())?;
    }
    let hash = || hash_of(named.as_ref(), &command);
    let action = match command.as_str() {
        "help" | "-h" | "-help" | "--help" => Action::Help,
        "list" => {
            let mut pairs = own.take_pairs()?;
            if pairs.iter().all(|(name, _)| *name != "limit") {
                pairs.push(("limit", LISTED.to_owned()));
            }
            Action::List(pairs)
        }
        "sums" => Action::Sums,
        "export" => Action::Export(own.take_pairs()?),
        "show" => Action::Show(hash()?),
        "retry" => Action::Step(Step::Retry, hash()?),
        "hold" | "release" if own.all => {
            own.all = false;
            Action::HoldAll(command == "hold")
        }
        "hold" => {
            let note = own.note.take().unwrap_or_default();
            Action::Step(Step::Hold { note }, hash()?)
        }
        "release" => Action::Step(Step::Release, hash()?),
        other => return Err(format!("no command {other:?}")),
    };
    let takes_hash = matches!(action, Action::Show(_) | Action::Step(..));
    if let (Some(extra), false) = (&named, takes_hash) {
        return Err(format!("{command} takes no {extra:?}"));
    }
    own.nothing_left(&command)?;
    Ok(Asked {
        action,
        json: own.json,
        file: own.file,
        rest,
    })
}

fn hash_of(named: Option<&OsString>, command: &str) -> Result<Hash, String> {
    let wanted = || format!("{command} wants the hash of a ticket: 0x and 64 hexadecimal digits");
    let text = named.and_then(|text| text.to_str()).ok_or_else(wanted)?;
    ledger::parse_hash(text).ok_or_else(wanted)
}

/// An option of ours, and its value where it was glued on.
struct Flag {
    name: &'static str,
    value: Option<String>,
}

const NAMES: [&str; 8] = [
    "json", "file", "all", "state", "sender", "after", "limit", "note",
];

fn flag_of(argument: &OsString) -> Option<Flag> {
    let text = argument.to_str()?.strip_prefix('-')?;
    let text = text.strip_prefix('-').unwrap_or(text);
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let name = NAMES.into_iter().find(|known| *known == name)?;
    Some(Flag { name, value })
}

/// The options of ours that were given.
#[derive(Default)]
struct Own {
    json: bool,
    file: bool,
    all: bool,
    note: Option<String>,
    pairs: Pairs,
}

impl Own {
    fn take(&mut self, flag: Flag, next: impl FnOnce() -> Option<OsString>) -> Result<(), String> {
        let Flag { name, value } = flag;
        let switch = match name {
            "json" => Some(&mut self.json),
            "file" => Some(&mut self.file),
            "all" => Some(&mut self.all),
            _ => None,
        };
        if let Some(switch) = switch {
            *switch = match value.as_deref() {
                None | Some("true") => true,
                Some("false") => false,
                Some(other) => return Err(format!("-{name} is true or false, not {other:?}")),
            };
            return Ok(());
        }
        let value = value.or_else(|| next().and_then(|next| next.into_string().ok()));
        let value = value.ok_or_else(|| format!("-{name} needs a value"))?;
        match name {
            "note" => self.note = Some(value),
            name => self.pairs.push((name, value)),
        }
        Ok(())
    }

    fn take_pairs(&mut self) -> Result<Pairs, String> {
        let pairs = std::mem::take(&mut self.pairs);
        let named = pairs.iter().map(|(name, value)| (*name, value.as_str()));
        ticket_filter(named)?;
        Ok(pairs)
    }

    fn nothing_left(&self, command: &str) -> Result<(), String> {
        let left = match (self.pairs.first(), &self.note, self.all) {
            (Some((name, _)), _, _) => name,
            (None, Some(_), _) => "note",
            (None, None, true) => "all",
            (None, None, false) => return Ok(()),
        };
        Err(format!("{command} takes no -{left}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Asked, String> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn options_of_the_node_are_left_to_it() {
        let asked =
            read("list -state ready,held --json -dataDir /d -cliAddr=:7000 -limit=3").unwrap();
        let pairs = vec![
            ("state", "ready,held".to_owned()),
            ("limit", "3".to_owned()),
        ];
        assert_eq!(asked.action, Action::List(pairs));
        assert!(asked.json && !asked.file);
        assert_eq!(asked.rest, ["-dataDir", "/d", "-cliAddr=:7000"]);
    }

    #[test]
    fn a_ticket_is_named_right_behind_the_command() {
        let hash = format!("0x{}", "ab".repeat(32));
        let asked = read(&format!("hold {hash} -note gas")).unwrap();
        let note = "gas".to_owned();
        assert_eq!(asked.action, Action::Step(Step::Hold { note }, [0xAB; 32]));
        assert_eq!(read("hold -all").unwrap().action, Action::HoldAll(true));
        for wrong in [
            "show",
            "show 0x12",
            "show -json",
            "retry -all",
            "list extra",
            "list -note x",
            "list -state nonsense",
            "list -limit 0",
            "list -sender 0x1",
            "list -after",
            "sums -state ready",
            "list -json=perhaps",
            "burn",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read("").unwrap().action, Action::Help);
    }
}
