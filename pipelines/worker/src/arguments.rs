//! What the daemon says on the command line. No user types this; an operator may use the printing modes.

use std::path::PathBuf;

use host::job::Device;
use lexopt::prelude::*;

/// What this process is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Serve the daemon behind standard input.
    Serve(Serve),
    /// Look at all plugins once and write what was found to this file.
    WriteRegistry(PathBuf),
    /// Print what can be decoded and encoded.
    Elements(Device),
    /// Print what a model is and needs.
    InspectModel {
        /// For which pipeline.
        pipeline: String,
        /// Where its files are.
        path: PathBuf,
    },
    /// Put up the walls, try to get over them, print how that went.
    SelfTestWalls {
        /// As for serving.
        serve: Serve,
        /// A directory with a file `secret` that must stay out of reach.
        forbidden: PathBuf,
    },
}

/// What holds for the whole life of a serving process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Serve {
    /// Memory that may be written to, bytes.
    pub(crate) memory: Option<u64>,
    /// The only directory that may be written.
    pub(crate) scratch: Option<PathBuf>,
    /// How far it steps back behind other processes, 0 to 19.
    pub(crate) niceness: u8,
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Mode, lexopt::Error> {
    let mut serve = Serve::default();
    let mut device = None;
    let mut elements = false;
    let mut write_registry = None;
    let mut forbidden = None;
    let mut inspect = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("memory") => serve.memory = Some(parser.value()?.parse()?),
            Long("scratch") => serve.scratch = Some(parser.value()?.into()),
            Long("nice") => serve.niceness = parser.value()?.parse()?,
            Long("write-registry") => write_registry = Some(parser.value()?.into()),
            Long("elements") => elements = true,
            Long("inspect-model") => {
                inspect = Some((parser.value()?.string()?, parser.value()?.into()));
            }
            Long("nvidia") => device = Some(Device::Nvidia(parser.value()?.parse()?)),
            Long("self-test-walls") => forbidden = Some(parser.value()?.into()),
            _ => return Err(argument.unexpected()),
        }
    }
    if let Some((pipeline, path)) = inspect {
        return Ok(Mode::InspectModel { pipeline, path });
    }
    Ok(match (write_registry, elements, forbidden) {
        (Some(path), _, _) => Mode::WriteRegistry(path),
        (_, true, _) => Mode::Elements(device.unwrap_or(Device::Cpu)),
        (_, _, Some(forbidden)) => Mode::SelfTestWalls { serve, forbidden },
        _ => Mode::Serve(serve),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Mode, lexopt::Error> {
        parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn the_daemons_command_line_is_understood() {
        let mode = parsed(&["--memory", "1000", "--scratch", "/s", "--nice", "5"]).unwrap();
        let expected = Serve {
            memory: Some(1000),
            scratch: Some("/s".into()),
            niceness: 5,
        };
        assert_eq!(mode, Mode::Serve(expected));
    }

    #[test]
    fn an_unknown_argument_is_an_error_not_a_surprise() {
        assert!(parsed(&["--no-sandbox"]).is_err());
        assert!(parsed(&["--memory", "much"]).is_err());
    }
}
