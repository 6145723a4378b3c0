//! What a reload may change: the difference between two readings of the settings, split by the table's live mark.

use crate::secret::Secret;
use crate::table::options;
use crate::{Loaded, Settings};
use serde::Serialize;

/// One changed option, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Name of the option.
    pub name: &'static str,
    /// The value before, as it may be shown; the default where none was given.
    pub before: String,
    /// The value now.
    pub now: String,
}

/// The changed options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReloadDiff {
    /// Can be applied while the node runs.
    pub applied: Vec<Change>,
    /// Take effect at the next start only.
    pub needs_restart: Vec<Change>,
}

/// Compares two readings. Being given the default and not being given at all differ only where the settings tell them apart, which
/// are options that need a restart.
#[must_use]
pub fn reload_diff(old: &Loaded, new: &Loaded) -> ReloadDiff {
    let mut diff = ReloadDiff::default();
    for option in options().filter(|option| !option.command_line_only) {
        let value = |loaded: &Loaded| {
            loaded
                .values
                .given(option.name)
                .map(|given| given.value.clone())
        };
        let (before, now) = (value(old), value(new));
        let unset_matters = option.default_note == "unset";
        let same = if unset_matters {
            before == now
        } else {
            text(&before, option.default) == text(&now, option.default)
        };
        if same && !file_changed(option.name, &old.settings, &new.settings) {
            continue;
        }
        let change = Change {
            name: option.name,
            before: option.shown(text(&before, option.default)),
            now: option.shown(text(&now, option.default)),
        };
        if option.live {
            diff.applied.push(change)
        } else {
            diff.needs_restart.push(change)
        }
    }
    diff
}

/// A file may have new content under the old path.
fn file_changed(name: &str, old: &Settings, new: &Settings) -> bool {
    match name {
        "cliToken" => old.network.operator.token != new.network.operator.token,
        "redeemerToken" => redeemer_token(old) != redeemer_token(new),
        "aiModels" => old.ai.models != new.ai.models,
        "pricePerGateway" => {
            let prices = |settings: &Settings| {
                let payments = settings.payments.as_ref();
                payments.map(|payments| payments.prices.gateways.clone())
            };
            prices(old) != prices(new)
        }
        _ => false,
    }
}

fn redeemer_token(settings: &Settings) -> Option<&Secret> {
    let redemption = settings.redemption.as_ref()?;
    let presented = redemption.elsewhere.as_ref();
    let demanded = redemption.server.as_ref();
    presented
        .and_then(|client| client.token.as_ref())
        .or_else(|| demanded.and_then(|server| server.token.as_ref()))
}

fn text<'a>(given: &'a Option<String>, default: &'a str) -> &'a str {
    given.as_deref().unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::load_words;

    #[test]
    fn new_content_of_a_token_file_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let words = ["-cliToken", path.to_str().unwrap()];
        std::fs::write(&path, "one").unwrap();
        let old = load_words(&words).unwrap();
        std::fs::write(&path, "two").unwrap();
        assert_eq!(
            reload_diff(&old, &load_words(&words).unwrap())
                .needs_restart
                .len(),
            1
        );
    }

    #[test]
    fn live_options_are_applied_and_others_wait_for_a_restart() {
        let old = load_words(&["-maxSessions", "3", "-cliToken", "hunter2"]).unwrap();
        let new = load_words(&[
            "-maxSessions",
            "4",
            "-cliToken",
            "hunter3",
            "-hevcDecoding=false",
            "-v",
            "3",
        ])
        .unwrap();
        let diff = reload_diff(&old, &new);
        assert_eq!(
            diff.applied,
            [Change {
                name: "maxSessions",
                before: "3".to_owned(),
                now: "4".to_owned()
            }]
        );
        let waiting: Vec<_> = diff
            .needs_restart
            .iter()
            .map(|change| change.name)
            .collect();
        assert_eq!(waiting, ["cliToken", "hevcDecoding"]);
        assert!(!format!("{diff:?}").contains("hunter"));
        assert_eq!(reload_diff(&new, &new), ReloadDiff::default());
    }
}
