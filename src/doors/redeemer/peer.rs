//! A redeemer elsewhere, over gRPC: one connection, made when it is needed and kept.

use std::time::Duration;

use actors::redeemer::{RedeemerFailure, RedeemerPeer};
use config::HostPort;
use futures::StreamExt;
use futures::stream::BoxStream;
use protocol::address::Address;
use protocol::money::{U256, WinningTicket, uint_from_wire};
use protocol::pb;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::dial::{DialError, Dialer};
use crate::doors::rpc::ticket_redeemer_client::TicketRedeemerClient;

/// Time for a call, connecting included.
const CALL: Duration = Duration::from_secs(8);
/// What the reference's database says to a ticket that it has.
const HAS_IT: &str = "UNIQUE constraint failed";

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    client: TicketRedeemerClient<Channel>,
    token: Option<MetadataValue<Ascii>>,
}

impl Peer {
    /// The redeemer at `address`, which is given `token` if it asks for one. Connects at the first call.
    ///
    /// # Errors
    /// [`DialError`] when TLS cannot be set up or the token cannot travel.
    pub fn new(address: &HostPort, token: Option<&str>) -> Result<Self, DialError> {
        let channel = Dialer::new()?.keep(&format!("https://{address}"))?;
        let token = token.map(|token| format!("Bearer {}", token.trim()).parse());
        let token = token.transpose().map_err(|_| {
            DialError::Setup("-redeemerToken holds characters that cannot travel".into())
        })?;
        Ok(Self {
            client: TicketRedeemerClient::new(channel),
            token,
        })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.clone());
        }
        request
    }
}

/// Ends a call in time.
async fn in_time<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, RedeemerFailure> {
    match tokio::time::timeout(CALL, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(failure(&status)),
        Err(_) => Err(RedeemerFailure::Away("timed out".to_owned())),
    }
}

/// What a status means. A wrong token is mended by people, not by leaving this ticket alone: the redeemer counts as away.
fn failure(status: &Status) -> RedeemerFailure {
    let text = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::PermissionDenied | Code::InvalidArgument => RedeemerFailure::Refused(text),
        _ => RedeemerFailure::Away(text),
    }
}

fn float(update: &pb::MaxFloatUpdate) -> Result<U256, RedeemerFailure> {
    uint_from_wire(&update.max_float)
        .ok_or_else(|| RedeemerFailure::Away("a float of more than 32 bytes".to_owned()))
}

fn asked(sender: Address) -> pb::MaxFloatReq {
    pb::MaxFloatReq {
        sender: sender.0.to_vec(),
    }
}

#[async_trait::async_trait]
impl RedeemerPeer for Peer {
    async fn queue(&self, winner: &WinningTicket) -> Result<(), RedeemerFailure> {
        let mut client = self.client.clone();
        let call = client.queue_ticket(self.request(winner.to_pb()));
        match tokio::time::timeout(CALL, call).await {
            // stored by an earlier try whose answer was lost
            Ok(Err(status)) if status.message().contains(HAS_IT) => Ok(()),
            Ok(outcome) => outcome.map(drop).map_err(|status| failure(&status)),
            Err(_) => Err(RedeemerFailure::Away("timed out".to_owned())),
        }
    }

    async fn max_float(&self, sender: Address) -> Result<U256, RedeemerFailure> {
        let mut client = self.client.clone();
        let call = client.max_float(self.request(asked(sender)));
        float(&in_time(call).await?)
    }

    async fn monitor(
        &self,
        sender: Address,
    ) -> Result<BoxStream<'static, Result<U256, RedeemerFailure>>, RedeemerFailure> {
        let mut client = self.client.clone();
        let call = client.monitor_max_float(self.request(asked(sender)));
        let told = in_time(call).await?;
        let told = told.map(|told| match told {
            Ok(update) => float(&update),
            Err(status) => Err(failure(&status)),
        });
        Ok(told.boxed())
    }
}
