//! `pmatch`: whether a path lies at or below one of many, as a trie over path components.

use std::collections::HashMap;

use crate::rules::glob::Glob;

/// Paths; a path matches when one of them is its prefix, component by component.
#[derive(Clone, Debug, Default)]
pub struct PathTrie {
    /// A path ends here: everything below matches.
    ends: bool,
    literals: HashMap<Box<[u8]>, PathTrie>,
    globs: Vec<(Glob, PathTrie)>,
}

impl PathTrie {
    pub fn new(paths: impl IntoIterator<Item: AsRef<[u8]>>) -> Self {
        let mut root = Self::default();
        for path in paths {
            root.insert(path.as_ref());
        }
        root
    }

    fn insert(&mut self, path: &[u8]) {
        let mut node = self;
        let mut rest = path;
        while let Some((component, after)) = next_component(rest) {
            if node.ends {
                return;
            }
            node = node.child(component);
            rest = after;
        }
        *node = Self { ends: true, ..Self::default() };
    }

    fn child(&mut self, component: &[u8]) -> &mut Self {
        if Glob::is_literal(component) {
            return self.literals.entry(component.into()).or_default();
        }
        let glob = Glob::new(component, false);
        let known = self.globs.iter().position(|(known, _)| *known == glob);
        let index = known.unwrap_or_else(|| {
            self.globs.push((glob, Self::default()));
            self.globs.len() - 1
        });
        &mut self.globs[index].1
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        let literals = self.literals.iter().map(|(name, node)| name.len() + 16 + node.memory());
        let globs = self.globs.iter().map(|(glob, node)| glob.memory() + node.memory());
        let slots = self.literals.capacity() * (size_of::<Box<[u8]>>() + 1);
        size_of::<Self>() + slots + literals.sum::<usize>() + globs.sum::<usize>()
    }

    /// What every matching path that is in its shortest form begins with: one of these.
    pub fn prefixes(&self) -> Vec<Box<[u8]>> {
        let mut found = Vec::new();
        let mut pending = vec![(self, Vec::new())];
        while let Some((node, above)) = pending.pop() {
            if node.ends || !node.globs.is_empty() {
                found.push(above.into());
                continue;
            }
            let below = |name: &[u8]| [&above, b"/".as_slice(), name].concat();
            pending.extend(node.literals.iter().map(|(name, node)| (node, below(name))));
        }
        found
    }

    pub fn matches(&self, path: &[u8]) -> bool {
        if self.ends {
            return true;
        }
        let Some((component, rest)) = next_component(path) else { return false };
        self.literals.get(component).is_some_and(|node| node.matches(rest))
            || self.globs.iter().any(|(glob, node)| glob.matches(component) && node.matches(rest))
    }
}

/// The first component that is not empty, and what follows it.
fn next_component(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|byte| *byte != b'/')?;
    let path = &path[start..];
    let end = memchr::memchr(b'/', path).unwrap_or(path.len());
    Some(path.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_components() {
        let cases: &[(&[&str], &str, bool)] = &[
            (&["/opt"], "/opt/app", true),
            (&["/opt"], "/opt2", false),
            (&["/opt/"], "/opt", true),
            (&["//opt//app"], "/opt/app/x", true),
            (&["opt"], "/opt", true),
            (&[""], "/anything", true),
            (&["/"], "/", true),
            (&[], "/", false),
            (&["/opt/app/data/file.log/x"], "/opt/app/data/file.log", false),
            (&["/op*/app"], "/opt/app/x", true),
            // Falco's engine loses the first of these when the second is there.
            (&["/op*/app", "/o*/zzz"], "/opt/app/x", true),
            (&["/op*/app", "/o*/zzz"], "/opt/zzz", true),
            (&["/op*/app", "/o*/zzz"], "/opt/other", false),
            (&["**/data"], "/opt/app/data", false),
            (&["/opt/app/../app"], "/opt/app", false),
            (&["/opt/app", "/opt"], "/opt/other", true),
            (&["/opt", "/opt/app"], "/opt/other", true),
        ];
        for (paths, path, expected) in cases {
            let trie = PathTrie::new(paths.iter().map(|path| path.as_bytes()));
            assert_eq!(trie.matches(path.as_bytes()), *expected, "{paths:?} on {path}");
        }
    }
}
