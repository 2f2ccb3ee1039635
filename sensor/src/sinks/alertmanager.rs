//! Incidents to Alertmanagers over API v2. What is sent when is [`schedule`](super::schedule)'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use crate::alert::{Alert, priority_name, rfc3339};
use crate::config;
use crate::metrics::counters;
use crate::rules::priority::Priority;
use crate::sinks::Inbox;
use crate::sinks::client::{Client, Failure, random};
use crate::sinks::incident::{Incident, Key, Moment, Posting};
use crate::sinks::schedule::{Change, Outcome, Schedule};

pub(crate) const PATH: &[&str] = &["api", "v2", "alerts"];

/// An Alertmanager's answer to a request.
type Answer = (usize, Vec<Posting>, Result<(), Failure>);

/// Keeps incidents from the alerts of the queue and tells every Alertmanager of them.
pub(crate) fn to_alertmanagers(
    inbox: Inbox,
    settings: &config::Alertmanager,
    totals: Arc<counters::Counters>,
) -> Result<JoinHandle<()>> {
    let clients = settings
        .urls
        .iter()
        .map(|url| Client::new(url, PATH, &settings.client))
        .collect::<Result<Vec<_>>>()?;
    let task = Task {
        schedule: Schedule::new(settings.incidents.clone(), clients.len()),
        clients,
        requests: JoinSet::new(),
        settings: settings.clone(),
        counters: Arc::clone(&inbox.counters),
        totals,
    };
    Ok(tokio::spawn(task.run(inbox)))
}

struct Task {
    schedule: Schedule,
    clients: Vec<Client>,
    requests: JoinSet<Answer>,
    settings: config::Alertmanager,
    counters: Arc<counters::Sink>,
    totals: Arc<counters::Counters>,
}

impl Task {
    /// Ends when the queue is closed and everyone knows what was in it. Lasting incidents are not
    /// resolved then: a sensor that stops does not mean that all is well.
    async fn run(mut self, mut inbox: Inbox) {
        /// Alerts that are counted at once when many wait.
        const TAKEN: usize = 256;
        let mut alerts = Vec::with_capacity(TAKEN);
        let mut open = true;
        while open || !self.schedule.is_drained() {
            self.start_requests();
            let wake = self.schedule.wake_at().map(tokio::time::Instant::from_std);
            tokio::select! {
                taken = inbox.alerts.recv_many(&mut alerts, TAKEN), if open => {
                    if taken == 0 {
                        open = false;
                        self.schedule.table().hurry();
                    }
                    self.observe(&mut alerts);
                    inbox.counters.queued.set(inbox.alerts.len());
                }
                Some(answer) = self.requests.join_next() => {
                    if let Ok(answer) = answer {
                        self.finish(answer);
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    fn observe(&mut self, alerts: &mut Vec<Arc<Alert>>) {
        let now = Moment::now();
        self.counters.delivered.add(alerts.len() as u64);
        for alert in alerts.drain(..) {
            self.schedule.observe(alert, now);
        }
        self.totals.sinks.incidents_evicted.add(self.schedule.table().take_evicted());
    }

    fn start_requests(&mut self) {
        for (endpoint, postings) in self.schedule.start(Moment::now()) {
            let body = body(&postings, &self.settings.labels);
            let client = self.clients[endpoint].clone();
            self.requests.spawn(async move {
                let result = client.post(body).await;
                (endpoint, postings, result)
            });
        }
        self.totals.sinks.incidents_active.set(self.schedule.table().len());
    }

    fn finish(&mut self, (index, postings, result): Answer) {
        let endpoint = self.settings.urls[index].public();
        let outcome = match &result {
            Ok(()) => Outcome::Taken,
            Err(Failure::Refused { .. }) => Outcome::Refused,
            Err(Failure::Retry { after, .. }) => Outcome::Retry(*after),
        };
        let why = result.err().map(|failure| {
            self.counters.errors.add(&(endpoint.clone(), failure.reason()), 1);
            failure.to_string()
        });
        match self.schedule.finish((index, &postings), outcome, random(), Moment::now()) {
            Change::None => {}
            Change::Up => tracing::info!(endpoint, "Alertmanager takes incidents again"),
            Change::Down => {
                tracing::warn!(
                    endpoint,
                    why,
                    "cannot reach Alertmanager; incidents are kept and sent later"
                );
            }
            Change::Rejected => {
                let rule = postings.first().map(|posting| &*posting.key.rule);
                tracing::error!(endpoint, why, rule, "Alertmanager refuses an incident");
            }
        }
    }
}

async fn sleep_until(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The body of a request.
pub(crate) fn body(postings: &[Posting], labels: &BTreeMap<String, String>) -> String {
    let alerts: Vec<Value> = postings
        .iter()
        .map(|posting| {
            json!({
                "labels": identity(&posting.key, &posting.incident.latest.hostname, labels),
                "annotations": description(&posting.incident),
                "startsAt": rfc3339(posting.incident.first_ns),
                "endsAt": posting.ends.to_string(),
            })
        })
        .collect();
    Value::from(alerts).to_string()
}

/// The labels, which identify: the same for every alert of an incident. Alertmanager drops empty
/// ones.
fn identity<'a>(
    key: &'a Key,
    node: &'a str,
    labels: &'a BTreeMap<String, String>,
) -> BTreeMap<&'a str, &'a str> {
    let mut identity: BTreeMap<&str, &str> =
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    identity.extend([
        ("alertname", &*key.rule),
        ("rule", &*key.rule),
        ("severity", severity(key.priority)),
        ("priority", priority_name(key.priority)),
        ("source", "sensor"),
        ("node", node),
        ("namespace", &key.origin.namespace),
        ("pod", &key.origin.pod),
        ("container", &key.origin.container),
    ]);
    identity.retain(|_, value| !value.is_empty());
    identity
}

/// As Falcosidekick maps priorities, so that routes made for it go on working.
const fn severity(priority: Priority) -> &'static str {
    match priority {
        Priority::Emergency | Priority::Alert | Priority::Critical => "critical",
        Priority::Error | Priority::Warning => "warning",
        Priority::Notice | Priority::Informational | Priority::Debug => "information",
    }
}

/// The annotations, which describe: what may differ from alert to alert.
fn description(incident: &Incident) -> BTreeMap<&'static str, String> {
    /// A command line may be 32 KiB; a notification is read by a person.
    const SUMMARY_MAX: usize = 1024;
    const SAMPLE_MAX: usize = 4096;
    let alert = &incident.latest;
    let sample = Value::from(alert.output_fields.clone()).to_string();
    BTreeMap::from([
        ("summary", cut(&alert.output, SUMMARY_MAX)),
        ("count", incident.count.to_string()),
        ("first_seen", rfc3339(incident.first_ns)),
        ("last_seen", rfc3339(incident.last_ns)),
        ("sample", cut(&sample, SAMPLE_MAX)),
        ("tags", alert.tags.join(",")),
    ])
}

/// Cut texts end in an ellipsis.
fn cut(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
