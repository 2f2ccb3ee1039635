//! What is written into a request.

use super::*;
use crate::sinks::incident::Table;
use crate::sinks::incident::tests::{Clock, alert, settings};

fn posted(alert: Arc<Alert>, labels: &[(&str, &str)]) -> Value {
    let clock = Clock::start();
    let mut table = Table::new(settings(), 1);
    table.observe(alert, clock.at(0));
    let labels =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = body(&table.due(0, 10, clock.at(2)), &labels);
    serde_json::from_str(&body).unwrap()
}

#[test]
fn labels_identify_and_annotations_describe() {
    assert_eq!(
        posted(alert("Shell in a container", 1), &[("cluster", "east"), ("severity", "none")]),
        json!([{
            "labels": {
                "alertname": "Shell in a container",
                "rule": "Shell in a container",
                "severity": "warning",
                "priority": "Warning",
                "source": "sensor",
                "node": "node-1",
                "namespace": "shop",
                "pod": "api-0",
                "container": "api",
                "cluster": "east",
            },
            "annotations": {
                "summary": "Shell in a container happened (command=sh -i)",
                "count": "1",
                "first_seen": "1970-01-01T00:00:01.000000000Z",
                "last_seen": "1970-01-01T00:00:01.000000000Z",
                "sample": r#"{"evt.time":1000000000,"proc.cmdline":"sh -i","proc.pname":null}"#,
                "tags": "container,shell",
            },
            "startsAt": "1970-01-01T00:00:01.000000000Z",
            "endsAt": "1970-01-01T00:21:42Z",
        }])
    );
}

#[test]
fn labels_without_a_value_are_left_out() {
    let mut alert = (*alert("r", 1)).clone();
    alert.origin = crate::alert::Origin::host();
    let posted = posted(Arc::new(alert), &[]);
    let labels = posted[0]["labels"].as_object().unwrap();
    assert_eq!(labels["container"], "host");
    assert!(!labels.contains_key("pod") && !labels.contains_key("namespace"));
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let mut alert = (*alert("r", 1)).clone();
    alert.output = "é".repeat(5000);
    alert.output_fields.insert("proc.args".to_owned(), "x".repeat(100_000).into());
    let posted = posted(Arc::new(alert), &[]);
    let annotation = |name: &str| posted[0]["annotations"][name].as_str().unwrap().to_owned();
    assert_eq!(annotation("summary").chars().count(), 1025);
    assert!(annotation("summary").ends_with("é…"));
    assert_eq!(annotation("sample").chars().count(), 4097);
}

#[test]
fn priorities_map_as_in_falcosidekick() {
    for (priority, expected) in [
        (Priority::Emergency, "critical"),
        (Priority::Critical, "critical"),
        (Priority::Error, "warning"),
        (Priority::Warning, "warning"),
        (Priority::Notice, "information"),
        (Priority::Debug, "information"),
    ] {
        assert_eq!(severity(priority), expected);
    }
}
