//! The settings of a node: typed, checked against each other and complete. Built once from the given values; nothing here opens a
//! port or starts a thread.

mod ai;
mod chain;
mod chain_networks;
mod gateway_prices;
mod limits;
mod network;
mod object_store;
mod payments;
mod prices;
mod program;
mod redemption;
mod remote;
mod roles;
mod video;

pub use ai::{Ai, AiModel, Backend, Images, PIPELINES};
pub use chain::{Chain, EndPoints, KeyStore, Password, PasswordSource, Transactions};
pub use chain_networks::public_network;
pub use limits::Limits;
pub use network::{AllowedSegmentHost, Network, OperatorPort, TlsFiles};
pub use object_store::ObjectStore;
pub use payments::{Credit, Payments, Tickets};
pub use prices::{Currency, Feed, ModelPrice, Price, Prices};
pub use program::{LogFormat, Monitoring, Program};
pub use redemption::{RedeemerClient, RedeemerServer, Redemption};
pub use remote::Remote;
pub use roles::Roles;
pub use video::{Devices, Video, X264};

use crate::go_values;
use crate::location::Location;
use crate::money::{Account, Wei};
use crate::path_or_value;
use crate::report::{Origin, Report};
use crate::secret::Secret;
use crate::table::{self, OptionSpec, Secrecy};
use crate::values::{Given, Values};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything the daemon needs to know before it starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Data directory, log, worker program.
    pub program: Program,
    /// What the node does.
    pub roles: Roles,
    /// Addresses, certificates, who may connect.
    pub network: Network,
    /// Where renditions are written instead of memory; `None` = memory.
    pub object_store: Option<ObjectStore>,
    /// What joins an orchestrator and its remote transcoders.
    pub remote: Remote,
    /// Sessions, devices, encoder.
    pub video: Video,
    /// AI models; none where the node serves no AI.
    pub ai: Ai,
    /// What callers and workers may take.
    pub limits: Limits,
    /// Metrics.
    pub monitoring: Monitoring,
    /// The chain and this node's key; `None` off-chain.
    pub chain: Option<Chain>,
    /// What an on-chain orchestrator asks for its work; `None` without that role.
    pub payments: Option<Payments>,
    /// How winning tickets are redeemed; `None` unless this is an on-chain orchestrator or a redeemer.
    pub redemption: Option<Redemption>,
}

/// Builds settings from the given values. Mistakes go to the report; where there are any, the settings must not be used.
pub(crate) fn build(
    values: &Values,
    environment: &BTreeMap<String, String>,
    directory: &Path,
    report: &mut Report,
) -> Settings {
    let mut reader = Reader {
        values,
        environment,
        directory,
        report,
    };
    reader.warn_of_missing_files();
    let roles = roles::read(&mut reader);
    let network = network::read(&mut reader, &roles);
    let program = program::read(&mut reader);
    let chain = chain::read(&mut reader, &program.data_dir);
    let remote = remote::read(&mut reader, &roles);
    let ai = ai::read(&mut reader, &roles, &program.data_dir);
    Settings {
        object_store: object_store::read(&mut reader, &roles),
        video: video::read(&mut reader, &roles, &remote),
        remote,
        payments: payments::read(&mut reader, &roles, chain.as_ref(), &ai),
        ai,
        redemption: redemption::read(&mut reader, &roles, chain.as_ref(), &network),
        chain,
        program,
        limits: limits::read(&mut reader),
        monitoring: program::read_monitoring(&reader),
        roles,
        network,
    }
}

/// Reads only what says where the node is.
pub(crate) fn locate(
    values: &Values,
    environment: &BTreeMap<String, String>,
    directory: &Path,
    report: &mut Report,
) -> Location {
    let mut reader = Reader {
        values,
        environment,
        directory,
        report,
    };
    Location {
        data_dir: program::data_dir(&mut reader),
        operator: network::operator(&mut reader),
    }
}

/// Time spans go out as seconds.
fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Typed access to the given values. A value whose form is wrong has been reported already and reads as its default.
struct Reader<'a> {
    values: &'a Values,
    environment: &'a BTreeMap<String, String>,
    directory: &'a Path,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn option(name: &str) -> Option<&'static OptionSpec> {
        let option = table::find(name);
        debug_assert!(option.is_some(), "no option {name} in the table");
        option
    }

    fn given(&self, name: &str) -> Option<&Given> {
        self.values
            .given(name)
            .filter(|given| given.option.kind.check(&given.value).is_ok())
    }

    /// The given text or the default; empty where there is neither.
    fn text(&self, name: &str) -> &str {
        match self.given(name) {
            Some(given) => &given.value,
            None => Self::option(name).map_or("", |option| option.default),
        }
    }

    fn bool(&self, name: &str) -> bool {
        go_values::boolean(self.text(name)).unwrap_or_default()
    }

    /// The given boolean; `None` where nobody gave one.
    fn bool_if_given(&self, name: &str) -> Option<bool> {
        self.given(name)
            .and_then(|given| go_values::boolean(&given.value))
    }

    /// A whole number; the bounds of the table make it fit.
    fn number<T: TryFrom<i128>>(&self, name: &str) -> Option<T> {
        go_values::integer(self.text(name)).and_then(|number| T::try_from(number).ok())
    }

    /// An amount of wei; the bounds of the table make it fit.
    fn wei(&self, name: &str) -> Wei {
        Wei(go_values::decimal(self.text(name))
            .or_else(|| go_values::integer(self.text(name)))
            .and_then(|number| u128::try_from(number).ok())
            .unwrap_or_default())
    }

    /// An amount of wei whose zero stands for no limit.
    fn wei_limit(&self, name: &str) -> Option<Wei> {
        Some(self.wei(name)).filter(|amount| amount.0 > 0)
    }

    fn account(&self, name: &str) -> Option<Account> {
        Account::parse(self.text(name)).ok()
    }

    fn bytes(&self, name: &str) -> u64 {
        go_values::bytes(self.text(name)).unwrap_or_default()
    }

    fn duration(&self, name: &str) -> Duration {
        go_values::duration(self.text(name)).unwrap_or_default()
    }

    /// A path counted from the directory of the process; `None` where empty.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let text = self.text(name);
        (!text.is_empty()).then(|| self.directory.join(text))
    }

    /// A path that must name a file, which is said if it does not.
    fn existing_file(&mut self, name: &str) -> Option<PathBuf> {
        let path = self.path(name)?;
        if !path.is_file() {
            self.wrong(name, "is not a file; give the path of an existing one");
        }
        Some(path)
    }

    fn secret_or_file(&self, name: &str) -> Option<Secret> {
        let text = self.text(name);
        if text.is_empty() {
            return None;
        }
        Some(Secret::new(self.value_or_file(name)))
    }

    /// The content of the file that the given text names, or the text itself.
    fn value_or_file(&self, name: &str) -> String {
        let text = self.text(name);
        path_or_value::content(self.directory, text).unwrap_or_else(|| text.to_owned())
    }

    /// Reports the given value of an option as wrong.
    fn wrong(&mut self, name: &str, remedy: &str) {
        if let Some(given) = self.values.given(name) {
            self.report
                .wrong_value(given.option, &given.value, &given.origin, remedy);
        } else {
            self.report.mistake(format!("-{name}: {remedy}"));
        }
    }

    fn origin(&self, name: &str) -> Option<&Origin> {
        self.values.given(name).map(|given| &given.origin)
    }

    fn warn_of_missing_files(&mut self) {
        for given in self
            .values
            .iter()
            .filter(|given| given.option.kind == crate::kind::Kind::PathOrValue)
        {
            if path_or_value::looks_like_path(&given.value)
                && path_or_value::content(self.directory, &given.value).is_none()
            {
                let (name, origin) = (given.option.name, &given.origin);
                // What looks like a path may be the secret itself.
                let value = if given.option.secrecy == Secrecy::Public {
                    format!(" {:?}", given.value)
                } else {
                    String::new()
                };
                self.report.warn(format!(
                    "-{name}{value} ({origin}): looks like a path, but no readable file with content is there; the text itself is used"
                ));
            }
        }
    }
}
