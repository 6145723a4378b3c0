//! What happens to every request whatever it asks: who calls, whether it is held off, gRPC or HTTP, panics, counting.

use std::any::Any;
use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::any;
use futures::FutureExt;
use http::{Request, StatusCode, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use protocol::ai::Pipeline;
use protocol::remote::RESULTS_PATH;
use telemetry::Metrics;
use telemetry::metrics::label::{self, Stage};
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::ai_workers::AiRegistrar;
use super::connection::{Activity, Running};
use super::discovery::Discovery;
use super::peer::Peer;
use super::reply::Excused;
use super::transcoders::Registrar;
use super::{Door, ai, ai_workers, payment, reply, results, segment, stream};
use crate::doors::rpc::ai_worker_server::AiWorkerServer;
use crate::doors::rpc::orchestrator_server::OrchestratorServer;
use crate::doors::rpc::transcoder_server::TranscoderServer;

/// Answers the requests of one connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Front {
    door: Arc<Door>,
    services: Services,
    connection: IpAddr,
    activity: Arc<Activity>,
}

/// Everything that can be asked for.
#[derive(Clone)]
pub(super) struct Services {
    /// gRPC.
    pub rpc: Routes,
    /// All else.
    pub http: Router,
}

impl Services {
    /// All services of `door`.
    pub fn new(door: &Arc<Door>) -> Self {
        let discovery = OrchestratorServer::new(Discovery(Arc::clone(door)))
            .max_decoding_message_size(door.limits().rpc_bytes);
        let transcoders = TranscoderServer::new(Registrar(Arc::clone(door)))
            .max_decoding_message_size(door.limits().rpc_bytes);
        let workers = AiWorkerServer::new(AiRegistrar(Arc::clone(door)))
            .max_decoding_message_size(door.limits().rpc_bytes);
        let http = Router::new()
            .route("/segment", any(segment::post))
            .route("/payment", any(payment::payment))
            .route("/refresh-payment", any(payment::refresh))
            .route(RESULTS_PATH, any(results::post))
            .route(ai_workers::PATH, any(ai_workers::post))
            .route("/stream/{*path}", any(stream::get))
            .route("/healthz", any(reply::empty))
            .merge(batch_routes())
            .fallback(reply::not_found)
            .with_state(Arc::clone(door));
        Self {
            rpc: Routes::new(discovery)
                .add_service(transcoders)
                .add_service(workers)
                .prepare(),
            http,
        }
    }
}

/// One route per batch pipeline.
fn batch_routes() -> Router<Arc<Door>> {
    Pipeline::ALL
        .iter()
        .fold(Router::new(), |router, pipeline| {
            let pipeline = *pipeline;
            let post = any(move |door, peer, request| ai::post(pipeline, door, peer, request));
            router.route(pipeline.path(), post)
        })
}

impl Front {
    /// For a connection from `connection`.
    pub fn new(
        door: Arc<Door>,
        services: Services,
        connection: IpAddr,
        activity: Arc<Activity>,
    ) -> Self {
        Self {
            door,
            services,
            connection,
            activity,
        }
    }

    /// Answers one request; never fails, whatever happens inside.
    pub async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let running = self.activity.request();
        let begun = Instant::now();
        let is_rpc = is_rpc(&request);
        let route = route(request.uri().path(), is_rpc);
        let peer = Peer::of(
            self.connection,
            request.headers(),
            &self.door.context.trusted_proxies,
        );
        let response = if self.door.gate.admits(peer.address) {
            self.dispatch(request.map(Body::new), peer, is_rpc).await
        } else {
            self.held_off(route, is_rpc)
        };
        let status = response.status();
        if status.is_client_error()
            && status != StatusCode::TOO_MANY_REQUESTS
            && response.extensions().get::<Excused>().is_none()
        {
            self.door.gate.failed(peer.address);
        }
        let metrics = Arc::clone(&self.door.context.metrics);
        let told = Told {
            route,
            status,
            begun,
            metrics,
            _running: running,
        };
        Ok(response.map(|body| Body::new(Counted { body, _told: told })))
    }

    async fn dispatch(
        &self,
        mut request: Request<Body>,
        peer: Peer,
        is_rpc: bool,
    ) -> Response<Body> {
        request.extensions_mut().insert(peer);
        let services = self.services.clone();
        if !is_rpc {
            let answered = AssertUnwindSafe(services.http.oneshot(request))
                .catch_unwind()
                .await;
            return match answered {
                Ok(Ok(response)) => response,
                Err(panic) => {
                    log_panic(&panic);
                    reply::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
                }
            };
        }
        let time = self.door.limits().rpc;
        let answered = AssertUnwindSafe(tokio::time::timeout(time, services.rpc.oneshot(request)))
            .catch_unwind();
        match answered.await {
            Ok(Ok(Ok(response))) => response.map(Body::new),
            Ok(Err(_)) => rpc_error(Code::DeadlineExceeded, "the request took too long"),
            Err(panic) => {
                log_panic(&panic);
                rpc_error(Code::Internal, "internal error")
            }
        }
    }

    fn held_off(&self, route: &str, is_rpc: bool) -> Response<Body> {
        let stage = if route == "/segment" {
            Stage::Segment
        } else {
            Stage::Discovery
        };
        if route == "/segment" || is_rpc {
            self.door
                .context
                .metrics
                .video
                .refused(stage, label::Refusal::Rate);
        }
        let text = "too many failed calls from this address";
        if is_rpc {
            rpc_error(Code::ResourceExhausted, text)
        } else {
            reply::text(StatusCode::TOO_MANY_REQUESTS, text)
        }
    }
}

fn rpc_error(code: Code, text: &str) -> Response<Body> {
    Status::new(code, text).into_http()
}

/// gRPC is HTTP/2 with a content type of its own; all else is HTTP.
fn is_rpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(http::header::CONTENT_TYPE);
    request.version() == Version::HTTP_2
        && content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The name under which a request is counted: one of ours, never what a stranger wrote.
fn route(path: &str, is_rpc: bool) -> &'static str {
    const RPC: [&str; 5] = [
        "/net.AIWorker/RegisterAIWorker",
        "/net.Orchestrator/GetOrchestrator",
        "/net.Orchestrator/EndTranscodingSession",
        "/net.Orchestrator/Ping",
        "/net.Transcoder/RegisterTranscoder",
    ];
    const HTTP: [&str; 6] = [
        ai_workers::PATH,
        "/segment",
        "/payment",
        "/refresh-payment",
        "/healthz",
        RESULTS_PATH,
    ];
    let known: &[&'static str] = if is_rpc { &RPC } else { &HTTP };
    match known.iter().find(|route| **route == path) {
        Some(route) => route,
        None if !is_rpc && path.starts_with("/stream/") => "/stream",
        None if !is_rpc => Pipeline::ALL
            .iter()
            .map(|pipeline| pipeline.path())
            .find(|route| *route == path)
            .unwrap_or("other"),
        None => "other",
    }
}

fn log_panic(panic: &(dyn Any + Send)) {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    tracing::error!(
        panic = text,
        "a handler panicked, its request is answered with an error"
    );
}

/// Counts a request when its answer is out or given up.
struct Told {
    route: &'static str,
    status: StatusCode,
    begun: Instant,
    metrics: Arc<Metrics>,
    _running: Running,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.metrics.door.answered(
            label::Door::Public,
            self.route,
            self.status.as_u16(),
            self.begun.elapsed(),
        );
    }
}

/// The body of an answer; a panic in it ends this answer and not the other requests of the connection.
struct Counted {
    body: Body,
    _told: Told,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.body).poll_frame(cx)));
        polled.unwrap_or_else(|panic| {
            log_panic(&panic);
            self.body = Body::empty();
            Poll::Ready(Some(Err(axum::Error::new("the answer broke off"))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_over_http2_goes_to_grpc() {
        let request = |version, content_type: &'static str| {
            Request::builder()
                .version(version)
                .header("content-type", content_type)
                .body(())
                .expect("request")
        };
        assert!(is_rpc(&request(Version::HTTP_2, "application/grpc")));
        assert!(is_rpc(&request(Version::HTTP_2, "application/grpc+proto")));
        assert!(!is_rpc(&request(Version::HTTP_11, "application/grpc")));
        assert!(!is_rpc(&request(Version::HTTP_2, "video/MP2T")));
    }

    #[test]
    fn paths_of_strangers_are_counted_together() {
        assert_eq!(route("/segment", false), "/segment");
        assert_eq!(route("/stream/a/b/1.ts", false), "/stream");
        assert_eq!(
            route("/net.Orchestrator/Ping", true),
            "/net.Orchestrator/Ping"
        );
        for (path, is_rpc) in [
            ("/.env", false),
            ("/net.Orchestrator/Ping", false),
            ("/segment", true),
            ("", false),
        ] {
            assert_eq!(route(path, is_rpc), "other");
        }
    }

    fn front(http: Router) -> Front {
        let (context, _) = crate::doors::public::tests::house::context(Default::default(), 1);
        let transport = crate::doors::public::Transport::Plain;
        let public = crate::doors::public::PublicDoor::new(context, transport).expect("client");
        let services = Services {
            rpc: Routes::from(http.clone()),
            http,
        };
        Front::new(
            public.door,
            services,
            [127, 0, 0, 1].into(),
            Activity::new(),
        )
    }

    async fn ask(front: &Front, is_rpc: bool) -> Response<Body> {
        let peer = Peer {
            address: front.connection,
        };
        front
            .dispatch(Request::new(Body::empty()), peer, is_rpc)
            .await
    }

    async fn panicking() -> Response<Body> {
        panic!("a defect")
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_is_answered() {
        let front = front(Router::new().fallback(panicking));
        let answer = ask(&front, false).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let answer = ask(&front, true).await;
        assert_eq!(answer.headers()["grpc-status"], "13");
    }

    #[tokio::test]
    async fn a_panic_in_a_body_breaks_off_that_answer_only() {
        let body = Body::from_stream(futures::stream::once(async {
            if true {
                panic!("a defect");
            }
            Ok::<Bytes, Infallible>(Bytes::new())
        }));
        let front = front(Router::new());
        let told = Told {
            route: "other",
            status: StatusCode::OK,
            begun: Instant::now(),
            metrics: Arc::clone(&front.door.context.metrics),
            _running: front.activity.request(),
        };
        assert!(
            axum::body::to_bytes(Body::new(Counted { body, _told: told }), 10)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_gateway_held_off_gets_each_protocols_own_answer() {
        let front = front(Router::new());
        assert_eq!(
            front.held_off("/segment", false).status(),
            StatusCode::TOO_MANY_REQUESTS
        );
        assert_eq!(front.held_off("other", true).headers()["grpc-status"], "8");
    }
}
