//! `docs/benchmarks.md`: a part of a measurement replaces its own sections, and the others stay.

use std::fs;

use anyhow::{Context as _, Result};

use super::report::{INTRODUCTION, Setting};
use crate::workspace;

const FILE: &str = "docs/benchmarks.md";
/// How a section begins.
const TITLE: &str = "## ";

/// The sections of a part, each with how it was measured.
pub(super) fn with_setting(part: &str, setting: &Setting) -> String {
    let measured = |section: &str| {
        let (title, body) = section.split_once('\n').unwrap_or((section, ""));
        if body.contains("Measured by `") {
            return section.to_owned();
        }
        format!("{title}\n\n{setting}.\n\n{}", body.trim_start_matches('\n'))
    };
    sections(part).map(measured).collect()
}

/// Writes sections into the page; a whole page has nothing else.
pub(super) fn write(part: &str, is_whole: bool) -> Result<()> {
    let path = workspace::root().join(FILE);
    let old = if is_whole { String::new() } else { fs::read_to_string(&path).unwrap_or_default() };
    fs::write(&path, merged(&old, part)).with_context(|| format!("write {}", path.display()))?;
    println!("{FILE} is written");
    Ok(())
}

/// The page with these sections instead of its own of the same titles, or after them.
fn merged(page: &str, part: &str) -> String {
    let title = |section: &str| section.lines().next().unwrap_or_default().to_owned();
    let mut all: Vec<String> = sections(page).map(str::to_owned).collect();
    for section in sections(part) {
        match all.iter_mut().find(|known| title(known) == title(section)) {
            Some(known) => section.clone_into(known),
            None => all.push(section.to_owned()),
        }
    }
    let mut merged = INTRODUCTION.to_owned();
    for section in &all {
        merged.push('\n');
        merged.push_str(section.trim_end());
        merged.push('\n');
    }
    merged
}

/// From title to title; what stands before the first is none.
fn sections(page: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = page
        .match_indices(TITLE)
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || page[..*at].ends_with('\n'))
        .collect();
    let ends = starts.clone().into_iter().skip(1).chain([page.len()]);
    starts.into_iter().zip(ends).map(|(start, end)| &page[start..end])
}

#[cfg(test)]
mod tests {
    use super::{INTRODUCTION, Setting, merged, with_setting};

    #[test]
    fn sections_are_replaced_or_added() {
        let old = "# Of old\n\n## One\n\nold ## text\n\n## Two\n\nkept\n";
        let page = merged(old, "\n## One\n\nnew\n\n## Three\n\nadded\n");
        let expected = "## One\n\nnew\n\n## Two\n\nkept\n\n## Three\n\nadded\n";
        assert_eq!(page, format!("{INTRODUCTION}\n{expected}"));
        assert_eq!(merged(&page, "## Two\n\nkept\n"), page);
        assert_eq!(merged("", "## One\n\nnew\n"), format!("{INTRODUCTION}\n## One\n\nnew\n"));
    }

    #[test]
    fn each_section_says_how_it_was_measured() {
        let setting = Setting {
            command: "x".into(),
            kernel: "6".into(),
            processor: "p".into(),
            processors: 2,
            rounds: 9,
        };
        let said = "Measured by `x`: p, 2 processors, kernel 6, 9 rounds";
        let part = "\n## One\n\na\n\n## Two\n\nMeasured by `y`.\n";
        let expected = format!("## One\n\n{said}.\n\na\n\n## Two\n\nMeasured by `y`.\n");
        assert_eq!(with_setting(part, &setting), expected);
    }
}
