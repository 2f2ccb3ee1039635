//! The life of incidents, told as tables.

use super::*;
use crate::alert::tests::sample;

/// Seconds from the start; wall time begins at 1000 s after the epoch.
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn at(&self, second: u64) -> Moment {
        let second_wall = i64::try_from(second).unwrap() + 1000;
        Moment {
            instant: self.0 + Duration::from_secs(second),
            wall: Timestamp::from_second(second_wall).unwrap(),
        }
    }

    fn second(&self, instant: Instant) -> u64 {
        instant.duration_since(self.0).as_secs()
    }
}

/// Batches wait 1 s, resend every 60 s, resolved after 300 s, at most 3.
pub(crate) fn settings() -> Incidents {
    Incidents { max: 3, ..Incidents::default() }
}

pub(crate) fn alert(rule: &str, second: i64) -> Arc<Alert> {
    Arc::new(sample(rule, "api", second))
}

fn rules(postings: &[Posting]) -> Vec<String> {
    postings.iter().map(|posting| posting.key.rule.to_string()).collect()
}

/// Tells endpoint 0 whatever is due, and says what that was: rule, count, and whether it lasts.
fn tell(table: &mut Table, now: Moment) -> Vec<(String, u64, bool)> {
    table.settle(now);
    let due = table.due(0, 10, now);
    table.told(0, &due, now);
    due.iter()
        .map(|posting| {
            let lasts = posting.ends > now.wall;
            (posting.key.rule.to_string(), posting.incident.count, lasts)
        })
        .collect()
}

#[test]
fn an_incident_begins_lasts_and_ends() {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 1);
    let mut told = Vec::new();
    for second in 0..1000 {
        let now = clock.at(second);
        // Three alerts in the first minute, one more at 200.
        if [0, 10, 20, 200].contains(&second) {
            table.observe(alert("a", i64::try_from(second).unwrap()), now);
        }
        told.extend(
            tell(&mut table, now).into_iter().map(|(_, count, lasts)| (second, count, lasts)),
        );
    }
    assert_eq!(
        told,
        [
            (1, 1, true),
            (61, 3, true),
            (121, 3, true),
            (181, 3, true),
            (241, 4, true),
            (301, 4, true),
            (361, 4, true),
            (421, 4, true),
            (481, 4, true),
            // 300 s after the last one it ended; the end, too, waits a second for others.
            (501, 4, false),
        ]
    );
    assert_eq!(table.len(), 0);
}

#[test]
fn times_and_counts_are_the_alerts() {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 1);
    // Events come in no strict order of time.
    for second in [7, 5, 9] {
        table.observe(alert("a", second), clock.at(0));
    }
    let due = table.due(0, 10, clock.at(2));
    let incident = &due[0].incident;
    assert_eq!(
        (incident.count, incident.first_ns, incident.last_ns),
        (3, 5_000_000_000, 9_000_000_000)
    );
    assert_eq!(due[0].ends.as_second(), 1002 + 300);
}

#[test]
fn critical_ones_do_not_wait_and_come_first() {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 1);
    table.observe(alert("warning", 1), clock.at(0));
    let mut critical = sample("critical", "api", 1);
    critical.priority = Priority::Critical;
    table.observe(Arc::new(critical), clock.at(0));
    assert_eq!(rules(&table.due(0, 10, clock.at(0))), ["critical"]);
    assert_eq!(rules(&table.due(0, 10, clock.at(1))), ["critical", "warning"]);
    assert_eq!(rules(&table.due(0, 1, clock.at(1))), ["critical"]);
}

#[test]
fn containers_and_priorities_are_different_incidents_and_pids_are_not() {
    let clock = Clock::start();
    let mut table = Table::new(Incidents { max: 100, ..settings() }, 1);
    for (container, priority, pid) in [
        ("a", Priority::Error, 1),
        ("a", Priority::Error, 2),
        ("b", Priority::Error, 1),
        ("a", Priority::Notice, 1),
    ] {
        let mut alert = sample("r", container, 1);
        alert.priority = priority;
        alert.output_fields.insert("proc.pid".to_owned(), pid.into());
        table.observe(Arc::new(alert), clock.at(0));
    }
    assert_eq!(table.len(), 3);
}

#[test]
fn an_end_that_was_not_told_yet_becomes_a_new_beginning() {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 1);
    table.observe(alert("a", 0), clock.at(0));
    assert_eq!(tell(&mut table, clock.at(1)), [("a".to_owned(), 1, true)]);
    table.settle(clock.at(300));
    table.observe(alert("a", 300), clock.at(300));
    let due = table.due(0, 10, clock.at(301));
    let incident = &due[0].incident;
    assert_eq!((incident.count, incident.first_ns), (1, 300_000_000_000));
    assert!(incident.resolved.is_none() && due[0].ends > clock.at(301).wall);
}

#[test]
fn an_endpoint_that_missed_it_all_hears_of_it_as_if_it_lasted() {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 2);
    table.observe(alert("a", 0), clock.at(0));
    // Endpoint 0 knows, endpoint 1 is down.
    tell(&mut table, clock.at(1));
    table.settle(clock.at(400));
    let late = clock.at(2000);
    let ends = |endpoint| table.due(endpoint, 10, late)[0].ends.as_second();
    assert_eq!(ends(0), 1000 + 400);
    assert_eq!(ends(1), 1000 + 2000 + 300);
    let due = table.due(1, 10, late);
    table.told(1, &due, late);
    let due = table.due(0, 10, late);
    table.told(0, &due, late);
    table.settle(late);
    assert_eq!(table.len(), 0);
}

#[test]
fn ends_are_told_for_a_while_and_beginnings_for_longer() {
    let clock = Clock::start();
    for (knows_beginning, forgotten_at) in [(true, 400 + 900), (false, 400 + 4 * 3600)] {
        let mut table = Table::new(settings(), 1);
        table.observe(alert("a", 0), clock.at(0));
        if knows_beginning {
            tell(&mut table, clock.at(1));
        }
        table.settle(clock.at(400));
        assert_eq!(table.next_settling().map(|at| clock.second(at)), Some(forgotten_at));
        table.settle(clock.at(forgotten_at - 1));
        assert_eq!(table.len(), 1);
        table.settle(clock.at(forgotten_at));
        assert_eq!(table.len(), 0);
    }
}

#[test]
fn the_table_is_bounded_and_forgets_the_quietest() {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 1);
    for (second, rule) in [(0, "a"), (1, "b"), (2, "c"), (3, "a"), (4, "d")] {
        table.observe(alert(rule, 0), clock.at(second));
    }
    let mut left = rules(&table.due(0, 10, clock.at(10)));
    left.sort();
    assert_eq!(left, ["a", "c", "d"]);
    assert_eq!((table.take_evicted(), table.take_evicted()), (1, 0));
}

#[test]
fn the_next_moments_are_known() {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 1);
    let seconds = |at: Option<Instant>| at.map(|at| clock.second(at));
    assert_eq!((table.next_due(0), table.next_settling()), (None, None));
    table.observe(alert("a", 0), clock.at(5));
    assert_eq!(seconds(table.next_due(0)), Some(6));
    assert_eq!(seconds(table.next_settling()), Some(305));
    tell(&mut table, clock.at(6));
    assert_eq!(seconds(table.next_due(0)), Some(66));
    assert!(table.knows_all(0));
    table.observe(alert("b", 0), clock.at(7));
    assert!(!table.knows_all(0));
    table.hurry();
    assert_eq!(seconds(table.next_due(0)), Some(7));
}

#[test]
fn an_answer_about_an_older_phase_does_not_hide_the_newer() {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 1);
    table.observe(alert("a", 0), clock.at(0));
    let on_the_way = table.due(0, 10, clock.at(1));
    table.settle(clock.at(300));
    table.told(0, &on_the_way, clock.at(300));
    let due = table.due(0, 10, clock.at(301));
    assert_eq!(due.len(), 1);
    assert!(due[0].incident.resolved.is_some());
}
