//! The given values of all places laid over each other: command line over environment over file. What nobody gave is absent here,
//! so that "unset" stays different from "given the default".

use crate::args::{self, Found};
use crate::file;
use crate::go_values;
use crate::kind::Kind;
use crate::report::{Level, Notice, Origin, Report};
use crate::suggest;
use crate::table::{self, OptionSpec, Status, env_name};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

/// A value that was given, and where.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) option: &'static OptionSpec,
    pub(crate) typed: String,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

impl fmt::Debug for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} ({})",
            self.option.shown(&self.value),
            self.origin
        )
    }
}

/// Every given value by the name of its option. Prints without secrets.
#[derive(Debug, Clone, Default)]
pub struct Values {
    given: BTreeMap<&'static str, Given>,
}

impl Values {
    pub(crate) fn given(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// Whether no chain is joined.
    pub(crate) fn off_chain(&self) -> bool {
        self.given("network")
            .is_none_or(|given| given.value == OFF_CHAIN)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Given> {
        self.given.values()
    }

    /// The given values that differ from their default, in the order of the table.
    pub(crate) fn unusual(&self) -> impl Iterator<Item = &Given> {
        table::options()
            .filter_map(|option| self.given.get(option.name))
            .filter(|given| given.value != given.option.default)
    }

    fn lay_over(&mut self, found: Vec<Found>) {
        for Found {
            option,
            typed,
            value,
            origin,
        } in found
        {
            self.given.insert(
                option.name,
                Given {
                    option,
                    typed,
                    value,
                    origin,
                },
            );
        }
    }
}

/// Reads all places. Relative paths count from `directory`.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &BTreeMap<String, String>,
    directory: &Path,
    report: &mut Report,
) -> Values {
    let from_arguments = args::read(arguments, report);
    let from_environment = read_environment(environment, report);
    let config_path = from_arguments
        .iter()
        .rfind(|found| found.option.name == "config");
    let config_path = config_path.or_else(|| {
        from_environment
            .iter()
            .find(|found| found.option.name == "config")
    });
    let mut values = Values::default();
    if let Some(config) = config_path.filter(|config| !config.value.is_empty()) {
        match std::fs::read(directory.join(&config.value)) {
            Ok(bytes) => values.lay_over(file::read(
                &config.value,
                &String::from_utf8_lossy(&bytes),
                report,
            )),
            Err(error) => report.wrong_value(
                config.option,
                &config.value,
                &config.origin,
                &format!("cannot be read: {error}"),
            ),
        }
    }
    values.lay_over(from_environment);
    values.lay_over(from_arguments);
    check_forms(&values, report);
    say_what_has_no_effect(&values, report);
    values
}

/// An empty variable counts as absent, as in the reference.
fn read_environment(environment: &BTreeMap<String, String>, report: &mut Report) -> Vec<Found> {
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    for option in table::options() {
        // The newest name last, so that it wins.
        for name in option.aliases.iter().rev().chain([&option.name]) {
            let variable = env_name(name);
            if let Some(value) = environment.get(&variable).filter(|value| !value.is_empty()) {
                if option.command_line_only {
                    report.info(format!(
                        "-{name} (environment {variable}): has an effect on the command line only"
                    ));
                } else {
                    // Where an older name has the same variable, the newest is meant.
                    found.retain(|earlier: &Found| {
                        earlier.origin != Origin::Environment(variable.clone())
                    });
                    found.push(Found {
                        option,
                        typed: (*name).to_owned(),
                        value: value.clone(),
                        origin: Origin::Environment(variable.clone()),
                    });
                }
            }
            known.insert(variable);
        }
    }
    for variable in environment
        .keys()
        .filter(|variable| variable.starts_with("LP_") && !known.contains(*variable))
    {
        let hint = suggest::instead_of(variable.trim_start_matches("LP_"));
        report.warn(format!(
            "environment {}: no option has this variable{hint}",
            suggest::printable(variable)
        ));
    }
    found
}

fn check_forms(values: &Values, report: &mut Report) {
    for given in values.iter() {
        if let Err(wanted) = given.option.kind.check(&given.value) {
            report.wrong_value(given.option, &given.value, &given.origin, &wanted);
        }
    }
}

/// The network that stands for none.
pub(crate) const OFF_CHAIN: &str = "offchain";

fn say_what_has_no_effect(values: &Values, report: &mut Report) {
    let off_chain = values.off_chain();
    for given in values.iter() {
        let (name, origin) = (given.option.name, &given.origin);
        if given.typed != name && name != "help" {
            report.warn(format!(
                "-{} ({origin}): is the old name of -{name}",
                given.typed
            ));
        }
        // Turning off what is not there is what happens anyway.
        let turned_off =
            given.option.kind == Kind::Bool && go_values::boolean(&given.value) == Some(false);
        let default = given.value == given.option.default;
        let text = match given.option.status {
            Status::Used if off_chain && given.option.on_chain && !turned_off => {
                format!("-{name} ({origin}): has no effect off-chain; -network joins a chain")
            }
            Status::Used => continue,
            Status::Planned { needs } if !turned_off => format!(
                "-{name} ({origin}): needs {needs}, not in this build; checked, without effect"
            ),
            Status::Planned { .. } => continue,
            Status::Gateway => {
                format!("-{name} ({origin}): a gateway's option, without effect here")
            }
            Status::Obsolete => format!("-{name} ({origin}): has no effect any more"),
        };
        let expected = matches!(given.option.status, Status::Planned { .. } | Status::Used);
        let level = if expected && !default {
            Level::Warning
        } else {
            Level::Info
        };
        report.notices.push(Notice { level, text });
    }
}
