//! A fast hash of a request's command and keys. It is seeded with a secret, so that a client cannot make two
//! requests that look the same.

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
        let product = u128::from(self.0 ^ number).wrapping_mul(u128::from(FACTOR));
        Self((product >> 64) as u64 ^ product as u64)
    }

    #[inline]
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let (chunks, rest) = bytes.as_chunks::<8>();
        // The length keeps texts apart that differ in bytes which two chunks share.
        let mut hash = Self(self.0.wrapping_add((bytes.len() as u64).wrapping_mul(FACTOR)));
        for chunk in chunks {
            hash = hash.number(u64::from_le_bytes(*chunk));
        }
        if rest.is_empty() {
            return if chunks.is_empty() { hash.number(0) } else { hash };
        }
        let last = match bytes.last_chunk::<8>() {
            // The bytes that two chunks share do no harm.
            Some(last) => u64::from_le_bytes(*last),
            None => rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        hash.number(last)
    }

    #[inline]
    pub(super) fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn different_texts_have_different_hashes() {
        let of = |text: &[u8]| Hash::new(7).bytes(text).get();
        let texts = (0..100_000_u32).map(|number| format!("key:{number}"));
        let hashes: HashSet<_> = texts.map(|text| of(text.as_bytes())).collect();
        assert_eq!(hashes.len(), 100_000);
        let begins: HashSet<_> = (0..40).map(|len| of(&vec![0; len])).collect();
        assert_eq!(begins.len(), 40);
        assert_ne!(of(b"a"), Hash::new(8).bytes(b"a").get());
    }
}
