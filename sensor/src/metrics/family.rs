//! A metric family: its name, what it means, its labels, and where its numbers come from.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::registry::Unit;
use sensor_common::histogram::{BUCKETS, Histogram};

use crate::alert::Origin;
use crate::metrics::cgroupfs::Usage;
use crate::metrics::counters::Counters;
use crate::metrics::snapshot::Snapshot;
use crate::metrics::{container, lookups, own};

/// A row of the tables. What is exposed, and what `docs/metrics.md` says, comes from it.
pub(crate) struct Family {
    /// Without the unit, and without the `_total` of counters.
    pub(crate) name: &'static str,
    pub(crate) unit: Option<Unit>,
    /// Ends without a full stop: the encoder adds it.
    pub(crate) help: &'static str,
    pub(crate) labels: &'static [&'static str],
    pub(crate) read: Read,
}

/// Where a family's numbers come from; the variant is the family's type.
pub(crate) enum Read {
    Counter(fn(&Scrape<'_>, &mut Series<u64>)),
    /// A counter of seconds.
    Seconds(fn(&Scrape<'_>, &mut Series<f64>)),
    Gauge(fn(&Scrape<'_>, &mut Series<f64>)),
    Histogram(fn(&Scrape<'_>, &mut Series<Histogram>)),
}

/// All that one scrape reads.
pub(crate) struct Scrape<'a> {
    pub(crate) counters: &'a Counters,
    pub(crate) snapshot: &'a Snapshot,
    /// Containers that are shown, with what their cgroup files say.
    pub(crate) containers: &'a [(Origin, Usage)],
    /// The origins under which they are shown.
    pub(crate) shown: &'a BTreeSet<Origin>,
    /// How many containers may have series of their own.
    pub(crate) max_containers: usize,
    pub(crate) runqueue_wait: &'a BTreeMap<Origin, Histogram>,
    /// Containers that share the overflow series, because there are too many.
    pub(crate) overflowing: usize,
    pub(crate) process: &'a own::Process,
}

/// Every family, in the order of exposition.
pub(crate) fn all() -> impl Iterator<Item = &'static Family> {
    own::FAMILIES.iter().chain(lookups::FAMILIES).chain(container::FAMILIES)
}

impl Family {
    /// The name of its series, as a query writes it.
    pub(crate) fn series_name(&self) -> String {
        let unit = self.unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        let suffix = match self.read {
            Read::Counter(_) | Read::Seconds(_) => "_total",
            Read::Gauge(_) | Read::Histogram(_) => "",
        };
        format!("{}{unit}{suffix}", self.name)
    }

    pub(crate) const fn type_name(&self) -> &'static str {
        match self.read {
            Read::Counter(_) | Read::Seconds(_) => "counter",
            Read::Gauge(_) => "gauge",
            Read::Histogram(_) => "histogram",
        }
    }
}

/// Values by label values. Values with the same labels are summed up: two series with the same
/// labels would make the whole scrape invalid.
#[derive(Debug)]
pub(crate) struct Series<V>(pub(crate) BTreeMap<Vec<String>, V>);

impl<V> Default for Series<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V: Sum> Series<V> {
    /// `labels` are the values, in the order of the family's names.
    pub(crate) fn add<const N: usize>(&mut self, labels: [&str; N], value: V) {
        let labels: Vec<String> = labels.iter().map(|label| shortened(label)).collect();
        match self.0.entry(labels) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(value);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().sum(value),
        }
    }

    /// A series that says what something is; its labels may be paths, of pods the longest.
    pub(crate) fn describe<const N: usize>(&mut self, labels: [&str; N], value: V) {
        const CHARACTERS_MAX: usize = 512;
        let cut = |label: &&str| label.chars().take(CHARACTERS_MAX).collect();
        self.0.insert(labels.iter().map(cut).collect(), value);
    }

    pub(crate) fn origin(&mut self, origin: &Origin, value: V) {
        self.add([&origin.namespace, &origin.pod, &origin.container], value);
    }
}

/// Longer label values are cut: they come from outside.
fn shortened(label: &str) -> String {
    const CHARACTERS_MAX: usize = 128;
    label.chars().take(CHARACTERS_MAX).collect()
}

pub(crate) trait Sum {
    fn sum(&mut self, other: Self);
}

impl Sum for u64 {
    fn sum(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }
}

impl Sum for f64 {
    fn sum(&mut self, other: Self) {
        *self += other;
    }
}

impl Sum for Histogram {
    fn sum(&mut self, other: Self) {
        for index in 0..BUCKETS {
            self.buckets[index] = self.buckets[index].saturating_add(other.buckets[index]);
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }
}

/// As a gauge; beyond 2^53 it is rounded.
#[expect(clippy::cast_precision_loss, reason = "no exposition format has integers beyond 2^53")]
pub(crate) fn number(value: u64) -> f64 {
    value as f64
}
