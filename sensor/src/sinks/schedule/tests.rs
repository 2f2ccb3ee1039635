//! Endpoints that answer, refuse and are down.

use super::*;
use crate::sinks::incident::tests::{Clock, alert, settings};

fn schedule(endpoints: usize, max: usize) -> Schedule {
    Schedule::new(Incidents { max, ..settings() }, endpoints)
}

fn started(schedule: &mut Schedule, now: Moment) -> Vec<(usize, usize)> {
    schedule.start(now).iter().map(|(endpoint, postings)| (*endpoint, postings.len())).collect()
}

#[test]
fn endpoints_are_told_independently_and_one_request_at_a_time() {
    let clock = Clock::start();
    let mut schedule = schedule(2, 10);
    schedule.observe(alert("a", 0), clock.at(0));
    assert!(schedule.start(clock.at(0)).is_empty());
    let requests = schedule.start(clock.at(1));
    assert_eq!(requests.len(), 2);
    assert!(schedule.start(clock.at(1)).is_empty(), "both are busy");
    let (index, postings) = &requests[0];
    assert_eq!(schedule.finish((*index, postings), Outcome::Taken, 0, clock.at(2)), Change::None);
    assert!(!schedule.is_drained());
    let (index, postings) = &requests[1];
    schedule.finish((*index, postings), Outcome::Taken, 0, clock.at(2));
    assert!(schedule.is_drained());
    assert_eq!(schedule.wake_at(), Some(clock.at(62).instant));
}

#[test]
fn an_endpoint_that_is_down_is_tried_again_later_and_loses_nothing() {
    let clock = Clock::start();
    let mut schedule = schedule(1, 10);
    schedule.observe(alert("a", 0), clock.at(0));
    let mut changes = Vec::new();
    let mut tried = Vec::new();
    for second in 0..100 {
        let now = clock.at(second);
        if second == 20 {
            schedule.observe(alert("b", 0), now);
        }
        for (index, postings) in schedule.start(now) {
            let outcome = if second < 40 { Outcome::Retry(None) } else { Outcome::Taken };
            tried.push((second, postings.len()));
            changes.push(schedule.finish((index, &postings), outcome, 0, now));
        }
    }
    // Waits of 250 and 500 ms are one second here, then 1, 2, 4, 8, 15 and 15 s.
    assert_eq!(tried, [(1, 1), (2, 1), (3, 1), (4, 1), (6, 1), (10, 1), (18, 1), (33, 2), (48, 2)]);
    assert_eq!((changes[0], changes[8]), (Change::Down, Change::Up));
    assert!(changes[1..8].iter().all(|change| *change == Change::None));
}

#[test]
fn patience_that_is_asked_for_is_had() {
    let clock = Clock::start();
    let mut schedule = schedule(1, 10);
    schedule.observe(alert("a", 0), clock.at(0));
    let (index, postings) = schedule.start(clock.at(1)).remove(0);
    let asked = Outcome::Retry(Some(Duration::from_secs(50)));
    schedule.finish((index, &postings), asked, 0, clock.at(1));
    assert_eq!(schedule.wake_at(), Some(clock.at(51).instant));
    assert!(schedule.start(clock.at(50)).is_empty());
    assert_eq!(started(&mut schedule, clock.at(51)), [(0, 1)]);
}

#[test]
fn one_bad_incident_does_not_hold_back_the_others() {
    let clock = Clock::start();
    let mut schedule = schedule(1, 200);
    for number in 0..100 {
        let rule = if number == 42 { "bad".to_owned() } else { format!("rule {number}") };
        schedule.observe(alert(&rule, 0), clock.at(0));
    }
    let mut told = Vec::new();
    let mut rejected = Vec::new();
    let mut requests = 0;
    while let Some((index, postings)) = schedule.start(clock.at(1)).pop() {
        requests += 1;
        assert!(requests < 40, "it does not end");
        let bad = postings.iter().any(|posting| &*posting.key.rule == "bad");
        let outcome = if bad { Outcome::Refused } else { Outcome::Taken };
        let rules = postings.iter().map(|posting| posting.key.rule.to_string());
        match schedule.finish((index, &postings), outcome, 0, clock.at(1)) {
            Change::Rejected => rejected.extend(rules),
            _ if !bad => told.extend(rules),
            _ => {}
        }
    }
    assert_eq!(rejected, ["bad"]);
    assert_eq!(told.len(), 99);
    assert!(schedule.is_drained());
}

#[test]
fn a_batch_is_bounded() {
    let clock = Clock::start();
    let mut schedule = schedule(1, 200);
    for number in 0..100 {
        schedule.observe(alert(&format!("rule {number}"), 0), clock.at(0));
    }
    let (index, postings) = schedule.start(clock.at(1)).remove(0);
    assert_eq!(postings.len(), BATCH);
    schedule.finish((index, &postings), Outcome::Taken, 0, clock.at(1));
    assert_eq!(started(&mut schedule, clock.at(1)), [(0, 36)]);
}
