//! All that a column's text is compared with, as a whole or by its beginning: one look for an event.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::rules::hash::Hasher;
use crate::rules::test::Bytes;
use crate::rules::trie::Trie;

/// Longer lists keep to themselves: here each item would carry the number of its check.
const LIST_MAX: usize = 1024;

/// The checks of one column that a look decides.
#[derive(Debug)]
pub struct Lookup {
    exact: HashMap<Box<[u8]>, Vec<u32>, BuildHasherDefault<Hasher>>,
    /// Bits of [`sketch`] that some text has: most values are none of the texts.
    sketches: [u64; SKETCHES / 64],
    prefixes: Trie,
    pub checks: usize,
}

/// What the look says of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// It holds where the look finds it.
    Found,
    /// It holds where there is a value and the look does not find it.
    NotFound,
}

const SKETCHES: usize = 1024;

impl Default for Lookup {
    fn default() -> Self {
        Self {
            exact: HashMap::default(),
            sketches: [0; SKETCHES / 64],
            prefixes: Trie::default(),
            checks: 0,
        }
    }
}

impl Lookup {
    /// Takes a check in, if a look can decide it.
    pub fn add(&mut self, bytes: &Bytes, check: u32) -> Option<Sense> {
        let sense = match bytes {
            Bytes::Equal(text) => {
                self.add_exact(text, check);
                Sense::Found
            }
            Bytes::NotEqual(text) => {
                self.add_exact(text, check);
                Sense::NotFound
            }
            Bytes::OneOf(texts) if texts.len() <= LIST_MAX => {
                for text in texts {
                    self.add_exact(text, check);
                }
                Sense::Found
            }
            Bytes::StartsWith(text) => {
                self.prefixes.insert(text, check);
                Sense::Found
            }
            Bytes::AnyPrefix(trie) => {
                for prefix in trie.prefixes() {
                    self.prefixes.insert(&prefix, check);
                }
                Sense::Found
            }
            _ => return None,
        };
        self.checks += 1;
        Some(sense)
    }

    fn add_exact(&mut self, text: &[u8], check: u32) {
        let sketch = sketch(text);
        self.sketches[sketch / 64] |= 1 << (sketch % 64);
        self.exact.entry(text.into()).or_default().push(check);
    }

    /// Adds the checks that find the text.
    pub fn collect(&self, text: &[u8], checks: &mut Vec<u32>) {
        let sketch = sketch(text);
        if self.sketches[sketch / 64] & 1 << (sketch % 64) != 0
            && let Some(found) = self.exact.get(text)
        {
            checks.extend_from_slice(found);
        }
        self.prefixes.collect(text, checks);
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        let texts =
            self.exact.iter().map(|(text, checks)| text.len() + size_of_val(&**checks) + 32);
        let slots = self.exact.capacity() * size_of::<(Box<[u8]>, Vec<u32>)>();
        size_of::<Self>() + texts.sum::<usize>() + slots + self.prefixes.memory()
    }
}

/// A few bits of a text: its length, and its last bytes.
fn sketch(text: &[u8]) -> usize {
    let byte = |back: usize| text.len().checked_sub(back).map_or(0, |at| usize::from(text[at]));
    ((text.len() * 67) ^ (byte(1) * 5) ^ (byte(3) * 29)) % SKETCHES
}
