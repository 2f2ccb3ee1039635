//! What `sensor doctor` says of the engines that know what containers are called.

use anyhow::Result;

use crate::cli::doctor::Check;
use crate::cli::lookup::{self, LookupArgs};
use crate::metadata::places::Places;
use crate::metadata::socket::{Report, State};
use crate::metadata::sockets::Sockets;

/// Asks each socket once; those that are nowhere are no lack, but where somebody says that there is one.
pub(super) fn checks(arguments: &LookupArgs) -> Result<Vec<Check>> {
    let settings = arguments.settings()?;
    let sockets =
        Sockets::new(&settings.host, &settings.places, settings.limits, settings.kubernetes);
    let sockets = std::sync::Arc::new(sockets);
    lookup::runtime()?.block_on(sockets.examine());
    Ok(of_reports(&sockets.report(), &Places::usual()))
}

fn of_reports(reports: &[Report], usual: &Places) -> Vec<Check> {
    let mut checks: Vec<Check> = reports.iter().filter_map(|report| of(report, usual)).collect();
    if checks.is_empty() {
        checks.push(Check {
            name: "runtime socket",
            ok: true,
            detail: "none is there: what containers are called, files alone say".to_owned(),
            fix: None,
        });
    }
    checks
}

fn of(report: &Report, usual: &Places) -> Option<Check> {
    let Report { kind, path, .. } = report;
    let (detail, fix) = match report.state {
        State::Up => (format!("{kind} at {path} answers"), None),
        State::Absent if usual.sockets().any(|known| known == path) => return None,
        // Of a user whose engine does not run.
        State::Absent if path.starts_with("/run/user/") => return None,
        State::Absent => {
            let fix = "start the engine that listens there, or correct `containers.sources`";
            (format!("{kind}: there is no {path}"), Some(fix))
        }
        State::Untried | State::BackingOff { .. } => {
            let error = report.last_error.as_deref().unwrap_or("it was not asked");
            (format!("{kind} at {path} does not answer: {error}"), Some(fix(report)))
        }
    };
    let fix = fix.map(str::to_owned);
    Some(Check { name: "runtime socket", ok: fix.is_none(), detail, fix })
}

/// What to do about a socket that does not answer.
fn fix(report: &Report) -> &'static str {
    let failed = report.failures.iter().find(|(_, count)| *count > 0);
    match failed.map_or("", |(reason, _)| *reason) {
        _ if report.kind == "kubernetes" => {
            "look at `containers.kubernetes`, its token and its certificate, and whether the account may \
             list and watch pods"
        }
        "connect" => {
            "start the engine that listens there, or run this as a user who may connect to it; remove a \
             socket that an engine has left behind"
        }
        "timeout" | "cut" => {
            "look at the engine's own log: it hangs or ends; until it answers, files alone say what its \
             containers are called"
        }
        _ => "look whether it is a socket of that engine, and at the engine's own log",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::of_reports;
    use crate::metadata::places::Places;
    use crate::metadata::socket::{Report, State};

    fn report(kind: &'static str, path: &str, state: State, failed: &'static str) -> Report {
        Report {
            kind,
            path: path.to_owned(),
            state,
            last_error: (!failed.is_empty()).then(|| "what happened".to_owned()),
            questions: 1,
            answers: 0,
            unknown: 0,
            failures: vec![("lie", 0), (failed, u64::from(!failed.is_empty()))],
        }
    }

    /// What is said of one, and the first word of the fix.
    fn said(reports: &[Report]) -> Vec<(String, String)> {
        let checks = of_reports(reports, &Places::usual());
        let first = |fix: String| fix.split(' ').next().unwrap_or_default().to_owned();
        let one = |check: super::Check| {
            assert_eq!(check.ok, check.fix.is_none());
            (check.detail, check.fix.map(first).unwrap_or_default())
        };
        checks.into_iter().map(one).collect()
    }

    #[test]
    fn each_socket_is_said_to_answer_or_what_to_do() {
        let down = State::BackingOff { until: Instant::now() };
        for (kind, path, state, failed, expected) in [
            (
                "docker",
                "/run/docker.sock",
                State::Up,
                "",
                Some(("docker at /run/docker.sock answers", "")),
            ),
            ("docker", "/run/docker.sock", State::Absent, "", None),
            ("podman", "/run/user/7/podman/podman.sock", State::Absent, "", None),
            ("docker", "/x", State::Absent, "", Some(("docker: there is no /x", "start"))),
            (
                "cri",
                "/x",
                down,
                "connect",
                Some(("cri at /x does not answer: what happened", "start")),
            ),
            (
                "cri",
                "/x",
                down,
                "timeout",
                Some(("cri at /x does not answer: what happened", "look")),
            ),
            (
                "cri",
                "/x",
                down,
                "malformed",
                Some(("cri at /x does not answer: what happened", "look")),
            ),
            (
                "kubernetes",
                "https://a",
                State::Up,
                "",
                Some(("kubernetes at https://a answers", "")),
            ),
            (
                "kubernetes",
                "https://a",
                down,
                "connect",
                Some(("kubernetes at https://a does not answer: what happened", "look")),
            ),
        ] {
            let nothing = "none is there: what containers are called, files alone say";
            let (detail, fix) = expected.unwrap_or((nothing, ""));
            let found = said(&[report(kind, path, state, failed)]);
            assert_eq!(found, [(detail.to_owned(), fix.to_owned())], "{kind} {path}");
        }
    }
}
