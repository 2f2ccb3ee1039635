//! How often each stack of each process was seen.

use std::collections::HashMap;

use crate::profile::stack::{Addresses, Stack};

/// More distinct stacks than a readable profile has.
const STACKS_MAX: usize = 1 << 17;

/// Bytes of all distinct stacks together.
const BYTES_MAX: usize = 64 << 20;

/// What became of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// Seen for the first time.
    New,
    Known,
    /// No room for another stack; not counted.
    Full,
}

/// (address space, kernel stack, user stack) → samples. Bounded: what does not fit is refused.
#[derive(Debug)]
pub struct Fold {
    counts: HashMap<Box<[u8]>, u64>,
    bytes: usize,
    stacks_max: usize,
    /// The key of the stack at hand; kept so that a known stack costs no allocation.
    key: Vec<u8>,
}

impl Default for Fold {
    fn default() -> Self {
        Self { counts: HashMap::new(), bytes: 0, stacks_max: STACKS_MAX, key: Vec::new() }
    }
}

/// One distinct stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    pub space: u32,
    pub kernel: Addresses<'a>,
    pub user: Addresses<'a>,
    pub count: u64,
}

impl Fold {
    /// Counts one sample in the address space numbered `space`.
    pub fn add(&mut self, space: u32, kernel: Stack<'_>, user: Stack<'_>) -> Folded {
        let (kernel, user) = (kernel.addresses().bytes(), user.addresses().bytes());
        self.key.clear();
        self.key.extend_from_slice(&space.to_ne_bytes());
        self.key.extend_from_slice(&length(kernel));
        self.key.extend_from_slice(kernel);
        self.key.extend_from_slice(user);
        if let Some(count) = self.counts.get_mut(self.key.as_slice()) {
            *count += 1;
            return Folded::Known;
        }
        if self.counts.len() >= self.stacks_max || self.bytes + self.key.len() > BYTES_MAX {
            return Folded::Full;
        }
        self.bytes += self.key.len();
        self.counts.insert(self.key.as_slice().into(), 1);
        Folded::New
    }

    /// Distinct stacks.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// All stacks, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Counted<'_>> {
        self.counts.iter().filter_map(|(key, count)| {
            let (space, rest) = key.split_first_chunk()?;
            let (kernel_len, rest) = rest.split_first_chunk()?;
            let (kernel, user) = rest.split_at_checked(u32::from_ne_bytes(*kernel_len) as usize)?;
            Some(Counted {
                space: u32::from_ne_bytes(*space),
                kernel: Addresses::new(kernel)?,
                user: Addresses::new(user)?,
                count: *count,
            })
        })
    }
}

/// A decoded stack has at most 127 addresses.
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::{Fold, Folded};
    use crate::profile::stack::decode;
    use crate::profile::testing::record;

    fn add(fold: &mut Fold, space: u32, kernel: &[u64], user: &[u64]) -> Folded {
        let bytes = record(1, kernel, user);
        let sample = decode(&bytes).unwrap();
        fold.add(space, sample.kernel, sample.user)
    }

    #[test]
    fn counts_what_is_identical_and_nothing_else() {
        let mut fold = Fold::default();
        assert!(fold.is_empty());
        assert_eq!(add(&mut fold, 0, &[9], &[1, 2]), Folded::New);
        assert_eq!(add(&mut fold, 0, &[9], &[1, 2]), Folded::Known);
        // The same addresses, split differently between kernel and user.
        assert_eq!(add(&mut fold, 0, &[9, 1], &[2]), Folded::New);
        assert_eq!(add(&mut fold, 1, &[9], &[1, 2]), Folded::New);
        assert_eq!(add(&mut fold, 0, &[], &[]), Folded::New);
        let mut all: Vec<_> = fold
            .iter()
            .map(|stack| {
                let (kernel, user) = (stack.kernel.iter(), stack.user.iter());
                (stack.space, kernel.collect::<Vec<_>>(), user.collect::<Vec<_>>(), stack.count)
            })
            .collect();
        all.sort();
        assert_eq!(
            all,
            [
                (0, vec![], vec![], 1),
                (0, vec![9], vec![1, 2], 2),
                (0, vec![9, 1], vec![2], 1),
                (1, vec![9], vec![1, 2], 1),
            ]
        );
    }

    #[test]
    fn refuses_what_does_not_fit_and_still_counts_what_it_knows() {
        let mut fold = Fold { stacks_max: 2, ..Fold::default() };
        for user in [1, 2] {
            assert_eq!(add(&mut fold, 0, &[], &[user]), Folded::New);
        }
        assert_eq!(add(&mut fold, 0, &[], &[3]), Folded::Full);
        assert_eq!(add(&mut fold, 0, &[], &[2]), Folded::Known);
        assert_eq!(fold.len(), 2);
    }
}
