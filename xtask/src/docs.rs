//! `cargo xtask docs`: the reference under `docs/`, which `sensor docs` writes from its own tables.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{command, setup, test, workspace};

pub(crate) fn docs(check: bool) -> Result<()> {
    setup::build()?;
    command::run(test::build().args(["--quiet", "--bins"]))?;
    let fresh = tempfile::tempdir().context("create a temporary directory")?;
    command::capture(Command::new(workspace::sensor("debug")?).arg("docs").arg(fresh.path()))?;
    let written = fs::read_dir(fresh.path()).context("list what `sensor docs` wrote")?.count();
    ensure!(written > 0, "`sensor docs` wrote nothing");
    let docs = workspace::root().join("docs");
    let stale = differing(fresh.path(), &docs)?;
    if check {
        let names = stale.join(", ");
        ensure!(stale.is_empty(), "docs/ is out of step: run `cargo xtask docs` for {names}");
        return Ok(());
    }
    fs::create_dir_all(&docs).with_context(|| format!("create {}", docs.display()))?;
    for name in &stale {
        fs::copy(fresh.path().join(name), docs.join(name))
            .with_context(|| format!("write docs/{name}"))?;
        println!("docs/{name}");
    }
    Ok(())
}

/// The names of the files in `fresh` that `kept` lacks or has with other content.
fn differing(fresh: &Path, kept: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(fresh).with_context(|| format!("list {}", fresh.display()))? {
        let entry = entry.with_context(|| format!("list {}", fresh.display()))?;
        let content =
            fs::read(entry.path()).with_context(|| format!("read {}", entry.path().display()))?;
        if fs::read(kept.join(entry.file_name())).ok() != Some(content) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::differing;
    use std::fs;

    #[test]
    fn missing_and_changed_files_differ() {
        let (fresh, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, new, old) in
            [("same", "a", Some("a")), ("changed", "a", Some("b")), ("added", "a", None)]
        {
            fs::write(fresh.path().join(name), new).unwrap();
            if let Some(old) = old {
                fs::write(kept.path().join(name), old).unwrap();
            }
        }
        assert_eq!(differing(fresh.path(), kept.path()).unwrap(), ["added", "changed"]);
    }
}
