//! The one table of options and the settings checked from it: command line, `LP_` environment and the plain file in the reference's
//! forms, all mistakes reported at once, secrets that never print. Reading settings acts on nothing: no port, no thread, no file
//! written. The environment comes in as a map.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod addresses;
mod args;
mod asked;
mod banner;
mod check;
mod decimal;
mod documents;
mod file;
mod go_values;
mod kind;
mod location;
mod money;
mod networks;
mod path_or_value;
mod reload;
mod report;
mod secret;
mod settings;
mod suggest;
mod table;
mod text_table;
mod values;

pub use addresses::{HostPort, Listen, OPERATOR_PORT, PUBLIC_PORT, Scheme, ServiceAddr};
pub use asked::{Asked, asked};
pub use check::{CheckReport, ShownOption, check};
pub use decimal::Decimal;
pub use documents::{help, mist_json, options_markdown};
pub use kind::Kind;
pub use location::{Location, locate};
pub use money::{Account, Wei};
pub use networks::Cidr;
pub use reload::{Change, ReloadDiff, reload_diff};
pub use report::{ConfigErrors, Level, Notice, Origin};
pub use secret::{Secret, SecretUrl};
pub use settings::{
    Ai, AiModel, AllowedSegmentHost, Backend, Chain, Credit, Currency, Devices, EndPoints, Feed,
    Images, KeyStore, Limits, LogFormat, ModelPrice, Monitoring, Network, ObjectStore,
    OperatorPort, PIPELINES, Password, PasswordSource, Payments, Price, Prices, Program,
    RedeemerClient, RedeemerServer, Redemption, Remote, Roles, Settings, Tickets, TlsFiles,
    Transactions, Video, X264, public_network,
};
pub use table::{AREAS, Area, OptionSpec, Role, Secrecy, Status, find, options};
pub use values::Values;

use report::Report;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// Settings that can be started with, and what is to be said about them.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The checked settings.
    pub settings: Settings,
    /// What the operator should know, in the order of finding.
    pub notices: Vec<Notice>,
    /// A table of the options that differ from their default, without secrets.
    pub banner: String,
    /// The given values, which [`reload_diff`] compares.
    pub values: Values,
}

/// Reads and checks the settings from the arguments after the program's name and command, the environment, and the file that they name.
/// Relative paths count from the directory of the process.
///
/// # Errors
/// All mistakes at once. The process should print them and end with code 2.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &BTreeMap<String, String>,
) -> Result<Loaded, ConfigErrors> {
    load_in(arguments, environment, Path::new(""))
}

/// As [`load`], with relative paths counted from `directory`.
///
/// # Errors
/// All mistakes at once.
pub fn load_in(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &BTreeMap<String, String>,
    directory: &Path,
) -> Result<Loaded, ConfigErrors> {
    let (settings, values, report) = examine(arguments, environment, directory);
    if !report.mistakes.is_empty() {
        return Err(ConfigErrors {
            mistakes: report.mistakes,
            notices: report.notices,
        });
    }
    Ok(Loaded {
        banner: banner::banner(&values),
        settings,
        notices: report.notices,
        values,
    })
}

/// Reads everything and keeps all findings; the settings are fit for use only where the report holds no mistake.
fn examine(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &BTreeMap<String, String>,
    directory: &Path,
) -> (Settings, Values, Report) {
    let mut report = Report::default();
    let values = values::read(arguments, environment, directory, &mut report);
    let settings = settings::build(&values, environment, directory, &mut report);
    (settings, values, report)
}

#[cfg(test)]
mod tests;
