//! Texts made from the table: `-help`, `docs/options.md`, and the JSON that MistServer reads.

use crate::kind::Kind;
use crate::table::{AREAS, OptionSpec, Status, options};
use crate::text_table;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The list of options printed by `-help`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "Options are written -name value, --name value or -name=value; a boolean is turned off with -name=false.\n\
         Each can come from the environment as LP_NAME, or from the file of -config as 'name value' lines.\n\
         The command line wins over the environment, the environment over the file, the file over the default.\n",
    );
    for area in AREAS {
        let rows: Vec<[String; 3]> = area
            .options
            .iter()
            .map(|option| {
                [
                    format!("  -{}", option.name),
                    option.kind.word().to_owned(),
                    one_line(option),
                ]
            })
            .collect();
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "\n{}\n{}\n",
            area.title,
            text_table::lines(&rows).join("\n")
        );
    }
    text
}

fn one_line(option: &OptionSpec) -> String {
    let mut line = option.help.to_owned();
    let default = if option.default_note.is_empty() {
        option.default.to_owned()
    } else {
        option.default_note.replace('`', "")
    };
    if !default.is_empty() && default != "false" {
        let _ = write!(line, " [{default}]");
    }
    match option.status {
        Status::Planned { needs } => {
            let _ = write!(line, " (needs {needs}, not in this build)");
        }
        Status::Obsolete => line.push_str(" (no effect)"),
        Status::Used | Status::Gateway => {}
    }
    line
}

/// The whole text of `docs/options.md`.
#[must_use]
pub fn options_markdown() -> String {
    let mut text = String::from(MARKDOWN_HEAD);
    for area in AREAS {
        let _ = write!(
            text,
            "\n## {}\n\n| Option | Value | Default | For | Meaning |\n|---|---|---|---|---|\n",
            area.title
        );
        for option in area.options {
            let _ = writeln!(
                text,
                "| `-{}`{} | {} | {} | {} | {} |",
                option.name,
                aliases(option),
                value_form(option),
                default_cell(option),
                option
                    .roles
                    .iter()
                    .map(|role| role.word())
                    .collect::<Vec<_>>()
                    .join(", "),
                cell(&meaning(option)),
            );
        }
    }
    text
}

const MARKDOWN_HEAD: &str = "# Options

<!-- Generated from the table in the config package: orchestrion options --markdown > docs/options.md -->

Every name that the reference accepts is accepted here, with the same forms:

- Command line: `-name value`, `--name value` or `-name=value`. A boolean is turned off with `-name=false`; the word after `-name` is not its value.
  The first argument that is no option ends the options; what follows is not read, which is said.
- Environment: `LP_` and the name in capitals, with `-`, `.` and `/` turned into `_`: `-serviceAddr` is `LP_SERVICEADDR`. An empty variable counts as absent.
- File, named by `-config`: one `name value` per line, `#` begins a comment, a name alone means true, an unknown name is a mistake.
- The command line wins over the environment, the environment over the file, the file over the default.
- `value or path`: where the text names a readable file that is not empty, the file's trimmed content is meant; otherwise the text itself.
  A text that looks like a path without a file behind it is said.

All mistakes are reported at once, each with its value and where it came from, and the program ends with code 2. `orchestrion check` does the same without
starting anything. Marks: **secret**, printed as `***`; **URL**, printed as scheme and host only; **chain**, without effect on
the network `offchain`; **live**, applied on SIGHUP without a restart; **new**, not in the reference; *needs …*, accepted and checked but without effect in this build.
";

fn aliases(option: &OptionSpec) -> String {
    option
        .aliases
        .iter()
        .map(|alias| format!(", `-{alias}`"))
        .collect()
}

fn value_form(option: &OptionSpec) -> String {
    match option.kind {
        Kind::Choice(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        kind => kind.word().to_owned(),
    }
}

fn default_cell(option: &OptionSpec) -> String {
    if !option.default_note.is_empty() {
        option.default_note.to_owned()
    } else if option.default.is_empty() {
        String::new()
    } else {
        format!("`{}`", option.default)
    }
}

fn meaning(option: &OptionSpec) -> String {
    let mut text = format!("{}.", option.help);
    match option.secrecy {
        crate::table::Secrecy::Public => {}
        crate::table::Secrecy::Secret => text.push_str(" **secret**"),
        crate::table::Secrecy::UrlWithCredentials => text.push_str(" **URL**"),
    }
    if option.on_chain {
        text.push_str(" **chain**");
    }
    if option.live {
        text.push_str(" **live**");
    }
    if option.ours {
        text.push_str(" **new**");
    }
    match option.status {
        Status::Planned { needs } => {
            let _ = write!(text, " *needs {needs}*");
        }
        Status::Obsolete => text.push_str(" *no effect*"),
        Status::Used | Status::Gateway => {}
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The options as JSON in the form that MistServer reads from its connectors.
#[must_use]
pub fn mist_json(version: &str) -> Value {
    let mut optional = Map::new();
    for option in options().filter(|option| !option.command_line_only) {
        let kind = match option.kind {
            Kind::Bool => "boolean",
            Kind::Int { .. } => "int",
            _ => "str",
        };
        let entry = json!({ "name": option.name, "help": option.help, "option": format!("-{}", option.name), "default": option.default, "type": kind });
        optional.insert(option.name.to_owned(), entry);
    }
    json!({ "name": "Livepeer", "desc": "Orchestrator node of the Livepeer network", "friendly": "Livepeer", "version": version, "optional": optional })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_committed_options_document_is_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/options.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == options_markdown(),
            "docs/options.md differs from the table of options; make it again with: orchestrion options --markdown > docs/options.md"
        );
    }

    #[test]
    fn help_and_document_name_every_option() {
        let (help, document) = (help(), options_markdown());
        for option in options() {
            assert!(
                help.contains(&format!("  -{} ", option.name)),
                "help: {}",
                option.name
            );
            assert!(
                document.contains(&format!("| `-{}`", option.name)),
                "document: {}",
                option.name
            );
        }
    }
}
