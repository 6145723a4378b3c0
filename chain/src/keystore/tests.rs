//! A known key file, geth's oldest form, and the ways in which a wrong key could come to be used.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const PASSWORD: &str = "orchestrion-test-pw";
const ADDRESS: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
const V3: &str = r#"{"address":"2c7536E3605D9C16a7a3D7b1898e529396a65c23","crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"00505954a796b8111e920dc57c0f6ee9"},"ciphertext":"0d7df4c80424807ea6973bd5b5261e77ac2719f1e2e51f1d2d3e1be8d09d58fa","kdf":"scrypt","kdfparams":{"dklen":32,"n":4096,"r":8,"p":1,"salt":"63ab01555ed4c97821beace509e955c2f8bc985e7857e94166bebe053e52316c"},"mac":"0dccacaa2278581eeabbf4253c11fe892d6fcf8102348889788782aff4393da2"},"id":"58332c32-2fc8-44c6-b04f-773f311669f5","version":3}"#;

/// The example of the Web3 secret storage definition; its text names no account, so one is added.
const PBKDF2: &str = r#"{"address":"008aeeda4d805471df9b2a5b0f38a0c3bcba786b","crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

/// Written by a geth of 2015.
const V1: &str = r#"{"address":"cb61d5a9c4896fb9658090b597ef0e7be6f7b67e","Crypto":{"cipher":"aes-128-cbc","cipherparams":{"iv":"35337770fc2117994ecdcad026bccff4"},"ciphertext":"6143d3192db8b66eabd693d9c4e414dcfaee52abda451af79ccf474dafb35f1bfc7ea013aa9d2ee35969a1a2e8d752d0","kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"p":1,"r":8,"salt":"9afcddebca541253a2f4053391c673ff9fe23097cd8555d149d929e4ccf1257f"},"mac":"3f3d5af884b17a100b0b3232c0636c230a54dc2ac8d986227219b0dd89197644","version":"1"},"id":"e25f7c1f-d318-4f29-b62c-687190d4d299","version":"1"}"#;

const CHEAP: ScryptCost = ScryptCost {
    log_n: 4,
    r: 8,
    p: 1,
};

fn known() -> Address {
    ADDRESS.parse().unwrap()
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("keystore")).unwrap();
    for (name, content) in files {
        fs::write(directory.path().join("keystore").join(name), content).unwrap();
    }
    directory
}

#[tokio::test]
async fn known_key_is_unlocked_and_a_wrong_password_fails_on_the_code() {
    let home = directory(&[("any name", V3)]);
    let choice = choose(home.path(), None, None).unwrap();
    assert!(choice.defaulted);
    assert_eq!(choice.account.address, known());
    let key = choice
        .account
        .unlock(Password::new(PASSWORD))
        .await
        .unwrap();
    assert_eq!(key.address(), known());
    let wrong = choice.account.unlock(Password::new("wrong")).await;
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "could not decrypt key with given password"
    );
}

#[test]
fn password_file_may_end_with_a_newline() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("pw");
    fs::write(&path, format!("{PASSWORD}\n")).unwrap();
    let option = path.to_str().unwrap();
    assert_eq!(Password::from_option(option), Some(Password::new(PASSWORD)));
    fs::write(&path, "\n").unwrap();
    assert_eq!(Password::from_option(option), Some(Password::new(option)));
    assert!(Password::from_file(&path).is_err());
    let folder = home.path().to_str().unwrap();
    assert_eq!(Password::from_option(folder), Some(Password::new(folder)));
    assert_eq!(Password::from_option(""), None);
    assert_eq!(format!("{:?}", Password::new(PASSWORD)), "***");
}

#[tokio::test]
async fn password_option_unlocks_by_value_and_by_file() {
    let home = directory(&[("key", V3), ("pw~", "orchestrion-test-pw\n")]);
    let account = choose(home.path(), None, None).unwrap().account;
    assert!(account.unlock_or_ask(PASSWORD).await.is_ok());
    let file = home.path().join("keystore/pw~");
    assert!(account.unlock_or_ask(file.to_str().unwrap()).await.is_ok());
}

#[test]
fn pbkdf2_and_the_oldest_form_are_read() {
    let key = file::decrypt(PBKDF2, &Password::new("testpassword")).unwrap();
    assert_eq!(
        key.address().to_string().to_lowercase(),
        "0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b"
    );
    let key = file::decrypt(V1, &Password::new("g")).unwrap();
    assert_eq!(
        key.address().to_string().to_lowercase(),
        "0xcb61d5a9c4896fb9658090b597ef0e7be6f7b67e"
    );
    assert!(matches!(
        file::decrypt(V1, &Password::new("h")),
        Err(KeystoreError::Password)
    ));
}

#[test]
fn file_of_another_account_than_it_says_is_refused() {
    let lied = V3.replace("2c75", "2c76");
    assert!(matches!(
        file::decrypt(&lied, &Password::new(PASSWORD)),
        Err(KeystoreError::Foreign { found, .. }) if found == known()
    ));
}

#[test]
fn file_that_asks_for_too_much_is_refused_before_any_work() {
    let cases = [
        ("\"n\":4096", "\"n\":1099511627776"),
        ("\"n\":4096", "\"n\":4095"),
        ("\"n\":4096", "\"n\":0"),
        ("\"r\":8", "\"r\":4294967295"),
        ("\"p\":1", "\"p\":4294967295"),
        ("\"p\":1", "\"p\":0"),
        ("\"dklen\":32", "\"dklen\":4294967295"),
        ("aes-128-ctr", "aes-128-cbc"),
        ("\"version\":3", "\"version\":2"),
        ("00505954", "0050"),
        ("0d7df4c8", "0d7d"),
    ];
    for (from, to) in cases {
        let result = file::decrypt(&V3.replace(from, to), &Password::new(PASSWORD));
        assert!(
            matches!(
                result,
                Err(KeystoreError::Form(_) | KeystoreError::Password)
            ),
            "{to}: {result:?}"
        );
    }
    let rounds = PBKDF2.replace("262144", "4294967295");
    assert!(matches!(
        file::decrypt(&rounds, &Password::new("")),
        Err(KeystoreError::Form(_))
    ));
}

#[test]
fn key_file_outside_the_data_directory_is_the_key() {
    let home = directory(&[("other", V1)]);
    let elsewhere = TempDir::new().unwrap();
    let path = elsewhere.path().join("mounted");
    fs::write(&path, V3).unwrap();
    let choice = choose(home.path(), Some(&path), None).unwrap();
    assert_eq!(choice.account.path, path);
    assert_eq!(choice.account.address, known());
    assert!(choose(home.path(), Some(&path), Some(known())).is_ok());
    assert!(matches!(
        choose(home.path(), Some(&path), Some(Address([1; 20]))),
        Err(KeystoreError::Mismatch { found, .. }) if found == known()
    ));
}

#[test]
fn directory_that_is_given_replaces_the_one_of_the_data_directory() {
    let home = directory(&[("a", V1)]);
    let other = directory(&[("b", V3)]);
    let choice = choose(home.path(), Some(&other.path().join("keystore")), None).unwrap();
    assert_eq!(choice.account.address, known());
}

#[test]
fn links_count_as_what_they_point_to() {
    let home = directory(&[]);
    let secret = home.path().join("secret");
    fs::write(&secret, V3).unwrap();
    std::os::unix::fs::symlink(&secret, home.path().join("keystore/key")).unwrap();
    assert_eq!(
        choose(home.path(), None, None).unwrap().account.address,
        known()
    );
}

#[test]
fn first_by_name_is_the_default_and_bad_files_are_reported() {
    let home = directory(&[
        ("UTC--2015", V1),
        ("UTC--2026", V3),
        ("aaa.txt", "not json"),
        (
            "zero",
            r#"{"address":"0000000000000000000000000000000000000000"}"#,
        ),
        (".hidden", V3),
        ("backup~", V3),
    ]);
    fs::create_dir(home.path().join("keystore/dir")).unwrap();
    let choice = choose(home.path(), None, None).unwrap();
    assert!(choice.account.path.ends_with("UTC--2015"));
    let skipped: Vec<_> = choice
        .skipped
        .iter()
        .map(|skipped| skipped.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(skipped, ["aaa.txt", "zero"]);
    let wanted = choose(home.path(), None, Some(known())).unwrap();
    assert!(wanted.account.path.ends_with("UTC--2026") && !wanted.defaulted);
}

#[test]
fn no_key_is_ever_made_because_one_is_missing() {
    let home = directory(&[("key", V3)]);
    let stranger = Address([7; 20]);
    assert!(matches!(
        choose(home.path(), None, Some(stranger)),
        Err(KeystoreError::NoSuchAccount { held, .. }) if held == [known()]
    ));
    let empty = TempDir::new().unwrap();
    assert!(matches!(
        choose(empty.path(), None, None),
        Err(KeystoreError::NoKeys(_))
    ));
    assert!(matches!(
        choose(empty.path(), Some(&empty.path().join("gone")), None),
        Err(KeystoreError::NotFound(_))
    ));
    assert!(!empty.path().join("keystore").exists());
}

#[tokio::test]
async fn made_key_is_private_named_like_geths_and_unlocks() {
    use std::os::unix::fs::PermissionsExt;
    let home = TempDir::new().unwrap();
    let keystore = home.path().join("keystore");
    let password = Password::new("with a space ");
    let made = create_at_cost(&keystore, &password, CHEAP).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keystore), 0o700);
    assert_eq!(mode(&made.path), 0o600);
    let name = made.path.file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with("UTC--")
            && name.len() == "UTC--2026-11-24T20-20-00.123456789Z--".len() + 40,
        "{name}"
    );
    assert_eq!(
        fs::read_dir(&keystore).unwrap().count(),
        1,
        "nothing is left over"
    );

    let choice = choose(home.path(), None, Some(made.address)).unwrap();
    assert_eq!(choice.account, made);
    let key = made.unlock(password).await.unwrap();
    assert_eq!(key.address(), made.address);
    let second = create_at_cost(&keystore, &Password::new(""), CHEAP).unwrap();
    assert_ne!(second.address, made.address);
    assert!(
        second.unlock_or_ask("").await.is_ok(),
        "the empty password is tried"
    );
}

proptest! {
    #[test]
    fn any_text_is_a_key_file_or_refused(text in "\\PC{0,200}") {
        let _ = file::decrypt(&text, &Password::new(""));
    }

    #[test]
    fn flipped_byte_never_gives_another_key(at in 0..V3.len(), byte in 0x20_u8..0x7f) {
        let mut text = V3.as_bytes().to_vec();
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        // a changed n may be dear but legal; the small ones are enough here
        prop_assume!(!text.contains("\"n\":") || text.contains("\"n\":4096"));
        prop_assume!(text.contains("\"r\":8,\"p\":1"));
        if let Ok(key) = file::decrypt(&text, &Password::new(PASSWORD)) {
            prop_assert_eq!(key.address(), known());
        }
    }
}
