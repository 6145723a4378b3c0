//! The gRPC service by which remote transcoders register: a stream of jobs, open for as long as the transcoder works here.
//!
//! The stream ends in good order or with its connection, never by a reset that says CANCEL: the reference's transcoder would
//! then stop for good.

use std::pin::Pin;
use std::sync::Arc;

use actors::remote_transcoder::{Connection, Notice, Registration};
use futures::{Stream, stream};
use protocol::capabilities::{Capabilities, Capability};
use protocol::{pb, remote, texts};
use telemetry::metrics::label::{self, Stage};
use tonic::{Request, Response, Status};

use super::Door;
use super::discovery::peer_of;
use crate::doors::rpc::transcoder_server::Transcoder;

/// Most sessions of one transcoder; what is claimed above it is not believed.
const MOST_CAPACITY: i64 = 10_000;
/// A session that nobody has. Its end is told when there is nothing else to tell: whoever is gone is found out by it, and
/// whoever is there does nothing.
const NO_SESSION: &str = "none";

/// See the module.
pub(super) struct Registrar(pub Arc<Door>);

type Notices = Pin<Box<dyn Stream<Item = Result<pb::NotifySegment, Status>> + Send>>;

#[tonic::async_trait]
impl Transcoder for Registrar {
    type RegisterTranscoderStream = Notices;

    async fn register_transcoder(
        &self,
        request: Request<pb::RegisterRequest>,
    ) -> Result<Response<Notices>, Status> {
        let peer = peer_of(&request)?;
        let request = request.into_inner();
        let Some(split) = &self.0.context.split else {
            return Err(Status::unimplemented(
                "this node takes no remote transcoders: it has no -orchSecret",
            ));
        };
        if !split.knows(request.secret.as_bytes()) {
            self.0.gate.failed(peer.address);
            let metrics = &self.0.context.metrics.video;
            metrics.refused(Stage::Workers, label::Refusal::Authentication);
            tracing::warn!(clientIP = %peer.address, "a transcoder with a wrong secret was turned away");
            return Err(Status::unknown(texts::INVALID_SECRET));
        }
        if request.capacity <= 0 {
            return Err(Status::unknown(texts::ZERO_CAPACITY));
        }
        let registration = Registration {
            address: peer.address.to_string(),
            capacity: usize::try_from(request.capacity.min(MOST_CAPACITY)).unwrap_or(1),
            capabilities: match request.capabilities {
                Some(given) => Capabilities::from_pb(Some(given)),
                // older ones say nothing
                None => {
                    let all = Capability::VIDEO_DEFAULT.iter().copied();
                    Capabilities::of(all.collect(), "")
                }
            },
        };
        let connection = split.workers.register(registration).await;
        let connection = connection
            .ok_or_else(|| Status::unavailable("the worker registry is restarting; try again"))?;
        Ok(Response::new(notices(Arc::clone(&self.0), connection)))
    }
}

fn notices(door: Arc<Door>, connection: Connection) -> Notices {
    Box::pin(stream::unfold(connection, move |mut connection| {
        let door = Arc::clone(&door);
        async move {
            let pause = door.limits().heartbeat;
            let notice = match tokio::time::timeout(pause, connection.next()).await {
                Ok(notice) => addressed(&door, notice?),
                Err(_) => remote::Notice::SessionEnd(NO_SESSION.to_owned()),
            };
            Some((Ok(notice.to_pb()), connection))
        }
    }))
}

/// With what only the door knows: where the input lies, and for whom the work is.
fn addressed(door: &Door, notice: Notice) -> remote::Notice {
    match notice {
        Notice::SessionEnd(session_id) => remote::Notice::SessionEnd(session_id),
        Notice::Job { task, order } => {
            let snapshot = door.context.broadcast.load();
            let session = order.auth_token.as_ref();
            let session = session.map_or("", |token| token.session_id.as_str());
            remote::Notice::Job {
                task,
                url: remote::input_url(&snapshot.identity().service_uri, session, order.seq),
                orchestrator: door.maker(),
                order: Box::new((*order).clone()),
            }
        }
    }
}
