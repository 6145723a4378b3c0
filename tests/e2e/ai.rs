//! AI requests against the built node: a real language model and a real upscaler, natively, behind a URL, and what strangers
//! send instead of requests.

mod bad_input;
mod client;
mod containers;
mod remote;
mod runner;
mod survival;
mod together;
mod truth;
