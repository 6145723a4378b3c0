//! What lets remote transcoders in: the secret that both halves of a split node know.

use actors::worker_registry::Workers;
use config::Secret;
use protocol::signature::keccak256;
use subtle::ConstantTimeEq;

/// The orchestrator's half of a split node.
#[derive(Clone)]
pub struct Split {
    /// What a transcoder must present.
    pub secret: Secret,
    /// Where transcoders and their results go.
    pub workers: Workers,
}

impl Split {
    /// Whether `presented` is the secret; takes as long for any of one length.
    pub fn knows(&self, presented: &[u8]) -> bool {
        let secret = keccak256(self.secret.expose().as_bytes());
        secret.ct_eq(&keccak256(presented)).into()
    }
}
