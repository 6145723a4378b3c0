//! A runner behind an HTTP address: a container of ours, or one that the operator runs elsewhere.

mod answer;
mod client;

pub use client::{HttpRunner, RunnerAddress};
