//! Models on disk: where the files of a model are, and what the worker says about them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use host::job::FoundModel;
use tokio::process::Command;

/// How long the worker may take to look at a model.
const LOOK: Duration = Duration::from_secs(30);

/// Why a model cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstalledError {
    /// Nothing of that name.
    #[error(
        "model {model} is not in {directory}; put its files into {directory}/{model}, or name another directory with -aiModelsDir"
    )]
    Missing {
        /// Which.
        model: String,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The worker cannot use it.
    #[error("model {model}: {detail}")]
    Unusable {
        /// Which.
        model: String,
        /// What the worker says.
        detail: String,
    },
}

/// Finds the files of `model`: a directory or file of that name, a GGUF file, or the newest snapshot of a Hugging Face cache.
///
/// # Errors
/// [`InstalledError::Missing`].
pub fn find(directory: &Path, model: &str) -> Result<PathBuf, InstalledError> {
    let missing = || InstalledError::Missing {
        model: model.to_owned(),
        directory: directory.to_owned(),
    };
    // A model ID comes from a file of the operator, but it is no way out of the directory.
    if model.starts_with('/') || model.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(missing());
    }
    let plain = directory.join(model);
    let gguf = directory.join(format!("{model}.gguf"));
    let cache = directory.join(format!("models--{}", model.replace('/', "--")));
    let found = [plain, gguf].into_iter().find(|path| path.exists());
    let found = found.or_else(|| newest(&cache.join("snapshots")));
    // The walls of the worker are built of real paths: a cache holds links.
    found
        .and_then(|path| path.canonicalize().ok())
        .ok_or_else(missing)
}

fn newest(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    let dated = entries.filter_map(|entry| {
        let changed = entry.metadata().ok()?.modified().ok()?;
        Some((changed, entry.path()))
    });
    dated.max().map(|(_, path)| path)
}

/// Lets the worker `binary` look at the model at `path`.
///
/// # Errors
/// [`InstalledError::Unusable`] with what the worker says.
pub async fn look(
    binary: &Path,
    pipeline: &str,
    model: &str,
    path: &Path,
) -> Result<FoundModel, InstalledError> {
    let unusable = |detail: String| InstalledError::Unusable {
        model: model.to_owned(),
        detail,
    };
    let looked = Command::new(binary)
        .arg("--inspect-model")
        .arg(pipeline)
        .arg(path)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LOOK, looked).await;
    let output = output
        .map_err(|_| unusable("the worker did not say what it is".into()))?
        .map_err(|error| unusable(format!("{} cannot be run: {error}", binary.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("ERROR ");
        return Err(unusable(said.to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_layout_is_found_and_none_leads_out() {
        let home = tempfile::tempdir().expect("directory");
        let root = home.path().canonicalize().expect("real");
        std::fs::create_dir_all(root.join("plain")).expect("made");
        std::fs::create_dir_all(root.join("models--a--b/snapshots/abc")).expect("made");
        std::fs::write(root.join("small.gguf"), "x").expect("written");
        for (model, path) in [
            ("plain", "plain"),
            ("small", "small.gguf"),
            ("a/b", "models--a--b/snapshots/abc"),
        ] {
            assert_eq!(find(&root, model), Ok(root.join(path)));
        }
        for model in ["none", "../etc", "/etc", "plain/..", ""] {
            assert!(find(&root, model).is_err(), "{model}");
        }
    }
}
