//! Every metric and log field, declared once.
//!
//! [`metrics`] holds the table of metrics and the typed handles through which the node counts; [`log`]
//! starts logging and names the fields. This crate starts no server and knows no other room.

mod error;
pub mod log;
pub mod metrics;

pub use error::TelemetryError;
pub use metrics::{Metrics, MetricsOptions};
