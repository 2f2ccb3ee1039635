//! Where things are: the workspace, the target directory, the built sensor.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub(crate) fn root() -> &'static Path {
    // xtask is a directory of the workspace that it was compiled in.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// The directory that cargo builds into: this program is in `TARGET/debug`.
pub(crate) fn target() -> Result<PathBuf> {
    let program = env::current_exe().context("find this program's own path")?;
    let target = program.ancestors().nth(2).context("find the target directory")?;
    Ok(target.to_owned())
}

/// The sensor that cargo built with `profile` (`debug` or `release`).
pub(crate) fn sensor(profile: &str) -> Result<PathBuf> {
    Ok(target()?.join(profile).join("sensor"))
}
