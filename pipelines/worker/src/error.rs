//! Why the worker process ends other than by the wish of its daemon.

/// Any of them ends the process with code 1 and one line on standard error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    #[error("arguments: {0}")]
    Arguments(#[from] lexopt::Error),
    #[error("standard input is not the daemon's socket: {0}")]
    Link(#[from] std::io::Error),
    #[error(transparent)]
    Serve(#[from] host::worker::ServeError),
    #[error(transparent)]
    Video(#[from] video::VideoError),
    #[error(transparent)]
    Native(#[from] native::NativeError),
    #[error("GStreamer did not write its registry {path}: {source}; is the directory writable?")]
    Registry {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("cannot start this program again: {0}")]
    Again(std::io::Error),
    #[error("cannot print: {0}")]
    Print(#[from] serde_json::Error),
}
