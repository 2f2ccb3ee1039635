//! What a matching rule produces, in the shape that Falco prints.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::rules::priority::Priority;

/// One match of one rule. Cheap to clone: every sink's queue holds the same alert.
#[derive(Clone, Debug, Serialize)]
pub struct Alert {
    pub uuid: uuid::Uuid,
    /// RFC 3339, nanoseconds, UTC.
    pub time: String,
    pub rule: Arc<str>,
    pub priority: Priority,
    pub source: &'static str,
    pub tags: Arc<[String]>,
    pub hostname: Arc<str>,
    /// The rule's output text with its fields filled in.
    pub output: String,
    /// Every field that the output text names, and `evt.time`; null where the event has none.
    pub output_fields: Map<String, Value>,
    /// What an incident is grouped by; not part of Falco's shape.
    #[serde(skip)]
    pub origin: Origin,
}

/// Where it happened, in the labels that Prometheus and Alertmanager join on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Container name, or its id's first twelve digits while no name is known; `host` without one.
    pub container: String,
    pub namespace: String,
    pub pod: String,
}
