//! The ruleset that the binary carries, from `rules/`.

use crate::rules::text::File;

/// Name and content of each file, in the order of loading.
const FILES: &[(&str, &str)] = &[];

/// The shipped files, as if read from `rules/`.
pub fn files() -> Vec<File> {
    FILES
        .iter()
        .map(|(name, content)| File { name: (*name).to_owned(), content: (*content).to_owned() })
        .collect()
}
