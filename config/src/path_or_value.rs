//! Options that take a value or the path of a file holding it. The rule is the reference's: where the text names a readable file
//! that is not empty, the file's trimmed content is meant, otherwise the text itself. A mistyped path would so become the secret
//! without a word, hence the question whether a text looks like a path.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than any secret or price list needs; keeps a device file from filling memory.
const LONGEST: u64 = 4 << 20;

/// The content of the file that `text` names, counted from `directory`; `None` where the text itself is meant.
pub(crate) fn content(directory: &Path, text: &str) -> Option<String> {
    if text.is_empty() || text.contains('\0') {
        return None;
    }
    let path = directory.join(text);
    if std::fs::metadata(&path).ok()?.is_dir() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .ok()?
        .take(LONGEST)
        .read_to_end(&mut bytes)
        .ok()?;
    let content = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!content.is_empty()).then_some(content)
}

/// Whether a person would take the text for a path.
pub(crate) fn looks_like_path(text: &str) -> bool {
    let begins = ["/", "./", "../", "~/"]
        .iter()
        .any(|start| text.starts_with(start));
    let ends = [
        ".txt",
        ".json",
        ".pem",
        ".key",
        ".secret",
        ".conf",
        ".pass",
        ".password",
    ]
    .iter()
    .any(|end| text.ends_with(end));
    let json = text.trim_start().starts_with(['{', '[']);
    (begins || ends) && !json && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trimmed_content_of_a_readable_file_is_meant() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret.txt"), " s3cret \n").unwrap();
        std::fs::write(directory.path().join("empty"), " \n").unwrap();
        assert_eq!(
            content(directory.path(), "secret.txt").as_deref(),
            Some("s3cret")
        );
        for itself in ["", "absent", "empty", ".", "a\0b"] {
            assert_eq!(content(directory.path(), itself), None, "{itself:?}");
        }
    }

    #[test]
    fn paths_are_told_from_values() {
        for path in [
            "/run/secret",
            "./x",
            "../x",
            "~/x",
            "secret.txt",
            "models.json",
        ] {
            assert!(looks_like_path(path), "{path}");
        }
        for value in [
            "hunter2",
            "{\"a\":\"/b\"}",
            "text-to-image:a/b:true",
            "",
            "/two words",
        ] {
            assert!(!looks_like_path(value), "{value}");
        }
    }
}
