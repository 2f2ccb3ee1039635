//! What tests share: where the workspace is.

use std::path::{Path, PathBuf};

/// The workspace's directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
