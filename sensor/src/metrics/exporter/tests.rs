//! What a client reads.

use std::time::Duration;

use sensor_common::Kind;
use sensor_common::counters::Outcome;

use super::*;
use crate::attribution::metadata::{Image, Pod};
use crate::attribution::{self, Attribution, Runtime};
use crate::metrics::snapshot::{Live, Lookups, Probe, ProbeState, Records, Ring, Tables};
use crate::rules::priority::Priority;

fn origin(name: &str) -> Origin {
    Origin { container: name.to_owned(), namespace: "shop".to_owned(), pod: "api-0".to_owned() }
}

fn container(name: &str, ids: &[u64]) -> Container {
    Container {
        origin: origin(name),
        cgroup_path: "/nonexistent".to_owned(),
        cgroup_ids: ids.to_vec(),
    }
}

/// A container whose id is `digit` 64 times, in a pod where a deployment has several.
fn live(name: &str, digit: &str) -> Live {
    let id = digit.repeat(64);
    let slice = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5b2f71f8_3ec3_4b1e_8f9a_0d5c7f8a9b1c.slice";
    let container = attribution::Container {
        id: id.clone(),
        runtime: Runtime::Containerd,
        name: Some(name.to_owned()),
        image: Some(Image { digest: Some("sha256:aa".into()), ..Image::parse("shop/web:2") }),
        pod: (name != "db").then(Pod::default),
        ..attribution::Container::default()
    };
    let cgroup_path = format!("{slice}/cri-containerd-{id}.scope");
    let attribution = Attribution { cgroup_path, container: Some(container), unit: None };
    Live { origin: origin(name), attribution: Arc::new(attribution) }
}

fn waits(index: usize, count: u64) -> Histogram {
    let mut histogram = Histogram { sum_ns: 1_500_000_000, ..Histogram::EMPTY };
    histogram.buckets[index] = count;
    histogram
}

fn snapshot() -> Snapshot {
    let records = |outcome, count| Records { kind: Kind::Exec, outcome, count };
    Snapshot {
        records: vec![records(Outcome::Produced, 10), records(Outcome::LostRing, 3)],
        filtered: vec![("openat", 90)],
        ring: Some(Ring { size_bytes: 1 << 20, unread_bytes: 72 }),
        probes: vec![Probe {
            name: "exec".to_owned(),
            hook: "tp_btf/sched_process_exec".to_owned(),
            state: ProbeState::Attached,
        }],
        tables: Tables {
            containers: vec![container("api", &[7, 8]), container("db", &[9])],
            live: vec![live("api", "a"), live("api", "b"), live("db", "c")],
            held: 5,
            ..Tables::default()
        },
        lookups: Lookups { answered: 2, misses: vec![("late", 1)], forgotten: 0, left_out: 3 },
        sockets: Vec::new(),
        runqueue_wait: vec![(7, waits(0, 1)), (8, waits(27, 2)), (1, waits(20, 5))],
    }
}

fn exporter(max_containers: usize) -> Exporter {
    let counters = Arc::new(Counters::default());
    counters.delivered.of(Kind::Exec).add(7);
    let rules = counters.rules.install([("say \"hi\"\\".into(), Priority::Warning)]);
    rules[0].matched.add(2);
    counters.oom_kills.add(&origin("gone"), 1);
    counters.sinks.register("http", "http://a/", 5).sent.add(4);
    let settings = Metrics { max_containers, ..Metrics::default() };
    Exporter::new(&settings, counters, Box::new(snapshot))
}

fn check_has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "no line `{line}` in\n{text}");
    }
}

#[test]
fn open_metrics() {
    let text = exporter(10).render(Exposition::OpenMetrics).unwrap();
    check_has(
        &text,
        &[
            "# TYPE sensor_records_produced counter",
            r#"sensor_records_produced_total{kind="exec"} 10"#,
            r#"sensor_records_delivered_total{kind="exec"} 7"#,
            r#"sensor_records_delivered_total{kind="open"} 0"#,
            r#"sensor_records_dropped_total{kind="exec",reason="ring_full"} 3"#,
            r#"sensor_probe_state{probe="exec",hook="tp_btf/sched_process_exec",state="attached"} 1.0"#,
            r#"sensor_probe_state{probe="exec",hook="tp_btf/sched_process_exec",state="failed"} 0.0"#,
            "# UNIT sensor_ring_size_bytes bytes",
            "sensor_ring_size_bytes 1048576.0",
            r#"sensor_rule_matches_total{rule="say \"hi\"\\",priority="Warning"} 2"#,
            r#"sensor_alerts_sent_total{sink="http",endpoint="http://a/"} 4"#,
            r#"sensor_alerts_dropped_total{sink="http",endpoint="http://a/",reason="queue_full"} 0"#,
            r#"container_oom_events_total{namespace="shop",pod="api-0",container="api"} 0"#,
            r#"container_oom_events_total{namespace="shop",pod="api-0",container="gone"} 1"#,
            r#"container_cpu_runqueue_wait_seconds_sum{namespace="shop",pod="api-0",container="api"} 3.0"#,
            r#"container_cpu_runqueue_wait_seconds_count{namespace="shop",pod="api-0",container="api"} 3"#,
            r#"container_cpu_runqueue_wait_seconds_bucket{le="16.0",namespace="shop",pod="api-0",container="api"} 1"#,
            r#"container_cpu_runqueue_wait_seconds_bucket{le="+Inf",namespace="shop",pod="api-0",container="api"} 3"#,
            r#"container_cpu_runqueue_wait_seconds_bucket{le="0.25",namespace="",pod="",container="host"} 0"#,
            r#"container_cpu_runqueue_wait_seconds_bucket{le="1.0",namespace="",pod="",container="host"} 5"#,
            "sensor_events_held_total 5",
            "sensor_metadata_answers_total 2",
            r#"sensor_metadata_misses_total{reason="late"} 1"#,
            "sensor_metadata_left_out_total 3",
            r#"sensor_attribution_misses_total{reason="unknown"} 0"#,
            "# EOF",
        ],
    );
}

/// The lines of one family without its help.
fn series<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).collect()
}

#[test]
fn each_container_that_lives_is_described_by_a_series_within_the_limit() {
    let text = exporter(10).render(Exposition::Text).unwrap();
    let described = series(&text, "container_info");
    // Two that have all else in common are told apart by the whole path.
    assert_eq!(described.len(), 3, "{described:?}");
    let id = "a".repeat(64);
    let begin =
        r#"container_info{namespace="shop",pod="api-0",container="api",id="/kubepods.slice/"#;
    let end = format!(
        r#"/cri-containerd-{id}.scope",name="{id}",image="shop/web:2",image_digest="sha256:aa",runtime="containerd",visibility="full"}} 1.0"#
    );
    assert!(described[0].starts_with(begin) && described[0].ends_with(&end), "{}", described[0]);
    assert!(described[2].contains(r#",name="db","#), "{}", described[2]);
    // Of one origin, and one series of that: the oldest.
    let text = exporter(1).render(Exposition::Text).unwrap();
    let described = series(&text, "container_info");
    assert_eq!((described.len(), described[0].contains(&id)), (1, true), "{described:?}");
}

#[test]
fn the_classic_text_names_counters_in_full_and_has_no_units() {
    let text = exporter(10).render(Exposition::Text).unwrap();
    check_has(
        &text,
        &[
            "# TYPE sensor_records_produced_total counter",
            "# TYPE process_cpu_seconds_total counter",
            "# HELP process_cpu_seconds_total CPU time of the sensor itself.",
            "# TYPE container_cpu_runqueue_wait_seconds histogram",
        ],
    );
    assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
}

#[test]
fn no_series_is_there_twice() {
    let text = exporter(10).render(Exposition::Text).unwrap();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "{series}");
    }
}

#[test]
fn containers_beyond_the_limit_share_a_series() {
    let text = exporter(1).render(Exposition::Text).unwrap();
    check_has(
        &text,
        &[
            "sensor_containers 1.0",
            "sensor_containers_overflowing 1.0",
            r#"container_oom_events_total{namespace="",pod="",container="_overflow"} 0"#,
        ],
    );
    assert!(!text.contains(r#"container="db""#), "{text}");
}

#[test]
fn what_was_shown_stays_shown() {
    let families = Families {
        settings: Metrics { max_containers: 1, ..Metrics::default() },
        counters: Arc::default(),
        source: Box::new(Snapshot::default),
        layout: Layout::default(),
        containers: Mutex::default(),
    };
    let mut shown = BTreeSet::new();
    for (present, expected) in [(&["b"][..], "b"), (&["a", "b"], "b"), (&["a", "c"], "a")] {
        let present: Vec<Container> = present.iter().map(|name| container(name, &[])).collect();
        let shown = families.show(&mut shown, &present);
        assert_eq!(shown.iter().collect::<Vec<_>>(), [&origin(expected)]);
    }
}

#[test]
fn clients_get_what_they_accept() {
    for (accept, expected) in [
        ("", Exposition::Text),
        ("*/*", Exposition::Text),
        ("text/html, application/xhtml+xml", Exposition::Text),
        ("text/plain", Exposition::Text),
        ("application/openmetrics-text", Exposition::OpenMetrics),
        ("application/openmetrics-text;q=0", Exposition::Text),
        ("text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.3", Exposition::Text),
        // Prometheus 2.42.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Exposition::OpenMetrics,
        ),
        ("application/openmetrics-text;q=x;;,", Exposition::OpenMetrics),
    ] {
        assert_eq!(Exposition::accepted(accept), expected, "{accept}");
    }
}

#[test]
fn coarse_buckets_lose_nothing() {
    let mut histogram = Histogram::EMPTY;
    for (index, count) in histogram.buckets.iter_mut().enumerate() {
        *count = 1 << index;
    }
    let buckets = coarse(&histogram);
    assert_eq!(buckets.len(), 13);
    assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), (1 << BUCKETS) - 1);
    assert_eq!(buckets[0], (upper_bound_seconds(2), 0b111));
    assert!(buckets[12].0.is_infinite());
}

#[test]
fn cgroup_files_are_read_once_in_an_interval() {
    let families = Families {
        settings: Metrics { container_interval: Duration::from_hours(1), ..Metrics::default() },
        counters: Arc::default(),
        source: Box::new(snapshot),
        layout: Layout::default(),
        containers: Mutex::default(),
    };
    let families = Arc::new(families);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Arc::clone(&families)));
    let read_at = || families.containers.lock().unwrap().read_at;
    encode(&mut String::new(), &registry).unwrap();
    let first = read_at();
    encode(&mut String::new(), &registry).unwrap();
    assert!(first.is_some() && first == read_at());
}
