//! A winning ticket from the answer to the gateway until it is paid: what is known of it and where it stands.

mod life;
pub(crate) mod queue;
mod state;
mod view;

pub use self::life::{IllegalStep, Step, StepKind, TRANSITIONS};
pub use self::queue::StoredTicket;
pub use self::state::{Deferral, State, TicketState};
pub use self::view::{
    AddressText, Clocks, PAGE, Page, SenderSum, StateSum, TicketExport, TicketFilter, TicketView,
};
