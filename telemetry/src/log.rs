//! Logging: what is written, at which level, in which form, to standard error.
//!
//! logfmt by default, JSON on request. Levels follow the reference's `-v` and can be changed while the node runs, for
//! all of it or by module. The names of fields are in [`field`].

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::{Layer, reload};

use crate::TelemetryError;

/// Names of log fields, so that one search finds a stream in every line: `info!({ field::SESSION_ID } = id, …)`.
pub mod field {
    /// Stream as the gateway names it.
    pub const MANIFEST_ID: &str = "manifestID";
    /// Session between this node and a gateway.
    pub const SESSION_ID: &str = "sessionID";
    /// Number of a segment in its stream.
    pub const SEQ_NO: &str = "seqNo";
    /// Ethereum address of the gateway.
    pub const SENDER: &str = "sender";
    /// Address a request came from.
    pub const CLIENT_IP: &str = "clientIP";
    /// A worker by its name.
    pub const WORKER: &str = "worker";
}

/// The reference's default for `-v`.
pub const DEFAULT_VERBOSITY: i32 = 3;

/// Crates whose lines are ours; all others are held at warnings until the highest level.
const OUR_CRATES: &str = "orchestrion";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `key=value` pairs, one line each.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Changes levels while the node runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LevelHandle {
    verbosity: Arc<AtomicI32>,
    filter: reload::Handle<Targets, Registry>,
}

impl LevelHandle {
    /// The verbosity last set, as `-v` counts.
    pub fn verbosity(&self) -> i32 {
        self.verbosity.load(Ordering::Relaxed)
    }

    /// Sets the verbosity; levels by module set before are dropped.
    ///
    /// # Errors
    /// [`TelemetryError::LoggingEnded`] when the logger is gone.
    pub fn set_verbosity(&self, verbosity: i32) -> Result<(), TelemetryError> {
        self.filter
            .reload(targets(verbosity))
            .map_err(|_| TelemetryError::LoggingEnded)?;
        self.verbosity.store(verbosity, Ordering::Relaxed);
        Ok(())
    }

    /// Sets levels by module on top of the verbosity, e.g. `orchestrion_actors=debug,hyper=info`.
    ///
    /// # Errors
    /// [`TelemetryError::LogLevels`] when `text` does not parse, [`TelemetryError::LoggingEnded`] when the logger is gone.
    pub fn set_modules(&self, text: &str) -> Result<(), TelemetryError> {
        let modules: Targets = text.parse().map_err(|error| TelemetryError::LogLevels {
            text: text.to_owned(),
            reason: format!("{error}"),
        })?;
        let filter = targets(self.verbosity()).with_targets(modules.iter());
        self.filter
            .reload(filter)
            .map_err(|_| TelemetryError::LoggingEnded)
    }
}

/// Starts logging for the process, to standard error.
///
/// # Errors
/// [`TelemetryError::LoggingTwice`] when it was started before.
pub fn init(format: Format, verbosity: i32) -> Result<LevelHandle, TelemetryError> {
    let (subscriber, handle) = subscriber(format, verbosity, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| TelemetryError::LoggingTwice)?;
    Ok(handle)
}

/// `-v` as the reference counts: 0 and 1 errors, 2 warnings, 3 information, 4 and 5 debugging, 6 and more everything.
pub fn level(verbosity: i32) -> LevelFilter {
    match verbosity {
        ..=1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 | 5 => LevelFilter::DEBUG,
        6.. => LevelFilter::TRACE,
    }
}

fn targets(verbosity: i32) -> Targets {
    let ours = level(verbosity);
    let others = if verbosity >= 6 {
        LevelFilter::DEBUG
    } else {
        ours.min(LevelFilter::WARN)
    };
    Targets::new()
        .with_default(others)
        .with_target(OUR_CRATES, ours)
}

fn subscriber<W>(
    format: Format,
    verbosity: i32,
    writer: W,
) -> (
    impl tracing::Subscriber + Send + Sync + 'static,
    LevelHandle,
)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(verbosity));
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        Format::Logfmt => tracing_logfmt::builder()
            .with_span_name(false)
            .with_span_path(false)
            .layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(writer)
            .boxed(),
        Format::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(writer)
            .boxed(),
    };
    let handle = LevelHandle {
        verbosity: Arc::new(AtomicI32::new(verbosity)),
        filter: handle,
    };
    (
        tracing_subscriber::registry().with(filter).with(lines),
        handle,
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use parking_lot::Mutex;
    use tracing::{debug, info, info_span, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, verbosity: i32, work: impl FnOnce(&LevelHandle)) -> String {
        let page = Page::default();
        let writer = page.clone();
        let (subscriber, handle) = subscriber(format, verbosity, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || work(&handle));
        let bytes = page.0.lock().clone();
        String::from_utf8(bytes).expect("utf-8")
    }

    #[test]
    fn logfmt_lines_carry_the_fields_of_the_span() {
        let text = logged(Format::Logfmt, 3, |_| {
            let span = info_span!(
                "segment",
                { field::MANIFEST_ID } = "m 1",
                { field::SEQ_NO } = 7
            );
            let _entered = span.enter();
            info!({ field::WORKER } = "cpu-3", "transcoded");
        });
        assert!(text.contains("message=transcoded"), "{text}");
        assert!(text.contains(r#"manifestID="m 1""#), "{text}");
        assert!(text.contains("seqNo=7"), "{text}");
        assert!(text.contains("worker=cpu-3"), "{text}");
    }

    #[test]
    fn a_json_line_is_one_object() {
        let text = logged(Format::Json, 3, |_| {
            info!({ field::SESSION_ID } = "s\n1", "began");
        });
        let line: serde_json::Value = serde_json::from_str(&text).expect("one object");
        assert_eq!(line["sessionID"], "s\n1");
        assert_eq!(line["message"], "began");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn verbosity_counts_as_the_reference_does() {
        let levels: Vec<String> = (-1..8).map(|number| level(number).to_string()).collect();
        assert_eq!(
            levels.join(" "),
            "error error error warn info debug debug trace trace"
        );
    }

    #[test]
    fn levels_change_while_it_runs() {
        let text = logged(Format::Logfmt, 2, |handle| {
            info!("hidden-1");
            handle.set_verbosity(5).expect("alive");
            assert_eq!(handle.verbosity(), 5);
            debug!("shown-1");
            debug!(target: "hyper", "hidden-2");
            warn!(target: "hyper", "shown-2");
            handle
                .set_modules("hyper=debug,orchestrion_telemetry=warn")
                .expect("parses");
            debug!(target: "hyper", "shown-3");
            info!("hidden-3");
            assert!(handle.set_modules("hyper=loud").is_err());
        });
        assert!(!text.contains("hidden"), "{text}");
        assert_eq!(text.matches("shown").count(), 3, "{text}");
    }
}
