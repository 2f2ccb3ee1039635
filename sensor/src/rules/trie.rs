//! Many prefixes as one tree: a text is compared once with what they have in common.

/// Prefixes, each with numbers that looking a text up finds.
#[derive(Clone, Debug)]
pub struct Trie {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The bytes between the node above and this one.
    label: Box<[u8]>,
    values: Vec<u32>,
    /// By the first bytes of their labels, sorted.
    children: Vec<(u8, usize)>,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    /// A set of prefixes, all with the same number.
    pub fn of<T: AsRef<[u8]>>(prefixes: impl IntoIterator<Item = T>) -> Self {
        let mut trie = Self::default();
        for prefix in prefixes {
            trie.insert(prefix.as_ref(), 0);
        }
        trie
    }

    pub fn insert(&mut self, prefix: &[u8], value: u32) {
        let (mut node, mut rest) = (0, prefix);
        while let Some(first) = rest.first() {
            let children = &self.nodes[node].children;
            node = match children.binary_search_by_key(first, |(byte, _)| *byte) {
                Err(at) => {
                    let child = self.push(rest);
                    self.nodes[node].children.insert(at, (*first, child));
                    rest = &[];
                    child
                }
                Ok(at) => {
                    let child = children[at].1;
                    let common = common(&self.nodes[child].label, rest);
                    self.split(child, common);
                    rest = &rest[common..];
                    child
                }
            };
        }
        if !self.nodes[node].values.contains(&value) {
            self.nodes[node].values.push(value);
        }
    }

    fn push(&mut self, label: &[u8]) -> usize {
        self.nodes.push(Node { label: label.into(), ..Node::default() });
        self.nodes.len() - 1
    }

    /// Makes the first `length` bytes of a node's label a node of their own, in its place.
    fn split(&mut self, node: usize, length: usize) {
        if length == self.nodes[node].label.len() {
            return;
        }
        let below = std::mem::take(&mut self.nodes[node]);
        let (label, rest) = below.label.split_at(length);
        let first = rest[0];
        self.nodes[node].label = label.into();
        let lower = Node { label: rest.into(), values: below.values, children: below.children };
        self.nodes.push(lower);
        let lower = self.nodes.len() - 1;
        self.nodes[node].children = vec![(first, lower)];
    }

    /// Adds the numbers of every prefix that the text begins with, the shortest first.
    pub fn collect(&self, text: &[u8], values: &mut Vec<u32>) {
        self.walk(text, |found| {
            values.extend_from_slice(found);
            true
        });
    }

    /// True when the text begins with one of the prefixes.
    pub fn matches(&self, text: &[u8]) -> bool {
        let mut found = false;
        self.walk(text, |values| {
            found = !values.is_empty();
            !found
        });
        found
    }

    fn walk(&self, text: &[u8], mut visit: impl FnMut(&[u32]) -> bool) {
        let (mut node, mut rest) = (&self.nodes[0], text);
        loop {
            if !visit(&node.values) {
                return;
            }
            let Some(first) = rest.first() else { return };
            let Ok(at) = node.children.binary_search_by_key(first, |(byte, _)| *byte) else {
                return;
            };
            node = &self.nodes[node.children[at].1];
            let Some(after) = rest.strip_prefix(&*node.label) else { return };
            rest = after;
        }
    }

    /// Every prefix.
    pub fn prefixes(&self) -> Vec<Box<[u8]>> {
        let mut found = Vec::new();
        let mut pending = vec![(0, Vec::new())];
        while let Some((node, above)) = pending.pop() {
            let node = &self.nodes[node];
            let text = [above, node.label.to_vec()].concat();
            pending.extend(node.children.iter().map(|(_, child)| (*child, text.clone())));
            if !node.values.is_empty() {
                found.push(text.into());
            }
        }
        found
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        let inside = self.nodes.iter().map(|node| {
            node.label.len() + size_of_val(&*node.values) + size_of_val(&*node.children)
        });
        self.nodes.len() * size_of::<Node>() + inside.sum::<usize>()
    }
}

fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Trie;

    fn find(trie: &Trie, text: &str) -> Vec<u32> {
        let mut values = Vec::new();
        trie.collect(text.as_bytes(), &mut values);
        values
    }

    #[test]
    fn every_prefix_is_found() {
        let mut trie = Trie::default();
        for (value, prefix) in (0..).zip(["/etc/", "/etc", "/e", "", "/usr", "/etc/ssh"]) {
            trie.insert(prefix.as_bytes(), value);
        }
        assert_eq!(find(&trie, "/etc/passwd"), [3, 2, 1, 0]);
        assert_eq!(find(&trie, "/usr/bin"), [3, 4]);
        assert_eq!(find(&trie, "x"), [3]);
        assert_eq!(find(&trie, "/et"), [3, 2]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_finds_what_comparing_each_finds(
            prefixes in prop::collection::vec("[ab/]{0,6}", 0..12),
            text in "[ab/]{0,8}",
        ) {
            let mut trie = Trie::default();
            for (value, prefix) in (0..).zip(&prefixes) {
                trie.insert(prefix.as_bytes(), value);
            }
            let mut found = find(&trie, &text);
            found.sort_unstable();
            let expected: Vec<u32> = (0_u32..).zip(&prefixes)
                .filter(|(_, prefix)| text.starts_with(*prefix)).map(|(value, _)| value).collect();
            prop_assert_eq!(trie.matches(text.as_bytes()), !expected.is_empty());
            prop_assert_eq!(found, expected);
            let mut known: Vec<Vec<u8>> = prefixes.iter().map(|one| one.clone().into_bytes()).collect();
            known.sort_unstable();
            known.dedup();
            let mut listed: Vec<Vec<u8>> = trie.prefixes().into_iter().map(Vec::from).collect();
            listed.sort_unstable();
            prop_assert_eq!(listed, known);
        }
    }
}
