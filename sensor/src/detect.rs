//! The last stages of the pipeline: an event through the rules, and alerts from what matches.

use std::sync::Arc;

use crate::alert::{self, Alert, Origin};
use crate::attribution::Attribution;
use crate::attribution::metadata::Pod;
use crate::event::{Event, Turn};
use crate::probe::filter::Content;
use crate::probe::wanted::Wanted;
use crate::rules::priority::Priority;
use crate::rules::program::Scratch;
use crate::rules::pushdown::lower::{Tables, index_of};
use crate::rules::reads::fields;
use crate::rules::{Rule, Ruleset};

/// Fields of a container that its cgroup's path gives; the others of these classes are looked up.
const OF_PATH: [&str; 4] = ["container.id", "container.full_id", "k8s.pod.id", "k8s.pod.uid"];

/// A ruleset at work.
pub struct Detector {
    ruleset: Ruleset,
    scratch: Scratch,
    hostname: Arc<str>,
    /// The least priority of which alerts do not wait for what is looked up.
    urgent: Priority,
    /// By rule: urgent, and decided without what is looked up.
    hurries: Vec<bool>,
}

impl Detector {
    pub fn new(ruleset: Ruleset, hostname: &str) -> Self {
        let urgent = Priority::Critical;
        let (scratch, hurries) = (ruleset.scratch(), hurries(&ruleset, urgent));
        Self { scratch, ruleset, hostname: hostname.into(), urgent, hurries }
    }

    /// Alerts of no priority wait.
    #[must_use]
    pub fn at_once(self) -> Self {
        let urgent = Priority::Debug;
        let hurries = hurries(&self.ruleset, urgent);
        Self { urgent, hurries, ..self }
    }

    /// Takes a new ruleset, from the next event on.
    pub fn replace(&mut self, ruleset: Ruleset) {
        self.scratch = ruleset.scratch();
        self.hurries = hurries(&ruleset, self.urgent);
        self.ruleset = ruleset;
    }

    pub fn hostname(&self) -> &Arc<str> {
        &self.hostname
    }

    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// Hands every alert that the event raises to `raise`. Of an event that will come again, these
    /// are the urgent ones; when it does, they come again too, as updates.
    pub fn detect(&mut self, event: &Event<'_>, mut raise: impl FnMut(Alert)) {
        let Self { ruleset, scratch, hostname, urgent, hurries } = self;
        if event.turn == Turn::Early {
            ruleset.evaluate_early(event, scratch, |number, rule| {
                if hurries.get(number).is_some_and(|hurries| *hurries) {
                    raise(alert(rule, event, hostname));
                }
            });
            return;
        }
        ruleset.evaluate(event, scratch, |rule| {
            let mut alert = alert(rule, event, hostname);
            let is_update = event.turn == Turn::Late
                && rule.priority <= *urgent
                && ruleset
                    .rules()
                    .iter()
                    .zip(&*hurries)
                    .any(|(one, hurries)| *hurries && Arc::ptr_eq(&one.name, &rule.name));
            alert.update_of = is_update.then(|| early_origin(event.attribution));
            raise(alert);
        });
    }
}

/// Which rules need not and must not wait for what is looked up about a container.
fn hurries(ruleset: &Ruleset, urgent: Priority) -> Vec<bool> {
    let is_looked_up = |field: &&str| {
        let of_container = field.starts_with("container.") || field.starts_with("k8s.");
        (of_container && !OF_PATH.contains(field)) || field.starts_with("proc.is_container_")
    };
    let hurries = |rule: &Rule| {
        rule.priority <= urgent && !fields(ruleset.program(), rule.node()).iter().any(is_looked_up)
    };
    ruleset.rules().iter().map(hurries).collect()
}

/// Where it happened, as far as was known when nothing was looked up yet.
fn early_origin(attribution: &Attribution) -> Origin {
    let mut attribution = attribution.clone();
    if let Some(container) = &mut attribution.container {
        container.name = None;
        let pod = container.pod.take();
        container.pod = pod.map(|pod| Pod { uid: pod.uid, ..Pod::default() });
    }
    origin(&attribution)
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
        update_of: None,
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
    let of_pod =
        |get: fn(&Pod) -> &Option<String>| pod.and_then(|pod| get(pod).clone()).unwrap_or_default();
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

/// What the kernel side needs to let only those events pass that some rule may match.
pub fn filters(tables: &Tables, first: u32) -> Content {
    let number = u16::try_from(first).unwrap_or(u16::MAX);
    let event =
        |(event_type, own): &(&str, u16)| Some((index_of(event_type)?, first + u32::from(*own)));
    Content {
        filters: tables.filters.clone(),
        events: tables.events.iter().filter_map(event).collect(),
        texts: tables.text_keys(number).chain(tables.beginning_keys(number)).collect(),
        paths: tables.path_keys(number).collect(),
        networks: tables.network_keys(number).collect(),
    }
}
