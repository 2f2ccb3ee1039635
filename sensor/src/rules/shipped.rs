//! The ruleset that the binary carries, from `rules/`.

use crate::rules::text::File;

/// Name and content of each file, in the order of loading.
const FILES: &[(&str, &str)] = &[
    ("common.yaml", include_str!("../../../rules/common.yaml")),
    ("execution.yaml", include_str!("../../../rules/execution.yaml")),
    ("credential_access.yaml", include_str!("../../../rules/credential_access.yaml")),
    ("persistence.yaml", include_str!("../../../rules/persistence.yaml")),
    ("command_and_control.yaml", include_str!("../../../rules/command_and_control.yaml")),
    ("impact.yaml", include_str!("../../../rules/impact.yaml")),
];

/// The shipped files, as if read from `rules/`.
pub fn files() -> Vec<File> {
    FILES
        .iter()
        .map(|(name, content)| File { name: (*name).to_owned(), content: (*content).to_owned() })
        .collect()
}
