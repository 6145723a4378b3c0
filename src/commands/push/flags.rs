//! Command-line flags as livepeer's tools take them: `-name value`, `--name value`, `-name=value`; a switch is `-name` or
//! `-name=false`.

use std::ffi::OsString;
use std::fmt::Display;
use std::str::FromStr;

use lexopt::Parser;

/// A parser to which one dash is as good as two.
pub fn parser(arguments: Vec<OsString>) -> Parser {
    let doubled = arguments
        .into_iter()
        .map(|argument| match argument.to_str() {
            Some(text) if is_name(text) => OsString::from(format!("-{text}")),
            _ => argument,
        });
    Parser::from_args(doubled)
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next() == Some('-') && letters.next().is_some_and(char::is_alphabetic)
}

/// The value of the flag just read.
///
/// # Errors
/// One line that names the flag.
pub fn value<T: FromStr>(parser: &mut Parser, flag: &str) -> Result<T, String>
where
    T::Err: Display,
{
    let text = text(parser, flag)?;
    text.parse()
        .map_err(|error| format!("-{flag} {text:?}: {error}"))
}

/// The text of the flag just read.
///
/// # Errors
/// As [`value`].
pub fn text(parser: &mut Parser, flag: &str) -> Result<String, String> {
    let raw = parser
        .value()
        .map_err(|_| format!("-{flag}: needs a value"))?;
    raw.into_string()
        .map_err(|_| format!("-{flag}: is not UTF-8 text"))
}

/// Whether the switch just read is on.
///
/// # Errors
/// As [`value`].
pub fn switch(parser: &mut Parser, flag: &str) -> Result<bool, String> {
    let Some(raw) = parser.optional_value() else {
        return Ok(true);
    };
    match raw.to_str() {
        Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
        Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
        _ => Err(format!("-{flag}: is true or false")),
    }
}

/// A length of time: `300ms`, `2s`, `1.5m`, or seconds without a unit.
///
/// # Errors
/// What is none of these.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let (number, factor) = match text {
        _ if text.ends_with("ms") => (text.trim_end_matches("ms"), 0.001),
        _ if text.ends_with('s') => (text.trim_end_matches('s'), 1.0),
        _ if text.ends_with('m') => (text.trim_end_matches('m'), 60.0),
        _ if text.ends_with('h') => (text.trim_end_matches('h'), 3600.0),
        _ => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * factor);
    seconds
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{text:?} is no length of time such as 300ms, 20s or 2m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_dash_is_as_good_as_two() {
        let mut parser = parser(
            ["-in", "a.ts", "--live=false", "-segs=3", "b"]
                .map(OsString::from)
                .to_vec(),
        );
        assert_eq!(parser.next().unwrap(), Some(lexopt::Arg::Long("in")));
        assert_eq!(text(&mut parser, "in").unwrap(), "a.ts");
        assert_eq!(parser.next().unwrap(), Some(lexopt::Arg::Long("live")));
        assert!(!switch(&mut parser, "live").unwrap());
        assert_eq!(parser.next().unwrap(), Some(lexopt::Arg::Long("segs")));
        assert_eq!(value::<usize>(&mut parser, "segs").unwrap(), 3);
        assert_eq!(parser.next().unwrap(), Some(lexopt::Arg::Value("b".into())));
    }

    #[test]
    fn lengths_of_time_are_read_with_and_without_unit() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert!(duration("-1s").is_err());
        assert!(duration("soon").is_err());
    }
}
