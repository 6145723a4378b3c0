//! Options about the program itself: help, version, configuration file, data directory, log.

use super::OptionSpec;
use crate::kind::Kind;

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::bool("help", false, "Print this list and end")
        .aliases(&["h"])
        .command_line_only(),
    OptionSpec::bool("version", false, "Print the version and end").command_line_only(),
    OptionSpec::bool(
        "j",
        false,
        "Print the options as JSON, in the form MistServer reads, and end",
    )
    .command_line_only(),
    OptionSpec::new(
        "config",
        Kind::Path,
        "",
        "File of 'name value' lines; the command line and the environment win over it",
    ),
    OptionSpec::new(
        "dataDir",
        Kind::Path,
        "",
        "Directory for the certificate, keys and work files, used exactly as given",
    )
    .aliases(&["datadir"])
    .default_note("`$HOME/.lpData/<network>`"),
    OptionSpec::new(
        "v",
        Kind::int(0, 10),
        "3",
        "Log detail: 1 errors, 2 warnings, 3 information, 4 and 5 debug, 6 everything",
    )
    .live(),
    OptionSpec::new(
        "logFormat",
        Kind::Choice(&["logfmt", "json"]),
        "logfmt",
        "Form of the log lines on stderr",
    )
    .ours(),
    OptionSpec::new(
        "workerBinary",
        Kind::Path,
        "",
        "The worker program that does the media work",
    )
    .default_note("`orchestrion-worker` beside the daemon")
    .ours(),
];
