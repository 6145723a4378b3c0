//! Who may ask: the token, the name by which the port was called, and that no foreign web page is asking.
//!
//! A web page can make a browser call this port under a name of its own (DNS rebinding) or send it simple requests.
//! The first is met by a list of allowed names, the second by `Origin` and `Sec-Fetch-Site`, which browsers set and
//! pages cannot.

use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, WWW_AUTHENTICATE,
};
use actix_web::middleware::Next;
use actix_web::web;

use super::bind::{Listen, OperatorBind};
use super::reference::waits_for_a_transaction;
use super::{limits, reply};
use crate::doors::Token;

/// Who may ask, as configured.
#[derive(Debug, Clone)]
pub struct Policy {
    /// A unix socket proves the user; no browser reaches it.
    socket: bool,
    token: Option<Token>,
    hosts: Vec<String>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Called by a name that is not allowed.
    Host,
    /// Sent by a foreign web page.
    Origin,
    /// Without the token.
    Token,
}

impl Policy {
    /// The rules for a way of listening.
    pub fn of(bind: &OperatorBind) -> Self {
        Self {
            socket: matches!(bind.listen, Listen::Unix(_)),
            token: bind.token.clone(),
            hosts: bind
                .allowed_hosts
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
        }
    }

    /// Judges a request by its headers.
    pub fn judge(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if self.socket {
            return Ok(());
        }
        let text = |name: HeaderName| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or("\0"))
        };
        let host = text(HOST).unwrap_or("");
        if !self.knows(host) {
            return Err(Refused::Host);
        }
        let same_origin = text(ORIGIN).is_none_or(|origin| {
            origin
                .split_once("://")
                .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        });
        let same_site = text(HeaderName::from_static("sec-fetch-site"))
            .is_none_or(|site| matches!(site, "same-origin" | "none"));
        if !same_origin || !same_site {
            return Err(Refused::Origin);
        }
        match &self.token {
            Some(token) if !text(AUTHORIZATION).is_some_and(|given| token.is_in(given)) => {
                Err(Refused::Token)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the port may be called so. A plain address is always allowed: rebinding needs a name.
    fn knows(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(""),
            None => host.split(':').next().unwrap_or(""),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.parse::<IpAddr>().is_ok() || self.hosts.contains(&name)
    }
}

/// Lets through what [`Policy::judge`] allows, within the time limit.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let verdict = match request.app_data::<web::Data<Policy>>() {
        Some(policy) => policy.judge(request.headers()),
        None => Err(Refused::Token),
    };
    let mut refusal = match verdict {
        Ok(()) => {
            let patience = match waits_for_a_transaction(request.path()) {
                true => limits::TRANSACTION_TIMEOUT,
                false => limits::REQUEST_TIMEOUT,
            };
            let answer = actix_rt::time::timeout(patience, next.call(request)).await;
            return match answer {
                Ok(answer) => answer.map(ServiceResponse::map_into_boxed_body),
                Err(late) => {
                    let refusal =
                        reply::error(StatusCode::REQUEST_TIMEOUT, "the request took too long");
                    Err(InternalError::from_response(late, refusal).into())
                }
            };
        }
        Err(Refused::Host) => reply::error(
            StatusCode::FORBIDDEN,
            "this name is not allowed for the operator port; use an address or add the name to the allowed hosts",
        ),
        Err(Refused::Origin) => reply::error(
            StatusCode::FORBIDDEN,
            "requests of other web pages are not allowed",
        ),
        Err(Refused::Token) => reply::error(StatusCode::UNAUTHORIZED, "a bearer token is needed"),
    };
    if refusal.status() == StatusCode::UNAUTHORIZED {
        refusal
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Ok(request.into_response(refusal))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn judge(policy: &Policy, headers: &[(&str, &str)]) -> Result<(), Refused> {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header(*header);
        }
        policy.judge(request.to_http_request().headers())
    }

    fn policy(token: Option<&str>) -> Policy {
        Policy::of(&OperatorBind {
            listen: Listen::Tcp(([127, 0, 0, 1], 7935).into()),
            token: token.and_then(Token::new),
            allowed_hosts: vec!["Node.example".into()],
        })
    }

    #[test]
    fn foreign_names_are_refused() {
        let policy = policy(None);
        for host in [
            "localhost:7935",
            "LOCALHOST",
            "127.0.0.1:7935",
            "[::1]:7935",
            "10.0.0.7",
            "node.example:7935",
            "localhost.",
        ] {
            assert_eq!(judge(&policy, &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7935",
            "é",
        ] {
            assert_eq!(
                judge(&policy, &[("host", host)]),
                Err(Refused::Host),
                "{host}"
            );
        }
        assert_eq!(judge(&policy, &[]), Err(Refused::Host));
    }

    #[test]
    fn foreign_pages_are_refused() {
        let policy = policy(None);
        let host = ("host", "127.0.0.1:7935");
        assert_eq!(
            judge(&policy, &[host, ("origin", "http://127.0.0.1:7935")]),
            Ok(())
        );
        assert_eq!(judge(&policy, &[host, ("sec-fetch-site", "none")]), Ok(()));
        for header in [
            ("origin", "http://evil.example"),
            ("origin", "http://127.0.0.1:3000"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(
                judge(&policy, &[host, header]),
                Err(Refused::Origin),
                "{header:?}"
            );
        }
    }

    #[test]
    fn the_token_is_demanded_when_set() {
        let policy = policy(Some("0123456789abcdef"));
        let host = ("host", "10.0.0.7:7935");
        assert_eq!(judge(&policy, &[host]), Err(Refused::Token));
        assert_eq!(
            judge(
                &policy,
                &[host, ("authorization", "Bearer 0123456789abcdeX")]
            ),
            Err(Refused::Token)
        );
        assert_eq!(
            judge(
                &policy,
                &[host, ("authorization", "Bearer 0123456789abcdef")]
            ),
            Ok(())
        );
    }

    #[test]
    fn a_unix_socket_needs_neither() {
        let bind = OperatorBind {
            listen: Listen::Unix("x".into()),
            token: None,
            allowed_hosts: Vec::new(),
        };
        assert_eq!(judge(&Policy::of(&bind), &[("host", "anything")]), Ok(()));
    }
}
