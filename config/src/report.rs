//! What is found while settings are read: mistakes, which end the start, and notices, which are only said. Both name where a value
//! came from, and neither holds a secret.

use crate::table::OptionSpec;
use serde::{Serialize, Serializer};
use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    CommandLine,
    /// This environment variable.
    Environment(String),
    /// This line, counted from 1, of this configuration file.
    File(String, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => formatter.write_str("command line"),
            Self::Environment(name) => write!(formatter, "environment {name}"),
            Self::File(path, line) => write!(formatter, "{path}:{line}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something does not do what the operator may expect.
    Warning,
}

/// Something said at the start that does not end it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// One line.
    pub text: String,
}

/// All that is wrong with the settings, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// The mistakes in the order in which they were found.
    pub mistakes: Vec<String>,
    /// What was noticed besides, which may explain a mistake.
    pub notices: Vec<Notice>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{mistake}")?;
        }
        Ok(())
    }
}

/// Collects both while the settings are read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) mistakes: Vec<String>,
    pub(crate) notices: Vec<Notice>,
}

impl Report {
    pub(crate) fn mistake(&mut self, text: impl Into<String>) {
        self.mistakes.push(text.into());
    }

    /// A mistake in the value of an option: names the option, the value unless it is secret, its origin and the remedy.
    pub(crate) fn wrong_value(
        &mut self,
        option: &OptionSpec,
        value: &str,
        origin: &Origin,
        remedy: &str,
    ) {
        let name = option.name;
        self.mistake(format!(
            "-{name} {:?} ({origin}): {remedy}",
            option.shown(value)
        ));
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.notices.push(Notice {
            level: Level::Warning,
            text: text.into(),
        });
    }

    pub(crate) fn info(&mut self, text: impl Into<String>) {
        self.notices.push(Notice {
            level: Level::Info,
            text: text.into(),
        });
    }
}
