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
    /// It was sent before, with the same uuid, when no more was known of its container than this.
    pub update_of: Option<Origin>,
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
        let mut map = serializer.serialize_map(Some(9 + usize::from(self.update_of.is_some())))?;
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
        // Not in Falco's shape: there an alert is sent once.
        if self.update_of.is_some() {
            map.serialize_entry("update", &true)?;
        }
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
pub(crate) mod tests;
