//! The URL of an end point: what is accepted, and how it is shown.

use std::fmt;

use url::Url;

use crate::Error;

/// URL of an RPC end point. User, password, path and query may be keys, so only scheme, host and port are shown.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// Reads an `http` or `https` URL.
    ///
    /// # Errors
    /// [`Error::Url`], also for websocket URLs: this node polls and needs the provider's `http(s)` URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let error = |url: &str, why: &str| Error::Url {
            url: url.to_owned(),
            why: why.to_owned(),
        };
        let url = Url::parse(text.trim())
            .map_err(|e| error("(not shown)", &format!("is no URL: {e}")))?;
        let shown = Self(url.clone()).to_string();
        match url.scheme() {
            "http" | "https" => {}
            "ws" | "wss" => {
                return Err(error(
                    &shown,
                    "is a websocket: give the http or https URL of the same provider",
                ));
            }
            _ => return Err(error(&shown, "must begin with http:// or https://")),
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(error(&shown, "names no host"));
        }
        Ok(Self(url))
    }

    /// Reads a list separated by commas or white space.
    ///
    /// # Errors
    /// [`Error::Url`] when one of them cannot be used or there is none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        let parts = text.split(|c: char| c == ',' || c.is_whitespace());
        let urls: Vec<Self> = parts
            .filter(|part| !part.is_empty())
            .map(Self::parse)
            .collect::<Result<_, _>>()?;
        if urls.is_empty() {
            return Err(Error::Url {
                url: "(none)".to_owned(),
                why: "is missing: set -ethUrl".to_owned(),
            });
        }
        Ok(urls)
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Host and port, for labels.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = !self.0.username().is_empty() || self.0.password().is_some();
        let rest = self.0.path().len() > 1 || self.0.query().is_some();
        write!(
            f,
            "{}://{}{}{}",
            self.0.scheme(),
            if user { "***@" } else { "" },
            self.host(),
            if rest { "/***" } else { "" }
        )
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_a_url_are_never_shown() {
        for (text, shown) in [
            ("https://arb1.example/rpc", "https://arb1.example/***"),
            (
                "https://user:pass@node.example:8547",
                "https://***@node.example:8547",
            ),
            (
                "https://arb.example/v2/s3cr3t?key=s3cr3t",
                "https://arb.example/***",
            ),
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("http://[::1]:8545/", "http://[::1]:8545"),
        ] {
            let url = EndpointUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn a_websocket_says_what_is_needed_without_its_key() {
        let error = EndpointUrl::parse("wss://arb.example/v2/s3cr3t").unwrap_err();
        assert!(error.to_string().contains("http or https"), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
        for bad in ["", "arb.example", "ftp://x/y", "http://", "localhost:8545"] {
            let error = EndpointUrl::parse(bad).unwrap_err();
            assert!(matches!(error, Error::Url { .. }), "{bad}");
        }
    }

    #[test]
    fn lists_are_read_and_an_empty_one_is_refused() {
        let urls = EndpointUrl::parse_list("http://a, http://b http://c").unwrap();
        assert_eq!(urls.len(), 3);
        assert!(EndpointUrl::parse_list(" , ").is_err());
        assert!(EndpointUrl::parse_list("http://a,wss://b").is_err());
    }
}
