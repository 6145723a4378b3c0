//! The command line of `orchestrion bench`: the flags of `livepeer_bench`, and a few more.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use host::job::{Device, EncoderSettings};
use lexopt::Arg;
use protocol::profile::VideoProfile;

use crate::commands::push::flags::{duration, parser, switch, text, value};
use crate::commands::push::read_ladder;

/// Help text.
pub const HELP: &str = "\
orchestrion bench: measures how many streams this machine transcodes in real time, with the flags of livepeer_bench

usage: orchestrion bench -in INPUT [OPTIONS]

  -in FILE                      local media playlist; also a TS or MP4 file or a folder of segments
  -live=false                   as fast as possible instead of at the pace of live streams
  -concurrentSessions N         streams at once, one worker process each (1)
  -concurrentSessionDelay TIME  delay between their starts (300ms)
  -repeat N                     passes over the input, each measured (1)
  -segs N                       segments of the input, 0 = all (0)
  -transcodingOptions LIST|FILE preset names or a JSON file (P240p30fps16x9,P360p30fps16x9,P720p30fps16x9)
  -nvidia LIST                  GPUs, e.g. 0,1 or all; session k runs on GPU k mod n (none: on the CPU)
  -outPrefix TEXT               write renditions to files that begin so
  -x264Preset NAME              preset of the CPU encoder (the node's default)
  -x264Lookahead N              its look-ahead in frames (what the preset says)
  -x264Threads N                its threads, 0 = automatic (0)
  -workerBinary FILE            orchestrion-worker (the one beside this program)
  -json                         JSON on stdout instead of CSV
  -log LEVEL                    verbosity of the log on stderr, 1 to 6 (2)

CSV on stdout, tables on stderr; a failed segment is counted. Exit code: 0 when none failed, 1 when one did, 2 for wrong options
";

/// Ladder of `livepeer_bench`.
const DEFAULT_LADDER: &str = "P240p30fps16x9,P360p30fps16x9,P720p30fps16x9";

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Playlist, file or folder.
    pub input: PathBuf,
    /// At the pace of live streams.
    pub live: bool,
    /// Streams at once.
    pub sessions: usize,
    /// Delay between their starts.
    pub delay: Duration,
    /// Passes.
    pub repeat: usize,
    /// Segments per pass, 0 = all.
    pub segments: usize,
    /// Ladder as it was given.
    pub ladder: String,
    /// Renditions.
    pub profiles: Vec<VideoProfile>,
    /// CUDA indices; empty for the CPU.
    pub nvidia: Vec<u32>,
    /// Beginning of the names of files.
    pub out_prefix: Option<String>,
    /// Make the perceptual hash of each rendition too.
    pub sign: bool,
    /// Settings on the CPU.
    pub encoder: EncoderSettings,
    /// Worker binary.
    pub worker_binary: Option<PathBuf>,
    /// JSON instead of CSV.
    pub json: bool,
    /// Log level, 1 to 6.
    pub verbosity: i32,
}

impl Options {
    /// Reads the command line; `None` when help is asked for.
    ///
    /// # Errors
    /// One line about the first mistake.
    pub fn read(arguments: Vec<OsString>) -> Result<Option<Self>, String> {
        let mut parser = parser(arguments);
        let mut options = Self::default();
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            let flag = match argument {
                Arg::Value(input) => {
                    options.input = input.into();
                    continue;
                }
                Arg::Short(letter) => letter.to_string(),
                Arg::Long(name) => name.to_owned(),
            };
            if matches!(flag.as_str(), "help" | "h") {
                return Ok(None);
            }
            options.set(&mut parser, &flag)?;
        }
        if options.input.as_os_str().is_empty() {
            return Err("nothing to transcode: give -in FILE (-help tells more)".to_owned());
        }
        options.profiles = read_ladder(&options.ladder)?;
        Ok(Some(options))
    }

    /// Settings of the worker of a session.
    pub fn encoder_of(&self, session: usize) -> EncoderSettings {
        let device = self.nvidia.get(session % self.nvidia.len().max(1));
        EncoderSettings {
            device: device.map_or(Device::Cpu, |index| Device::Nvidia(*index)),
            ..self.encoder.clone()
        }
    }

    fn set(&mut self, parser: &mut lexopt::Parser, flag: &str) -> Result<(), String> {
        match flag {
            "in" => self.input = text(parser, flag)?.into(),
            "live" => self.live = switch(parser, flag)?,
            "concurrentSessions" => self.sessions = value::<usize>(parser, flag)?.max(1),
            "concurrentSessionDelay" => {
                self.delay =
                    duration(&text(parser, flag)?).map_err(|error| format!("-{flag}: {error}"))?
            }
            "repeat" => self.repeat = value::<usize>(parser, flag)?.max(1),
            "segs" => self.segments = value(parser, flag)?,
            "transcodingOptions" => self.ladder = text(parser, flag)?,
            "nvidia" => self.nvidia = gpus(&text(parser, flag)?)?,
            "netint" => return Err("-netint: Netint devices are not in this build".to_owned()),
            "mpeg7Sign" => self.sign = switch(parser, flag)?,
            "outPrefix" => {
                self.out_prefix = Some(text(parser, flag)?).filter(|prefix| !prefix.is_empty())
            }
            "x264Preset" => self.encoder.x264_preset = text(parser, flag)?,
            "x264Lookahead" => self.encoder.x264_lookahead = Some(value(parser, flag)?),
            "x264Threads" => self.encoder.x264_threads = value(parser, flag)?,
            "workerBinary" => self.worker_binary = Some(text(parser, flag)?.into()),
            "json" => self.json = switch(parser, flag)?,
            "log" | "v" => self.verbosity = value(parser, flag)?,
            _ => return Err(format!("-{flag}: no such option (-help lists them)")),
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input: PathBuf::new(),
            live: true,
            sessions: 1,
            delay: Duration::from_millis(300),
            repeat: 1,
            segments: 0,
            ladder: DEFAULT_LADDER.to_owned(),
            profiles: Vec::new(),
            nvidia: Vec::new(),
            out_prefix: None,
            sign: false,
            encoder: node_encoder(),
            worker_binary: None,
            json: false,
            verbosity: 2,
        }
    }
}

/// How a node that was told nothing sets its CPU encoder.
fn node_encoder() -> EncoderSettings {
    let x264 = config::load(std::iter::empty::<OsString>(), &BTreeMap::new())
        .ok()
        .map(|loaded| loaded.settings.video.x264);
    EncoderSettings {
        device: Device::Cpu,
        x264_preset: x264
            .as_ref()
            .map_or_else(|| "medium".to_owned(), |x264| x264.preset.clone()),
        x264_lookahead: x264.as_ref().and_then(|x264| x264.lookahead),
        x264_threads: x264.and_then(|x264| x264.threads).unwrap_or(0),
    }
}

/// CUDA indices of `0,1` or `all`.
fn gpus(text: &str) -> Result<Vec<u32>, String> {
    if text == "all" {
        let found: Vec<u32> = (0..64)
            .take_while(|index| std::path::Path::new(&format!("/dev/nvidia{index}")).exists())
            .collect();
        return if found.is_empty() {
            Err("-nvidia all: no /dev/nvidia0 on this machine".to_owned())
        } else {
            Ok(found)
        };
    }
    let indices = text
        .split(',')
        .map(str::trim)
        .filter(|index| !index.is_empty());
    indices
        .map(|index| {
            index
                .parse()
                .map_err(|_| format!("-nvidia {text:?}: write indices such as 0,1, or all"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Option<Options>, String> {
        Options::read(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn the_flags_of_livepeer_bench_are_read() {
        let words = [
            "-in",
            "a.m3u8",
            "-live=false",
            "-concurrentSessions",
            "3",
            "-concurrentSessionDelay",
            "1s",
            "-repeat=2",
            "-segs",
            "5",
            "-transcodingOptions",
            "P240p30fps16x9",
            "-nvidia",
            "0,2",
            "-outPrefix",
            "out",
            "-log",
            "4",
        ];
        let options = read(&words).unwrap().unwrap();
        assert_eq!(
            (
                options.live,
                options.sessions,
                options.repeat,
                options.segments
            ),
            (false, 3, 2, 5)
        );
        assert_eq!(options.delay, Duration::from_secs(1));
        assert_eq!(options.out_prefix.as_deref(), Some("out"));
        assert_eq!(options.encoder_of(1).device, Device::Nvidia(2));
        assert_eq!(options.encoder_of(2).device, Device::Nvidia(0));
    }

    #[test]
    fn defaults_are_those_of_livepeer_bench() {
        let options = read(&["-in", "a"]).unwrap().unwrap();
        assert!(options.live);
        assert_eq!(options.profiles.len(), 3);
        assert_eq!(options.encoder_of(7).device, Device::Cpu);
    }

    #[test]
    fn what_is_not_in_this_build_is_said() {
        assert!(
            read(&["-in", "a", "-netint", "all"])
                .unwrap_err()
                .contains("not in this build")
        );
        assert!(read(&["-in", "a", "-mpeg7Sign"]).unwrap().unwrap().sign);
        assert!(
            !read(&["-in", "a", "-mpeg7Sign=false"])
                .unwrap()
                .unwrap()
                .sign
        );
        assert!(read(&[]).is_err());
    }
}
