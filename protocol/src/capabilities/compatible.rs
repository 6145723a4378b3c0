//! Whether a server's capabilities satisfy a requester's: the four rules that gateways, orchestrators and remote
//! transcoders all apply.

use std::{collections::BTreeMap, fmt};

use semver::{BuildMetadata, Prerelease, Version};

use super::{Capabilities, ModelConstraint, set::write_names};

/// The first rule that failed, with what an operator wants to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incompatible {
    /// The server's release is below the least one accepted, or unknown.
    Version {
        /// What the requester accepts.
        min: String,
        /// What the server is.
        version: String,
    },
    /// The server insists on something that the requester does not know.
    Mandatory,
    /// The server serves that capability but not this model as demanded.
    Model {
        /// Capability number.
        capability: u32,
        /// Model name.
        model: String,
    },
    /// The server lacks these numbers. None of them when only the list of words was too long; at most 16 are kept.
    Missing(Vec<u32>),
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { min, version } => write!(f, "version {version:?} is below {min:?}"),
            Self::Mandatory => f.write_str("a mandatory capability is not known to the requester"),
            Self::Model { capability, model } => {
                write!(f, "model {model:?} is not served as demanded for ")?;
                write_names(f, [*capability].into_iter())
            }
            Self::Missing(numbers) if numbers.is_empty() => {
                f.write_str("capability list is too long")
            }
            Self::Missing(numbers) => {
                f.write_str("missing ")?;
                write_names(f, numbers.iter().copied())
            }
        }
    }
}

impl std::error::Error for Incompatible {}

impl Capabilities {
    /// Whether `server` can do what this requester demands, by version, mandatory set, models and bits, in that order.
    pub fn satisfied_by(&self, server: &Self) -> Result<(), Incompatible> {
        if !version_at_least(&self.min_version, &server.version) {
            return Err(Incompatible::Version {
                min: self.min_version.clone(),
                version: server.version.clone(),
            });
        }
        if !server.mandatory.is_within(&self.set) {
            return Err(Incompatible::Mandatory);
        }
        for (capability, wanted) in &self.models {
            // a capability that the server does not constrain is served with any model
            if let Some(model) = server
                .models
                .get(capability)
                .and_then(|has| unserved(wanted, has))
            {
                return Err(Incompatible::Model {
                    capability: *capability,
                    model: model.to_owned(),
                });
            }
        }
        if !self.set.is_within(&server.set) {
            return Err(Incompatible::Missing(
                self.set.missing_in(&server.set).take(16).collect(),
            ));
        }
        Ok(())
    }
}

/// First model of `wanted` that `has` lacks, has cold although it must be warm, or runs at too low a version.
fn unserved<'a>(
    wanted: &'a BTreeMap<String, ModelConstraint>,
    has: &BTreeMap<String, ModelConstraint>,
) -> Option<&'a str> {
    wanted.iter().find_map(|(name, wanted)| {
        let served = has.get(name).is_some_and(|has| {
            (has.warm || !wanted.warm)
                && version_at_least(&wanted.runner_version, &has.runner_version)
        });
        (!served).then_some(name.as_str())
    })
}

/// Whether `version` is at least `min`, without their pre-release parts (which are suffixes added after a release).
///
/// An empty or unreadable `min` accepts all; an empty, `undefined` or unreadable `version` is then below it.
pub fn version_at_least(min: &str, version: &str) -> bool {
    if min.is_empty() {
        return true;
    }
    if version.is_empty() || version == "undefined" {
        return false;
    }
    match (release(min), release(version)) {
        (None, _) => true,
        (_, None) => false,
        (Some(min), Some(version)) => version >= min,
    }
}

/// Release of a version text. More tolerant than semver itself: a leading `v`, and minor and patch may be left out.
fn release(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = text
        .split_once('+')
        .map_or((text, None), |(t, b)| (t, Some(b)));
    let (core, suffix) = text
        .split_once('-')
        .map_or((text, None), |(t, s)| (t, Some(s)));
    if let Some(build) = build {
        (!build.is_empty()).then_some(())?;
        BuildMetadata::new(build).ok()?;
    }
    if let Some(suffix) = suffix {
        (!suffix.is_empty()).then_some(())?;
        Prerelease::new(suffix).ok()?;
    }
    let mut numbers = core.split('.').map(|number| {
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| number.parse::<u64>().ok()).flatten()
    });
    let major = numbers.next()??;
    let minor = numbers.next().unwrap_or(Some(0))?;
    let patch = numbers.next().unwrap_or(Some(0))?;
    numbers
        .next()
        .is_none()
        .then(|| Version::new(major, minor, patch))
}
