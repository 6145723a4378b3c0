//! Finds the files of a model under the path that the daemon found for it.

use std::path::{Path, PathBuf};

use crate::NativeError;

/// The one GGUF file at or in `path`; of several the first by name.
pub(crate) fn gguf(path: &Path) -> Result<PathBuf, NativeError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let mut found = with_extension(path, "gguf")?;
    found.sort();
    found.into_iter().next().ok_or_else(|| NativeError::Empty {
        path: path.to_owned(),
        pipeline: "llm".into(),
        wanted: "a file *.gguf",
    })
}

/// Files in `directory` with this extension.
fn with_extension(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, NativeError> {
    let unreadable = |error| NativeError::file(directory, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(found)
}
