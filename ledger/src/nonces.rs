//! Which nonces of one set of parameters have been seen: the guard against paying twice with one ticket.

/// Highest nonce kept as one bit; gateways count from 1, so nearly all are.
const BITS: u32 = 4096;

/// A set of nonces, small for what honest senders use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NonceSet {
    /// Bit n of byte n / 8, without zero bytes at the end.
    bits: Vec<u8>,
    /// Nonces of [`BITS`] and above, sorted.
    high: Vec<u32>,
}

impl NonceSet {
    /// Adds one; `false` when it was there.
    pub fn insert(&mut self, nonce: u32) -> bool {
        if nonce >= BITS {
            return match self.high.binary_search(&nonce) {
                Ok(_) => false,
                Err(place) => {
                    self.high.insert(place, nonce);
                    true
                }
            };
        }
        let (byte, bit) = (nonce as usize / 8, 1_u8 << (nonce % 8));
        if byte >= self.bits.len() {
            self.bits.resize(byte + 1, 0);
        }
        match self.bits.get_mut(byte) {
            Some(byte) if *byte & bit == 0 => {
                *byte |= bit;
                true
            }
            _ => false,
        }
    }

    /// Whether it is there.
    pub fn contains(&self, nonce: u32) -> bool {
        if nonce >= BITS {
            return self.high.binary_search(&nonce).is_ok();
        }
        self.bits
            .get(nonce as usize / 8)
            .is_some_and(|byte| byte & (1 << (nonce % 8)) != 0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let low: u32 = self.bits.iter().map(|byte| byte.count_ones()).sum();
        low as usize + self.high.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty() && self.high.is_empty()
    }

    /// Form of the column: 2 bytes with the length of the bits, the bits, then each high nonce; all big-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + self.bits.len() + 4 * self.high.len());
        // at most BITS / 8
        bytes.extend((self.bits.len() as u16).to_be_bytes());
        bytes.extend(&self.bits);
        for nonce in &self.high {
            bytes.extend(nonce.to_be_bytes());
        }
        bytes
    }

    /// Reads the form of the column.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (length, rest) = bytes
            .split_first_chunk::<2>()
            .ok_or_else(|| format!("{} bytes", bytes.len()))?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length > BITS as usize / 8 || length > rest.len() {
            return Err(format!("{length} bytes of bits in {}", bytes.len()));
        }
        let (bits, high) = rest.split_at(length);
        let (high, left) = high.as_chunks::<4>();
        let high: Vec<u32> = high
            .iter()
            .map(|nonce| u32::from_be_bytes(*nonce))
            .collect();
        if !left.is_empty() || bits.last() == Some(&0) {
            return Err("bytes left over".to_owned());
        }
        if high.first().is_some_and(|nonce| *nonce < BITS) || !high.is_sorted_by(|a, b| a < b) {
            return Err("high nonces out of order".to_owned());
        }
        Ok(Self {
            bits: bits.to_vec(),
            high,
        })
    }
}

impl Extend<u32> for NonceSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, nonces: I) {
        for nonce in nonces {
            self.insert(nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn six_hundred_nonces_take_less_than_eighty_bytes() {
        let mut set = NonceSet::default();
        set.extend(1..=600);
        assert_eq!(set.len(), 600);
        assert!(set.to_bytes().len() < 80);
    }

    proptest! {
        #[test]
        fn it_is_a_set_and_survives_its_bytes(
            nonces in prop::collection::vec(prop_oneof![0..700_u32, 4090..4100_u32, any::<u32>()], 0..700)
        ) {
            let mut set = NonceSet::default();
            let mut model = BTreeSet::new();
            for nonce in &nonces {
                prop_assert_eq!(set.contains(*nonce), model.contains(nonce));
                prop_assert_eq!(set.insert(*nonce), model.insert(*nonce));
            }
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert_eq!(NonceSet::from_bytes(&set.to_bytes()), Ok(set));
        }

        #[test]
        fn any_bytes_are_read_to_the_same_bytes_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(set) = NonceSet::from_bytes(&bytes) {
                prop_assert_eq!(set.to_bytes(), bytes);
            }
        }
    }
}
