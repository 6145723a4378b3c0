//! A set of capability numbers, packed as on the wire: number n is bit n mod 64 of word n div 64.

use std::fmt;

use super::Capability;

/// Numbers from here on are not taken in by [`CapabilitySet::insert_number`]; none has a meaning.
const TOO_LARGE: u32 = 1024;

/// Set of capability numbers. Its count of words matters: see [`CapabilitySet::is_within`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CapabilitySet(Vec<u64>);

impl CapabilitySet {
    /// From the words of a message, kept as they are.
    pub fn from_words(words: Vec<u64>) -> Self {
        Self(words)
    }

    /// Words for a message; just enough of them when the set was built here.
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// Adds one.
    pub fn insert(&mut self, capability: Capability) {
        self.insert_number(capability.number());
    }

    /// Adds one by number, also one without a meaning here; numbers of 1024 and above are ignored.
    pub fn insert_number(&mut self, number: u32) {
        if number >= TOO_LARGE {
            return;
        }
        let word = number as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    /// Whether it is in.
    pub fn contains(&self, capability: Capability) -> bool {
        let number = capability.number();
        self.0
            .get(number as usize / 64)
            .is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Numbers in the set, rising.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.0).flat_map(|(i, word)| {
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| i.saturating_mul(64).saturating_add(bit))
        })
    }

    /// Whether all of this set is in `other`. False when this one has more words, even if they are zero: so peers judge.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.len() <= other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(mine, theirs)| mine & theirs == *mine)
    }

    /// Numbers of this set that `other` lacks, rising.
    pub fn missing_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        self.numbers().filter(|n| {
            other
                .0
                .get(*n as usize / 64)
                .is_none_or(|word| word >> (n % 64) & 1 == 0)
        })
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<T: IntoIterator<Item = Capability>>(capabilities: T) -> Self {
        let mut set = Self::default();
        capabilities.into_iter().for_each(|c| set.insert(c));
        set
    }
}

impl fmt::Display for CapabilitySet {
    /// Names for people, comma between; numbers without a name as `#n`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_names(f, self.numbers())
    }
}

pub(super) fn write_names(
    f: &mut fmt::Formatter<'_>,
    numbers: impl Iterator<Item = u32>,
) -> fmt::Result {
    for (i, number) in numbers.enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        match Capability::from_number(number) {
            Some(capability) => write!(f, "{comma}{capability}")?,
            None => write!(f, "{comma}#{number}")?,
        }
    }
    Ok(())
}
