//! `/metrics` as Prometheus reads it, and the probes' endpoints.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod servers;

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sensor::alert::Origin;
use sensor::attribution::{self, Attribution};
use sensor::config::Metrics;
use sensor::metadata::socket::{Report, State};
use sensor::metrics::counters::Counters;
use sensor::metrics::exporter::Exporter;
use sensor::metrics::health::{Condition, Health};
use sensor::metrics::server::{bind, serve};
use sensor::metrics::snapshot::{
    Container, Live, Lookups, Probe, ProbeState, Records, Ring, Snapshot, Tables,
};
use sensor::rules::priority::Priority;
use sensor_common::Kind;
use sensor_common::counters::Outcome;
use sensor_common::histogram::Histogram;
use serde_json::Value;
use servers::{Server, free_address, get, get_accepting, wait_for};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// A server of metrics, with every family in it that this host's files can fill.
struct Served {
    address: SocketAddr,
    health: Arc<Health>,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Served {
    fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let counters = Arc::new(Counters::default());
        counters.delivered.of(Kind::Exec).add(7);
        counters.malformed.add(&"short", 1);
        counters.rules.install([("quoted \"rule\" \\ with\nlines".into(), Priority::Warning)]);
        counters.throttled.add(&"noisy".into(), 3);
        counters
            .sinks
            .register("http", "http://a/", 5)
            .errors
            .add(&("http://a/".into(), "status"), 1);
        counters.oom_kills.add(&Origin::host(), 1);
        let health = Arc::new(Health::default());
        let exporter = Exporter::new(&Metrics::default(), counters, Box::new(snapshot));
        let listener = runtime.block_on(bind("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let server = serve(
            listener,
            Arc::new(exporter),
            Arc::clone(&health),
            Arc::new(String::new),
            async {
                stopped.await.unwrap_or_default();
            },
        );
        runtime.spawn(async move {
            server.await.unwrap();
            end.send(()).unwrap();
        });
        Self { address, health, runtime, stop, ended }
    }
}

fn snapshot() -> Snapshot {
    let records = |outcome, count| Records { kind: Kind::Exec, outcome, count };
    let mut waits = Histogram { sum_ns: 1_000, ..Histogram::EMPTY };
    waits.buckets[3] = 5;
    let origin = Origin { container: "all".to_owned(), ..Origin::default() };
    let container =
        attribution::Container { id: "a".repeat(64), ..attribution::Container::default() };
    let attribution = Attribution { container: Some(container), ..Attribution::HOST };
    let live = Live { origin: origin.clone(), attribution: Arc::new(attribution) };
    let socket = Report {
        kind: "docker",
        path: "/run/docker.sock".to_owned(),
        state: State::Up,
        last_error: None,
        questions: 4,
        answers: 3,
        unknown: 0,
        failures: vec![("timeout", 1)],
    };
    Snapshot {
        records: vec![records(Outcome::Produced, 10), records(Outcome::LostRing, 3)],
        filtered: Vec::new(),
        ring: Some(Ring { size_bytes: 1 << 20, unread_bytes: 72 }),
        probes: vec![Probe {
            name: "exec".to_owned(),
            hook: "tp_btf/sched_process_exec".to_owned(),
            state: ProbeState::Attached,
        }],
        // The root of the hierarchy is there on every host.
        tables: Tables {
            containers: vec![Container {
                origin,
                cgroup_path: "/".to_owned(),
                cgroup_ids: vec![1],
            }],
            live: vec![live],
            ..Tables::default()
        },
        lookups: Lookups { answered: 2, misses: vec![("late", 1)], forgotten: 0, left_out: 3 },
        sockets: vec![socket],
        runqueue_wait: vec![(1, waits)],
    }
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let served = Served::start();
    let (status, head, text) = get_accepting(served.address, "/metrics", "text/plain").unwrap();
    assert_eq!(status, 200);
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(text.contains("container_cpu_usage_seconds_total{"), "{text}");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; install Debian's package prometheus"));
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn prometheus_scrapes_and_understands() {
    let served = Served::start();
    let target = served.address;
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: sensor\n  static_configs: [{{targets: ['{target}']}}]\n"
    );
    let package = ("prometheus", "prometheus");
    let prometheus =
        Server::start(package, free_address(), &config, |address, directory, config| {
            vec![
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", directory.join("data").display()),
                format!("--web.listen-address={address}"),
            ]
        });
    let health = wait_for("the target was scraped", || {
        let targets = prometheus.json("/api/v1/targets")?;
        let target = &targets["data"]["activeTargets"][0];
        // On a busy host a scrape may take too long; the next one will do.
        let too_slow = target["lastError"].as_str()?.contains("context deadline exceeded");
        (target["health"] != "unknown" && !too_slow).then(|| target.clone())
    });
    assert_eq!((&health["health"], &health["lastError"]), (&"up".into(), &"".into()), "{health}");
    for (query, expected) in [
        ("sensor_records_delivered_total{kind=\"exec\"}", "7"),
        ("sensor_records_dropped_total", "3"),
        ("sensor_probe_state{state=\"attached\"}", "1"),
        ("sensor_rule_matches_total", "0"),
        ("container_cpu_runqueue_wait_seconds_count", "5"),
        ("container_cpu_runqueue_wait_seconds_bucket{le=\"%2BInf\"}", "5"),
        ("count(container_cpu_usage_seconds_total)", "1"),
    ] {
        let path = format!("/api/v1/query?query={}", query.replace('"', "%22"));
        let value = wait_for(query, || {
            let answer = prometheus.json(&path)?;
            answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
        });
        assert_eq!(value, expected, "{query}");
    }
    let metadata = prometheus.json("/api/v1/metadata?metric=sensor_ring_size_bytes").unwrap();
    let metadata: &Value = &metadata["data"]["sensor_ring_size_bytes"][0];
    assert_eq!((&metadata["type"], &metadata["unit"]), (&"gauge".into(), &"bytes".into()));
}

#[test]
fn readiness_names_what_is_missing_and_liveness_does_not_wait_for_it() {
    let served = Served::start();
    let ready = |path: &str| get(served.address, path).unwrap();
    assert_eq!(ready("/livez"), (200, "ok\n".to_owned()));
    let (status, text) = ready("/readyz");
    assert!(status == 503 && text.contains("[-]attached failed: not yet"), "{text}");
    for condition in Condition::ALL {
        served.health.holds_for(condition, Duration::from_mins(10));
    }
    assert_eq!(ready("/readyz"), (200, "ok\n".to_owned()));
    served.health.fails(Condition::RulesLoaded, "no rules");
    let (status, text) = ready("/readyz?verbose");
    assert_eq!(status, 503);
    assert_eq!(
        text,
        "[+]attached ok\n[+]draining ok\n[-]rules_loaded failed: no rules\n[+]canary_seen ok\n"
    );
    assert_eq!(ready("/nothing").0, 404);
}

#[test]
fn clients_choose_the_format() {
    let served = Served::start();
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (_, head, text) = get_accepting(served.address, "/metrics", accept).unwrap();
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_port_in_use_is_one_sentence_and_the_end_is_orderly() {
    let served = Served::start();
    let error = served.runtime.block_on(bind(served.address)).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        format!(
            "cannot serve metrics on {}: the port is in use; choose another with `metrics.listen`, or set `metrics.enabled` to false",
            served.address
        )
    );
    served.stop.send(()).unwrap();
    served.runtime.block_on(served.ended).unwrap();
    assert!(get(served.address, "/livez").is_none());
}
