//! Rules files → a ruleset, for `run` and `replay`; what is wrong is said as `rules check` says it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::rules::Ruleset;
use crate::rules::options::Options;
use crate::rules::shipped;
use crate::rules::text::File;

/// Loads files and directories, or the shipped ruleset when there are none. Warnings are logged.
pub(super) fn load(paths: &[PathBuf]) -> Result<Ruleset> {
    let files = if paths.is_empty() { shipped::files() } else { read_all(paths)? };
    let loaded = Ruleset::load(files, &Options::default());
    for warning in loaded.warnings() {
        tracing::warn!("{}", warning.render(&loaded.files).trim_end());
    }
    let errors: Vec<String> = loaded.errors().map(|error| error.render(&loaded.files)).collect();
    match loaded.ruleset {
        Some(ruleset) => Ok(ruleset),
        None => bail!("the rules cannot be used:\n{}", errors.join("\n")),
    }
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for path in rules_in(path)? {
                files.push(read(&path)?);
            }
        } else {
            files.push(read(path)?);
        }
    }
    Ok(files)
}

/// The rules files of a directory in the order of their names; case files are not rules.
fn rules_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    let is_rules = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        (name.ends_with(".yaml") || name.ends_with(".yml")) && !name.contains(".cases.")
    };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_rules).collect();
    paths.sort();
    if paths.is_empty() {
        bail!("no rules files (*.yaml) in {}", directory.display());
    }
    Ok(paths)
}

fn read(path: &Path) -> Result<File> {
    let content = std::fs::read_to_string(path)
        .with_context(|| format!("read rules file {}", path.display()))?;
    Ok(File { name: path.display().to_string(), content })
}
