//! Orchestrion: a Livepeer orchestrator node. `orchestrion help` lists the commands.

mod ai_worker;
mod assembly;
mod commands;
mod descriptors;
mod dial;
mod doors;
mod hand_over;
mod registration;
mod transcoder;

use std::process::ExitCode;

fn main() -> ExitCode {
    // One provider for every TLS end of the process. A second installation is the only failure, and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    commands::dispatch(std::env::args_os().skip(1).collect())
}
