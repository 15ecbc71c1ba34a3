//! A fast hash of a request's command and keys. It is seeded with a secret, so that a client cannot make two
//! requests that look the same.

use std::hash::{BuildHasherDefault, Hasher};

/// Makes maps whose keys are such hashes, which need not be hashed again.
pub(super) type Hashed = BuildHasherDefault<Same>;

/// Takes the number as its hash.
#[derive(Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = Hash(self.0).bytes(bytes).get();
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// A hash in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hash {
    #[inline]
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    #[inline]
    pub(super) fn number(self, number: u64) -> Self {
        self.pair(number, 0)
    }

    #[inline]
    fn pair(self, one: u64, other: u64) -> Self {
        let product = u128::from(self.0 ^ one).wrapping_mul(u128::from(other ^ FACTOR));
        Self((product >> 64) as u64 ^ product as u64)
    }

    #[inline]
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        // The length keeps texts apart that differ in bytes which two parts share.
        let mut hash = Self(self.0.wrapping_add((bytes.len() as u64).rotate_right(8)));
        let (chunks, rest) = bytes.as_chunks::<16>();
        for chunk in chunks {
            let [one, other] = halves(chunk);
            hash = hash.pair(one, other);
        }
        if rest.is_empty() && !chunks.is_empty() {
            return hash;
        }
        match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
            (Some(first), Some(last)) => {
                hash.pair(u64::from_le_bytes(*first), u64::from_le_bytes(*last))
            }
            _ => hash.number(short(rest)),
        }
    }

    #[inline]
    pub(super) fn get(self) -> u64 {
        self.0
    }
}

/// Returns a number that tells texts of one length apart, of at most 7 bytes.
#[inline]
fn short(text: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[inline]
fn halves(chunk: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*chunk);
    [both as u64, (both >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn different_texts_have_different_hashes() {
        let of = |text: &[u8]| Hash::new(7).bytes(text).get();
        for width in [1, 9, 12, 20, 40] {
            let texts = (0..100_000_u32).map(|number| format!("key:{number:0width$}"));
            let hashes: HashSet<_> = texts.map(|text| of(text.as_bytes())).collect();
            assert_eq!(hashes.len(), 100_000);
            // The slot of a hash is in its upper bits.
            assert!(hashes.iter().map(|hash| hash >> 54).collect::<HashSet<_>>().len() > 1000);
        }
        let begins: HashSet<_> = (0..40).map(|len| of(&vec![0; len])).collect();
        assert_eq!(begins.len(), 40);
        assert_ne!(of(b"a"), Hash::new(8).bytes(b"a").get());
    }
}
