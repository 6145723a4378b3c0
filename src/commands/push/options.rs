//! The command line of `orchestrion push`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use lexopt::Arg;
use protocol::profile::{Format, VideoProfile, options_json, presets};

use super::flags::{duration, parser, switch, text, value};
use super::pay::options::{self as pay, PayOptions};

/// Help text.
pub static HELP: LazyLock<String> = LazyLock::new(|| format!("{STREAMS}\n{}\n{EXIT}", pay::HELP));

const STREAMS: &str = "\
orchestrion push: sends a file as live streams to an orchestrator, as a gateway does, checks and saves what comes back

usage: orchestrion push [OPTIONS] INPUT

INPUT is a TS or MP4 file (cut at key pictures into segments of 2 s or more), a folder of .ts or .mp4 segments, or a local
media playlist. One dash or two; `-name value` or `-name=value`.

  -in FILE             the input, in another way
  -orch URI            orchestrator, https://… or http://… (https://127.0.0.1:8935)
  -ladder LIST|FILE    renditions: preset names, a JSON array or a file with one (P240p30fps16x9,P360p30fps16x9)
  -mp4                 ask for renditions in MP4 instead of TS
  -live=false, -fast   as fast as possible instead of at the pace of a live stream
  -streams N           streams at once (1)
  -stagger TIME        delay between the starts of streams (300ms)
  -loop N              passes over the input, times go on (1)
  -duration TIME       at least so much media per stream, e.g. 60s; overrides -loop
  -segments N          exactly so many segments per stream; overrides -loop
  -tiny                five small pictures of our own in place of INPUT, so that a segment costs next to nothing
  -inFlight N          segments of a stream under way at once (1)
  -attempts N          tries per segment (3)
  -refresh             ask GetOrchestrator before each segment
  -name TEXT           manifest ID; with several streams a number follows (random)
  -out FOLDER          save renditions and playlists
  -contactSheet FILE   write a PNG with pictures of source and renditions
  -verify=false        do not decode and compare what comes back
  -workerBinary FILE   orchestrion-worker, for decoding (the one beside this program)
  -json                print the report as JSON
  -v LEVEL             verbosity of the log on stderr, 1 to 6 (2)
";

const EXIT: &str = "\
exit code: 0 when every segment was delivered and verified, 1 when not, 2 for wrong options
";

/// Ladder of a gateway that was told nothing.
const DEFAULT_LADDER: &str = "P240p30fps16x9,P360p30fps16x9";

/// What is to be pushed, where, and what becomes of the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What is pushed.
    pub input: Input,
    /// Address of the orchestrator, without a `/` at its end.
    pub orchestrator: String,
    /// Renditions.
    pub profiles: Vec<VideoProfile>,
    /// At the pace of a live stream.
    pub live: bool,
    /// Streams at once.
    pub streams: usize,
    /// Delay between their starts.
    pub stagger: Duration,
    /// How much of the input.
    pub length: Length,
    /// Segments of a stream under way at once.
    pub in_flight: usize,
    /// Tries per segment.
    pub attempts: u32,
    /// GetOrchestrator before each segment.
    pub refresh: bool,
    /// Manifest ID.
    pub name: Option<String>,
    /// Where renditions are saved.
    pub out: Option<PathBuf>,
    /// Where the contact sheet goes.
    pub contact_sheet: Option<PathBuf>,
    /// Decode and compare.
    pub verify: bool,
    /// Worker binary.
    pub worker_binary: Option<PathBuf>,
    /// Report as JSON.
    pub json: bool,
    /// Log level, 1 to 6.
    pub verbosity: i32,
    /// How it is paid; `None` off-chain.
    pub pay: Option<PayOptions>,
}

/// What is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file, folder or playlist.
    Path(PathBuf),
    /// A built-in clip.
    Tiny,
}

/// How much of the input is pushed per stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many passes.
    Passes(usize),
    /// At least so much media.
    Time(Duration),
    /// So many segments.
    Segments(usize),
}

impl Options {
    /// Reads the command line; `None` when help is asked for.
    ///
    /// # Errors
    /// One line about the first mistake.
    pub fn read(arguments: Vec<OsString>) -> Result<Option<Self>, String> {
        let mut parser = parser(arguments);
        let mut options = Self::default();
        let mut paying = pay::Reader::default();
        let mut tiny = false;
        let mut ladder = DEFAULT_LADDER.to_owned();
        let mut mp4 = false;
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            let flag = match argument {
                Arg::Value(input) => {
                    options.set_input(input)?;
                    continue;
                }
                Arg::Short(letter) => letter.to_string(),
                Arg::Long(name) => name.to_owned(),
            };
            match flag.as_str() {
                "help" | "h" => return Ok(None),
                "ladder" | "transcodingOptions" => ladder = text(&mut parser, &flag)?,
                "mp4" => mp4 = switch(&mut parser, &flag)?,
                "tiny" => tiny = switch(&mut parser, &flag)?,
                flag if paying.set(&mut parser, flag)? => {}
                flag => options.set(&mut parser, flag)?,
            }
        }
        match (&options.input, tiny) {
            (Input::Path(path), true) if path.as_os_str().is_empty() => options.input = Input::Tiny,
            (Input::Path(path), false) if path.as_os_str().is_empty() => {
                return Err(
                    "nothing to push: name a file, a folder or a playlist (-help tells more)"
                        .to_owned(),
                );
            }
            (_, true) => return Err("-tiny stands in place of an input".to_owned()),
            _ => {}
        }
        options.pay = paying.finish()?;
        options.profiles = read_ladder(&ladder)?;
        if mp4 {
            options
                .profiles
                .iter_mut()
                .for_each(|profile| profile.format = Format::Mp4);
        }
        Ok(Some(options))
    }

    fn set(&mut self, parser: &mut lexopt::Parser, flag: &str) -> Result<(), String> {
        match flag {
            "in" => {
                let input = text(parser, flag)?;
                self.set_input(input.into())?;
            }
            "orch" | "orchAddr" => self.orchestrator = address(&text(parser, flag)?)?,
            "live" => self.live = switch(parser, flag)?,
            "fast" => self.live = !switch(parser, flag)?,
            "streams" => self.streams = at_least_one(value(parser, flag)?, flag)?,
            "stagger" => self.stagger = length_of_time(parser, flag)?,
            "loop" => self.length = Length::Passes(at_least_one(value(parser, flag)?, flag)?),
            "duration" => self.length = Length::Time(length_of_time(parser, flag)?),
            "segments" => self.length = Length::Segments(at_least_one(value(parser, flag)?, flag)?),
            "inFlight" | "in-flight" => self.in_flight = at_least_one(value(parser, flag)?, flag)?,
            "attempts" => self.attempts = value::<u32>(parser, flag)?.max(1),
            "refresh" => self.refresh = switch(parser, flag)?,
            "name" => self.name = Some(text(parser, flag)?),
            "out" => self.out = Some(text(parser, flag)?.into()),
            "contactSheet" | "contact-sheet" => {
                self.contact_sheet = Some(text(parser, flag)?.into())
            }
            "verify" => self.verify = switch(parser, flag)?,
            "workerBinary" => self.worker_binary = Some(text(parser, flag)?.into()),
            "json" => self.json = switch(parser, flag)?,
            "v" => self.verbosity = value(parser, flag)?,
            _ => return Err(format!("-{flag}: no such option (-help lists them)")),
        }
        Ok(())
    }

    fn set_input(&mut self, input: OsString) -> Result<(), String> {
        match &self.input {
            Input::Path(path) if path.as_os_str().is_empty() => {
                self.input = Input::Path(input.into());
                Ok(())
            }
            _ => Err(format!(
                "a second input {input:?}; one can be pushed at a time"
            )),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input: Input::Path(PathBuf::new()),
            orchestrator: "https://127.0.0.1:8935".to_owned(),
            profiles: Vec::new(),
            live: true,
            streams: 1,
            stagger: Duration::from_millis(300),
            length: Length::Passes(1),
            in_flight: 1,
            attempts: 3,
            refresh: false,
            name: None,
            out: None,
            contact_sheet: None,
            verify: true,
            worker_binary: None,
            json: false,
            verbosity: 2,
            pay: None,
        }
    }
}

/// Renditions by preset names, by a JSON array, or by the path of a file that holds one.
///
/// # Errors
/// One line about what is wrong with it.
pub fn read_ladder(ladder: &str) -> Result<Vec<VideoProfile>, String> {
    let wrong = |error: protocol::Error| format!("-ladder: {error}");
    if ladder.trim_start().starts_with('[') {
        return options_json(ladder).map_err(wrong);
    }
    if std::path::Path::new(ladder).is_file() {
        let json = std::fs::read_to_string(ladder)
            .map_err(|error| format!("cannot read {ladder}: {error}"))?;
        return options_json(&json).map_err(|error| format!("{ladder}: {error}"));
    }
    presets(ladder).map_err(wrong)
}

/// With a scheme and without a `/` at its end.
fn address(text: &str) -> Result<String, String> {
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = url::Url::parse(&full).map_err(|error| format!("-orch {text:?}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!(
            "-orch {text:?}: write https://host:port or http://host:port"
        ));
    }
    Ok(full.trim_end_matches('/').to_owned())
}

fn at_least_one(number: usize, flag: &str) -> Result<usize, String> {
    if number == 0 {
        Err(format!("-{flag}: must be 1 or more"))
    } else {
        Ok(number)
    }
}

fn length_of_time(parser: &mut lexopt::Parser, flag: &str) -> Result<Duration, String> {
    duration(&text(parser, flag)?).map_err(|error| format!("-{flag}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Option<Options>, String> {
        Options::read(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn defaults_are_those_of_a_gateway() {
        let options = read(&["clip.ts"]).unwrap().unwrap();
        assert!(options.live && options.verify);
        assert_eq!(options.orchestrator, "https://127.0.0.1:8935");
        assert_eq!(options.profiles.len(), 2);
        assert_eq!(
            (options.streams, options.in_flight, options.attempts),
            (1, 1, 3)
        );
    }

    #[test]
    fn flags_are_read_in_all_their_forms() {
        let words = [
            "-orch",
            "http://h:1/",
            "--ladder=P144p30fps16x9",
            "-mp4",
            "-fast",
            "-duration",
            "90s",
            "-in",
            "x",
            "--verify=false",
        ];
        let options = read(&words).unwrap().unwrap();
        assert_eq!(options.orchestrator, "http://h:1");
        assert_eq!(options.profiles[0].format, Format::Mp4);
        assert_eq!(options.length, Length::Time(Duration::from_secs(90)));
        assert!(!options.live && !options.verify);
    }

    const PAYING: [&str; 6] = [
        "-ethUrl",
        "http://127.0.0.1:8545",
        "-ethController",
        "0xd8e8328501e9645d16cf49539efc04f734606ee4",
        "-ethKeystorePath",
        "keys",
    ];

    #[test]
    fn a_push_pays_within_the_bounds_of_a_gateway() {
        let words = [
            &PAYING[..],
            &["-tiny", "-segments", "5", "-deposit", "1.5ETH"],
        ]
        .concat();
        let options = read(&words).unwrap().unwrap();
        assert_eq!(
            (options.input, options.length),
            (Input::Tiny, Length::Segments(5))
        );
        let pay = options.pay.unwrap();
        assert_eq!(pay.deposit, 1_500_000_000_000_000_000_u64.into());
        assert_eq!(pay.limits.ticket_ev, "3e12".parse().unwrap());
        assert_eq!(pay.limits.total_ev, "2e13".parse().unwrap());
        assert_eq!((pay.limits.deposit_multiplier, pay.limits.price), (1, None));
        let priced = ["-maxPricePerUnit", "3", "-pixelsPerUnit", "2", "a"];
        let words = [&PAYING[..], &priced].concat();
        let pay = read(&words).unwrap().unwrap().pay.unwrap();
        assert_eq!(pay.limits.price, protocol::money::Price::new(3, 2));
    }

    #[test]
    fn what_paying_needs_is_said() {
        let error = read(&["a", "-deposit", "1ETH"]).unwrap_err();
        assert_eq!(error, "-deposit is for paying, which needs -ethUrl");
        let error = read(&["a", "-ethUrl", "http://h"]).unwrap_err();
        assert!(error.contains("-ethController"), "{error}");
        for words in [
            &["-deposit", "1USD"][..],
            &["-depositMultiplier", "0"],
            &["-pixelsPerUnit", "0"],
            &["-ethAcctAddr", "0x1"],
            &["-maxTicketEV", "-1"],
        ] {
            let words = [&PAYING[..], words, &["a"]].concat();
            let error = read(&words).unwrap_err();
            assert!(error.contains(words[6]), "{words:?}: {error}");
        }
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for words in [
            &["-orch", "ftp://x", "a"][..],
            &["-streams", "0", "a"],
            &["-bogus", "a"],
            &["a", "b"],
            &[],
            &["a", "-ladder", "P1"],
            &["a", "-tiny"],
        ] {
            let error = read(words).unwrap_err();
            assert!(
                !error.contains('\n') && !error.is_empty(),
                "{words:?}: {error}"
            );
        }
        assert_eq!(read(&["-help"]), Ok(None));
    }
}
