//! `sensor sinks test`: one alert to each configured destination, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Map;

use crate::alert::{Alert, Origin, id};
use crate::config;
use crate::config::value::Endpoint;
use crate::rules::priority::Priority;
use crate::sinks::alertmanager::{PATH, body};
use crate::sinks::client::Client;
use crate::sinks::incident::{Moment, Table};
use crate::sinks::{Wanted, form, lines, wanted};

/// The rule that test alerts name.
pub const RULE: &str = "Sensor test alert";

/// What came of the alert to one destination.
#[derive(Debug)]
pub struct Outcome {
    pub sink: &'static str,
    /// A path or a URL without its secrets; empty for stdout.
    pub destination: String,
    pub result: Result<()>,
}

/// Sends a test alert to each destination, one after the other, and waits for its answer.
/// Minimum priorities do not hold it back. Empty when no sink is configured.
pub async fn test_all(settings: &config::Sinks, hostname: &str) -> Vec<Outcome> {
    let alert = alert(hostname);
    let mut outcomes = Vec::new();
    for wanted in wanted(settings) {
        let (sink, endpoint, ..) = wanted.queue();
        match wanted {
            Wanted::Stdout(stdout) => {
                let result = lines::print(&alert, form(stdout.format)).context("write to stdout");
                outcomes.push(Outcome { sink, destination: endpoint, result });
            }
            Wanted::File(path, _) => {
                let destination = path.display().to_string();
                let result = lines::append(&alert, &path)
                    .with_context(|| format!("append to {destination}"));
                outcomes.push(Outcome { sink, destination, result });
            }
            Wanted::Http(url, http) => {
                let json = serde_json::to_string(&alert).unwrap_or_default();
                let result = post(&url, &[], &http.client, json).await;
                outcomes.push(Outcome { sink, destination: endpoint, result });
            }
            Wanted::Alertmanager(settings) => {
                for url in &settings.urls {
                    let json = incident(&alert, &settings);
                    let result = post(url, PATH, &settings.client, json).await;
                    outcomes.push(Outcome { sink, destination: url.public(), result });
                }
            }
        }
    }
    outcomes
}

async fn post(url: &Endpoint, path: &[&str], client: &config::Client, json: String) -> Result<()> {
    let client = Client::new(url, path, client)?;
    client.post(json).await?;
    Ok(())
}

/// The alert as the request that the Alertmanager sink would send. It ends by itself.
fn incident(alert: &Alert, settings: &config::Alertmanager) -> String {
    let now = Moment::now();
    let incidents = config::Incidents { batch_wait: Duration::ZERO, ..settings.incidents.clone() };
    let mut table = Table::new(incidents, 1);
    table.observe(Arc::new(alert.clone()), now);
    body(&table.due(0, 1, now), &settings.labels)
}

fn alert(hostname: &str) -> Alert {
    let now = jiff::Timestamp::now();
    let time_ns = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
    Alert {
        update_of: None,
        uuid: id(hostname, RULE, time_ns, 0),
        time_ns,
        rule: RULE.into(),
        priority: Priority::Notice,
        source: "internal",
        tags: ["test".to_owned()].into(),
        hostname: hostname.into(),
        output: format!(
            "this is a test of the sinks of the sensor on {hostname}; nothing happened"
        ),
        output_fields: Map::from_iter([("evt.time".to_owned(), time_ns.into())]),
        origin: Origin::host(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Format;

    #[test]
    fn each_destination_has_its_own_outcome() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts");
        // Nobody listens there any more.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = Endpoint::parse(&format!("http://user:secret@{closed}/hook")).unwrap();
        let settings = config::Sinks {
            stdout: config::Stdout { format: Format::Off, ..config::Stdout::default() },
            file: config::File { path: Some(path.clone()), ..config::File::default() },
            http: config::Http { urls: vec![url], ..config::Http::default() },
            ..config::Sinks::default()
        };
        let outcomes = runtime.block_on(test_all(&settings, "node-1"));
        let [file, http] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert_eq!((file.sink, &file.destination), ("file", &path.display().to_string()));
        assert!(file.result.is_ok() && std::fs::read_to_string(path).unwrap().contains(RULE));
        assert_eq!(http.destination, format!("http://{closed}/hook"));
        let error = http.result.as_ref().unwrap_err().to_string();
        assert!(error.contains("refused") && !error.contains("secret"), "{error}");
        assert!(
            runtime
                .block_on(test_all(
                    &config::Sinks { stdout: settings.stdout, ..config::Sinks::default() },
                    "n"
                ))
                .is_empty()
        );
    }
}
