//! What the bodies of AI requests may take together. Taken as the bytes come, so that whoever sends slowly, or only announces
//! much, keeps nobody else out.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::Door;

/// For all requests under way, MiB.
pub(in super::super) const REQUESTS_MIB: usize = 1024;

/// What one body has taken. Clones share it; it is given back with the last.
#[derive(Clone)]
pub(super) struct Memory(Arc<Mutex<Taken>>);

struct Taken {
    all: Arc<Semaphore>,
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
    spent: bool,
}

impl Memory {
    /// For a request at `door`.
    pub fn of(door: &Door) -> Self {
        Self::from(&door.requests)
    }

    fn from(all: &Arc<Semaphore>) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            all: Arc::clone(all),
            bytes: 0,
            permit: None,
            spent: false,
        })))
    }

    /// Lets a piece of the body through.
    ///
    /// # Errors
    /// When nothing is left for it.
    pub fn take(&self, piece: Bytes) -> Result<Bytes, String> {
        let mut taken = self.0.lock();
        taken.bytes += piece.len();
        let wanted = taken.bytes.div_ceil(1 << 20);
        let held = taken
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(wanted.saturating_sub(held)).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(piece);
        }
        let Ok(permit) = Arc::clone(&taken.all).try_acquire_many_owned(more) else {
            taken.spent = true;
            return Err("too many requests are under way".to_owned());
        };
        match &mut taken.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(piece)
    }

    /// Whether a piece was refused.
    pub fn is_spent(&self) -> bool {
        self.0.lock().spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_takes_what_has_come_and_gives_it_back() {
        let all = Arc::new(Semaphore::new(2));
        let (one, two) = (Memory::from(&all), Memory::from(&all));
        let piece = |bytes| Bytes::from(vec![0; bytes]);
        assert!(one.take(piece(10)).is_ok() && one.take(piece(10)).is_ok());
        assert_eq!(all.available_permits(), 1, "small pieces share a place");
        assert!(two.take(piece(1 << 20)).is_ok());
        assert!(one.take(piece(1 << 20)).is_err() && one.is_spent() && !two.is_spent());
        drop((one, two));
        assert_eq!(all.available_permits(), 2);
    }
}
