//! Where the password of a key comes from: the option's value, a file, or a person at a terminal.

use std::{fmt, fs, io, path::Path};

use zeroize::Zeroizing;

use super::KeystoreError;

/// Password of a key file. Shown as `***`, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The text itself, unchanged.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// From the value of an option or an environment variable, which is the password or the path of a file that holds
    /// it. White space around a file's content is not part of the password; a directory, an empty or an unreadable
    /// file make the value itself the password. `None` for an empty value: ask a person.
    pub fn from_option(value: &str) -> Option<Self> {
        if value.is_empty() {
            return None;
        }
        Some(Self::from_file(Path::new(value)).unwrap_or_else(|_| Self::new(value)))
    }

    /// From a file, without the white space around its content. An empty file is an error.
    pub fn from_file(path: &Path) -> Result<Self, KeystoreError> {
        let failed = |source| KeystoreError::Read {
            path: path.to_owned(),
            source,
        };
        let content = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        match content.trim() {
            "" => Err(failed(io::Error::other("the file is empty"))),
            password => Ok(Self::new(password)),
        }
    }

    /// Asks at the terminal without showing what is typed. Blocks: keep it off the async runtime.
    pub fn ask(prompt: &str) -> Result<Self, KeystoreError> {
        rpassword::prompt_password(prompt)
            .map(Self::new)
            .map_err(KeystoreError::Terminal)
    }

    /// Asks twice, for a new key.
    pub fn ask_new() -> Result<Self, KeystoreError> {
        let first = Self::ask("Passphrase: ")?;
        if first == Self::ask("Repeat passphrase: ")? {
            Ok(first)
        } else {
            Err(KeystoreError::Repeated)
        }
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
