//! Queues, files and shutdown.

use tempfile::TempDir;

use super::*;
use crate::alert::tests::sample;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Settings with a file only.
fn to_file(directory: &TempDir, name: &str) -> config::Sinks {
    config::Sinks {
        stdout: config::Stdout { format: Format::Off, ..config::Stdout::default() },
        file: config::File {
            path: Some(directory.path().join(name)),
            min_priority: Priority::Warning,
            ..config::File::default()
        },
        ..config::Sinks::default()
    }
}

fn rules_in(directory: &TempDir, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|alert| alert["rule"].as_str().unwrap().to_owned())
        .collect()
}

const GRACE: Duration = Duration::from_secs(30);

#[test]
fn shutdown_writes_what_waits_and_only_what_is_urgent_enough() {
    let (runtime, directory) = (runtime(), TempDir::new().unwrap());
    let counters = Arc::new(Counters::default());
    let settings = to_file(&directory, "alerts");
    let sinks = Sinks::start(&settings, Arc::clone(&counters), runtime.handle().clone()).unwrap();
    for number in 0..100 {
        let mut alert = sample(&format!("rule {number}"), "c", number);
        if number == 7 {
            alert.priority = Priority::Notice;
        }
        sinks.dispatch(alert);
    }
    assert_eq!(runtime.block_on(sinks.shutdown(GRACE)), 0);
    let rules = rules_in(&directory, "alerts");
    assert_eq!(rules.len(), 99);
    assert!(!rules.contains(&"rule 7".to_owned()));
    let sink = &counters.sinks.get()[0];
    assert_eq!((sink.sent.get(), sink.delivered.get()), (99, 99));
    // After the end an alert has nowhere to go, and that is no panic.
    sinks.dispatch(sample("late", "c", 1));
}

#[test]
fn a_full_queue_drops_and_counts() {
    let runtime = runtime();
    let counters = Arc::new(Counters::default());
    // Accepts connections and answers none.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let settings = config::Sinks {
        stdout: config::Stdout { format: Format::Off, ..config::Stdout::default() },
        http: config::Http {
            urls: vec![Endpoint::parse(&url).unwrap()],
            queue: 3,
            ..config::Http::default()
        },
        ..config::Sinks::default()
    };
    let sinks = Sinks::start(&settings, Arc::clone(&counters), runtime.handle().clone()).unwrap();
    for number in 0..10 {
        sinks.dispatch(sample("r", "c", number));
    }
    // One may be on its way; three wait.
    let sink = &counters.sinks.get()[0];
    let full = sink.dropped.get()["queue_full"];
    assert!(sink.sent.get() == 10 && (6..=7).contains(&full), "{full}");
    // The grace period ends, and what waited is counted, too.
    assert_eq!(runtime.block_on(sinks.shutdown(Duration::from_millis(1))), 10 - full);
    assert_eq!(sink.dropped.get()["shutdown"], 10 - full);
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let (runtime, directory) = (runtime(), TempDir::new().unwrap());
    let counters = Arc::new(Counters::default());
    let settings = to_file(&directory, "alerts");
    let sinks = Sinks::start(&settings, Arc::clone(&counters), runtime.handle().clone()).unwrap();
    sinks.dispatch(sample("before", "c", 1));
    wait_for(|| counters.sinks.get()[0].delivered.get() == 1);
    let path = directory.path().join("alerts");
    std::fs::rename(&path, directory.path().join("alerts.1")).unwrap();
    sinks.reopen();
    sinks.dispatch(sample("after", "c", 2));
    assert_eq!(runtime.block_on(sinks.shutdown(GRACE)), 0);
    assert_eq!(rules_in(&directory, "alerts.1"), ["before"]);
    assert_eq!(rules_in(&directory, "alerts"), ["after"]);
}

#[test]
fn a_reload_moves_to_the_new_file_and_a_bad_one_stays() {
    let (runtime, directory) = (runtime(), TempDir::new().unwrap());
    let counters = Arc::new(Counters::default());
    let sinks =
        Sinks::start(&to_file(&directory, "a"), Arc::clone(&counters), runtime.handle().clone())
            .unwrap();
    sinks.dispatch(sample("first", "c", 1));
    let error =
        runtime.block_on(sinks.reload(&to_file(&directory, "missing/file"), GRACE)).unwrap_err();
    assert!(format!("{error:#}").contains("missing/file"), "{error:#}");
    sinks.dispatch(sample("second", "c", 2));
    runtime.block_on(sinks.reload(&to_file(&directory, "b"), GRACE)).unwrap();
    sinks.dispatch(sample("third", "c", 3));
    runtime.block_on(sinks.shutdown(GRACE));
    assert_eq!(rules_in(&directory, "a"), ["first", "second"]);
    assert_eq!(rules_in(&directory, "b"), ["third"]);
}

#[test]
fn the_throttle_counts_what_it_holds_back() {
    let (runtime, directory) = (runtime(), TempDir::new().unwrap());
    let counters = Arc::new(Counters::default());
    let mut settings = to_file(&directory, "alerts");
    settings.throttle = config::Throttle { rate: 0.000_001, burst: 2 };
    let sinks = Sinks::start(&settings, Arc::clone(&counters), runtime.handle().clone()).unwrap();
    for number in 0..5 {
        sinks.dispatch(sample("noisy", "c", number));
    }
    runtime.block_on(sinks.shutdown(GRACE));
    assert_eq!(rules_in(&directory, "alerts").len(), 2);
    assert_eq!(counters.throttled.get()["noisy"], 3);
}

/// Waits until it is so; the deadline only ends a test that has failed.
fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + GRACE;
    while !condition() {
        assert!(Instant::now() < deadline, "nothing came of it");
        std::thread::yield_now();
    }
}
