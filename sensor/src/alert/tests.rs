//! The shape of an alert, and one to test with.

use super::*;

/// An alert of `rule` in a container, `second` seconds after the epoch.
pub(crate) fn sample(rule: &str, container: &str, second: i64) -> Alert {
    let time_ns = second * 1_000_000_000;
    Alert {
        update_of: None,
        uuid: id("node-1", rule, time_ns, 1),
        time_ns,
        rule: rule.into(),
        priority: Priority::Warning,
        source: "syscall",
        tags: vec!["container".to_owned(), "shell".to_owned()].into(),
        hostname: "node-1".into(),
        output: format!("{rule} happened (command=sh -i)"),
        output_fields: Map::from_iter([
            ("evt.time".to_owned(), Value::from(time_ns)),
            ("proc.cmdline".to_owned(), Value::from("sh -i")),
            ("proc.pname".to_owned(), Value::Null),
        ]),
        origin: Origin {
            container: container.to_owned(),
            namespace: "shop".to_owned(),
            pod: "api-0".to_owned(),
        },
    }
}

#[test]
fn json_is_falcos() {
    let mut alert = sample("Shell in a container", "api", 1_755_108_301);
    alert.time_ns += 123_456_789;
    let json = serde_json::to_value(&alert).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "uuid": alert.uuid.to_string(),
            "time": "2025-08-13T18:05:01.123456789Z",
            "rule": "Shell in a container",
            "priority": "Warning",
            "source": "syscall",
            "tags": ["container", "shell"],
            "hostname": "node-1",
            "output": "18:05:01.123456789: Warning Shell in a container happened (command=sh -i)",
            "output_fields": {"evt.time": 1_755_108_301_000_000_000_i64, "proc.cmdline": "sh -i", "proc.pname": null},
        })
    );
}

#[test]
fn priority_names_are_in_the_order_of_the_priorities() {
    for (index, (priority, _)) in PRIORITIES.iter().enumerate() {
        assert_eq!(*priority as usize, index);
    }
}

#[test]
fn ids_differ_by_every_part_and_only_by_them() {
    let base = id("n", "r", 1, 1);
    assert_eq!(base, id("n", "r", 1, 1));
    assert_eq!(base.get_version_num(), 8);
    for other in [
        id("m", "r", 1, 1),
        id("n", "s", 1, 1),
        id("n", "r", 2, 1),
        id("n", "r", 1, 2),
        id("nr", "", 1, 1),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn times_out_of_range_do_not_panic() {
    assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
    assert_eq!(rfc3339(i64::MAX), "2262-04-11T23:47:16.854775807Z");
    assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
}
