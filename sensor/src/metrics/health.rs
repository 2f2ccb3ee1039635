//! Whether the sensor lives, and whether it detects.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metadata::socket::{self, Report};

/// What must hold for the sensor to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The programs are attached to the kernel.
    Attached,
    /// The ring is read.
    Draining,
    RulesLoaded,
    /// The sensor's own marker exec came through the whole pipeline.
    CanarySeen,
}

impl Condition {
    pub const ALL: [Self; 4] =
        [Self::Attached, Self::Draining, Self::RulesLoaded, Self::CanarySeen];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Draining => "draining",
            Self::RulesLoaded => "rules_loaded",
            Self::CanarySeen => "canary_seen",
        }
    }
}

#[derive(Clone, Debug)]
enum State {
    Pending,
    Holds,
    /// It must be confirmed again before this time.
    HoldsUntil(Instant),
    Fails(String),
}

/// The conditions. Stages tell, `/readyz` asks.
#[derive(Debug)]
pub struct Health {
    // The pipeline writes a few times a second, requests read; neither holds it for long.
    states: Mutex<[State; Condition::ALL.len()]>,
}

impl Default for Health {
    fn default() -> Self {
        Self { states: Mutex::new(std::array::from_fn(|_| State::Pending)) }
    }
}

impl Health {
    /// The condition holds from now on.
    pub fn holds(&self, condition: Condition) {
        self.set(condition, State::Holds);
    }

    /// The condition holds until `duration` has passed without this being said again.
    pub fn holds_for(&self, condition: Condition, duration: Duration) {
        self.set(condition, State::HoldsUntil(Instant::now() + duration));
    }

    /// The condition does not hold; `why` is what `/readyz?verbose` shows.
    pub fn fails(&self, condition: Condition, why: impl Into<String>) {
        self.set(condition, State::Fails(why.into()));
    }

    fn set(&self, condition: Condition, state: State) {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)[condition as usize] = state;
    }

    /// Each condition, and why it does not hold.
    pub fn report(&self, now: Instant) -> Vec<(Condition, Result<(), String>)> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Condition::ALL
            .into_iter()
            .map(|condition| (condition, verdict(&states[condition as usize], now)))
            .collect()
    }

    /// Whether the loop that reads the ring still turns. A sensor that only starts is alive.
    pub fn alive(&self, now: Instant) -> bool {
        /// Slower than this is stuck and not busy.
        const STUCK_AFTER: Duration = Duration::from_secs(30);
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        match states[Condition::Draining as usize] {
            State::HoldsUntil(until) => now <= until + STUCK_AFTER,
            State::Pending | State::Holds | State::Fails(_) => true,
        }
    }
}

fn verdict(state: &State, now: Instant) -> Result<(), String> {
    match state {
        State::Pending => Err("not yet".to_owned()),
        State::Holds => Ok(()),
        State::HoldsUntil(until) if now <= *until => Ok(()),
        State::HoldsUntil(until) => {
            Err(format!("overdue for {} s", now.duration_since(*until).as_secs()))
        }
        State::Fails(why) => Err(why.clone()),
    }
}

/// The report as text, in the form of Kubernetes' own `readyz?verbose`.
pub fn verbose(report: &[(Condition, Result<(), String>)]) -> String {
    let mut text = String::new();
    for (condition, verdict) in report {
        // Writing to a string cannot fail.
        let _written = match verdict {
            Ok(()) => writeln!(text, "[+]{} ok", condition.name()),
            Err(why) => writeln!(text, "[-]{} failed: {why}", condition.name()),
        };
    }
    text
}

/// Who is asked about containers, as text; a runtime that is down makes nobody unready.
pub fn sockets(reports: &[Report], now: Instant) -> String {
    let mut text = String::new();
    let mut silent: [(&str, Vec<&str>); 2] = [("not there", vec![]), ("not asked yet", vec![])];
    for report in reports {
        let (mark, state) = match report.state {
            socket::State::Absent => {
                silent[0].1.push(&report.path);
                continue;
            }
            socket::State::Untried => {
                silent[1].1.push(&report.path);
                continue;
            }
            socket::State::Up => ('+', "up".to_owned()),
            socket::State::BackingOff { until } => {
                let left = until.saturating_duration_since(now).as_secs_f64();
                ('!', format!("left alone for {left:.1} s"))
            }
        };
        let failures = report.failures.iter().filter(|(_, count)| *count > 0);
        let failures: Vec<_> =
            failures.map(|(reason, count)| format!(", {count} failed ({reason})")).collect();
        let last = report.last_error.as_ref().map(|error| format!("; last failure: {error}"));
        // Writing to a string cannot fail.
        let _written = writeln!(
            text,
            "[{mark}]{} {} {state}: {} questions, {} answers, {} unknown{}{}",
            report.kind,
            report.path,
            report.questions,
            report.answers,
            report.unknown,
            failures.concat(),
            last.unwrap_or_default(),
        );
    }
    for (state, paths) in silent.into_iter().filter(|(_, paths)| !paths.is_empty()) {
        let _written = writeln!(text, "[ ]sockets {state}: {}", paths.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_say_how_they_are() {
        let now = Instant::now();
        let report = |path: &str, state| Report {
            kind: "docker",
            path: path.to_owned(),
            state,
            last_error: None,
            questions: 4,
            answers: 3,
            unknown: 1,
            failures: vec![("timeout", 0), ("lie", 0)],
        };
        let down = Report {
            last_error: Some("no answer in time".to_owned()),
            failures: vec![("timeout", 2), ("lie", 1)],
            ..report("/b", socket::State::BackingOff { until: now + Duration::from_millis(1500) })
        };
        let reports = [
            report("/a", socket::State::Up),
            down,
            report("/c", socket::State::Absent),
            report("/d", socket::State::Absent),
            report("/e", socket::State::Untried),
        ];
        let expected = "\
            [+]docker /a up: 4 questions, 3 answers, 1 unknown\n\
            [!]docker /b left alone for 1.5 s: 4 questions, 3 answers, 1 unknown, 2 failed (timeout), \
            1 failed (lie); last failure: no answer in time\n\
            [ ]sockets not there: /c, /d\n\
            [ ]sockets not asked yet: /e\n";
        assert_eq!(sockets(&reports, now), expected);
    }

    #[test]
    fn conditions_hold_fail_and_expire() {
        let health = Health::default();
        health.holds(Condition::Attached);
        health.holds_for(Condition::Draining, Duration::from_secs(5));
        health.fails(Condition::RulesLoaded, "no rule is enabled");
        let now = Instant::now();
        assert_eq!(
            verbose(&health.report(now)),
            "[+]attached ok\n[+]draining ok\n[-]rules_loaded failed: no rule is enabled\n[-]canary_seen failed: not yet\n"
        );
        let later = now + Duration::from_secs(20);
        let report = health.report(later);
        assert!(report[0].1.is_ok());
        assert!(report[1].1.as_ref().is_err_and(|why| why.starts_with("overdue for 1")));
    }

    #[test]
    fn a_stuck_loop_is_dead_and_a_starting_one_is_not() {
        let health = Health::default();
        let now = Instant::now();
        assert!(health.alive(now + Duration::from_hours(1)));
        health.holds_for(Condition::Draining, Duration::from_secs(5));
        assert!(health.alive(now + Duration::from_secs(30)));
        assert!(!health.alive(now + Duration::from_mins(1)));
    }
}
