//! The certificate of the public port: the operator's own, or a self-signed one that is kept across starts.
//!
//! No peer verifies it, but each needs one by default, since those that dial an IP address name no host. The self-signed one is
//! `cert.pem` and `key.pem` (PKCS #8; SEC 1 is read as well) in the data directory, as the reference writes them, and is made anew
//! when it is missing, unreadable, about to expire, or for another host.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

/// How long a new certificate is valid.
const LIFETIME: Duration = Duration::from_secs(8765 * 3600);
/// A certificate with less left than this is made anew at the start.
const LEFT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or holds no PEM of the kind wanted.
    #[error("could not read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be written.
    #[error("could not write {path}, is the data directory writable: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The host cannot stand in a certificate.
    #[error("could not make a certificate for host {host:?}: {source}")]
    Make {
        /// Host of the service URI.
        host: String,
        /// Why not.
        source: rcgen::Error,
    },
    /// Certificate and key cannot serve together.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// TLS with the certificate in `directory`, made for `host` (of the service URI, also when it is an IP address) if there
/// is none that serves at `now`.
///
/// # Errors
/// [`CertificateError`]: it cannot be made or written.
pub fn own_certificate(
    directory: &Path,
    host: &str,
    now: SystemTime,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    if let Ok(found) = load(&certificate, &key)
        && serves(&found, host, now)
    {
        return Ok(tls(found));
    }
    let (certificate_pem, key_pem) = make(host, now).map_err(|source| CertificateError::Make {
        host: host.to_owned(),
        source,
    })?;
    write(&key, &key_pem, 0o600)?;
    write(&certificate, &certificate_pem, 0o644)?;
    load(&certificate, &key).map(tls)
}

/// TLS with the operator's certificate chain and key.
///
/// # Errors
/// [`CertificateError`]: a file cannot be read, or they do not belong together.
pub fn given_certificate(
    certificate: &Path,
    key: &Path,
) -> Result<Arc<ServerConfig>, CertificateError> {
    load(certificate, key).map(tls)
}

fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let unreadable = |path: &Path, reason: String| CertificateError::Read {
        path: path.to_owned(),
        reason,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable(certificate, "no certificate in it".to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error.to_string()))?;
    Ok(CertifiedKey::from_der(chain, private, &provider())?)
}

fn serves(found: &CertifiedKey, host: &str, now: SystemTime) -> bool {
    let Some(Ok((_, certificate))) = found
        .cert
        .first()
        .map(|der| x509_parser::parse_x509_certificate(der))
    else {
        return false;
    };
    let at = |time: SystemTime| {
        let seconds = time
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        i64::try_from(seconds)
            .ok()
            .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok())
    };
    let valid =
        |time: Option<ASN1Time>| time.is_some_and(|time| certificate.validity().is_valid_at(time));
    let named = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .is_some_and(|names| {
            names
                .value
                .general_names
                .iter()
                .any(|name| matches!(name, GeneralName::DNSName(name) if *name == host))
        });
    named && valid(at(now)) && valid(at(now + LEFT))
}

/// PEM of a new certificate and of its key.
fn make(host: &str, now: SystemTime) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    params.not_before = now.into();
    params.not_after = (now + LIFETIME).into();
    // a DNS name also for an IP address, as in the reference
    params.subject_alt_names = vec![SanType::DnsName(host.try_into()?)];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // a temporary file is private from its first byte on
    let written = tempfile::NamedTempFile::new_in(directory).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    });
    written.map_err(|source| CertificateError::Write {
        path: path.to_owned(),
        source,
    })
}

fn tls(certified: CertifiedKey) -> Arc<ServerConfig> {
    let versions = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12]);
    // ring has suites of both versions
    #[allow(clippy::expect_used)]
    let builder = versions.expect("ring supports TLS 1.2 and 1.3");
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    // gateways that offer both must get h2, and the order is the server's
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // peers never resume: they make a connection for each call and keep no tickets
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(directory: &Path) -> (String, String) {
        let read = |name| std::fs::read_to_string(directory.join(name)).expect("written");
        (read("cert.pem"), read("key.pem"))
    }

    #[test]
    fn a_certificate_is_kept_across_starts() {
        let directory = tempfile::tempdir().expect("directory");
        let now = SystemTime::now();
        own_certificate(directory.path(), "127.0.0.1", now).expect("made");
        let first = files(directory.path());
        own_certificate(directory.path(), "127.0.0.1", now + LIFETIME / 2).expect("kept");
        assert_eq!(files(directory.path()), first);
    }

    #[test]
    fn it_is_made_anew_for_another_host_and_before_it_expires() {
        let directory = tempfile::tempdir().expect("directory");
        let now = SystemTime::now();
        own_certificate(directory.path(), "a.example", now).expect("made");
        let first = files(directory.path());
        own_certificate(directory.path(), "b.example", now).expect("made");
        let second = files(directory.path());
        assert_ne!(second, first);
        own_certificate(directory.path(), "b.example", now + LIFETIME).expect("made");
        assert_ne!(files(directory.path()), second);
    }

    #[test]
    fn broken_or_mixed_up_files_are_replaced() {
        let directory = tempfile::tempdir().expect("directory");
        let now = SystemTime::now();
        own_certificate(directory.path(), "h", now).expect("made");
        let (certificate, _) = files(directory.path());
        std::fs::write(directory.path().join("key.pem"), "no key").expect("written");
        own_certificate(directory.path(), "h", now).expect("made");
        std::fs::write(directory.path().join("cert.pem"), certificate).expect("written");
        own_certificate(directory.path(), "h", now).expect("certificate of another key");
    }

    #[test]
    fn only_the_owner_may_read_the_key() {
        let directory = tempfile::tempdir().expect("directory");
        own_certificate(directory.path(), "h", SystemTime::now()).expect("made");
        let mode = directory
            .path()
            .join("key.pem")
            .metadata()
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn it_has_the_form_that_the_reference_makes() {
        let (pem, key) = make("192.0.2.7", SystemTime::now()).expect("made");
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("pem");
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).expect("der");
        assert!(certificate.is_ca());
        assert_eq!(certificate.subject().iter().count(), 0);
        let usage = certificate
            .key_usage()
            .expect("well-formed")
            .expect("there")
            .value;
        assert!(usage.digital_signature() && usage.key_cert_sign());
        assert!(
            certificate
                .extended_key_usage()
                .expect("well-formed")
                .expect("there")
                .value
                .server_auth
        );
        let names = certificate
            .subject_alternative_name()
            .expect("well-formed")
            .expect("there")
            .value;
        assert_eq!(names.general_names, [GeneralName::DNSName("192.0.2.7")]);
        assert!(certificate.raw_serial().len() <= 17);
    }

    #[test]
    fn the_operators_files_must_belong_together() {
        let directory = tempfile::tempdir().expect("directory");
        let path = |name: &str| directory.path().join(name);
        for name in ["a", "b"] {
            let (certificate, key) = make("h", SystemTime::now()).expect("made");
            write(&path(&format!("{name}.pem")), &certificate, 0o644).expect("written");
            write(&path(&format!("{name}.key")), &key, 0o600).expect("written");
        }
        assert!(given_certificate(&path("a.pem"), &path("a.key")).is_ok());
        assert!(matches!(
            given_certificate(&path("a.pem"), &path("b.key")),
            Err(CertificateError::Unusable(_))
        ));
        assert!(matches!(
            given_certificate(&path("c.pem"), &path("a.key")),
            Err(CertificateError::Read { .. })
        ));
    }
}
