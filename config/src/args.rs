//! The command line in the form of Go's flag package: `-name value`, `--name value`, `-name=value`; a boolean takes its value only
//! after `=`; the first argument that is no option, or `--`, ends the options. (Parsers made for `-abc` meaning three switches read
//! `-network` differently, hence this small one.)

use crate::kind::Kind;
use crate::report::{Origin, Report};
use crate::suggest;
use crate::table::{self, OptionSpec};
use std::ffi::OsString;

/// A value as it was found in one place.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) option: &'static OptionSpec,
    /// The name that was used, which may be an older one.
    pub(crate) typed: String,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// Reads the arguments after the program's name and command. Mistakes go to the report and reading goes on, so that all are found.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    report: &mut Report,
) -> Vec<Found> {
    let mut found = Vec::new();
    let mut unknown = 0_usize;
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let Some(argument) = text(argument, report) else {
            continue;
        };
        let Some((name, inline)) = split_option(&argument) else {
            if argument != "--" && unknown == 0 {
                say_what_is_not_read(&argument, rest.count() + 1, found.last(), report);
            }
            break;
        };
        let Some(option) = table::find(name) else {
            unknown += 1;
            report.mistake(format!(
                "-{} (command line): no such option{}",
                suggest::printable(name),
                suggest::instead_of(name)
            ));
            // What follows an unknown name is most likely its value.
            if inline.is_none() {
                rest.next_if(|next| !next.to_string_lossy().starts_with('-'));
            }
            continue;
        };
        let value = match (inline, option.kind) {
            (Some(value), _) => Some(value.to_owned()),
            (None, Kind::Bool) => Some("true".to_owned()),
            (None, _) => match rest.next() {
                Some(next) => text(next, report),
                None => {
                    report.mistake(format!("-{name} (command line): needs a value after it"));
                    None
                }
            },
        };
        if let Some(value) = value {
            found.push(Found {
                option,
                typed: name.to_owned(),
                value,
                origin: Origin::CommandLine,
            });
        }
    }
    found
}

/// Name and inline value of `-name`, `--name` and `-name=value`; `None` for what does not begin an option.
fn split_option(argument: &str) -> Option<(&str, Option<&str>)> {
    let body = argument
        .strip_prefix("--")
        .or_else(|| argument.strip_prefix('-'))?;
    if body.is_empty() {
        return None;
    }
    Some(match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    })
}

fn text(argument: OsString, report: &mut Report) -> Option<String> {
    match argument.into_string() {
        Ok(text) => Some(text),
        Err(raw) => {
            // Only a name may be shown: what follows it may be a secret.
            let lossy = raw.to_string_lossy();
            let name = split_option(&lossy).map_or("a value", |(name, _)| name);
            report.mistake(format!(
                "{} (command line): is not UTF-8 text",
                suggest::printable(name)
            ));
            None
        }
    }
}

/// The reference ignores what follows the first argument that is no option. So do we, but we say it.
fn say_what_is_not_read(argument: &str, count: usize, before: Option<&Found>, report: &mut Report) {
    let after = match before {
        Some(last)
            if last.option.kind == Kind::Bool && crate::go_values::boolean(argument).is_some() =>
        {
            format!(
                " after -{0}; a boolean takes its value as -{0}={argument}",
                last.typed
            )
        }
        Some(last) => format!(" after -{}", last.typed),
        None => String::new(),
    };
    let words = if count == 1 {
        "1 argument is".to_owned()
    } else {
        format!("{count} arguments are")
    };
    report.warn(format!(
        "{words} not read, because the first of them is no option{after}"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_words(words: &[&str]) -> (Vec<(String, String)>, Report) {
        let mut report = Report::default();
        let found = read(words.iter().map(OsString::from), &mut report);
        (
            found
                .into_iter()
                .map(|found| (found.typed, found.value))
                .collect(),
            report,
        )
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn one_and_two_dashes_and_equals_signs_are_the_same() {
        let (found, report) = read_words(&[
            "-network",
            "offchain",
            "--maxSessions",
            "3",
            "-v=6",
            "--monitor",
            "-transcoder=false",
            "-serviceAddr=",
        ]);
        assert_eq!(
            found,
            pairs(&[
                ("network", "offchain"),
                ("maxSessions", "3"),
                ("v", "6"),
                ("monitor", "true"),
                ("transcoder", "false"),
                ("serviceAddr", "")
            ])
        );
        assert!(report.mistakes.is_empty() && report.notices.is_empty());
    }

    #[test]
    fn a_value_may_begin_with_a_dash_and_hold_an_equals_sign() {
        let (found, _) = read_words(&["-orchSecret", "-a=b", "-orchSecret==x"]);
        assert_eq!(
            found,
            pairs(&[("orchSecret", "-a=b"), ("orchSecret", "=x")])
        );
    }

    #[test]
    fn a_boolean_does_not_take_the_next_word_and_what_follows_is_said_to_be_unread() {
        let (found, report) = read_words(&["-monitor", "false", "-orchestrator"]);
        assert_eq!(found, pairs(&[("monitor", "true")]));
        assert_eq!(report.notices.len(), 1);
        assert!(
            report.notices[0].text.contains("-monitor=false"),
            "{:?}",
            report.notices
        );
        let (found, report) = read_words(&["-monitor", "--", "-orchestrator"]);
        assert_eq!(found, pairs(&[("monitor", "true")]));
        assert!(report.notices.is_empty());
    }

    #[test]
    fn unknown_names_are_all_found_and_near_ones_suggested() {
        let (found, report) = read_words(&[
            "-ethURL",
            "http://x",
            "-bogusOption=1",
            "-txTimeout",
            "5m",
            "-v",
            "4",
        ]);
        assert_eq!(found, pairs(&[("v", "4")]));
        assert_eq!(report.mistakes.len(), 3, "{:?}", report.mistakes);
        assert!(report.mistakes[0].contains("-ethUrl"));
        assert!(report.mistakes[2].contains("-transactionTimeout"));
    }

    #[test]
    fn a_missing_value_is_a_mistake() {
        let (_, report) = read_words(&["-network"]);
        assert_eq!(
            report.mistakes,
            ["-network (command line): needs a value after it"]
        );
    }

    proptest! {
        #[test]
        fn no_arguments_make_it_panic(words in prop::collection::vec("\\PC{0,12}|-{1,3}[a-zA-Z=]{0,12}", 0..8)) {
            let mut report = Report::default();
            let _ = read(words.iter().map(OsString::from), &mut report);
        }
    }
}
