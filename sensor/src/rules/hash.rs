//! A fast hash for constants of rules, whose keys come from rule files and not from an attacker.

use std::hash;

/// Multiplies and folds eight bytes at a time.
#[derive(Clone, Copy, Default)]
pub struct Hasher(u64);

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(MULTIPLIER);
        // The low half alone would ignore high bits of the input.
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl hash::Hasher for Hasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(byte.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64 ^ MULTIPLIER);
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number ^ MULTIPLIER);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
