//! What differs between chains by their id.

use protocol::address::Address;

/// The registry used for AI service URIs, on any chain.
pub const AI_SERVICE_REGISTRY: Address = Address([
    0x04, 0xc0, 0xb2, 0x49, 0x74, 0x01, 0x75, 0x99, 0x9e, 0x5b, 0xf5, 0xc9, 0xac, 0x1d, 0xa9, 0x24,
    0x31, 0xef, 0x34, 0xc5,
]);

/// Whether blocks of this chain carry an L1 number beside their own, so that the own one must never stand in for it.
#[must_use]
pub fn is_arbitrum(chain_id: u64) -> bool {
    matches!(
        chain_id,
        42161 | 42170 | 421_611 | 421_613 | 421_614 | 412_346
    )
}

/// Whether the chain is one where the protocol still has its old L1 form (`withdrawFees()` without arguments).
#[must_use]
pub fn is_l1(chain_id: u64) -> bool {
    matches!(chain_id, 1 | 4)
}
