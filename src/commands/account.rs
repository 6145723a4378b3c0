//! `orchestrion account`: makes a key, and lists the keys of a store. A key is made when somebody says so, and only then.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use chain::keystore::{self, Account, Password};
use lexopt::Arg;

use super::print;
use super::push::flags::{parser, switch, text};

const HELP: &str = "\
usage: orchestrion account COMMAND -ethKeystorePath FOLDER [OPTIONS]

commands:
  new     make a key, encrypted as geth does, and print its account
  list    accounts and key files, the oldest first: the one that is used where nobody names one

options:
  -ethKeystorePath FOLDER  where the keys are; `new` makes it
  -ethPassword TEXT        password of the new key, or a file that holds it (asked for)
  -json                    for programs

exit code: 0 done, 1 not, 2 for wrong options
";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    New,
    List,
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    action: Action,
    keys: PathBuf,
    password: String,
    json: bool,
}

/// Carries the command out.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let options = match read(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(HELP);
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            eprintln!("orchestrion account: {mistake}");
            return ExitCode::from(super::USAGE);
        }
    };
    match run(&options) {
        Ok(output) => {
            print(&output);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("orchestrion account: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line; `None` when help is asked for.
fn read(arguments: Vec<OsString>) -> Result<Option<Options>, String> {
    let mut parser = parser(arguments);
    let mut action = None;
    let mut keys = PathBuf::new();
    let (mut password, mut json) = (String::new(), false);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let flag = match argument {
            Arg::Value(word) if action.is_none() => {
                action = Some(match word.to_str() {
                    Some("new") => Action::New,
                    Some("list") => Action::List,
                    Some("help") => return Ok(None),
                    _ => return Err(format!("no command {word:?}: say new or list")),
                });
                continue;
            }
            Arg::Value(word) => return Err(format!("a word too many: {word:?}")),
            Arg::Short(letter) => letter.to_string(),
            Arg::Long(name) => name.to_owned(),
        };
        match flag.as_str() {
            "help" | "h" => return Ok(None),
            "ethKeystorePath" => keys = text(&mut parser, &flag)?.into(),
            "ethPassword" => password = text(&mut parser, &flag)?,
            "json" => json = switch(&mut parser, &flag)?,
            _ => return Err(format!("-{flag}: no such option (-help lists them)")),
        }
    }
    let Some(action) = action else {
        return Ok(None);
    };
    if keys.as_os_str().is_empty() {
        return Err("-ethKeystorePath is missing: name the folder of the keys".to_owned());
    }
    Ok(Some(Options {
        action,
        keys,
        password,
        json,
    }))
}

fn run(options: &Options) -> Result<String, keystore::KeystoreError> {
    let accounts = match options.action {
        Action::New => {
            let password = match Password::from_option(&options.password) {
                Some(password) => password,
                None => Password::ask_new()?,
            };
            vec![keystore::create(&options.keys, &password)?]
        }
        Action::List => {
            if !options.keys.exists() {
                return Err(keystore::KeystoreError::NotFound(options.keys.clone()));
            }
            let (accounts, skipped) = keystore::scan(&options.keys)?;
            for file in skipped {
                eprintln!("{}: {}", file.path.display(), file.reason);
            }
            accounts
        }
    };
    Ok(accounts
        .iter()
        .map(|account| line(account, options.json))
        .collect())
}

/// An account in a line: `0x… path`, or as JSON.
fn line(account: &Account, json: bool) -> String {
    let (address, path) = (account.address.to_string(), account.path.display());
    if json {
        let value = serde_json::json!({ "address": address, "path": path.to_string() });
        format!("{value}\n")
    } else {
        format!("{address} {path}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &[&str]) -> Result<Option<Options>, String> {
        read(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn a_key_is_made_only_when_somebody_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let options = |action| Options {
            action,
            keys: keys.clone(),
            password: "correct horse".to_owned(),
            json: false,
        };
        assert!(run(&options(Action::List)).is_err());
        assert!(!keys.exists());
        let made = run(&options(Action::New)).unwrap();
        assert_eq!(run(&options(Action::List)).unwrap(), made);
        let account = keystore::choose(folder.path(), Some(&keys), None)
            .unwrap()
            .account;
        assert!(made.starts_with(&account.address.to_string()), "{made}");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let key = runtime.block_on(account.unlock(Password::new("correct horse")));
        assert_eq!(key.unwrap().address(), account.address);
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for words in [
            &["new"][..],
            &["old", "-ethKeystorePath", "k"],
            &["new", "-ethKeystorePath", "k", "-bogus"],
            &["list", "list"],
        ] {
            let error = read_words(words).unwrap_err();
            assert!(!error.contains('\n') && !error.is_empty(), "{words:?}");
        }
        assert_eq!(read_words(&[]), Ok(None));
        assert_eq!(read_words(&["-help"]), Ok(None));
    }
}
