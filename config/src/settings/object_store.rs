//! The operator's own store for renditions, from a URL in the reference's form.

use percent_encoding::percent_decode_str;
use serde::Serialize;
use url::Url;

use super::{Reader, Roles};
use crate::secret::Secret;

/// A bucket of S3, or of what speaks like it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectStore {
    /// Scheme, host and port.
    #[serde(serialize_with = "as_text")]
    pub endpoint: Url,
    /// Where it is, as signatures name it.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// Path in front of every file, without slashes at its ends.
    pub prefix: String,
    /// The bucket is the first part of the path, rather than of the host.
    pub path_style: bool,
    /// Access key ID.
    pub key: Secret,
    /// Secret access key.
    pub secret: Secret,
}

fn as_text<S: serde::Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(url)
}

/// Region of a host that names none, as in the reference.
const NO_REGION: &str = "us-east-1";

pub(super) fn read(reader: &mut Reader<'_>, roles: &Roles) -> Option<ObjectStore> {
    let text = reader.text("objectStore").to_owned();
    if text.is_empty() || !roles.orchestrator {
        return None;
    }
    match parse(&text) {
        Ok(store) => Some(store),
        Err(remedy) => {
            reader.wrong("objectStore", remedy);
            None
        }
    }
}

/// What is wrong is told without a word of the URL, which holds a secret.
fn parse(text: &str) -> Result<ObjectStore, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no URL; give s3://KEY:SECRET@REGION/BUCKET")?;
    let scheme = match url.scheme() {
        "s3" | "s3+https" => "https",
        "s3+http" => "http",
        "gs" => {
            return Err(
                "Google's own interface is not spoken; give a key of its interoperability: s3+https://KEY:SECRET@storage.googleapis.com/BUCKET",
            );
        }
        _ => return Err("must begin with s3://, s3+https:// or s3+http://"),
    };
    let host = url.host_str().unwrap_or_default();
    let aws = url.scheme() == "s3";
    let mut path = url.path().split('/').filter(|part| !part.is_empty());
    let bucket = path.next().ok_or("names no bucket: add /BUCKET")?;
    let (key, secret) = (decoded(url.username()), url.password().map(decoded));
    let (Some(key), Some(Some(secret))) = (key.filter(|key| !key.is_empty()), secret) else {
        return Err(
            "has no key or no secret; give s3://KEY:SECRET@REGION/BUCKET, with odd characters escaped as %XX",
        );
    };
    let authority = match (aws, url.port()) {
        (true, _) => format!("s3.{host}.amazonaws.com"),
        (false, None) => host.to_owned(),
        (false, Some(port)) => format!("{host}:{port}"),
    };
    let endpoint = Url::parse(&format!("{scheme}://{authority}"));
    Ok(ObjectStore {
        endpoint: endpoint.map_err(|_| "names no region or host")?,
        region: if aws { host.to_owned() } else { region(host) },
        bucket: bucket.to_owned(),
        prefix: path.collect::<Vec<_>>().join("/"),
        path_style: !aws,
        key: Secret::new(key),
        secret: Secret::new(secret),
    })
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The second of four or more parts of a name.
fn region(host: &str) -> String {
    let parts: Vec<&str> = host.split('.').collect();
    let address = host.parse::<std::net::Ipv4Addr>().is_ok();
    match parts.as_slice() {
        [_, region, _, _, ..] if !address => (*region).to_owned(),
        _ => NO_REGION.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_of_s3_is_found_in_its_region() {
        let store = parse("s3://AK:a%2Fb%3D@eu-west-1/films/live/one").expect("a store");
        assert_eq!(
            store.endpoint.as_str(),
            "https://s3.eu-west-1.amazonaws.com/"
        );
        assert_eq!(
            (store.region.as_str(), store.path_style),
            ("eu-west-1", false)
        );
        assert_eq!(
            (store.bucket.as_str(), store.prefix.as_str()),
            ("films", "live/one")
        );
        assert_eq!((store.key.expose(), store.secret.expose()), ("AK", "a/b="));
        assert!(!format!("{store:?}").contains("a/b="));
    }

    #[test]
    fn what_speaks_like_s3_is_found_at_its_host() {
        let store = parse("s3+http://AK:SK@127.0.0.1:9000/films").expect("a store");
        assert_eq!(store.endpoint.as_str(), "http://127.0.0.1:9000/");
        assert_eq!((store.region.as_str(), store.path_style), (NO_REGION, true));
        let store = parse("s3+https://AK:SK@s3.nl-ams.scw.cloud/films").expect("a store");
        assert_eq!(store.region, "nl-ams");
    }

    #[test]
    fn what_is_missing_is_told_without_the_secret() {
        for (text, remedy) in [
            ("s3://AK:hidden@region", "names no bucket"),
            ("s3://AK@region/bucket", "no secret"),
            ("s3://:hidden@region/bucket", "no key"),
            ("gs://bucket?keyfile=hidden", "interoperability"),
            ("ftp://AK:hidden@host/bucket", "must begin with"),
            ("hidden", "is no URL"),
        ] {
            let told = parse(text).expect_err(text);
            assert!(told.contains(remedy) && !told.contains("hidden"), "{told}");
        }
    }
}
