//! What a matching rule produces, in the shape that Falco prints.

use std::sync::Arc;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::rules::priority::Priority;

/// One match of one rule. Every sink's queue holds the same alert behind an [`Arc`].
#[derive(Clone, Debug)]
pub struct Alert {
    /// From [`id`], so that a replay gives the same alerts.
    pub uuid: Uuid,
    /// Nanoseconds since the epoch.
    pub time_ns: i64,
    pub rule: Arc<str>,
    pub priority: Priority,
    pub source: &'static str,
    pub tags: Arc<[String]>,
    pub hostname: Arc<str>,
    /// The rule's output text with its fields filled in, without time and priority.
    pub output: String,
    /// Every field that the output text names, and `evt.time`; null where the event has none.
    pub output_fields: Map<String, Value>,
    /// What an incident is grouped by; not part of Falco's shape.
    pub origin: Origin,
}

/// Where it happened, in the labels that Prometheus and Alertmanager join on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Container name, or its id's first twelve digits while no name is known; `host` without one.
    pub container: String,
    pub namespace: String,
    pub pod: String,
}

impl Origin {
    /// The host's own processes.
    pub fn host() -> Self {
        Self { container: "host".to_owned(), ..Self::default() }
    }
}

/// Falco's JSON: `output` begins with the time of day (UTC) and the priority, as Falco's does.
impl Serialize for Alert {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = timestamp(self.time_ns);
        let of_day = time.strftime("%H:%M:%S.%9f");
        let mut map = serializer.serialize_map(Some(9))?;
        map.serialize_entry("uuid", &self.uuid)?;
        map.serialize_entry("time", &rfc3339(self.time_ns))?;
        map.serialize_entry("rule", &self.rule)?;
        map.serialize_entry("priority", priority_name(self.priority))?;
        map.serialize_entry("source", self.source)?;
        map.serialize_entry("tags", &self.tags)?;
        map.serialize_entry("hostname", &self.hostname)?;
        let output = format!("{of_day}: {} {}", priority_name(self.priority), self.output);
        map.serialize_entry("output", &output)?;
        map.serialize_entry("output_fields", &self.output_fields)?;
        map.end()
    }
}

/// The names of priorities, as Falco writes them.
pub const PRIORITIES: [(Priority, &str); 8] = [
    (Priority::Emergency, "Emergency"),
    (Priority::Alert, "Alert"),
    (Priority::Critical, "Critical"),
    (Priority::Error, "Error"),
    (Priority::Warning, "Warning"),
    (Priority::Notice, "Notice"),
    (Priority::Informational, "Informational"),
    (Priority::Debug, "Debug"),
];

pub const fn priority_name(priority: Priority) -> &'static str {
    PRIORITIES[priority as usize].1
}

/// A time of which every value is representable; out of range is the nearest end.
pub fn timestamp(time_ns: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or(jiff::Timestamp::MAX)
}

/// RFC 3339 in UTC with nine digits of nanoseconds.
pub fn rfc3339(time_ns: i64) -> String {
    timestamp(time_ns).strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// The id of an alert: the same for the same event of the same capture, different for any other.
pub fn id(hostname: &str, rule: &str, time_ns: i64, event_number: u64) -> Uuid {
    // FNV-1a with 128 bits: stable over builds, which the standard library's hasher is not.
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let parts =
        [hostname.as_bytes(), rule.as_bytes(), &time_ns.to_le_bytes(), &event_number.to_le_bytes()];
    let hash = parts.iter().fold(OFFSET, |hash, part| {
        // 0xff ends each part, as no UTF-8 text has it.
        part.iter()
            .chain(&[0xff])
            .fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
    });
    uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An alert of `rule` in a container, `second` seconds after the epoch.
    pub(crate) fn sample(rule: &str, container: &str, second: i64) -> Alert {
        let time_ns = second * 1_000_000_000;
        Alert {
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
}
