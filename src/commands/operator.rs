//! Asks the running node through its operator port.

use std::fmt;
use std::time::Duration;

use config::{Location, OperatorPort};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Names and values of a query.
pub type Pairs = Vec<(&'static str, String)>;

/// Why the node was asked in vain.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// It could not be asked, or its answer could not be read.
    #[error("{0}")]
    Failed(String),
    /// It refused.
    #[error("{error}")]
    Refused {
        /// Short name that does not change, as the API gives it.
        code: String,
        /// In words.
        error: String,
    },
}

/// A node's operator port.
pub struct Client {
    http: reqwest::Client,
    base: String,
    port: OperatorPort,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.port.socket {
            Some(socket) => write!(f, "{}", socket.display()),
            None => write!(f, "{}", self.port.address),
        }
    }
}

impl Client {
    /// For the node with these options, whether it runs or not.
    pub fn new(location: &Location) -> Result<Self, OperatorError> {
        let port = location.operator.clone();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(ANSWER);
        let mut address = port.address.clone();
        if let Some(socket) = &port.socket {
            builder = builder.unix_socket(socket.as_path());
            address.host = "localhost".to_owned();
        }
        // listening everywhere is no address to call
        if matches!(&*address.host, "" | "0.0.0.0" | "::") {
            address.host = "127.0.0.1".to_owned();
        }
        let http = builder
            .build()
            .map_err(|error| OperatorError::Failed(format!("cannot make a client: {error}")))?;
        Ok(Self {
            http,
            base: format!("http://{address}/api/v1/"),
            port,
        })
    }

    /// Whether a node answers.
    pub async fn is_there(&self) -> Result<bool, OperatorError> {
        match self.send(Method::GET, "status", &[], None::<&()>).await {
            Ok(answer) => {
                read::<serde_json::Value>(answer).await?;
                Ok(true)
            }
            Err(error) if error.is_connect() => Ok(false),
            Err(error) => Err(self.silent(&error)),
        }
    }

    /// Reads something.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        pairs: &Pairs,
    ) -> Result<T, OperatorError> {
        let answer = self.send(Method::GET, path, pairs, None::<&()>).await;
        read(answer.map_err(|error| self.silent(&error))?).await
    }

    /// Changes something.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, OperatorError> {
        let answer = self.send(Method::POST, path, &[], Some(body)).await;
        read(answer.map_err(|error| self.silent(&error))?).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        pairs: &[(&'static str, String)],
        body: Option<&impl Serialize>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        let mut request = self
            .http
            .request(method, format!("{}{path}?{}", self.base, query.finish()));
        if let Some(token) = &self.port.token {
            request = request.bearer_auth(token.expose().trim());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    fn silent(&self, error: &reqwest::Error) -> OperatorError {
        use std::error::Error;
        let cause = error.source().map(|cause| format!(": {cause}"));
        OperatorError::Failed(format!(
            "the node at {self} does not answer: {error}{}",
            cause.unwrap_or_default()
        ))
    }
}

/// An answer, or the fault it tells of.
async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> Result<T, OperatorError> {
    #[derive(Deserialize)]
    struct Refusal {
        code: String,
        error: String,
    }
    let status = answer.status();
    let unreadable = |error: &dyn fmt::Display| {
        OperatorError::Failed(format!(
            "the node's answer ({status}) cannot be read, it may be of another release: {error}"
        ))
    };
    let body = answer.bytes().await.map_err(|error| unreadable(&error))?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| unreadable(&error));
    }
    if status == StatusCode::UNAUTHORIZED {
        return Err(OperatorError::Failed(
            "the node wants its token: give it with -cliToken".to_owned(),
        ));
    }
    Err(match serde_json::from_slice::<Refusal>(&body) {
        Ok(Refusal { code, error }) => OperatorError::Refused { code, error },
        Err(_) => unreadable(&String::from_utf8_lossy(&body).trim()),
    })
}
