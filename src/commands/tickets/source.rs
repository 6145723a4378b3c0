//! Who is asked: the node that runs, or its database when none does.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

use actors::redeemer::{TicketDetail, TicketList, Tickets, TicketsError};
use config::Location;
use ledger::ticket::TicketView;
use ledger::{FILE_NAME, Ledger, LedgerError};
use protocol::signature::Hash;
use serde_json::json;

use super::Fault;
use super::arguments::Step;
use crate::commands::operator::{Client, Pairs};
use crate::doors::operator::{TicketProofs, TicketSums, ticket_filter};

/// See the module.
pub enum Source {
    /// The node.
    Node(Client),
    /// The database.
    File {
        /// The file.
        path: PathBuf,
        /// It, open: no node can have it meanwhile.
        ledger: Ledger,
        /// The tickets in it.
        tickets: Tickets,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(client) => write!(f, "the node at {client}:"),
            Self::File { path, .. } => write!(f, "the database {}:", path.display()),
        }
    }
}

impl Source {
    /// The node with these options if it answers, else its database.
    pub async fn find(location: &Location, only_file: bool) -> Result<Self, Fault> {
        let client = Client::new(location)?;
        if !only_file && client.is_there().await? {
            return Ok(Self::Node(client));
        }
        let path = location.data_dir.join(FILE_NAME);
        let options = ledger::Options {
            existing: true,
            ..ledger::Options::default()
        };
        let opening = path.clone();
        let opened = tokio::task::spawn_blocking(move || Ledger::open(opening, options)).await;
        let opened = opened.map_err(|error| Fault::Failed(error.to_string()))?;
        let ledger = opened.map_err(|error| cannot_open(error, &client, only_file))?;
        let tickets = Tickets::of_file(ledger.clone()).await;
        Ok(Self::File {
            path,
            ledger,
            tickets: tickets.map_err(|error| Fault::Failed(error.to_string()))?,
        })
    }

    /// Leaves the database in order.
    pub async fn close(self) -> Result<(), Fault> {
        match self {
            Self::Node(_) => Ok(()),
            Self::File { ledger, .. } => ledger
                .close()
                .await
                .map_err(|error| Fault::Failed(error.to_string())),
        }
    }

    /// A page of tickets.
    pub async fn list(&self, pairs: &Pairs) -> Result<TicketList, Fault> {
        match self {
            Self::Node(client) => Ok(client.get("tickets", pairs).await?),
            Self::File { tickets, .. } => Ok(tickets.list(filter(pairs)?).await?),
        }
    }

    /// Tickets by state.
    pub async fn sums(&self) -> Result<TicketSums, Fault> {
        match self {
            Self::Node(client) => Ok(client.get("tickets/sums", &Pairs::new()).await?),
            Self::File { tickets, .. } => Ok(TicketSums {
                states: tickets.sums().await?,
            }),
        }
    }

    /// One ticket.
    pub async fn show(&self, hash: Hash) -> Result<TicketDetail, Fault> {
        match self {
            Self::Node(client) => Ok(client.get(&path(hash, ""), &Pairs::new()).await?),
            Self::File { tickets, .. } => Ok(tickets.show(hash).await?),
        }
    }

    /// A page of proofs.
    pub async fn export(&self, pairs: &Pairs) -> Result<TicketProofs, Fault> {
        match self {
            Self::Node(client) => Ok(client.get("tickets/export", pairs).await?),
            Self::File { tickets, .. } => {
                let (tickets, next) = tickets.export(filter(pairs)?).await?;
                Ok(TicketProofs { tickets, next })
            }
        }
    }

    /// Does something with a ticket.
    pub async fn step(&self, step: Step, hash: Hash) -> Result<TicketView, Fault> {
        match (self, step) {
            (Self::Node(client), Step::Retry) => {
                Ok(client.post(&path(hash, "/retry"), &json!({})).await?)
            }
            (Self::Node(client), Step::Release) => {
                Ok(client.post(&path(hash, "/release"), &json!({})).await?)
            }
            (Self::Node(client), Step::Hold { note }) => Ok(client
                .post(&path(hash, "/hold"), &json!({ "note": note }))
                .await?),
            (Self::File { tickets, .. }, Step::Retry) => Ok(tickets.retry(hash).await?),
            (Self::File { tickets, .. }, Step::Release) => Ok(tickets.release(hash).await?),
            (Self::File { tickets, .. }, Step::Hold { note }) => {
                Ok(tickets.hold(hash, note).await?)
            }
        }
    }

    /// Stops redemption or lets it go on.
    pub async fn hold_all(&self, held: bool) -> Result<(), Fault> {
        match self {
            Self::Node(client) => Ok(client
                .post::<serde_json::Value>("redemption", &json!({ "held": held }))
                .await
                .map(drop)?),
            Self::File { .. } => Err(Fault::Failed(
                "no node runs, so nothing is redeemed; -all is for a running one".to_owned(),
            )),
        }
    }
}

fn path(hash: Hash, step: &str) -> String {
    format!("tickets/{}{step}", ledger::hash_text(&hash))
}

fn filter(pairs: &Pairs) -> Result<ledger::TicketFilter, Fault> {
    let named = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    ticket_filter(named).map_err(Fault::Usage)
}

/// Why neither is to be had.
fn cannot_open(error: LedgerError, client: &Client, only_file: bool) -> Fault {
    let alone = match only_file {
        true => String::new(),
        false => {
            format!("; no node answers at {client} either, name it with -cliAddr or -cliSocket")
        }
    };
    Fault::Failed(match &error {
        LedgerError::File { path, source } if source.kind() == ErrorKind::NotFound => format!(
            "there is no database {}: name the node's directory with -dataDir or -network{alone}",
            path.display()
        ),
        LedgerError::InUse { .. } => format!("{error}{alone}"),
        _ => error.to_string(),
    })
}

impl From<TicketsError> for Fault {
    fn from(error: TicketsError) -> Self {
        let text = error.to_string();
        match error {
            TicketsError::Ledger(LedgerError::UnknownTicket(_)) => Self::Unknown(text),
            TicketsError::Ledger(LedgerError::IllegalStep(_)) | TicketsError::NotHeld(_) => {
                Self::Refused(text)
            }
            TicketsError::Ledger(_) | TicketsError::Away => Self::Failed(text),
        }
    }
}
