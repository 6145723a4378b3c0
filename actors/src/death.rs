//! How a parent learns that a child actor is gone: a value that tells on drop, also while unwinding.
//!
//! actix restarts nothing after a panic, so every supervised actor holds a [`DeathNotice`] and its parent handles
//! [`ChildDown`] by making a fresh child.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Message, Recipient};
use telemetry::metrics::label::ActorEnd;

/// Sent to the parent when a child is dropped.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct ChildDown<K: Send + 'static> {
    /// Which child.
    pub child: K,
    /// True when it died by a panic.
    pub panicked: bool,
}

impl<K: Send + 'static> ChildDown<K> {
    /// What is counted.
    pub fn cause(&self) -> ActorEnd {
        if self.panicked {
            ActorEnd::Panic
        } else {
            ActorEnd::Stopped
        }
    }
}

/// Held by a child for its whole life; tells the parent when dropped.
pub struct DeathNotice<K: Clone + Send + 'static> {
    child: K,
    to: Recipient<ChildDown<K>>,
    panicked: Arc<AtomicBool>,
}

impl<K: Clone + Send + 'static> DeathNotice<K> {
    /// A notice for `child`, delivered to `to`.
    pub fn new(child: K, to: Recipient<ChildDown<K>>) -> Self {
        Self {
            child,
            to,
            panicked: Arc::default(),
        }
    }

    /// Marks a panic that was caught inside an asynchronous handler and does not unwind through the actor.
    pub fn panic_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.panicked)
    }
}

impl<K: Clone + Send + 'static> Drop for DeathNotice<K> {
    // The one place where the mailbox bound may be ignored: a death must never be lost, and comes once per child.
    #[allow(clippy::disallowed_methods)]
    fn drop(&mut self) {
        self.to.do_send(ChildDown {
            child: self.child.clone(),
            panicked: std::thread::panicking() || self.panicked.load(Ordering::Relaxed),
        });
    }
}
