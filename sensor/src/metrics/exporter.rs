//! Counters, snapshot and cgroup files → the text of a scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use sensor_common::histogram::{BUCKETS, Histogram, upper_bound_seconds};

use crate::alert::Origin;
use crate::config::Metrics;
use crate::metrics::cgroupfs::{Layout, Usage};
use crate::metrics::counters::Counters;
use crate::metrics::family::{Family, Read, Scrape, Series, Sum as _, all};
use crate::metrics::own::Process;
use crate::metrics::snapshot::{Container, Snapshot, Source};

/// The text formats, by what a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    OpenMetrics,
    /// The classic Prometheus text.
    Text,
}

impl Exposition {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The client's choice; the classic text for one that does not ask for OpenMetrics.
    pub fn accepted(header: &str) -> Self {
        let quality = |format: &str| {
            header
                .split(',')
                .filter_map(|range| {
                    let mut parts = range.split(';').map(str::trim);

                    (parts.next()? == format).then(|| {
                        parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0)
                    })
                })
                .fold(0.0, f64::max)
        };
        let open_metrics = quality("application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= quality("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

/// Answers scrapes.
pub struct Exporter {
    registry: Registry,
}

impl Exporter {
    /// `source` gives what the kernel side and attribution know at the moment of a scrape.
    pub fn new(settings: &Metrics, counters: Arc<Counters>, source: Source) -> Self {
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let collector = Families {
            settings: settings.clone(),
            counters,
            source,
            layout: Layout::parse(&mountinfo),
            containers: Mutex::default(),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(collector));
        Self { registry }
    }

    /// Reads everything and writes it down. Blocks for the length of some file reads.
    pub fn render(&self, exposition: Exposition) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(match exposition {
            Exposition::OpenMetrics => text,
            Exposition::Text => classic(&text),
        })
    }
}

struct Families {
    settings: Metrics,
    counters: Arc<Counters>,
    source: Source,
    layout: Layout,
    // Two clients that scrape at once contend; the second then finds the first's readings.
    containers: Mutex<Containers>,
}

impl fmt::Debug for Families {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Families").finish_non_exhaustive()
    }
}

/// The containers that have series of their own, and what their files last said.
#[derive(Default)]
struct Containers {
    shown: BTreeSet<Origin>,
    read_at: Option<Instant>,
    usage: Vec<(Origin, Usage)>,
}

impl Families {
    /// The origin under which a container is shown: its own, or the overflow's.
    fn show<'a>(
        &self,
        shown: &'a mut BTreeSet<Origin>,
        containers: &[Container],
    ) -> &'a BTreeSet<Origin> {
        // Those that were shown stay: a series must not come and go while its container lives.
        let present: BTreeSet<&Origin> =
            containers.iter().map(|container| &container.origin).collect();
        shown.retain(|origin| present.contains(origin));
        for origin in present {
            if shown.len() < self.settings.max_containers {
                shown.insert(origin.clone());
            }
        }
        shown
    }

    fn usage(&self, snapshot: &Snapshot, shown: &BTreeSet<Origin>) -> Vec<(Origin, Usage)> {
        snapshot
            .tables
            .containers
            .iter()
            .map(|container| {
                let usage = self.layout.read(&container.cgroup_path);
                (origin_shown(&container.origin, shown), usage)
            })
            .collect()
    }
}

fn origin_shown(origin: &Origin, shown: &BTreeSet<Origin>) -> Origin {
    if shown.contains(origin) {
        origin.clone()
    } else {
        Origin { container: "_overflow".to_owned(), ..Origin::default() }
    }
}

/// Waits by container. A cgroup that no container claims is the host's.
fn runqueue_wait(snapshot: &Snapshot, shown: &BTreeSet<Origin>) -> BTreeMap<Origin, Histogram> {
    let owners: BTreeMap<u64, &Origin> = snapshot
        .tables
        .containers
        .iter()
        .flat_map(|container| container.cgroup_ids.iter().map(|id| (*id, &container.origin)))
        .collect();
    let mut waits = BTreeMap::new();
    for (id, histogram) in &snapshot.runqueue_wait {
        let origin = owners.get(id).map_or_else(Origin::host, |origin| origin_shown(origin, shown));
        waits.entry(origin).or_insert(Histogram::EMPTY).sum(*histogram);
    }
    waits
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = (self.source)();
        let mut containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner);
        let Containers { shown, read_at, usage } = &mut *containers;
        let shown = self.show(shown, &snapshot.tables.containers);
        if read_at.is_none_or(|at| at.elapsed() >= self.settings.container_interval) {
            *usage = self.usage(&snapshot, shown);
            *read_at = Some(Instant::now());
        }
        let overflowing = snapshot
            .tables
            .containers
            .iter()
            .filter(|container| !shown.contains(&container.origin))
            .count();
        let scrape = Scrape {
            counters: &self.counters,
            snapshot: &snapshot,
            containers: usage,
            shown,
            max_containers: self.settings.max_containers,
            runqueue_wait: &runqueue_wait(&snapshot, shown),
            overflowing,
            process: &Process::read(),
        };
        all().try_for_each(|family| write_family(family, &scrape, &mut encoder))
    }
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method itself is not general enough over the encoder's lifetime"
)]
fn write_family(
    family: &'static Family,
    scrape: &Scrape<'_>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    match family.read {
        Read::Counter(read) => {
            let series = collected(read, scrape);
            write_series(family, &series, encoder, |encoder, value| {
                encoder.encode_counter::<NoLabelSet, _, f64>(value, None)
            })
        }
        Read::Seconds(read) => {
            let series = collected(read, scrape);
            write_series(family, &series, encoder, |encoder, value| {
                encoder.encode_counter::<NoLabelSet, _, f64>(value, None)
            })
        }
        Read::Gauge(read) => {
            let series = collected(read, scrape);
            write_series(family, &series, encoder, |encoder, value| encoder.encode_gauge(value))
        }
        Read::Histogram(read) => {
            let series = collected(read, scrape);
            write_series(family, &series, encoder, |encoder, histogram| {
                let buckets = coarse(histogram);
                let count = buckets.iter().map(|(_, count)| count).sum();
                let sum = std::time::Duration::from_nanos(histogram.sum_ns).as_secs_f64();
                encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            })
        }
    }
}

fn collected<V>(read: fn(&Scrape<'_>, &mut Series<V>), scrape: &Scrape<'_>) -> Series<V> {
    let mut series = Series::default();
    read(scrape, &mut series);
    series
}

/// A family without series is left out: it is in the docs, and a client cannot do anything with it.
fn write_series<V>(
    family: &'static Family,
    series: &Series<V>,
    encoder: &mut DescriptorEncoder<'_>,
    write: impl Fn(&mut MetricEncoder<'_>, &V) -> fmt::Result,
) -> fmt::Result {
    if series.0.is_empty() {
        return Ok(());
    }
    let kind = match family.read {
        Read::Counter(_) | Read::Seconds(_) => MetricType::Counter,
        Read::Gauge(_) => MetricType::Gauge,
        Read::Histogram(_) => MetricType::Histogram,
    };
    let help = format!("{}.", family.help);
    let mut metric = encoder.encode_descriptor(family.name, &help, family.unit.as_ref(), kind)?;
    for (values, value) in &series.0 {
        let labels: Vec<(&str, &str)> =
            family.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
        if labels.is_empty() {
            write(&mut metric, value)?;
        } else {
            write(&mut metric.encode_family(&labels)?, value)?;
        }
    }
    Ok(())
}

/// Every second of the kernel's bounds from 2^-18 s (3.8 us) to 2^4 s: 12 and infinity. They are a
/// subset, so that nothing is estimated, and a third of the series.
fn coarse(histogram: &Histogram) -> Vec<(f64, u64)> {
    let mut buckets: Vec<(f64, u64)> = (2..=24)
        .step_by(2)
        .chain([BUCKETS - 1])
        .map(|index| (upper_bound_seconds(index), 0))
        .collect();
    for (index, count) in histogram.buckets.iter().enumerate() {
        let bound = upper_bound_seconds(index);
        if let Some((_, sum)) = buckets.iter_mut().find(|(upper, _)| bound <= *upper) {
            *sum += count;
        }
    }
    buckets
}

/// OpenMetrics text → the classic format: a counter's family is named as its series are, and there
/// are no units and no end mark.
fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(metadata) = line.strip_prefix("# ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let mut words = metadata.splitn(3, ' ');
        let (Some(word), Some(name), Some(rest)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if word == "UNIT" {
            continue;
        }
        // The type is in this line, or in the next where this one is the help.
        let is_counter = line.ends_with(" counter") && word == "TYPE"
            || lines.peek().is_some_and(|next| *next == format!("# TYPE {name} counter"));
        let suffix = if is_counter { "_total" } else { "" };
        // Writing to a string cannot fail.
        let _written = writeln!(text, "# {word} {name}{suffix} {rest}");
    }
    text
}

#[cfg(test)]
mod tests;
