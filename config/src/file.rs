//! The plain configuration file: one `name value` per line, the first blanks part them, a name alone means true, `#` at the start of
//! a line or after a blank begins a comment. An unknown name is a mistake.

use crate::args::Found;
use crate::report::{Origin, Report};
use crate::suggest;
use crate::table;

/// Reads the text of a file; `path` is only for messages.
pub(crate) fn read(path: &str, text: &str, report: &mut Report) -> Vec<Found> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let origin = Origin::File(path.to_owned(), index + 1);
        let Some((name, value)) = split_line(line) else {
            continue;
        };
        match table::find(name) {
            Some(option) if option.command_line_only => report.info(format!(
                "-{name} ({origin}): has an effect on the command line only"
            )),
            Some(option) => found.push(Found {
                option,
                typed: name.to_owned(),
                value: value.to_owned(),
                origin,
            }),
            None => {
                let hint = unknown_hint(name);
                report.mistake(format!(
                    "{} ({origin}): no such option{hint}",
                    suggest::printable(name)
                ));
            }
        }
    }
    found
}

fn unknown_hint(name: &str) -> String {
    let bare = suggest::printable(name.trim_start_matches('-'));
    if bare != name && table::find(&bare).is_some() {
        return format!("; write it as '{bare} value', without dashes, equals signs or colons");
    }
    suggest::instead_of(&bare)
}

fn split_line(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches('\u{feff}').trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, value) = match line.split_once([' ', '\t']) {
        Some((name, value)) => (name, value.trim()),
        None => (line, "true"),
    };
    // The comment sign counts after a blank only: colours and URL fragments hold it too.
    let value = match value.find(" #") {
        Some(comment) => value[..comment].trim(),
        None => value,
    };
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_names_and_values() {
        let mut report = Report::default();
        let text = "# a node\n\norchestrator\n  network   offchain  \nserviceAddr\texample.com:8935 # home\nobjectStore s3://h/b#c\n";
        let found = read("o.conf", text, &mut report);
        let pairs: Vec<_> = found
            .iter()
            .map(|found| (found.typed.as_str(), found.value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("orchestrator", "true"),
                ("network", "offchain"),
                ("serviceAddr", "example.com:8935"),
                ("objectStore", "s3://h/b#c")
            ]
        );
        assert_eq!(found[2].origin.to_string(), "o.conf:5");
        assert!(report.mistakes.is_empty());
    }

    #[test]
    fn unknown_names_are_mistakes_with_their_line_and_without_their_value() {
        let mut report = Report::default();
        read(
            "o.conf",
            "orchSecret=hunter2\n-network offchain\nbogus x\nhelp\n",
            &mut report,
        );
        assert_eq!(report.mistakes.len(), 3);
        assert!(
            report.mistakes[0].starts_with(
                "orchSecret (o.conf:1): no such option; write it as 'orchSecret value'"
            ),
            "{}",
            report.mistakes[0]
        );
        assert!(!report.mistakes.concat().contains("hunter2"));
        assert_eq!(report.notices.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|\n|#| |\t){0,80}") {
            let _ = read("x", &text, &mut Report::default());
        }
    }
}
