//! Where the node with these options keeps its data and answers its operator, for commands that talk to it.

use crate::report::{ConfigErrors, Report};
use crate::settings::{self, OperatorPort};
use crate::values;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where a node is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its data directory. Need not exist.
    pub data_dir: PathBuf,
    /// Its operator port.
    pub operator: OperatorPort,
}

/// Reads the options as for a start, and checks only those that say where the node is: what a start would want besides
/// may be missing. Relative paths count from `directory`.
///
/// # Errors
/// All mistakes at once.
pub fn locate(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &BTreeMap<String, String>,
    directory: &Path,
) -> Result<Location, ConfigErrors> {
    let mut report = Report::default();
    let values = values::read(arguments, environment, directory, &mut report);
    let location = settings::locate(&values, environment, directory, &mut report);
    if report.mistakes.is_empty() {
        Ok(location)
    } else {
        Err(ConfigErrors {
            mistakes: report.mistakes,
            notices: report.notices,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locate_with(arguments: &[&str]) -> Result<Location, ConfigErrors> {
        let home = BTreeMap::from([("HOME".to_owned(), "/home/o".to_owned())]);
        locate(arguments.iter().map(OsString::from), &home, Path::new(""))
    }

    #[test]
    fn a_node_is_found_without_what_only_its_start_needs() {
        let found = locate_with(&["-network", "arbitrum-one-mainnet", "-orchestrator"]).unwrap();
        assert_eq!(
            found.data_dir,
            Path::new("/home/o/.lpData/arbitrum-one-mainnet")
        );
        assert_eq!(found.operator.address.to_string(), "127.0.0.1:7935");
        let found = locate_with(&["-dataDir=/d", "-cliAddr", ":7000", "-cliSocket", "/s"]).unwrap();
        assert_eq!(found.data_dir, Path::new("/d"));
        assert_eq!(found.operator.address.port, 7000);
        assert_eq!(found.operator.socket.as_deref(), Some(Path::new("/s")));
    }

    #[test]
    fn mistakes_in_what_it_reads_are_all_told() {
        let errors = locate_with(&["-cliAddr", "http://x", "-nonsense", "1"]).unwrap_err();
        assert_eq!(errors.mistakes.len(), 2, "{errors}");
    }
}
