//! Arguments that ask for a print-out instead of a start.

use crate::args;
use crate::go_values;
use crate::report::Report;
use std::ffi::OsString;

/// What is to be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The list of options: [`crate::help`].
    Help,
    /// The version of the program.
    Version,
    /// The options as JSON: [`crate::mist_json`].
    MistJson,
}

/// Whether the arguments ask for a print-out; looked at before [`crate::load`], so that it is answered in spite of mistakes.
pub fn asked(arguments: impl IntoIterator<Item = OsString>) -> Option<Asked> {
    let found = args::read(arguments, &mut Report::default());
    let wants = |name: &str| {
        found
            .iter()
            .rfind(|found| found.option.name == name)
            .and_then(|found| go_values::boolean(&found.value))
            == Some(true)
    };
    if wants("help") {
        Some(Asked::Help)
    } else if wants("j") {
        Some(Asked::MistJson)
    } else if wants("version") {
        Some(Asked::Version)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_by(words: &[&str]) -> Option<Asked> {
        asked(words.iter().map(OsString::from))
    }

    #[test]
    fn print_outs_are_recognised_among_other_options_and_mistakes() {
        assert_eq!(asked_by(&["-h"]), Some(Asked::Help));
        assert_eq!(asked_by(&["--bogus", "-help"]), Some(Asked::Help));
        assert_eq!(asked_by(&["-monitor", "-version"]), Some(Asked::Version));
        assert_eq!(asked_by(&["-j"]), Some(Asked::MistJson));
        assert_eq!(asked_by(&["-orchSecret", "-help"]), None);
        assert_eq!(asked_by(&["-version=false"]), None);
    }
}
