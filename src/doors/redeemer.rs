//! Redeemer and orchestrator to each other: the service that takes winning tickets from other nodes, and the way to one
//! elsewhere. Both speak to nodes of the reference too, which know no token.

mod listener;
mod peer;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use actors::redeemer::{QueueRefusal, RedeemerService};
use futures::{Stream, StreamExt};
use protocol::address::Address;
use protocol::money::{U256, WinningTicket};
use protocol::pb;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::Token;
use super::rpc::ticket_redeemer_server::{TicketRedeemer, TicketRedeemerServer};

pub use self::listener::serve;
pub use self::peer::Peer;

/// Largest message taken: a ticket is half a kilobyte.
const MESSAGE: usize = 16 << 10;

/// Serves `service` to whoever presents `token`, or to everybody.
pub fn routes(service: RedeemerService, token: Option<Token>) -> Routes {
    let desk = TicketRedeemerServer::new(Desk { service, token });
    Routes::new(desk.max_decoding_message_size(MESSAGE)).prepare()
}

struct Desk {
    service: RedeemerService,
    token: Option<Token>,
}

impl Desk {
    fn admit<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let header = request.metadata().get("authorization");
        match header.and_then(|value| value.to_str().ok()) {
            Some(header) if token.is_in(header) => Ok(()),
            _ => Err(Status::unauthenticated(
                "this redeemer asks for a token: give the same -redeemerToken to both nodes",
            )),
        }
    }
}

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
        self.admit(&request)?;
        let winner = WinningTicket::from_pb(request.get_ref())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.service.queue(winner).await.map_err(|refusal| {
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
        self.admit(&request)?;
        let float = self.service.max_float(sender(request.get_ref())?).await;
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
        self.admit(&request)?;
        let told = self.service.monitor(sender(request.get_ref())?);
        let told = told.map(|told| told.map(update).map_err(Status::internal));
        Ok(Response::new(Box::pin(told)))
    }
}
