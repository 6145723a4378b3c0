//! Facts that an actor publishes and anybody reads without a message: a list with one entry per owner.
//!
//! An entry is a value that leaves the list when its owner drops it, also by a panic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// A published list. Cheap to clone.
#[derive(Debug)]
pub struct List<K, V>(Arc<Shared<K, V>>);

#[derive(Debug)]
struct Shared<K, V> {
    /// Each value with the number of its owner.
    values: Mutex<BTreeMap<K, (u64, V)>>,
    owners: AtomicU64,
}

impl<K, V> Default for List<K, V> {
    fn default() -> Self {
        Self(Arc::new(Shared {
            values: Mutex::default(),
            owners: AtomicU64::new(0),
        }))
    }
}

impl<K, V> Clone for List<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Ord + Clone, V: Clone> List<K, V> {
    /// Enters `value` under `key`; an older entry of that key is replaced, and its owner has no say any more.
    pub fn enter(&self, key: K, value: V) -> Entry<K, V> {
        let owner = self.0.owners.fetch_add(1, Ordering::Relaxed);
        self.0.values.lock().insert(key.clone(), (owner, value));
        Entry {
            key,
            owner,
            list: self.clone(),
        }
    }

    /// All values, by key.
    pub fn values(&self) -> Vec<V> {
        let values = self.0.values.lock();
        values.values().map(|(_, value)| value.clone()).collect()
    }

    /// The value under `key`.
    pub fn get(&self, key: &K) -> Option<V> {
        let values = self.0.values.lock();
        values.get(key).map(|(_, value)| value.clone())
    }

    /// How many values fit `condition`.
    pub fn count(&self, condition: impl Fn(&V) -> bool) -> usize {
        let values = self.0.values.lock();
        let fits = values.values().filter(|(_, value)| condition(value));
        fits.count()
    }
}

/// A place in a list.
#[derive(Debug)]
pub struct Entry<K: Ord, V> {
    key: K,
    owner: u64,
    list: List<K, V>,
}

impl<K: Ord, V> Entry<K, V> {
    /// Where it is in the list.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Changes the published value.
    pub fn change(&self, change: impl FnOnce(&mut V)) {
        if let Some((owner, value)) = self.list.0.values.lock().get_mut(&self.key)
            && *owner == self.owner
        {
            change(value);
        }
    }
}

impl<K: Ord, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        let mut values = self.list.0.values.lock();
        let owner = values.get(&self.key).map(|(owner, _)| *owner);
        if owner == Some(self.owner) {
            values.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_leaves_with_its_owner() {
        let list = List::default();
        let entry = list.enter(1, "a");
        entry.change(|value| *value = "b");
        assert_eq!(list.values(), ["b"]);
        drop(entry);
        assert!(list.values().is_empty());
    }

    #[test]
    fn an_owner_who_was_replaced_takes_nothing_along() {
        let list = List::default();
        let old = list.enter(1, "old");
        let new = list.enter(1, "new");
        old.change(|value| *value = "late");
        drop(old);
        assert_eq!(list.values(), ["new"]);
        drop(new);
        assert!(list.values().is_empty());
    }
}
