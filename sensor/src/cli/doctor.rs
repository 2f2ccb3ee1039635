//! `sensor doctor`: what this kernel and host support, and the fix for what is missing.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use sensor_common::Kind;
use serde::Serialize;

use crate::attribution::cgroup::Hierarchy;
use crate::cli::rules::RulesetArgs;
use crate::cli::source::SourceArgs;
use crate::cli::{engines, pushdown};
use crate::probe::attach::{Outcome, State, attach};
use crate::probe::load::Settings;
use crate::probe::prototype::PROTOTYPES;
use crate::probe::table::PROBES;
use crate::probe::verified::{Verified, programs};
use crate::probe::wanted::Wanted;
use crate::probe::{self, kernel};

/// Runs the command; the exit code says whether all is well.
pub(super) fn doctor(source: &SourceArgs, rules: &RulesetArgs, json: bool) -> Result<ExitCode> {
    let ruleset = match rules.load_valid()? {
        Ok(ruleset) => ruleset,
        Err(code) => return Ok(code),
    };
    let mut report = examine(source.settings(None, &Wanted::default()));
    report.checks.extend(engines::checks(&source.lookup)?);
    report.leaves_the_kernel = pushdown::rows(&ruleset);
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print(&report, &mut out)?;
    }
    Ok(if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `docs/probes.md`, from the probe table.
pub(super) fn reference() -> String {
    let mut text = String::from(
        "# Probes\n\nWhat is observed, and the ways to hook it, best first. `sensor doctor` says which way this\n\
         kernel takes.\n\n| Probe | Hook | Programs |\n|---|---|---|\n",
    );
    for (probe, way) in
        PROBES.iter().flat_map(|probe| probe.ways.iter().map(move |way| (probe, way)))
    {
        let programs: Vec<_> = way.programs.iter().map(|program| program.name).collect();
        let row = [probe.name, "` | `", way.hook, "` | ", &programs.join(", ")].concat();
        text.extend(["| `", &row, " |\n"]);
    }
    text.push_str(
        "\n## What they take for granted\n\nThe C prototypes of the kernel's own functions and tracepoints, in 5.10 and in \
         7.2. A test compares\nthem with every kernel that is tested.\n\n| Oldest | Newest, if it differs |\n|---|---|\n",
    );
    for prototype in PROTOTYPES {
        let newest = match prototype.newest {
            newest if newest == prototype.oldest => String::new(),
            newest => format!("`{newest}`"),
        };
        let oldest = match prototype.oldest {
            "" => "not there".to_owned(),
            oldest => format!("`{oldest}`"),
        };
        text.extend(["| ", &oldest, " | ", &newest, " |\n"]);
    }
    text
}

/// One thing that the sensor needs or would like.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) ok: bool,
    pub(super) detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

/// One probe of the table.
#[derive(Debug, Serialize)]
struct ProbeRow {
    probe: &'static str,
    state: &'static str,
    hook: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// One program that an attached probe uses.
#[derive(Debug, Serialize)]
struct ProgramRow {
    probe: &'static str,
    program: &'static str,
    hook: &'static str,
    /// Instructions that the verifier went through; `null` before kernel 5.16, which does not say.
    verified_instructions: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Report {
    checks: Vec<Check>,
    probes: Vec<ProbeRow>,
    programs: Vec<ProgramRow>,
    /// Of the events that the rules are about.
    leaves_the_kernel: Vec<pushdown::Row>,
}

impl Report {
    fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
            && !self.probes.is_empty()
            && self.probes.iter().all(|probe| probe.state == "attached")
    }
}

/// Looks at the host, and attaches every probe for a moment, with a scope that nothing is in.
fn examine(mut settings: Settings) -> Report {
    let mut checks = vec![kernel_check(), btf_check(), privilege_check(), cgroup_check()];
    settings.config.scope_cgroup_id = u64::MAX;
    settings.wanted = Wanted::of(Kind::KERNEL.iter().copied());
    settings.wanted.run_queue = true;
    let (probes, programs) = match attach(&settings) {
        Ok(probes) => (probes.outcomes.iter().map(row).collect(), program_rows(programs(&probes))),
        Err(error) => {
            checks.push(load_check(&error));
            (Vec::new(), Vec::new())
        }
    };
    Report { checks, probes, programs, leaves_the_kernel: Vec::new() }
}

fn program_rows(programs: Vec<Verified>) -> Vec<ProgramRow> {
    let row = |program: Verified| ProgramRow {
        probe: program.probe,
        program: program.program,
        hook: program.hook,
        verified_instructions: program.instructions,
    };
    programs.into_iter().map(row).collect()
}

fn row(outcome: &Outcome) -> ProbeRow {
    let (state, hook, reason) = match &outcome.state {
        State::Attached(hook) => ("attached", Some(*hook), None),
        State::Off => ("off", None, None),
        State::Failed(reason) => ("failed", None, Some(reason.clone())),
    };
    ProbeRow { probe: outcome.probe, state, hook, reason }
}

fn kernel_check() -> Check {
    let release = kernel::release();
    let ok = kernel::version(&release).is_none_or(|version| version >= kernel::OLDEST);
    let (major, minor) = kernel::OLDEST;
    let fix = (!ok).then(|| format!("boot a kernel of version {major}.{minor} or newer"));
    Check { name: "kernel", ok, detail: release, fix }
}

fn btf_check() -> Check {
    let ok = kernel::has_btf();
    let fix = (!ok).then(|| {
        "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distribution kernels are".into()
    });
    let detail = if ok { kernel::BTF_PATH.into() } else { format!("no {}", kernel::BTF_PATH) };
    Check { name: "type information (BTF)", ok, detail, fix }
}

fn privilege_check() -> Check {
    let root = rustix::process::geteuid().is_root();
    let detail = if root { "root" } else { "not root" };
    let fix = (!root).then(|| {
        "run it with sudo, or give it CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE, CAP_SYS_PTRACE and \
         CAP_DAC_READ_SEARCH"
            .into()
    });
    Check { name: "privileges", ok: root, detail: detail.into(), fix }
}

fn cgroup_check() -> Check {
    match Hierarchy::find() {
        Ok(Some(hierarchy)) => Check {
            name: "control groups",
            ok: true,
            detail: match hierarchy.legacy() {
                None => format!("cgroup2 at {}", hierarchy.point().display()),
                Some(legacy) => format!(
                    "no cgroup2, so v1 of {} at {}",
                    legacy.controller.name(),
                    hierarchy.point().display()
                ),
            },
            fix: None,
        },
        other => Check {
            name: "control groups",
            ok: false,
            detail: other
                .err()
                .map_or("no cgroup hierarchy is mounted".into(), |error| error.to_string()),
            fix: Some(
                "mount -t cgroup2 none /sys/fs/cgroup: containers are told apart by it".into(),
            ),
        },
    }
}

fn load_check(error: &probe::Error) -> Check {
    Check { name: "eBPF programs", ok: false, detail: error.to_string(), fix: load_fix(error) }
}

/// What to do about programs that are not loaded, where the error does not say so itself.
fn load_fix(error: &probe::Error) -> Option<String> {
    use probe::Error::{Io, Kernel, Load, Memlock, NoBtf, NoObject, Nothing, Permission};
    let fix = match error {
        // Root that is refused is not told so by `run it with sudo`.
        Permission => {
            "in a container, give it these capabilities, and a seccomp profile that lets bpf(2) \
             through; root of a user namespace cannot have them: run it outside of that"
        }
        Memlock(_) | NoBtf | NoObject => return None,
        Kernel(_) => "boot a kernel of 5.10 or newer",
        Load(_) | Io(..) => {
            "free memory or raise the memory limit of the service if it says so; else run \
             `sensor --log debug doctor` and report what it prints as a bug"
        }
        Nothing(_) => {
            "look for a security policy that forbids bpf(2): `dmesg`, seccomp of the container, \
             kernel.lockdown; else run `sensor --log debug doctor` and report what it prints as a bug"
        }
    };
    Some(fix.to_owned())
}

/// The report as a person reads it.
fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for check in &report.checks {
        let mark = if check.ok { "ok  " } else { "FAIL" };
        writeln!(out, "{mark}  {:<23} {}", check.name, check.detail)?;
        if let Some(fix) = &check.fix {
            writeln!(out, "      fix: {fix}")?;
        }
    }
    if report.probes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{:<16} {:<9} HOOK", "PROBE", "STATE")?;
    for probe in &report.probes {
        writeln!(out, "{:<16} {:<9} {}", probe.probe, probe.state, probe.hook.unwrap_or("-"))?;
        if let Some(reason) = &probe.reason {
            writeln!(out, "                 {reason}")?;
        }
    }
    writeln!(out, "\nRULES  LEAVES   EVENTS: THE RULE THAT LETS THE MOST THROUGH")?;
    for row in &report.leaves_the_kernel {
        writeln!(out, "{row}")?;
    }
    writeln!(out, "A guess by what the rules ask for; `sensor rules explain` shows that.")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::load_check;
    use crate::probe::Error;

    #[test]
    fn whoever_sees_a_failed_load_is_told_what_to_do() {
        for error in [
            Error::Permission,
            Error::Memlock(65536),
            Error::NoBtf,
            Error::NoObject,
            Error::Kernel("4.19".into()),
            Error::Load("map create: no space".into()),
            Error::Nothing("refused".into()),
            Error::Io("map the ring".into(), std::io::ErrorKind::OutOfMemory.into()),
        ] {
            let check = load_check(&error);
            // In the error itself, or below it.
            let says =
                [": run it with sudo", ", or start it with", "it needs CONFIG_", "build it again"];
            let said = says.iter().any(|part| check.detail.contains(part));
            assert!(said || check.fix.is_some(), "{}: {:?}", check.detail, check.fix);
        }
    }
}
