//! Encrypted keys on disk: which accounts there are, which one is meant, and how it is unlocked.
//!
//! Reads what geth and go-livepeer leave behind and writes the same form. A key is made by [`create`] alone, never
//! because a wanted one is missing.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use protocol::{address::Address, signature::SecretKey};
use rand::{TryRngCore, rngs::OsRng};
use time::OffsetDateTime;
use zeroize::Zeroizing;

mod file;
mod password;
#[cfg(test)]
mod tests;

pub use file::ScryptCost;
pub use password::Password;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// A path that was given does not exist.
    #[error("provided -ethKeystorePath was not found: {}", .0.display())]
    NotFound(PathBuf),
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("cannot write the new key to {}: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Not JSON, or a member is missing.
    #[error("not a key file: {0}")]
    Json(serde_json::Error),
    /// JSON, but not what geth writes.
    #[error("not a key file that can be used: {0}")]
    Form(&'static str),
    /// The key in a file is not that of the account it names.
    #[error(
        "the key file says account {said} but holds the key of {found}; restore it from a backup"
    )]
    Foreign {
        /// Account in the clear part.
        said: Address,
        /// Account of the decrypted key.
        found: Address,
    },
    /// The authentication code does not match.
    #[error("could not decrypt key with given password")]
    Password,
    /// A file and an account were given, of two different accounts.
    #[error("-ethAcctAddr {wanted} is not the account {found} of the key file {}", path.display())]
    Mismatch {
        /// The option.
        wanted: Address,
        /// The file's.
        found: Address,
        /// The file.
        path: PathBuf,
    },
    /// No key is there, and none is made unasked.
    #[error("no key in {}; make one with `orchestrion account new`, or point -ethKeystorePath at an existing one", .0.display())]
    NoKeys(PathBuf),
    /// An account was asked for that has no key here.
    #[error("no key of account {wanted} in {}; it holds {}", directory.display(), list(held))]
    NoSuchAccount {
        /// The option.
        wanted: Address,
        /// Where was looked.
        directory: PathBuf,
        /// What is there.
        held: Vec<Address>,
    },
    /// Nobody can be asked.
    #[error(
        "no password was given and none can be asked for: {0}; set -ethPassword to the password or to a file that holds it"
    )]
    Terminal(io::Error),
    /// The two texts typed for a new key differ.
    #[error("passphrases do not match")]
    Repeated,
    /// The thread that derived the key was lost.
    #[error("deriving the key was interrupted")]
    Interrupted,
}

fn list(accounts: &[Address]) -> String {
    if accounts.is_empty() {
        return "none".into();
    }
    let texts: Vec<String> = accounts.iter().map(Address::to_string).collect();
    texts.join(", ")
}

/// A key file whose password is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Account that the file names.
    pub address: Address,
    /// The file itself, through any links.
    pub path: PathBuf,
}

/// A file in a keystore directory that is no key, and why.
#[derive(Debug)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why it is not used.
    pub reason: KeystoreError,
}

/// Keys of a directory in the order of their file names, so the oldest comes first, and what was skipped.
///
/// Hidden files, those that end with `~`, and directories are passed over without a word. Links count as what they
/// point to, since Kubernetes mounts secrets as links.
pub fn scan(directory: &Path) -> Result<(Vec<Account>, Vec<Skipped>), KeystoreError> {
    let failed = |source| KeystoreError::Read {
        path: directory.to_owned(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();

    let (mut accounts, mut skipped) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name.ends_with('~') || path.is_dir() {
            continue;
        }
        match account(&path) {
            Ok(account) => accounts.push(account),
            Err(reason) => skipped.push(Skipped { path, reason }),
        }
    }
    Ok((accounts, skipped))
}

/// The account that a single key file names.
fn account(path: &Path) -> Result<Account, KeystoreError> {
    Ok(Account {
        address: file::address(&read(path)?)?,
        path: path.to_owned(),
    })
}

fn read(path: &Path) -> Result<String, KeystoreError> {
    let failed = |source| KeystoreError::Read {
        path: path.to_owned(),
        source,
    };
    let meta = fs::metadata(path).map_err(failed)?;
    if !meta.is_file() || meta.len() > file::MAX_FILE {
        return Err(KeystoreError::Form("not a regular file of at most 64 KiB"));
    }
    fs::read_to_string(path).map_err(failed)
}

/// What [`choose`] found.
#[derive(Debug)]
pub struct Choice {
    /// The key file to unlock.
    pub account: Account,
    /// Whether nobody named it: the first of the directory.
    pub defaulted: bool,
    /// Files of the directory that are no keys.
    pub skipped: Vec<Skipped>,
}

/// Which key is meant.
///
/// `path` is `-ethKeystorePath`, a directory or a key file itself; without it the directory is `<data_dir>/keystore`.
/// `wanted` is `-ethAcctAddr`; without it the first key of the directory is taken. Whatever is asked for and missing is
/// an error: no key is ever made here.
pub fn choose(
    data_dir: &Path,
    path: Option<&Path>,
    wanted: Option<Address>,
) -> Result<Choice, KeystoreError> {
    let directory = path.map_or_else(|| data_dir.join("keystore"), Path::to_owned);
    if path.is_some() && !directory.exists() {
        return Err(KeystoreError::NotFound(directory));
    }
    if directory.is_file() {
        let account = account(&directory)?;
        return match wanted {
            Some(wanted) if wanted != account.address => Err(KeystoreError::Mismatch {
                wanted,
                found: account.address,
                path: directory,
            }),
            _ => Ok(Choice {
                account,
                defaulted: false,
                skipped: Vec::new(),
            }),
        };
    }
    let (accounts, skipped) = scan(&directory)?;
    let held: Vec<_> = accounts.iter().map(|account| account.address).collect();
    let found = accounts
        .into_iter()
        .find(|account| wanted.is_none_or(|wanted| wanted == account.address));
    match (found, wanted) {
        (Some(account), _) => Ok(Choice {
            account,
            defaulted: wanted.is_none(),
            skipped,
        }),
        (None, Some(wanted)) => Err(KeystoreError::NoSuchAccount {
            wanted,
            directory,
            held,
        }),
        (None, None) => Err(KeystoreError::NoKeys(directory)),
    }
}

impl Account {
    /// The key. The derivation runs on a blocking thread: it takes about a second and 256 MiB.
    pub async fn unlock(&self, password: Password) -> Result<SecretKey, KeystoreError> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || file::decrypt(&read(&path)?, &password))
            .await
            .map_err(|_| KeystoreError::Interrupted)?
    }

    /// The key, with a password from the option (value or file), or else the empty one, or else a person's.
    pub async fn unlock_or_ask(&self, option: &str) -> Result<SecretKey, KeystoreError> {
        if let Some(password) = Password::from_option(option) {
            return self.unlock(password).await;
        }
        match self.unlock(Password::new("")).await {
            Err(KeystoreError::Password) => {}
            other => return other,
        }
        let prompt = format!("Passphrase of account {}: ", self.address);
        let password = tokio::task::spawn_blocking(move || Password::ask(&prompt))
            .await
            .map_err(|_| KeystoreError::Interrupted)??;
        self.unlock(password).await
    }
}

/// Makes a new random key in `directory` (made with mode 0700 if missing) and encrypts it at geth's own cost. Blocks
/// for about a second.
pub fn create(directory: &Path, password: &Password) -> Result<Account, KeystoreError> {
    create_at_cost(directory, password, ScryptCost::STANDARD)
}

/// As [`create`], at another cost; cheap ones are for tests.
pub fn create_at_cost(
    directory: &Path,
    password: &Password,
    cost: ScryptCost,
) -> Result<Account, KeystoreError> {
    let (plain, key) = loop {
        let plain = Zeroizing::new(random::<32>()?);
        // all but 2^-128 of the numbers are keys
        if let Ok(key) = SecretKey::from_bytes(*plain) {
            break (plain, key);
        }
    };
    let address = key.address();
    let text = file::encrypt(
        &plain,
        address,
        password,
        cost,
        random()?,
        random()?,
        random()?,
    )?;
    let path = directory.join(file_name(OffsetDateTime::now_utc(), address));
    write_private(directory, &path, text.as_bytes()).map_err(|source| KeystoreError::Write {
        path: path.clone(),
        source,
    })?;
    Ok(Account { address, path })
}

fn random<const N: usize>() -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| KeystoreError::Write {
            path: "/dev/urandom".into(),
            source: io::Error::other(error),
        })?;
    Ok(bytes)
}

/// geth's file name: `UTC--2026-11-24T20-20-00.123456789Z--<40 digits>`.
fn file_name(time: OffsetDateTime, address: Address) -> String {
    format!(
        "UTC--{:04}-{:02}-{:02}T{:02}-{:02}-{:02}.{:09}Z--{}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.nanosecond(),
        hex::encode(address.0)
    )
}

/// Complete or not there: a temporary file of mode 0600, synced, then renamed, then its directory synced.
fn write_private(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if !directory.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.tmp"));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(directory)?.sync_all()
}
