//! `tests/kernels.tsv`: which hook each program takes on each kernel branch, and what the verifier
//! had to do for it; read, compared with what a guest's `sensor doctor` says, and written anew.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::workspace;

const FILE: &str = "tests/kernels.tsv";
const HEAD: &str = "\
# What `sensor doctor` says on each kernel branch: `cargo xtask vm` compares, `--bless` writes this file.
# A probe that no hook serves is `unsupported`, with the kernel's reason. Instructions are those that the
# verifier went through (kernels before 5.16 do not say); a run fails if they grew by more than 10 %.
# kernel\tprobe\tprogram\thook\tinstructions\treason
";
const GROWTH_PERCENT: u64 = 10;
const UNSUPPORTED: &str = "unsupported";
/// What a column holds that has nothing to say.
const NONE: &str = "-";

/// One program on one kernel, or one probe that has none there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    kernel: String,
    probe: String,
    program: String,
    hook: String,
    instructions: Option<u64>,
    reason: String,
}

impl Row {
    fn is_of(&self, other: &Self) -> bool {
        (&self.kernel, &self.probe, &self.program) == (&other.kernel, &other.probe, &other.program)
    }

    fn parse(line: &str) -> Result<Self> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [kernel, probe, program, hook, instructions, reason] = columns[..] else {
            anyhow::bail!("{FILE}: not six columns: {line}");
        };
        let instructions = match instructions {
            NONE => None,
            number => Some(number.parse().with_context(|| format!("{FILE}: {line}"))?),
        };
        let [kernel, probe, program, hook, reason] =
            [kernel, probe, program, hook, reason].map(str::to_owned);
        Ok(Self { kernel, probe, program, hook, instructions, reason })
    }
}

/// The rows of the file; none if there is no file yet.
pub(crate) fn read() -> Result<Vec<Row>> {
    let path = path();
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    parse(&text)
}

fn path() -> PathBuf {
    workspace::root().join(FILE)
}

fn parse(text: &str) -> Result<Vec<Row>> {
    text.lines().filter(|line| !line.starts_with('#')).map(Row::parse).collect()
}

fn render(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for row in rows {
        let Row { kernel, probe, program, hook, instructions, reason } = row;
        let instructions = instructions.map_or(NONE.to_owned(), |number| number.to_string());
        // Writing to a string cannot fail.
        writeln!(text, "{kernel}\t{probe}\t{program}\t{hook}\t{instructions}\t{reason}").ok();
    }
    text
}

/// Replaces the rows of the kernels in `found`, whose order is that of the test runs.
pub(crate) fn bless(found: &[Row], order: &[&str]) -> Result<()> {
    let mut rows = read()?;
    rows.retain(|row| found.iter().all(|new| new.kernel != row.kernel));
    rows.extend_from_slice(found);
    let rank = |row: &Row| order.iter().position(|kernel| *kernel == row.kernel);
    rows.sort_by_key(|row| rank(row).unwrap_or(usize::MAX));
    let path = path();
    fs::write(&path, render(&rows)).with_context(|| format!("write {}", path.display()))?;
    println!("wrote {} rows to {FILE}", found.len());
    Ok(())
}

/// The branch of a version: `6.12` of `6.12.117+deb13-cloud-amd64`.
pub(crate) fn branch(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// What a guest's report says about the programs of `kernel`, a branch.
pub(crate) fn found(kernel: &str, report: &str) -> Result<Vec<Row>> {
    let doctor = intact(report).context("nothing of `sensor doctor` arrived twice the same")?;
    let doctor: Value =
        serde_json::from_str(&doctor).context("read what `sensor doctor` reported")?;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or(NONE).to_owned();
    let rows = |key: &str| doctor[key].as_array().cloned().unwrap_or_default();
    let programs = rows("programs").into_iter().map(|row| Row {
        kernel: kernel.to_owned(),
        probe: text(&row, "probe"),
        program: text(&row, "program"),
        hook: text(&row, "hook"),
        instructions: row["verified_instructions"].as_u64(),
        reason: NONE.to_owned(),
    });
    let failed = rows("probes").into_iter().filter(|row| row["state"] == "failed");
    let failed = failed.map(|row| Row {
        kernel: kernel.to_owned(),
        probe: text(&row, "probe"),
        program: NONE.to_owned(),
        hook: UNSUPPORTED.to_owned(),
        instructions: None,
        reason: text(&row, "reason").replace(['\t', '\n'], " "),
    });
    let rows: Vec<Row> = programs.chain(failed).collect();
    ensure!(!rows.is_empty(), "`sensor doctor` found no probe: {}", doctor["checks"]);
    Ok(rows)
}

/// What two copies in the report agree on: each begins and ends with a brace on a line of its own.
fn intact(report: &str) -> Option<String> {
    let lines: Vec<&str> = report.lines().map(str::trim_end).collect();
    let begins = lines.iter().enumerate().filter(|(_, line)| **line == "{").map(|(at, _)| at);
    let copy = |from: usize| {
        let len = lines[from..].iter().position(|line| *line == "}")?;
        Some(lines[from..=from + len].join("\n"))
    };
    let copies: Vec<String> = begins.filter_map(copy).collect();
    copies
        .iter()
        .enumerate()
        .find(|(at, one)| copies[..*at].contains(one))
        .map(|(_, one)| one.clone())
}

/// What of `found` is not as the file says, each in a line.
pub(crate) fn differences(kernel: &str, expected: &[Row], found: &[Row]) -> Vec<String> {
    let expected: Vec<&Row> = expected.iter().filter(|row| row.kernel == kernel).collect();
    let name = |row: &Row| format!("{} {} {}", row.kernel, row.probe, row.program);
    let mut lines = Vec::new();
    for row in found {
        match expected.iter().find(|one| one.is_of(row)) {
            None => lines.push(format!("{}: {} is new: {}", name(row), row.hook, row.reason)),
            Some(one) if one.hook != row.hook => {
                lines.push(format!("{}: {}, not {}", name(row), row.hook, one.hook));
            }
            Some(one) => {
                lines.extend(growth(one, row).map(|text| format!("{}: {text}", name(row))));
            }
        }
    }
    let gone = expected.iter().filter(|one| !found.iter().any(|row| row.is_of(one)));
    lines.extend(gone.map(|one| format!("{}: {} is gone", name(one), one.hook)));
    lines
}

fn growth(expected: &Row, found: &Row) -> Option<String> {
    let (before, now) = (expected.instructions?, found.instructions?);
    (now * 100 > before * (100 + GROWTH_PERCENT))
        .then(|| format!("the verifier goes through {now} instructions, it was {before}"))
}

#[cfg(test)]
mod tests {
    use super::{Row, branch, differences, found, parse, render};

    const COPY: &str = r#"{
  "checks": [],
  "probes": [
    {"probe": "exec", "state": "attached", "hook": "tp_btf"},
    {"probe": "oom", "state": "failed", "hook": null, "reason": "tp_btf: refused\tbadly"}
  ],
  "programs": [
    {"probe": "exec", "program": "exec_btf", "hook": "tp_btf", "verified_instructions": 1000}
  ]
}
"#;

    fn report(copies: &[&str]) -> String {
        format!("up\n{}status 0\n", copies.iter().flat_map(|copy| ["\n", copy]).collect::<String>())
    }

    #[test]
    fn what_doctor_says_is_what_the_file_keeps() {
        let rows = found("6.12", &report(&[COPY, COPY])).unwrap();
        let text = render(&rows);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "6.12\texec\texec_btf\ttp_btf\t1000\t-",
                "6.12\toom\t-\tunsupported\t-\ttp_btf: refused badly"
            ]
        );
        assert_eq!(parse(&text).unwrap(), rows);
        let (cut, other) = (&COPY[..COPY.len() / 2], COPY.replace("1000", "1001"));
        for copies in [&[cut, COPY, COPY], &[COPY, cut, COPY], &[COPY, &other, COPY]] {
            assert_eq!(found("6.12", &report(copies)).unwrap(), rows);
        }
        let empty = "{\n}\n";
        for broken in [&[] as &[&str], &[COPY], &[COPY, cut], &[COPY, &other], &[empty, empty]] {
            assert!(found("6.12", &report(broken)).is_err(), "{broken:?}");
        }
        assert_eq!(branch("6.12.117+deb13-cloud-amd64"), "6.12");
    }

    #[test]
    fn differences_are_named() {
        let expected = found("6.12", &report(&[COPY, COPY])).unwrap();
        let changed = |change: &dyn Fn(&mut Row)| {
            let mut rows = expected.clone();
            rows.iter_mut().for_each(change);
            differences("6.12", &expected, &rows)
        };
        assert_eq!(changed(&|_| {}), Vec::<String>::new());
        // The reason is for people: verifiers word it differently from one release to the next.
        assert_eq!(changed(&|row| row.reason = "other".into()), Vec::<String>::new());
        let grown =
            |number| changed(&move |row| row.instructions = row.instructions.map(|_| number));
        assert_eq!(grown(1100), Vec::<String>::new());
        assert_eq!(grown(500), Vec::<String>::new());
        assert!(grown(1101)[0].contains("1101 instructions, it was 1000"));
        assert_eq!(changed(&|row| row.hook = "raw_tp".into()).len(), 2);
        let renamed = changed(&|row| row.program.push('2'));
        assert!(renamed.iter().any(|line| line.contains("is new")), "{renamed:?}");
        assert!(renamed.iter().any(|line| line.contains("is gone")), "{renamed:?}");
        assert_eq!(differences("6.1", &expected, &[]), Vec::<String>::new());
    }
}
