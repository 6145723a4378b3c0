//! The report of `orchestrion check`: what would start with these settings, or why nothing would. Starts nothing.

use crate::report::{Level, Notice, Origin};
use crate::settings::{Devices, Settings};
use crate::text_table;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

/// An option that differs from its default, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownOption {
    /// Name of the option.
    pub name: &'static str,
    /// The value as it may be shown.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// What a start would do. Prints as text for people and serialises as JSON; neither holds a secret.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// Whether the node would start.
    pub ok: bool,
    /// What is wrong, one line each.
    pub mistakes: Vec<String>,
    /// What should be known.
    pub notices: Vec<Notice>,
    /// The options that differ from their default.
    pub options: Vec<ShownOption>,
    /// The checked settings; absent where there are mistakes.
    pub settings: Option<Settings>,
}

/// Reads and checks settings as a start would, with relative paths counted from `directory`.
#[must_use]
pub fn check(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &BTreeMap<String, String>,
    directory: &Path,
) -> CheckReport {
    let (settings, values, report) = crate::examine(arguments, environment, directory);
    let shown = |given: &crate::values::Given| ShownOption {
        name: given.option.name,
        value: given.option.shown(&given.value),
        origin: given.origin.clone(),
    };
    let ok = report.mistakes.is_empty();
    CheckReport {
        ok,
        mistakes: report.mistakes,
        notices: report.notices,
        options: values.unusual().map(shown).collect(),
        settings: ok.then_some(settings),
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.mistakes {
            writeln!(formatter, "error: {mistake}")?;
        }
        for notice in &self.notices {
            let level = if notice.level == Level::Warning {
                "warning"
            } else {
                "note"
            };
            writeln!(formatter, "{level}: {}", notice.text)?;
        }
        if !self.options.is_empty() {
            writeln!(formatter, "\noptions that differ from their default:")?;
            let rows: Vec<[String; 3]> = self
                .options
                .iter()
                .map(|option| {
                    [
                        format!("  {}", option.name),
                        format!("{:?}", option.value),
                        format!("({})", option.origin),
                    ]
                })
                .collect();
            writeln!(formatter, "{}", text_table::lines(&rows).join("\n"))?;
        }
        match &self.settings {
            Some(settings) => writeln!(
                formatter,
                "\nwould start:\n{}",
                text_table::lines(&plan(settings)).join("\n")
            ),
            None => writeln!(
                formatter,
                "\nwould not start: {} to correct",
                count(self.mistakes.len())
            ),
        }
    }
}

fn count(mistakes: usize) -> String {
    if mistakes == 1 {
        "1 mistake".to_owned()
    } else {
        format!("{mistakes} mistakes")
    }
}

fn plan(settings: &Settings) -> Vec<[String; 2]> {
    let network = &settings.network;
    let tls = match (&network.listen.scheme, &network.tls) {
        (crate::Scheme::Http, _) => "plain text".to_owned(),
        (_, Some(files)) => format!("TLS with {}", files.certificate.display()),
        (_, None) => "TLS with a self-signed certificate".to_owned(),
    };
    let told = network.service.to_string();
    let devices = match &settings.video.devices {
        Devices::Cpu => format!("the CPU, x264 preset {}", settings.video.x264.preset),
        Devices::AllNvidia => "all Nvidia GPUs".to_owned(),
        Devices::Nvidia(indexes) => format!("Nvidia GPUs {indexes:?}"),
    };
    let guard = if network.operator.token.is_some() {
        ", with a token"
    } else {
        ""
    };
    let metrics = if settings.monitoring.metrics {
        "on the operator port, /metrics"
    } else {
        "off (-monitor turns them on)"
    };
    let row = |name: &str, value: String| [format!("  {name}"), value];
    let mut rows = vec![
        row("roles", roles(settings)),
        row("network", network.name.clone()),
        row(
            "told to gateways",
            if told.is_empty() {
                "nothing; takes no jobs".to_owned()
            } else {
                told
            },
        ),
        row("public port", format!("{}, {tls}", network.listen.address)),
        row(
            "operator port",
            format!("{}{guard}", network.operator.address),
        ),
        row("sessions at once", sessions(settings)),
        row("transcodes on", devices),
        row("metrics", metrics.to_owned()),
        row(
            "data directory",
            settings.program.data_dir.display().to_string(),
        ),
    ];
    if let Some(orchestrator) = &settings.remote.orchestrator {
        rows.push(row("registers with", orchestrator.to_string()));
        rows.retain(|[name, _]| !matches!(name.trim(), "told to gateways" | "public port"));
    }
    if !settings.roles.transcoder {
        rows.retain(|[name, _]| name.trim() != "transcodes on");
    }
    if !settings.roles.transcoder && !settings.roles.orchestrator {
        rows.retain(|[name, _]| name.trim() != "sessions at once");
    }
    rows.extend(chain_plan(settings).map(|(name, value)| row(name, value)));
    rows
}

fn sessions(settings: &Settings) -> String {
    let video = &settings.video;
    match (video.max_sessions, video.remote_sessions) {
        (0, true) => "as many as remote transcoders carry".to_owned(),
        (own, true) => format!("{own}, and those of remote transcoders"),
        (own, false) => own.to_string(),
    }
}

fn roles(settings: &Settings) -> String {
    let roles = &settings.roles;
    let all = [
        (roles.orchestrator, "orchestrator"),
        (roles.transcoder, "transcoder"),
        (roles.redeemer, "redeemer"),
        (roles.reward == Some(true), "reward"),
        (roles.reward.is_none(), "reward if the account may"),
        (roles.initialize_round, "round initialiser"),
    ];
    let set: Vec<_> = all
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
    set.join(", ")
}

fn chain_plan(settings: &Settings) -> impl Iterator<Item = (&'static str, String)> {
    let chain = settings.chain.iter().flat_map(|chain| {
        let urls: Vec<_> = chain
            .end_points
            .urls
            .iter()
            .map(ToString::to_string)
            .collect();
        let account = chain
            .account
            .map_or("the first of the key store".to_owned(), |account| {
                account.to_string()
            });
        let mut rows = vec![("chain read from", urls.join(", ")), ("account", account)];
        rows.extend(
            chain
                .orchestrator
                .map(|account| ("works for", account.to_string())),
        );
        rows
    });
    let payments = settings.payments.iter().flat_map(|payments| {
        let prices = &payments.prices;
        let face = payments.tickets.max_face_value;
        [
            ("price", prices.base.to_string()),
            ("prices by gateway", prices.gateways.len().to_string()),
            (
                "value of a ticket",
                format!(
                    "{} wei expected, face at most {}",
                    payments.tickets.expected_value,
                    face.map_or(
                        "what the sender's reserve covers".to_owned(),
                        |most| format!("{most} wei")
                    )
                ),
            ),
        ]
    });
    let redeemer = settings
        .redemption
        .iter()
        .filter_map(|redemption| redemption.elsewhere.as_ref())
        .map(|client| ("redeemed by", client.address.to_string()));
    chain.chain(payments).chain(redeemer)
}
