//! What the stages count: atomics without any type of a metrics library.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sensor_common::Kind;
use sensor_common::counters::{Outcome, SLOTS};

use crate::alert::Origin;
use crate::rules::priority::Priority;

/// Everything that userspace counts. One for each process, shared by all stages.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that were taken from the ring, before they were decoded.
    pub delivered: PerKind,
    /// Records that could not be decoded, by reason.
    pub malformed: Labelled<&'static str>,
    /// Events that came to the rules.
    pub events: PerKind,
    pub rules: Rules,
    /// Alerts that the throttle held back, by rule.
    pub throttled: Labelled<Arc<str>>,
    pub sinks: Sinks,
    pub reload: Reload,
    /// Kills for want of memory, by the victim's container.
    pub oom_kills: Labelled<Origin>,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// As many as the kernel side counts.
const KINDS: usize = (SLOTS / Outcome::COUNT) as usize;

/// A counter for each kind of record.
#[derive(Debug, Default)]
pub struct PerKind([Counter; KINDS]);

impl PerKind {
    pub fn of(&self, kind: Kind) -> &Counter {
        &self.0[kind as usize]
    }
}

/// Label values beyond this number are counted under the first that came: cardinality is bounded.
const LABELS_MAX: usize = 4096;

/// Counters with a label, for what is rare enough for a lock.
#[derive(Debug)]
pub struct Labelled<K>(Mutex<BTreeMap<K, u64>>);

impl<K> Default for Labelled<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone> Labelled<K> {
    pub fn add(&self, label: &K, count: u64) {
        // A panic elsewhere does not make a number wrong.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = counts.get_mut(label) {
            *value += count;
        } else if counts.len() < LABELS_MAX {
            counts.insert(label.clone(), count);
        } else if let Some(mut first) = counts.first_entry() {
            *first.get_mut() += count;
        }
    }

    pub fn get(&self) -> BTreeMap<K, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What became of one rule's events.
#[derive(Debug)]
pub struct Rule {
    pub name: Arc<str>,
    pub priority: Priority,
    pub evaluated: Counter,
    pub matched: Counter,
}

/// The counters of the loaded rules, in the ruleset's order.
#[derive(Debug, Default)]
pub struct Rules(RwLock<Arc<[Arc<Rule>]>>);

impl Rules {
    /// Counters for a new ruleset. A rule that was there before goes on counting where it was.
    pub fn install(
        &self,
        rules: impl IntoIterator<Item = (Arc<str>, Priority)>,
    ) -> Arc<[Arc<Rule>]> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before: BTreeMap<(&str, Priority), &Arc<Rule>> =
            current.iter().map(|rule| ((&*rule.name, rule.priority), rule)).collect();
        let new: Arc<[Arc<Rule>]> = rules
            .into_iter()
            .map(|(name, priority)| match before.get(&(&*name, priority)) {
                Some(rule) => Arc::clone(rule),
                None => Arc::new(Rule {
                    name,
                    priority,
                    evaluated: Counter::default(),
                    matched: Counter::default(),
                }),
            })
            .collect();
        current.clone_from(&new);
        new
    }

    pub fn get(&self) -> Arc<[Arc<Rule>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One sink's queue and what became of the alerts in it:
/// sent = delivered + dropped + those that wait.
#[derive(Debug, Default)]
pub struct Sink {
    pub sink: &'static str,
    /// The URL without its secrets; empty where a sink has one destination only.
    pub endpoint: String,
    pub queue_capacity: usize,
    pub queued: Gauge,
    /// Alerts that were meant for it.
    pub sent: Counter,
    pub delivered: Counter,
    /// By reason.
    pub dropped: Labelled<&'static str>,
    /// Attempts that failed, and are repeated where that can help, by endpoint and reason.
    pub errors: Labelled<(String, &'static str)>,
}

/// The sinks since the start; one that is configured anew goes on counting where it was.
#[derive(Debug, Default)]
pub struct Sinks {
    registered: Mutex<Vec<Arc<Sink>>>,
    pub incidents_active: Gauge,
    pub incidents_evicted: Counter,
}

impl Sinks {
    pub fn register(&self, sink: &'static str, endpoint: &str, capacity: usize) -> Arc<Sink> {
        let mut sinks = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &&Arc<Sink>| {
            known.sink == sink && known.endpoint == endpoint && known.queue_capacity == capacity
        };
        if let Some(known) = sinks.iter().find(same) {
            return Arc::clone(known);
        }
        let new = Arc::new(Sink {
            sink,
            endpoint: endpoint.to_owned(),
            queue_capacity: capacity,
            ..Sink::default()
        });
        sinks.push(Arc::clone(&new));
        new
    }

    pub fn get(&self) -> Vec<Arc<Sink>> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The last attempt to load rules and settings.
#[derive(Debug, Default)]
pub struct Reload {
    failed: AtomicBool,
    success_seconds: AtomicI64,
}

impl Reload {
    pub fn succeeded(&self, at: jiff::Timestamp) {
        self.failed.store(false, Ordering::Relaxed);
        self.success_seconds.store(at.as_second(), Ordering::Relaxed);
    }

    pub fn failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether the last attempt succeeded, and when the last success was, in seconds since the
    /// epoch; 0 before the first.
    pub fn get(&self) -> (bool, i64) {
        (!self.failed.load(Ordering::Relaxed), self.success_seconds.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_stay_keep_their_counts() {
        let rules = Rules::default();
        let first = rules.install([("a".into(), Priority::Error), ("b".into(), Priority::Error)]);
        first[0].matched.add(2);
        first[1].matched.add(3);
        let second = rules.install([("b".into(), Priority::Error), ("c".into(), Priority::Error)]);
        let counts: Vec<(&str, u64)> =
            second.iter().map(|rule| (&*rule.name, rule.matched.get())).collect();
        assert_eq!(counts, [("b", 3), ("c", 0)]);
        assert_eq!(rules.get().len(), 2);
    }

    #[test]
    fn labels_are_bounded_and_nothing_is_lost() {
        let labelled = Labelled::default();
        for label in 0..2 * LABELS_MAX {
            labelled.add(&label, 1);
        }
        let counts = labelled.get();
        assert_eq!(counts.len(), LABELS_MAX);
        assert_eq!(counts.values().sum::<u64>(), 2 * LABELS_MAX as u64);
    }

    #[test]
    fn a_sink_is_registered_once() {
        let sinks = Sinks::default();
        sinks.register("http", "http://a/", 10).sent.add(1);
        sinks.register("http", "http://a/", 10).sent.add(1);
        sinks.register("http", "http://b/", 10).sent.add(1);
        let sent: Vec<u64> = sinks.get().iter().map(|sink| sink.sent.get()).collect();
        assert_eq!(sent, [2, 1]);
    }
}
