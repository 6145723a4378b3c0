//! What a worker writes to its standard error, line by line, into the daemon's log.
//!
//! The text may be an attacker's: control characters are escaped, lines are cut, and a flood is counted, not logged.

use std::process::ChildStderr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::Instant;

/// Longest line that is kept, bytes.
const LINE: usize = 2048;
/// Lines per [`PERIOD`] that are kept.
const LINES: u32 = 200;
const PERIOD: Duration = Duration::from_secs(10);

/// Logs everything until the worker closes its end.
pub(super) fn log(stderr: ChildStderr, pid: u32) -> std::io::Result<()> {
    let mut pipe = pipe::Receiver::from_owned_fd(stderr.into())?;
    tokio::spawn(async move {
        let mut lines = Lines::default();
        let mut meter = Meter::new();
        let mut room = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut room).await {
            for &byte in room.iter().take(read) {
                if let Some(line) = lines.add(byte) {
                    meter.log(pid, &line);
                }
            }
        }
    });
    Ok(())
}

/// Cuts bytes into printable lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn add(&mut self, byte: u8) -> Option<String> {
        if byte != b'\n' {
            if self.0.len() < LINE {
                self.0.push(byte);
            }
            return None;
        }
        let line: String = String::from_utf8_lossy(&self.0)
            .chars()
            .flat_map(|c| {
                let (escaped, plain) = if c.is_control() && c != '\t' {
                    (Some(c.escape_default()), None)
                } else {
                    (None, Some(c))
                };
                escaped.into_iter().flatten().chain(plain)
            })
            .collect();
        self.0.clear();
        Some(line)
    }
}

/// Lets a bounded number of lines through.
struct Meter {
    since: Instant,
    lines: u32,
}

impl Meter {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            lines: 0,
        }
    }

    fn log(&mut self, worker: u32, line: &str) {
        if self.since.elapsed() >= PERIOD {
            if self.lines > LINES {
                let dropped = self.lines - LINES;
                tracing::warn!(worker, dropped, "lines of a worker were dropped");
            }
            *self = Self::new();
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines > LINES {
            return;
        }
        // Our own worker begins its lines with the level; anything else comes from a C library.
        let (level, text) = line.trim_start().split_once(' ').unwrap_or(("", line));
        match level {
            "ERROR" => tracing::error!(worker, "{text}"),
            "INFO" => tracing::info!(worker, "{text}"),
            "DEBUG" | "TRACE" => tracing::debug!(worker, "{text}"),
            "WARN" => tracing::warn!(worker, "{text}"),
            _ => tracing::warn!(worker, "{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_forge_another_or_grow_without_end() {
        let mut lines = Lines::default();
        let text = [b"a\r\x1b[2J".as_slice(), &[b'x'; 10_000]].concat();
        assert!(text.iter().all(|&byte| lines.add(byte).is_none()));
        let line = lines.add(b'\n').unwrap();
        assert!(line.starts_with("a\\r\\u{1b}[2Jxx"));
        assert!(line.len() < LINE + 20);
        assert_eq!(lines.add(b'\n').unwrap(), "");
    }
}
