//! The one table of options: every name the node accepts, what kind of value it takes, its default, who uses it and whether it is
//! a secret. The parser, the environment, the plain file, `-help`, `docs/options.md`, redaction and live reload are all derived from
//! it, so a new option is one new line here. Names and defaults are the reference's; the sentences are ours.

mod ai;
mod chain;
mod gateway;
mod limits;
mod monitoring;
mod network;
mod payments;
mod program;
mod roles;
mod video;

use crate::kind::Kind;

/// Which role reads an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Every role.
    Any,
    /// The node that takes jobs from gateways.
    Orchestrator,
    /// The part that transcodes on this machine.
    Transcoder,
    /// The part that runs AI containers on this machine.
    AiWorker,
    /// The ticket redemption service.
    Redeemer,
    /// A gateway, which this program is not.
    Gateway,
}

impl Role {
    /// The word used in the generated documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Orchestrator => "orchestrator",
            Self::Transcoder => "transcoder",
            Self::AiWorker => "AI worker",
            Self::Redeemer => "redeemer",
            Self::Gateway => "gateway",
        }
    }
}

/// What this build does with an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Read and obeyed.
    Used,
    /// Accepted and checked, without effect until the named part is built.
    Planned {
        /// The missing part, to be read after "needs".
        needs: &'static str,
    },
    /// A gateway's option: accepted so that one file can serve several roles, without effect.
    Gateway,
    /// Without effect in the reference too.
    Obsolete,
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Everything.
    Public,
    /// Nothing.
    Secret,
    /// A URL: scheme, host and port only.
    UrlWithCredentials,
}

/// One option. Built with the `const` methods below.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Name without dashes.
    pub name: &'static str,
    /// Older names, still accepted with a notice.
    pub aliases: &'static [&'static str],
    /// Form and limits of the value.
    pub kind: Kind,
    /// Default as it would be typed; empty where there is none or where it is worked out at start.
    pub default: &'static str,
    /// Says in words what an empty default becomes.
    pub default_note: &'static str,
    /// Who reads it.
    pub roles: &'static [Role],
    /// One line for people.
    pub help: &'static str,
    /// How much of a value may be shown.
    pub secrecy: Secrecy,
    /// A reload applies a changed value without a restart.
    pub live: bool,
    /// What this build does with it.
    pub status: Status,
    /// Not in the reference.
    pub ours: bool,
    /// Has no effect on the network `offchain`.
    pub on_chain: bool,
    /// Means something on the command line only, such as `-help`.
    pub command_line_only: bool,
}

impl OptionSpec {
    const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            default,
            default_note: "",
            roles: &[Role::Any],
            help,
            secrecy: Secrecy::Public,
            live: false,
            status: Status::Used,
            ours: false,
            on_chain: false,
            command_line_only: false,
        }
    }

    const fn bool(name: &'static str, default: bool, help: &'static str) -> Self {
        Self::new(
            name,
            Kind::Bool,
            if default { "true" } else { "false" },
            help,
        )
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn default_note(mut self, note: &'static str) -> Self {
        self.default_note = note;
        self
    }

    const fn roles(mut self, roles: &'static [Role]) -> Self {
        self.roles = roles;
        self
    }

    const fn secret(mut self) -> Self {
        self.secrecy = Secrecy::Secret;
        self
    }

    const fn credentials(mut self) -> Self {
        self.secrecy = Secrecy::UrlWithCredentials;
        self
    }

    const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    const fn needs(mut self, needs: &'static str) -> Self {
        self.status = Status::Planned { needs };
        self
    }

    const fn gateway(mut self) -> Self {
        self.status = Status::Gateway;
        self.roles = &[Role::Gateway];
        self
    }

    const fn obsolete(mut self) -> Self {
        self.status = Status::Obsolete;
        self
    }

    const fn ours(mut self) -> Self {
        self.ours = true;
        self
    }

    const fn on_chain(mut self) -> Self {
        self.on_chain = true;
        self
    }

    const fn command_line_only(mut self) -> Self {
        self.command_line_only = true;
        self
    }

    /// The name of the environment variable that sets this option.
    #[must_use]
    pub fn env_name(&self) -> String {
        env_name(self.name)
    }

    /// The value as it may be shown to people and written to logs.
    #[must_use]
    pub fn shown(&self, value: &str) -> String {
        match self.secrecy {
            _ if value.is_empty() => String::new(),
            Secrecy::Public => value.to_owned(),
            Secrecy::Secret => crate::secret::STARS.to_owned(),
            Secrecy::UrlWithCredentials if matches!(self.kind, Kind::UrlList(_)) => {
                crate::secret::shown_urls(value)
            }
            Secrecy::UrlWithCredentials => crate::secret::shown_url(value),
        }
    }
}

/// `LP_` and the name in capitals, with `-`, `.` and `/` turned into `_`; camel case is not split.
pub(crate) fn env_name(option: &str) -> String {
    let mut name = String::from("LP_");
    name.extend(option.chars().map(|letter| match letter {
        '-' | '.' | '/' => '_',
        other => other.to_ascii_uppercase(),
    }));
    name
}

/// A group of options that belong together in the documents.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// Heading.
    pub title: &'static str,
    /// The options, in the order in which they are shown.
    pub options: &'static [OptionSpec],
}

/// Every option, by area.
pub static AREAS: &[Area] = &[
    Area {
        title: "Program",
        options: program::OPTIONS,
    },
    Area {
        title: "Roles",
        options: roles::OPTIONS,
    },
    Area {
        title: "Network",
        options: network::OPTIONS,
    },
    Area {
        title: "Video",
        options: video::OPTIONS,
    },
    Area {
        title: "Limits",
        options: limits::OPTIONS,
    },
    Area {
        title: "Monitoring and operator port",
        options: monitoring::OPTIONS,
    },
    Area {
        title: "AI",
        options: ai::OPTIONS,
    },
    Area {
        title: "Chain and keys",
        options: chain::OPTIONS,
    },
    Area {
        title: "Tickets, prices and redemption",
        options: payments::OPTIONS,
    },
    Area {
        title: "Gateway (accepted, without effect)",
        options: gateway::OPTIONS,
    },
];

/// Every option, in the order of the documents.
pub fn options() -> impl Iterator<Item = &'static OptionSpec> {
    AREAS.iter().flat_map(|area| area.options)
}

/// The option with this name or older name.
#[must_use]
pub fn find(name: &str) -> Option<&'static OptionSpec> {
    options().find(|option| option.name == name || option.aliases.contains(&name))
}

#[cfg(test)]
mod tests;
