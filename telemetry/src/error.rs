//! What can go wrong while metrics or logging are set up. Counting itself never fails.

/// A failure to set up metrics or logging.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A metric could not be registered or written; a fault of this program.
    #[error("metrics registry: {0}")]
    Registry(#[from] prometheus::Error),
    /// Logging was started before in this process.
    #[error("logging is set up already; set it up once, at start")]
    LoggingTwice,
    /// Levels per module that do not parse.
    #[error("log levels {text:?} are not a list of module=level: {reason}")]
    LogLevels {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The logger is gone, so its level cannot be changed.
    #[error("the logger has ended; its level cannot be changed")]
    LoggingEnded,
}
