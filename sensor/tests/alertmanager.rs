//! Alerts through the sink into a real Alertmanager.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod servers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sensor::alert::{Alert, Origin, id};
use sensor::config::value::{Endpoint, Format};
use sensor::config::{self, Incidents};
use sensor::metrics::counters::Counters;
use sensor::rules::priority::Priority;
use sensor::sinks::Sinks;
use sensor::sinks::test::{RULE, test_all};
use serde_json::{Value, json};
use servers::{Server, free_address, wait_for};
use tokio::runtime::{Builder, Runtime};

const PACKAGE: (&str, &str) = ("prometheus-alertmanager", "prometheus-alertmanager");
const GRACE: Duration = Duration::from_secs(30);

fn alertmanager(address: SocketAddr) -> Server {
    let config = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
    Server::start(PACKAGE, address, config, |address, directory, config| {
        vec![
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", directory.join("data").display()),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".to_owned(),
        ]
    })
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn settings(addresses: &[SocketAddr], incidents: Incidents) -> config::Sinks {
    let url = |address: &SocketAddr| Endpoint::parse(&format!("http://{address}")).unwrap();
    config::Sinks {
        stdout: config::Stdout { format: Format::Off, ..config::Stdout::default() },
        alertmanager: config::Alertmanager {
            urls: addresses.iter().map(url).collect(),
            incidents,
            labels: [("cluster".to_owned(), "east".to_owned())].into(),
            ..config::Alertmanager::default()
        },
        ..config::Sinks::default()
    }
}

fn alert(number: u64) -> Alert {
    let now = jiff::Timestamp::now();
    let time_ns = i64::try_from(now.as_nanosecond()).unwrap();
    Alert {
        update_of: None,
        uuid: id("node-1", "Shell in a container", time_ns, number),
        time_ns,
        rule: "Shell in a container".into(),
        priority: Priority::Critical,
        source: "syscall",
        tags: ["shell".to_owned()].into(),
        hostname: "node-1".into(),
        output: format!("A shell was started (pid={number})"),
        output_fields: [("proc.pid".to_owned(), Value::from(number))].into_iter().collect(),
        origin: Origin {
            container: "api".to_owned(),
            namespace: "shop".to_owned(),
            pod: "api-7d9".to_owned(),
        },
    }
}

/// The alerts that last.
fn alerts(server: &Server) -> Option<Vec<Value>> {
    server.json("/api/v2/alerts")?.as_array().cloned()
}

fn count(alerts: &[Value]) -> Option<&str> {
    alerts.first()?["annotations"]["count"].as_str()
}

#[test]
fn many_alerts_are_one_incident_which_is_resolved_when_quiet() {
    let (runtime, server) = (runtime(), alertmanager(free_address()));
    let incidents = Incidents {
        resend_interval: Duration::from_mins(1),
        resolve_after: Duration::from_secs(5),
        ..Incidents::default()
    };
    let counters = Arc::new(Counters::default());
    let sinks = Sinks::start(
        &settings(&[server.address], incidents),
        Arc::clone(&counters),
        runtime.handle().clone(),
    )
    .unwrap();
    for number in 0..1000 {
        sinks.dispatch(alert(number));
    }
    let found = wait_for("the incident is there", || alerts(&server).filter(|all| !all.is_empty()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0]["labels"],
        json!({
            "alertname": "Shell in a container",
            "rule": "Shell in a container",
            "severity": "critical",
            "priority": "Critical",
            "source": "sensor",
            "node": "node-1",
            "namespace": "shop",
            "pod": "api-7d9",
            "container": "api",
            "cluster": "east",
        })
    );
    let summary = found[0]["annotations"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("A shell was started (pid="), "{summary}");
    assert_eq!(found[0]["status"]["state"], "active");

    // Its own `endsAt` is five minutes away: that it goes is the sensor's doing.
    wait_for("the incident is resolved", || alerts(&server).filter(Vec::is_empty));
    wait_for("the sensor forgets it", || {
        (counters.sinks.incidents_active.get() == 0).then_some(())
    });
    assert_eq!(runtime.block_on(sinks.shutdown(GRACE)), 0);
    let sink = &counters.sinks.get()[0];
    assert_eq!((sink.sent.get(), sink.delivered.get()), (1000, 1000));
}

#[test]
fn a_lasting_incident_is_sent_again_with_its_count() {
    let (runtime, server) = (runtime(), alertmanager(free_address()));
    let incidents =
        Incidents { resend_interval: Duration::from_millis(200), ..Incidents::default() };
    let sinks = Sinks::start(
        &settings(&[server.address], incidents),
        Arc::default(),
        runtime.handle().clone(),
    )
    .unwrap();
    sinks.dispatch(alert(1));
    let first =
        wait_for("the incident is there", || alerts(&server).filter(|all| count(all) == Some("1")));
    sinks.dispatch(alert(2));
    let second =
        wait_for("its count has grown", || alerts(&server).filter(|all| count(all) == Some("2")));
    for same in ["fingerprint", "startsAt"] {
        assert_eq!(first[0][same], second[0][same]);
    }
    assert_eq!(second[0]["annotations"]["first_seen"], first[0]["annotations"]["first_seen"]);
    assert_ne!(second[0]["annotations"]["last_seen"], first[0]["annotations"]["last_seen"]);
    // What lasts is not resolved by the sensor's end.
    assert_eq!(runtime.block_on(sinks.shutdown(GRACE)), 0);
    assert_eq!(alerts(&server).unwrap().len(), 1);
}

#[test]
fn an_alertmanager_that_comes_later_hears_of_it_and_holds_up_no_other() {
    let runtime = runtime();
    let up = alertmanager(free_address());
    let late_address = free_address();
    let counters = Arc::new(Counters::default());
    let sinks = Sinks::start(
        &settings(&[late_address, up.address], Incidents::default()),
        Arc::clone(&counters),
        runtime.handle().clone(),
    )
    .unwrap();
    sinks.dispatch(alert(1));
    wait_for("the one that is up has it", || alerts(&up).filter(|all| all.len() == 1));
    let failed = (format!("http://{late_address}/"), "connection");
    wait_for("the other was tried", || counters.sinks.get()[0].errors.get().get(&failed).copied());
    let late = alertmanager(late_address);
    let found = wait_for("the other has it", || alerts(&late).filter(|all| all.len() == 1));
    assert_eq!(found[0]["labels"]["pod"], "api-7d9");
    runtime.block_on(sinks.shutdown(GRACE));
}

#[test]
fn shutdown_waits_until_it_is_told() {
    let (runtime, server) = (runtime(), alertmanager(free_address()));
    let incidents = Incidents { batch_wait: Duration::from_hours(1), ..Incidents::default() };
    let settings = settings(&[server.address], incidents);
    let sinks = Sinks::start(&settings, Arc::default(), runtime.handle().clone()).unwrap();
    let mut alert = alert(1);
    alert.priority = Priority::Warning;
    sinks.dispatch(alert);
    assert_eq!(runtime.block_on(sinks.shutdown(GRACE)), 0);
    assert_eq!(alerts(&server).unwrap().len(), 1);
}

#[test]
fn a_reload_that_does_not_concern_it_keeps_its_incidents() {
    let (runtime, server) = (runtime(), alertmanager(free_address()));
    let directory = tempfile::tempdir().unwrap();
    let incidents =
        Incidents { resend_interval: Duration::from_millis(200), ..Incidents::default() };
    let mut settings = settings(&[server.address], incidents);
    let sinks = Sinks::start(&settings, Arc::default(), runtime.handle().clone()).unwrap();
    sinks.dispatch(alert(1));
    wait_for("the incident is there", || alerts(&server).filter(|all| count(all) == Some("1")));
    settings.file.path = Some(directory.path().join("alerts"));
    runtime.block_on(sinks.reload(&settings, GRACE)).unwrap();
    sinks.dispatch(alert(2));
    wait_for("it goes on counting", || alerts(&server).filter(|all| count(all) == Some("2")));
    runtime.block_on(sinks.shutdown(GRACE));
    let lines = std::fs::read_to_string(directory.path().join("alerts")).unwrap();
    assert_eq!(lines.lines().count(), 1);
}

#[test]
fn a_test_alert_arrives() {
    let (runtime, server) = (runtime(), alertmanager(free_address()));
    let settings = settings(&[server.address], Incidents::default());
    let outcomes = runtime.block_on(test_all(&settings, "node-1"));
    assert!(outcomes.len() == 1 && outcomes[0].result.is_ok(), "{outcomes:?}");
    let found = alerts(&server).unwrap();
    assert_eq!(found[0]["labels"]["alertname"], RULE);
}
