//! Values that must not reach a log, a banner, a report or a debug print. The types print as stars; the text comes out only
//! where `expose` is called.

use serde::{Serialize, Serializer};
use std::fmt;
use url::Url;

pub(crate) const STARS: &str = "***";

/// A secret text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Compare it in constant time.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(STARS)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(STARS)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(STARS)
    }
}

/// A URL that may carry a user, a password or a key. Printed as scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Wraps a text, which need not be a URL: one that is none prints as stars.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole URL.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shown_url(&self.0))
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shown_url(&self.0))
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&shown_url(&self.0))
    }
}

/// Scheme, host and port of a URL, stars for the rest; stars alone for what is not a URL with a host. Keys hide in the user part, in
/// the path (RPC services put them there) and in the query, so none of them is shown.
pub(crate) fn shown_url(text: &str) -> String {
    let Ok(url) = Url::parse(text) else {
        return STARS.to_owned();
    };
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return STARS.to_owned();
    };
    let user = if url.username().is_empty() && url.password().is_none() {
        ""
    } else {
        "***@"
    };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let rest =
        if matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none() {
            ""
        } else {
            "/***"
        };
    format!("{}://{user}{host}{port}{rest}", url.scheme())
}

/// A comma list of URLs, each as [`shown_url`]. Where one of them is none, a comma may have been part of a password: stars for all.
pub(crate) fn shown_urls(text: &str) -> String {
    let shown: Vec<String> = crate::kind::list_items(text).map(shown_url).collect();
    if shown.iter().any(|url| url == STARS) {
        return STARS.to_owned();
    }
    shown.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_where_it_goes_and_nothing_else() {
        let cases = [
            (
                "https://arb.example.com/v2/KEY",
                "https://arb.example.com/***",
            ),
            (
                "https://user:pw@example.com:8545",
                "https://***@example.com:8545",
            ),
            ("https://example.com/?key=KEY", "https://example.com/***"),
            ("https://example.com/#KEY", "https://example.com/***"),
            (
                "s3+https://ID:KEY@host.example/bucket",
                "s3+https://***@host.example/***",
            ),
            ("http://localhost:8545", "http://localhost:8545"),
            ("/run/node.ipc", "***"),
            ("data:KEY", "***"),
        ];
        for (given, shown) in cases {
            assert_eq!(shown_url(given), shown);
        }
    }

    #[test]
    fn secrets_print_as_stars_in_every_form() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!(
                "{secret} {secret:?} {}",
                serde_json::to_string(&secret).unwrap()
            ),
            "*** *** \"***\""
        );
        let url = SecretUrl::new("https://host.example/KEY");
        assert!(!format!("{url} {url:?} {}", serde_json::to_string(&url).unwrap()).contains("KEY"));
    }
}
