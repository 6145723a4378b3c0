//! Redeemer and orchestrator to each other: the service that takes winning tickets from other nodes, and the way to one
//! elsewhere. Both speak to nodes of the reference too, which know no token.

mod limits;
mod listener;
mod peer;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;

use actors::redeemer::{QueueRefusal, RedeemerService};
use futures::{Stream, StreamExt};
use protocol::address::Address;
use protocol::money::{U256, WinningTicket};
use protocol::pb;
use telemetry::Metrics;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::Token;
use super::public::Transport;
use super::rpc::ticket_redeemer_server::{TicketRedeemer, TicketRedeemerServer};

pub use self::limits::RedeemerLimits;
pub use self::listener::RedeemerDoor;
pub use self::peer::Peer;

/// Serves `service` to whoever presents `token`, or to everybody.
pub fn door(
    service: RedeemerService,
    token: Option<Token>,
    transport: Transport,
    limits: RedeemerLimits,
    metrics: Arc<Metrics>,
) -> RedeemerDoor {
    let desk = TicketRedeemerServer::new(Desk(service));
    let desk = desk.max_decoding_message_size(limits.message_bytes);
    RedeemerDoor {
        routes: Routes::new(desk).prepare(),
        token,
        transport,
        limits,
        metrics,
    }
}

/// Answers those who were let in.
struct Desk(RedeemerService);

fn sender(request: &pb::MaxFloatReq) -> Result<Address, Status> {
    <[u8; 20]>::try_from(&request.sender[..])
        .map(Address)
        .map_err(|_| Status::invalid_argument("sender is 20 bytes"))
}

fn update(float: U256) -> pb::MaxFloatUpdate {
    pb::MaxFloatUpdate {
        max_float: protocol::money::minimal(float),
    }
}

#[tonic::async_trait]
impl TicketRedeemer for Desk {
    async fn queue_ticket(
        &self,
        request: Request<pb::Ticket>,
    ) -> Result<Response<pb::QueueTicketRes>, Status> {
        let winner = WinningTicket::from_pb(request.get_ref())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.0.queue(winner).await.map_err(|refusal| {
            let text = refusal.to_string();
            tracing::warn!(error = text, sender = %winner.ticket.sender, "winning ticket not taken");
            match refusal {
                QueueRefusal::Recipient { .. } => Status::permission_denied(text),
                QueueRefusal::Invalid(_) => Status::invalid_argument(text),
                QueueRefusal::Ledger(_) => Status::internal(text),
            }
        })?;
        Ok(Response::new(pb::QueueTicketRes {}))
    }

    async fn max_float(
        &self,
        request: Request<pb::MaxFloatReq>,
    ) -> Result<Response<pb::MaxFloatUpdate>, Status> {
        let float = self.0.max_float(sender(request.get_ref())?).await;
        float
            .map(|float| Response::new(update(float)))
            .map_err(Status::internal)
    }

    type MonitorMaxFloatStream =
        Pin<Box<dyn Stream<Item = Result<pb::MaxFloatUpdate, Status>> + Send>>;

    async fn monitor_max_float(
        &self,
        request: Request<pb::MaxFloatReq>,
    ) -> Result<Response<Self::MonitorMaxFloatStream>, Status> {
        let told = self.0.monitor(sender(request.get_ref())?);
        let told = told.map(|told| told.map(update).map_err(Status::internal));
        Ok(Response::new(Box::pin(told)))
    }
}
