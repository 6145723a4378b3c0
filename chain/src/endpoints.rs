//! Several RPC end points behind one transport.
//!
//! The first one that is fit is asked; the order is the operator's preference. An end point is passed over while it
//! rests after a failure, is of another chain, or is behind the others. Transport faults, statuses, unreadable answers
//! and providers' limits lead to the next one; an error of the chain itself, such as a revert, is an answer.

mod health;
mod location;
mod provider;
mod round;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod wire;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};
use telemetry::metrics::ChainMetrics;
use telemetry::metrics::label::RpcOutcome;
use tokio::time::Instant;

use self::health::{Chain, Health, Limits};
use self::round::Round;
use self::wire::{Answer, Decoded, Meaning, Question, RpcError};
use crate::Error;

pub use self::health::Exclusion;
pub use self::location::EndpointUrl;

/// Requests in flight to one end point for one question.
const CONCURRENCY: usize = 8;

/// How end points are used.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// End points, the preferred one first.
    pub urls: Vec<EndpointUrl>,
    /// Chain they must be of; `None` takes the chain of the first that answers.
    pub chain_id: Option<u64>,
    /// Longest time for one request.
    pub timeout: Duration,
    /// Largest answer, bytes.
    pub max_answer: usize,
    /// Most calls in one batch; halves by itself for providers that take fewer.
    pub batch_limit: usize,
    /// Most calls per second over all end points; `None` is no limit.
    pub calls_per_second: Option<NonZeroU32>,
    /// Blocks that an end point may be behind the others.
    pub max_lag: u64,
    /// Time a head may stand still while another end point's moves on.
    pub stale_after: Duration,
    /// Tries over all end points before a question fails.
    pub passes: usize,
    /// Wait before the second try; it doubles.
    pub pass_wait: Duration,
}

impl EndpointOptions {
    /// The usual settings for `urls`.
    #[must_use]
    pub fn new(urls: Vec<EndpointUrl>) -> Self {
        Self {
            urls,
            chain_id: None,
            timeout: Duration::from_secs(20),
            max_answer: 8 << 20,
            batch_limit: 100,
            calls_per_second: None,
            max_lag: 240,
            stale_after: Duration::from_secs(60),
            passes: 2,
            pass_wait: Duration::from_millis(250),
        }
    }
}

/// State of one end point, for display.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSnapshot {
    /// Host and port, made unique.
    pub label: String,
    /// URL without credentials.
    pub url: String,
    /// Requests sent, a batch counting once.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Smoothed time to answer.
    pub latency: Option<Duration>,
    /// Newest block it told of.
    pub head: Option<u64>,
    /// Time since that changed.
    pub head_age: Option<Duration>,
    /// Blocks behind the others.
    pub lag: u64,
    /// Why it is passed over; `None` when it is fit.
    pub excluded: Option<Exclusion>,
    /// Most calls it takes in a batch.
    pub batch_limit: usize,
}

struct Endpoint {
    url: EndpointUrl,
    label: String,
    health: Mutex<Health>,
}

/// The transport.
pub struct Endpoints {
    options: EndpointOptions,
    list: Vec<Endpoint>,
    http: reqwest::Client,
    ids: AtomicU64,
    chain_id: Mutex<Option<u64>>,
    budget: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    metrics: ChainMetrics,
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels = self.list.iter().map(|endpoint| &endpoint.label);
        f.debug_list().entries(labels).finish()
    }
}

impl Endpoint {
    fn succeeded(&self, took: Duration) {
        let mut health = self.health.lock();
        if health.failures > 0 {
            tracing::info!(endpoint = %self.label, "rpc end point answers again");
        }
        health.succeeded(took);
    }

    fn failed(&self, failure: Failure) {
        let mut health = self.health.lock();
        if health.failures == 0 {
            tracing::warn!(endpoint = %self.label, cause = %failure.cause, "rpc end point failed");
        }
        health.failed(Instant::now(), failure.cause, failure.wait);
    }
}

/// Why an end point gave no answers.
#[derive(Clone)]
struct Failure {
    outcome: RpcOutcome,
    cause: String,
    wait: Option<Duration>,
}

impl Failure {
    fn new(outcome: RpcOutcome, cause: impl Into<String>) -> Self {
        Self {
            outcome,
            cause: cause.into(),
            wait: None,
        }
    }
}

/// What one request brought.
enum Exchange {
    Answers(Vec<Option<Answer>>),
    BatchRefused,
}

impl Endpoints {
    /// A transport over the given end points; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Url`] without any URL, [`Error::Http`] when the client cannot be made.
    pub fn new(options: EndpointOptions, metrics: ChainMetrics) -> Result<Arc<Self>, Error> {
        if options.urls.is_empty() {
            return Err(EndpointUrl::parse_list("")
                .err()
                .unwrap_or_else(|| Error::Http("no RPC URL was given".to_owned())));
        }
        // The client takes the process's provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(options.timeout)
            .connect_timeout(options.timeout.min(Duration::from_secs(5)))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("orchestrion/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Error::Http(e.to_string()))?;
        let mut list: Vec<Endpoint> = Vec::new();
        for url in &options.urls {
            let host = url.host();
            let same = list.iter().filter(|e| e.url.host() == host).count();
            let label = match same {
                0 => host,
                n => format!("{host}#{}", n + 1),
            };
            metrics.declare_endpoint(&label);
            list.push(Endpoint {
                url: url.clone(),
                label,
                health: Mutex::new(Health::new(options.batch_limit)),
            });
        }
        let budget = options
            .calls_per_second
            .map(|rate| (RateLimiter::direct(Quota::per_second(rate)), rate));
        Ok(Arc::new(Self {
            list,
            http,
            ids: AtomicU64::new(1),
            chain_id: Mutex::new(options.chain_id),
            budget,
            metrics,
            options,
        }))
    }

    /// Counters that this transport and what is built on it record in.
    #[must_use]
    pub fn metrics(&self) -> &ChainMetrics {
        &self.metrics
    }

    /// Id of the chain; asks an end point when none has said it yet.
    ///
    /// # Errors
    /// [`Error::WrongChain`] when every end point is of another, [`Error::Unavailable`] when none answers.
    pub async fn chain_id(&self) -> Result<u64, Error> {
        let known = *self.chain_id.lock();
        let verified = self
            .list
            .iter()
            .any(|e| e.health.lock().chain == Chain::Right);
        if let (Some(id), true) = (known, verified) {
            return Ok(id);
        }
        self.ask(&[Question::new("eth_chainId", json!([]))]).await?;
        let known = *self.chain_id.lock();
        known.ok_or_else(|| Error::decoding("eth_chainId", "no end point said it"))
    }

    /// One question: its result, and the label of the end point that gave it.
    ///
    /// # Errors
    /// [`Error::Rpc`] for an error that is an answer, else as [`Self::ask`].
    pub(crate) async fn ask_one(&self, question: Question) -> Result<(Value, usize), Error> {
        let method = question.method;
        let (mut answers, by) = self.ask(std::slice::from_ref(&question)).await?;
        let answer = answers.pop();
        let answer = answer.ok_or_else(|| Error::decoding(method, "no answer"))?;
        Ok((answer.map_err(|e| rpc_error(method, e))?, by))
    }

    /// Several questions, in batches where the provider takes them: an answer to each, in order, and which end point
    /// gave the last one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when some got no answer from any end point, [`Error::WrongChain`] when all are of
    /// another chain.
    pub(crate) async fn ask(&self, questions: &[Question]) -> Result<(Vec<Answer>, usize), Error> {
        let mut round = Round::new(questions);
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(self.options.pass_wait)
            .with_max_times(self.options.passes.saturating_sub(1))
            .build();
        loop {
            for place in self.order() {
                if round.is_complete() {
                    break;
                }
                self.ask_endpoint(place, &mut round).await;
            }
            if round.is_complete() {
                break;
            }
            let Some(wait) = waits.next() else { break };
            tokio::time::sleep(wait).await;
            round.ask_all_again();
        }
        self.show_fitness();
        round.finish().map_err(|failures| {
            self.metrics.unavailable();
            self.no_answer(questions, failures)
        })
    }

    fn no_answer(&self, questions: &[Question], failures: Vec<String>) -> Error {
        let expected = *self.chain_id.lock();
        let wrong = self.list.iter().map(|e| match e.health.lock().chain {
            Chain::Wrong(found) => Some((e.label.clone(), found)),
            _ => None,
        });
        let wrong: Vec<_> = wrong.collect();
        if let (Some(expected), Some(Some((endpoint, found)))) = (expected, wrong.first())
            && wrong.iter().all(Option::is_some)
        {
            return Error::WrongChain {
                endpoint: endpoint.clone(),
                expected,
                found: *found,
            };
        }
        let method = match questions {
            [one] => one.method,
            _ => "batch",
        };
        Error::Unavailable {
            method: method.to_owned(),
            failures: failures.join("; "),
        }
    }

    /// Places of the end points to try, best first. What rests or is of another chain comes only when its wait is
    /// over, or when there is nothing else.
    fn order(&self) -> Vec<usize> {
        let now = Instant::now();
        let (reference, limits) = (self.reference(), self.limits());
        let mut ranked: Vec<(u8, usize)> = Vec::new();
        let mut resting: Vec<(Instant, usize)> = Vec::new();
        for (place, endpoint) in self.list.iter().enumerate() {
            let health = endpoint.health.lock();
            if health.rests(now) {
                let wrong = matches!(health.chain, Chain::Wrong(_));
                if let (Some(at), false) = (health.retry_at, wrong) {
                    resting.push((at, place));
                }
                continue;
            }
            let rank = match health.exclusion(now, reference, limits) {
                None => 0,
                Some(Exclusion::Behind { .. } | Exclusion::Stale { .. }) => 1,
                Some(Exclusion::Failing { .. }) => 2,
                Some(Exclusion::WrongChain { .. }) => 3,
            };
            ranked.push((rank, place));
        }
        ranked.sort_unstable();
        if ranked.iter().all(|(rank, _)| *rank == 3) {
            resting.sort_unstable();
            ranked.extend(resting.into_iter().map(|(_, place)| (4, place)));
        }
        ranked.into_iter().map(|(_, place)| place).collect()
    }

    /// Puts what is open in `round` to one end point.
    async fn ask_endpoint(&self, place: usize, round: &mut Round<'_>) {
        let Some(endpoint) = self.list.get(place) else {
            return;
        };
        if let Err(failure) = self.verify_chain(endpoint).await {
            round
                .failures
                .push(format!("{}: {}", endpoint.label, failure.cause));
            return;
        }
        loop {
            let open = round.open_for(place);
            if open.is_empty() {
                return;
            }
            let limit = endpoint.health.lock().batch_limit;
            let chunks: Vec<Vec<usize>> = open.chunks(limit).map(<[usize]>::to_vec).collect();
            let questions = round.questions;
            let exchanges = futures::stream::iter(chunks.into_iter().map(|chunk| async move {
                let asked: Vec<&Question> =
                    chunk.iter().filter_map(|i| questions.get(*i)).collect();
                (self.exchange(endpoint, &asked).await, chunk)
            }));
            let mut exchanges = exchanges.buffered(CONCURRENCY);
            let (mut refused, mut failed) = (false, false);
            while let Some((exchange, chunk)) = exchanges.next().await {
                match exchange {
                    Ok(Exchange::BatchRefused) => refused = true,
                    Ok(Exchange::Answers(answers)) => {
                        let taken = round.take(place, &chunk, answers);
                        refused |= taken.batch_refused;
                        if let Some(text) = taken.limited {
                            failed = true;
                            let failure = Failure::new(RpcOutcome::Limited, text);
                            self.record(endpoint, failure, round);
                        }
                    }
                    Err(failure) => {
                        failed = true;
                        self.record(endpoint, failure, round);
                        break;
                    }
                }
            }
            if failed {
                return;
            }
            if refused {
                let mut health = endpoint.health.lock();
                health.batch_limit = (health.batch_limit.min(open.len()) / 2).max(1);
            }
        }
    }

    fn record(&self, endpoint: &Endpoint, failure: Failure, round: &mut Round<'_>) {
        round
            .failures
            .push(format!("{}: {}", endpoint.label, failure.cause));
        endpoint.failed(failure);
    }

    /// Makes sure that the end point is of the right chain before anything else is believed.
    async fn verify_chain(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        let chain = endpoint.health.lock().chain;
        if chain == Chain::Right {
            return Ok(());
        }
        let question = Question::new("eth_chainId", json!([]));
        let exchange = self.exchange(endpoint, &[&question]).await;
        let said = exchange.and_then(|exchange| match exchange {
            Exchange::Answers(answers) => match answers.into_iter().next().flatten() {
                Some(Ok(value)) => quantity(&value)
                    .ok_or_else(|| Failure::new(RpcOutcome::Malformed, "eth_chainId is no number")),
                Some(Err(error)) => Err(Failure::new(RpcOutcome::Limited, error.message)),
                None => Err(Failure::new(
                    RpcOutcome::Malformed,
                    "eth_chainId: no answer",
                )),
            },
            Exchange::BatchRefused => {
                Err(Failure::new(RpcOutcome::Malformed, "eth_chainId: refused"))
            }
        });
        let now = Instant::now();
        match said {
            Ok(found) => {
                let expected = *self.chain_id.lock().get_or_insert(found);
                let mut health = endpoint.health.lock();
                health.said_chain(now, found, expected);
                if found == expected {
                    return Ok(());
                }
                drop(health);
                tracing::warn!(endpoint = %endpoint.label, found, expected, "rpc end point is of another chain and is not used");
                self.metrics
                    .requested(&endpoint.label, RpcOutcome::WrongChain, 0, Duration::ZERO);
                Err(Failure::new(
                    RpcOutcome::WrongChain,
                    format!("is of chain {found}, not {expected}"),
                ))
            }
            Err(failure) => {
                endpoint.failed(failure.clone());
                Err(failure)
            }
        }
    }

    /// One HTTP request. Its success is recorded; a failure is for the caller to record.
    async fn exchange(
        &self,
        endpoint: &Endpoint,
        questions: &[&Question],
    ) -> Result<Exchange, Failure> {
        let count = questions.len();
        self.wait_for_budget(count).await;
        let calls = count as u64;
        let first_id = self.ids.fetch_add(calls, Ordering::Relaxed);
        let body = wire::encode(questions, first_id);
        let start = Instant::now();
        let result = self.post(endpoint, body, first_id, count).await;
        let took = start.elapsed();
        let outcome = match &result {
            Ok(_) => RpcOutcome::Answered,
            Err(failure) => failure.outcome,
        };
        self.metrics
            .requested(&endpoint.label, outcome, calls, took);
        if result.is_ok() {
            endpoint.succeeded(took);
        }
        result
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        body: Vec<u8>,
        first_id: u64,
        count: usize,
    ) -> Result<Exchange, Failure> {
        let transport =
            |e: reqwest::Error| Failure::new(RpcOutcome::Transport, chain_of(&e.without_url()));
        let request = self
            .http
            .post(endpoint.url.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let mut response = request.send().await.map_err(transport)?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut answer: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if answer.len() + chunk.len() > self.options.max_answer {
                // an answer to what was asked, not a fault of the end point: the asker may ask for less
                return Ok(match count {
                    1 => {
                        Exchange::Answers(vec![Some(Err(wire::too_large(self.options.max_answer)))])
                    }
                    _ => Exchange::BatchRefused,
                });
            }
            answer.extend_from_slice(&chunk);
        }
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYMENT_REQUIRED
        ) {
            return Err(Failure {
                outcome: RpcOutcome::Limited,
                cause: format!("status {}", status.as_u16()),
                wait: retry_after,
            });
        }
        let decoded = wire::decode(&answer, first_id, count);
        if !status.is_success() {
            // some providers send a JSON-RPC error with a status of its own; that is an answer as any other
            if !matches!(&decoded, Ok(Decoded::Answers(answers)) if answers.iter().flatten().all(Result::is_err))
                || status.is_server_error()
            {
                if count > 1 && refuses_batches(status) {
                    return Ok(Exchange::BatchRefused);
                }
                return Err(Failure {
                    outcome: RpcOutcome::Status,
                    cause: format!("status {}", status.as_u16()),
                    wait: retry_after,
                });
            }
        }
        match decoded {
            Ok(Decoded::Answers(answers)) => Ok(Exchange::Answers(answers)),
            Ok(Decoded::Whole(error)) => match wire::meaning("batch", &error) {
                Meaning::Limited => Err(Failure::new(RpcOutcome::Limited, error.message)),
                _ => Ok(Exchange::BatchRefused),
            },
            Err(why) => Err(Failure::new(
                RpcOutcome::Malformed,
                format!("the answer is {why}"),
            )),
        }
    }

    async fn wait_for_budget(&self, calls: usize) {
        let Some((limiter, burst)) = &self.budget else {
            return;
        };
        let mut left = u32::try_from(calls).unwrap_or(u32::MAX);
        while let Some(part) = NonZeroU32::new(left.min(burst.get())) {
            if !matches!(limiter.check_n(part), Ok(Ok(()))) {
                self.metrics.budget_waited();
                let _ = limiter.until_n_ready(part).await;
            }
            left -= part.get();
        }
    }

    /// Label of the end point at a place that [`Self::ask`] gave.
    pub(crate) fn label(&self, place: usize) -> String {
        let endpoint = self.list.get(place);
        endpoint.map(|e| e.label.clone()).unwrap_or_default()
    }

    /// An end point's head, as an answer of it said.
    pub(crate) fn note_head(&self, place: usize, number: u64) {
        if let Some(endpoint) = self.list.get(place) {
            endpoint.health.lock().said_head(Instant::now(), number);
        }
    }

    /// Asks every end point that does not rest for its chain and head, all at once. Heads are compared only when they
    /// were asked for together, so call this every half minute or so when there are several.
    pub async fn probe(&self) {
        let probes = self.list.iter().map(|endpoint| async move {
            if endpoint.health.lock().rests(Instant::now()) {
                return;
            }
            if self.verify_chain(endpoint).await.is_err() {
                return;
            }
            let question = Question::new("eth_blockNumber", json!([]));
            let head = match self.exchange(endpoint, &[&question]).await {
                Ok(Exchange::Answers(answers)) => match answers.into_iter().next().flatten() {
                    Some(Ok(value)) => quantity(&value).ok_or("eth_blockNumber is no number"),
                    _ => Err("eth_blockNumber: no answer"),
                },
                Ok(Exchange::BatchRefused) => Err("eth_blockNumber: refused"),
                Err(failure) => return endpoint.failed(failure),
            };
            match head {
                Ok(number) => endpoint.health.lock().said_head(Instant::now(), number),
                Err(cause) => endpoint.failed(Failure::new(RpcOutcome::Malformed, cause)),
            }
        });
        futures::future::join_all(probes).await;
        self.show_fitness();
    }

    /// Probes every `interval`, without end. Only of use with several end points.
    pub async fn watch(&self, interval: Duration) {
        loop {
            self.probe().await;
            tokio::time::sleep(interval).await;
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            max_lag: self.options.max_lag,
            stale_after: self.options.stale_after,
        }
    }

    fn reference(&self) -> u64 {
        let heads = self.list.iter().filter_map(|endpoint| {
            let health = endpoint.health.lock();
            let usable = !matches!(health.chain, Chain::Wrong(_));
            health.head.filter(|_| usable).map(|(number, _)| number)
        });
        health::reference(heads.collect())
    }

    /// State of every end point.
    #[must_use]
    pub fn snapshot(&self) -> Vec<EndpointSnapshot> {
        let now = Instant::now();
        let (reference, limits) = (self.reference(), self.limits());
        let shown = self.list.iter().map(|endpoint| {
            let health = endpoint.health.lock();
            let head = health.head.map(|(number, _)| number);
            EndpointSnapshot {
                label: endpoint.label.clone(),
                url: endpoint.url.to_string(),
                requests: health.requests,
                errors: health.errors,
                latency: health.latency,
                head,
                head_age: health
                    .head
                    .map(|(_, since)| now.saturating_duration_since(since)),
                lag: head.map_or(0, |number| reference.saturating_sub(number)),
                excluded: health.exclusion(now, reference, limits),
                batch_limit: health.batch_limit,
            }
        });
        shown.collect()
    }

    fn show_fitness(&self) {
        for endpoint in self.snapshot() {
            self.metrics
                .endpoint_up(&endpoint.label, endpoint.excluded.is_none());
            if let Some(head) = endpoint.head {
                self.metrics
                    .endpoint_head(&endpoint.label, head, endpoint.lag);
            }
        }
    }
}

fn refuses_batches(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 405 | 413 | 415 | 422 | 501)
}

/// An error with its causes, each once.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    wire::cut(&text, 300)
}

/// A number as JSON-RPC writes it: hex text, or a plain number.
pub(crate) fn quantity(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => {
            let digits = text.strip_prefix("0x")?;
            u64::from_str_radix(digits, 16)
                .ok()
                .filter(|_| !digits.starts_with('+'))
        }
        other => other.as_u64(),
    }
}

/// An error answer as ours.
pub(crate) fn rpc_error(method: &str, error: RpcError) -> Error {
    Error::Rpc {
        method: method.to_owned(),
        code: error.code,
        message: error.message,
        data: error.data,
    }
}
