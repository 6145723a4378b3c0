//! Facts that an actor publishes and anybody reads without a message: a list with one entry per owner.
//!
//! An entry is a value that leaves the list when its owner drops it, also by a panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// A published list. Cheap to clone.
#[derive(Debug)]
pub struct List<K, V>(Arc<Mutex<BTreeMap<K, V>>>);

impl<K, V> Default for List<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Clone for List<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Ord + Clone, V: Clone> List<K, V> {
    /// Enters `value` under `key`; an older entry of that key is replaced.
    pub fn enter(&self, key: K, value: V) -> Entry<K, V> {
        self.0.lock().insert(key.clone(), value);
        Entry {
            key,
            list: self.clone(),
        }
    }

    /// All values, by key.
    pub fn values(&self) -> Vec<V> {
        self.0.lock().values().cloned().collect()
    }

    /// How many values fit `condition`.
    pub fn count(&self, condition: impl Fn(&V) -> bool) -> usize {
        self.0
            .lock()
            .values()
            .filter(|value| condition(value))
            .count()
    }
}

/// A place in a list.
#[derive(Debug)]
pub struct Entry<K: Ord, V> {
    key: K,
    list: List<K, V>,
}

impl<K: Ord, V> Entry<K, V> {
    /// Where it is in the list.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Changes the published value.
    pub fn change(&self, change: impl FnOnce(&mut V)) {
        if let Some(value) = self.list.0.lock().get_mut(&self.key) {
            change(value);
        }
    }
}

impl<K: Ord, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        self.list.0.lock().remove(&self.key);
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
}
