//! Metrics of the sensor itself: what it saw, what it lost, and whether its alerts arrive.

use prometheus_client::registry::Unit;
use sensor_common::Kind;
use sensor_common::counters::Outcome;

use crate::alert::priority_name;
use crate::metrics::family::{Family, Read, Series, number};
use crate::metrics::snapshot::ProbeState;

const SINK: &[&str] = &["sink", "endpoint"];

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "sensor_build_info",
        unit: None,
        help: "Always 1; the version is a label",
        labels: &["version"],
        read: Read::Gauge(|_, series| series.add([env!("CARGO_PKG_VERSION")], 1.0)),
    },
    Family {
        name: "sensor_probe_state",
        unit: None,
        help: "1 for the state that a probe is in, 0 for the others",
        labels: &["probe", "hook", "state"],
        read: Read::Gauge(|scrape, series| {
            for probe in &scrape.snapshot.probes {
                for state in ProbeState::ALL {
                    let is_in = f64::from(u8::from(probe.state == state));
                    series.add([&probe.name, &probe.hook, state.name()], is_in);
                }
            }
        }),
    },
    Family {
        name: "sensor_records_produced",
        unit: None,
        help: "Occurrences that passed the kernel side's filters: produced = delivered + dropped + those still in the ring",
        labels: &["kind"],
        read: Read::Counter(|scrape, series| {
            for records in &scrape.snapshot.records {
                if records.outcome == Outcome::Produced {
                    series.add([records.kind.name()], records.count);
                }
            }
        }),
    },
    Family {
        name: "sensor_records_filtered",
        unit: None,
        help: "Occurrences that no rule can match and that stayed in the kernel: seen = filtered + produced",
        labels: &["event_type"],
        read: Read::Counter(|scrape, series| {
            for (event_type, count) in &scrape.snapshot.filtered {
                series.add([event_type], *count);
            }
        }),
    },
    Family {
        name: "sensor_records_delivered",
        unit: None,
        help: "Records that userspace took from the ring",
        labels: &["kind"],
        read: Read::Counter(|scrape, series| {
            per_kind(series, |kind| scrape.counters.delivered.of(kind).get());
        }),
    },
    Family {
        name: "sensor_records_dropped",
        unit: None,
        help: "Occurrences that did not become a record, by why; `ring_full` is a ring that is too small or a host that is too busy",
        labels: &["kind", "reason"],
        read: Read::Counter(|scrape, series| {
            for records in &scrape.snapshot.records {
                if records.outcome != Outcome::Produced {
                    series.add([records.kind.name(), records.outcome.name()], records.count);
                }
            }
        }),
    },
    Family {
        name: "sensor_records_malformed",
        unit: None,
        help: "Records that could not be decoded",
        labels: &["reason"],
        read: Read::Counter(|scrape, series| {
            for (reason, count) in scrape.counters.malformed.get() {
                series.add([reason], count);
            }
        }),
    },
    Family {
        name: "sensor_ring_size",
        unit: Some(Unit::Bytes),
        help: "Size of the ring buffer",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            if let Some(ring) = scrape.snapshot.ring {
                series.add([], number(ring.size_bytes));
            }
        }),
    },
    Family {
        name: "sensor_ring_unread",
        unit: Some(Unit::Bytes),
        help: "Bytes in the ring buffer that were not read yet",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            if let Some(ring) = scrape.snapshot.ring {
                series.add([], number(ring.unread_bytes));
            }
        }),
    },
    Family {
        name: "sensor_events",
        unit: None,
        help: "Events that came to the rules",
        labels: &["kind"],
        read: Read::Counter(|scrape, series| {
            per_kind(series, |kind| scrape.counters.events.of(kind).get());
        }),
    },
    Family {
        name: "sensor_rules_loaded",
        unit: None,
        help: "Rules in force",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            series.add([], number(scrape.counters.rules.get().len() as u64));
        }),
    },
    Family {
        name: "sensor_rule_evaluations",
        unit: None,
        help: "Events that a rule's condition was evaluated on",
        labels: &["rule"],
        read: Read::Counter(|scrape, series| {
            for rule in scrape.counters.rules.get().iter() {
                series.add([&rule.name], rule.evaluated.get());
            }
        }),
    },
    Family {
        name: "sensor_rule_matches",
        unit: None,
        help: "Events that a rule matched",
        labels: &["rule", "priority"],
        read: Read::Counter(|scrape, series| {
            for rule in scrape.counters.rules.get().iter() {
                series.add([&rule.name, priority_name(rule.priority)], rule.matched.get());
            }
        }),
    },
    Family {
        name: "sensor_alerts_throttled",
        unit: None,
        help: "Alerts that were not sent to stdout, file and http because their rule had too many",
        labels: &["rule"],
        read: Read::Counter(|scrape, series| {
            for (rule, count) in scrape.counters.throttled.get() {
                series.add([&rule], count);
            }
        }),
    },
    Family {
        name: "sensor_alerts_sent",
        unit: None,
        help: "Alerts meant for a sink: sent = delivered + dropped + those that wait",
        labels: SINK,
        read: Read::Counter(|scrape, series| {
            for sink in scrape.counters.sinks.get() {
                series.add([sink.sink, &sink.endpoint], sink.sent.get());
            }
        }),
    },
    Family {
        name: "sensor_alerts_delivered",
        unit: None,
        help: "Alerts that a sink wrote, that its destination took, or that were counted to an incident",
        labels: SINK,
        read: Read::Counter(|scrape, series| {
            for sink in scrape.counters.sinks.get() {
                series.add([sink.sink, &sink.endpoint], sink.delivered.get());
            }
        }),
    },
    Family {
        name: "sensor_alerts_dropped",
        unit: None,
        help: "Alerts that did not arrive, by why",
        labels: &["sink", "endpoint", "reason"],
        read: Read::Counter(|scrape, series| {
            for sink in scrape.counters.sinks.get() {
                // Zero before the first, or a rate would not see it.
                series.add([sink.sink, &sink.endpoint, "queue_full"], 0);
                for (reason, count) in sink.dropped.get() {
                    series.add([sink.sink, &sink.endpoint, reason], count);
                }
            }
        }),
    },
    Family {
        name: "sensor_sink_errors",
        unit: None,
        help: "Writes and requests that failed, by why; they are repeated where that can help",
        labels: &["sink", "endpoint", "reason"],
        read: Read::Counter(|scrape, series| {
            for sink in scrape.counters.sinks.get() {
                for ((endpoint, reason), count) in sink.errors.get() {
                    series.add([sink.sink, &endpoint, reason], count);
                }
            }
        }),
    },
    Family {
        name: "sensor_sink_queue_length",
        unit: None,
        help: "Alerts that wait for a sink",
        labels: SINK,
        read: Read::Gauge(|scrape, series| {
            for sink in scrape.counters.sinks.get() {
                series.add([sink.sink, &sink.endpoint], number(sink.queued.get()));
            }
        }),
    },
    Family {
        name: "sensor_sink_queue_capacity",
        unit: None,
        help: "Alerts that may wait for a sink",
        labels: SINK,
        read: Read::Gauge(|scrape, series| {
            for sink in scrape.counters.sinks.get() {
                series.add([sink.sink, &sink.endpoint], number(sink.queue_capacity as u64));
            }
        }),
    },
    Family {
        name: "sensor_incidents_active",
        unit: None,
        help: "Incidents that last, and resolved ones that an Alertmanager has not taken yet",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            series.add([], number(scrape.counters.sinks.incidents_active.get()));
        }),
    },
    Family {
        name: "sensor_incidents_evicted",
        unit: None,
        help: "Incidents that were forgotten because there were too many",
        labels: &[],
        read: Read::Counter(|scrape, series| {
            series.add([], scrape.counters.sinks.incidents_evicted.get());
        }),
    },
    Family {
        name: "sensor_config_last_reload_successful",
        unit: None,
        help: "1 if the last attempt to load rules and settings succeeded; after a failure the old ones are in force",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            series.add([], f64::from(u8::from(scrape.counters.reload.get().0)));
        }),
    },
    Family {
        name: "sensor_config_last_reload_success_timestamp",
        unit: Some(Unit::Seconds),
        help: "When rules and settings were last loaded, in seconds since the epoch",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            let seconds = scrape.counters.reload.get().1;
            series.add([], number(u64::try_from(seconds).unwrap_or_default()));
        }),
    },
    Family {
        name: "sensor_containers",
        unit: None,
        help: "Containers with metrics of their own",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            let shown = scrape.snapshot.tables.containers.len().saturating_sub(scrape.overflowing);
            series.add([], number(shown as u64));
        }),
    },
    Family {
        name: "sensor_containers_overflowing",
        unit: None,
        help: "Containers that share the series of container `_overflow`, because there are too many",
        labels: &[],
        read: Read::Gauge(|scrape, series| series.add([], number(scrape.overflowing as u64))),
    },
    Family {
        name: "process_cpu",
        unit: Some(Unit::Seconds),
        help: "CPU time of the sensor itself",
        labels: &[],
        read: Read::Seconds(|scrape, series| {
            if let Some(seconds) = scrape.process.cpu_seconds {
                series.add([], seconds);
            }
        }),
    },
    Family {
        name: "process_resident_memory",
        unit: Some(Unit::Bytes),
        help: "Memory of the sensor itself",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            if let Some(bytes) = scrape.process.resident_bytes {
                series.add([], number(bytes));
            }
        }),
    },
    Family {
        name: "process_open_fds",
        unit: None,
        help: "File descriptors that the sensor holds",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            if let Some(count) = scrape.process.open_fds {
                series.add([], number(count));
            }
        }),
    },
];

fn per_kind(series: &mut Series<u64>, count: impl Fn(Kind) -> u64) {
    for kind in Kind::ALL {
        series.add([kind.name()], count(kind));
    }
}

/// What the sensor itself uses; what cannot be read is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Process {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    open_fds: Option<u64>,
}

impl Process {
    pub(crate) fn read() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let open_fds = std::fs::read_dir("/proc/self/fd").map(|entries| entries.count() as u64);
        Self { open_fds: open_fds.ok(), ..Self::parse(&stat) }
    }

    fn parse(stat: &str) -> Self {
        // The name is in parentheses and may hold anything; the third field follows it.
        let after_name = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let fields: Vec<&str> = after_name.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = || Some(number(field(14)? + field(15)?));
        let per_second = number(rustix::param::clock_ticks_per_second());
        Self {
            cpu_seconds: ticks().map(|ticks| ticks / per_second),
            resident_bytes: field(24).map(|pages| pages * rustix::param::page_size() as u64),
            open_fds: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sensors_own_use_is_read_past_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 9 0 100 1000000 3 18446744073709551615";
        let process = Process::parse(stat);
        assert_eq!(process.cpu_seconds, Some(2.0));
        assert_eq!(process.resident_bytes, Some(3 * rustix::param::page_size() as u64));
        assert_eq!(Process::parse("garbage"), Process::default());
        assert!(Process::read().open_fds.is_some_and(|count| count > 2));
    }
}
