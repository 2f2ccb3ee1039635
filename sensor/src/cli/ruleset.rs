//! Rules files → a ruleset, for every command; what is wrong is said as `rules check` says it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::config::Rules;
use crate::rules::Ruleset;
use crate::rules::load::Loaded;
use crate::rules::options::Options;
use crate::rules::shipped;
use crate::rules::text::File;

/// Loads what the settings name, or the shipped ruleset. Warnings are logged.
pub(super) fn load(rules: &Rules) -> Result<Ruleset> {
    let loaded = read(rules)?;
    for warning in loaded.warnings() {
        tracing::warn!("{}", warning.render(&loaded.files).trim_end());
    }
    let errors: Vec<String> = loaded.errors().map(|error| error.render(&loaded.files)).collect();
    match loaded.ruleset {
        Some(ruleset) => Ok(ruleset),
        None => bail!("the rules cannot be used:\n{}", errors.join("\n")),
    }
}

/// As [`load`], with everything that is to say about the files.
pub(super) fn read(rules: &Rules) -> Result<Loaded> {
    let files = if rules.files.is_empty() { shipped::files() } else { files(&rules.files)? };
    Ok(Ruleset::load(files, &options(rules)))
}

fn options(rules: &Rules) -> Options {
    Options {
        minimum_priority: rules.min_priority,
        matching: rules.matching,
        selections: rules.select.clone(),
        append_output: rules.append_output.clone(),
    }
}

/// Reads rules files; a directory stands for its rules files in the order of their names, and `-`
/// for standard input.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for path in rules_in(path)? {
                files.push(file(&path)?);
            }
        } else {
            files.push(file(path)?);
        }
    }
    Ok(files)
}

/// The rules files of a directory; case files are not rules.
fn rules_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("read directory {}", directory.display());
    let mut paths = Vec::new();
    for entry in directory.read_dir().with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        if is_yaml && !name.contains(".cases.") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        bail!("no rules files (*.yaml) in {}", directory.display());
    }
    paths.sort_unstable();
    Ok(paths)
}

fn file(path: &Path) -> Result<File> {
    let name = path.display().to_string();
    let bytes = if name == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("read standard input")?;
        bytes
    } else {
        std::fs::read(path).with_context(|| format!("read rules file {name}"))?
    };
    let content = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!("read rules file {name}: byte {at} is not UTF-8 text")
    })?;
    // A byte order mark is no part of the text.
    let content = content.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(content);
    Ok(File { name, content })
}
