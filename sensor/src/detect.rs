//! The last stages of the pipeline: an event through the rules, and alerts from what matches.

use std::sync::Arc;

use crate::alert::{self, Alert, Origin};
use crate::attribution::Attribution;
use crate::event::Event;
use crate::probe::wanted::Wanted;
use crate::rules::program::Scratch;
use crate::rules::{Rule, Ruleset};

/// A ruleset at work.
pub struct Detector {
    ruleset: Ruleset,
    scratch: Scratch,
    hostname: Arc<str>,
}

impl Detector {
    pub fn new(ruleset: Ruleset, hostname: &str) -> Self {
        Self { scratch: ruleset.scratch(), ruleset, hostname: hostname.into() }
    }

    /// Takes a new ruleset, from the next event on.
    pub fn replace(&mut self, ruleset: Ruleset) {
        self.scratch = ruleset.scratch();
        self.ruleset = ruleset;
    }

    pub fn hostname(&self) -> &Arc<str> {
        &self.hostname
    }

    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// Hands every alert that the event raises to `raise`.
    pub fn detect(&mut self, event: &Event<'_>, mut raise: impl FnMut(Alert)) {
        let Self { ruleset, scratch, hostname } = self;
        ruleset.evaluate(event, scratch, |rule| raise(alert(rule, event, hostname)));
    }
}

fn alert(rule: &Rule, event: &Event<'_>, hostname: &Arc<str>) -> Alert {
    let rendered = rule.render(event);
    Alert {
        uuid: alert::id(hostname, &rule.name, event.time_ns, event.number),
        time_ns: event.time_ns,
        rule: Arc::clone(&rule.name),
        priority: rule.priority,
        source: "syscall",
        tags: Arc::clone(&rule.tags),
        hostname: Arc::clone(hostname),
        output: rendered.message,
        output_fields: rendered.fields,
        origin: origin(event.attribution),
    }
}

/// Where it happened, in the labels that people know.
pub fn origin(attribution: &Attribution) -> Origin {
    let Some(container) = &attribution.container else {
        return match &attribution.unit {
            Some(unit) => {
                Origin { container: unit.clone(), namespace: "systemd".into(), pod: String::new() }
            }
            None => Origin::host(),
        };
    };
    let name = container.name.clone().unwrap_or_else(|| container.short_id().to_owned());
    let pod = container.pod.as_ref();
    let of_pod = |get: fn(&crate::attribution::Pod) -> &Option<String>| {
        pod.and_then(|pod| get(pod).clone()).unwrap_or_default()
    };
    Origin {
        container: name,
        namespace: of_pod(|pod| &pod.namespace),
        pod: of_pod(|pod| &pod.name),
    }
}

/// What a ruleset needs: what its rules are about, and what identity needs.
pub fn wanted(ruleset: &Ruleset) -> Wanted {
    let mut wanted = Wanted::identity();
    wanted.run_queue = true;
    for event_type in ruleset.event_types() {
        // A type that nothing makes was named when the rules were loaded.
        wanted.add_event_type(event_type);
    }
    wanted
}
