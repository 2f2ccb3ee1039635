//! Each alert as a POST of Falco's JSON: what Falcosidekick and most webhooks take.

use anyhow::Result;
use tokio::task::JoinHandle;

use crate::config;
use crate::config::value::Endpoint;
use crate::metrics::counters;
use crate::sinks::Inbox;
use crate::sinks::client::{Client, Failure, back_off, random};

/// Posts the alerts of the queue in order. While the destination is down the queue fills.
pub(crate) fn to_url(
    mut inbox: Inbox,
    endpoint: &Endpoint,
    settings: &config::Http,
) -> Result<JoinHandle<()>> {
    let client = Client::new(endpoint, &[], &settings.client)?;
    Ok(tokio::spawn(async move {
        let mut failures = 0;
        while let Some(alert) = inbox.alerts.recv().await {
            inbox.counters.queued.set(inbox.alerts.len());
            // An alert holds nothing that JSON cannot say.
            let json = serde_json::to_string(&alert).unwrap_or_default();
            deliver(&client, json, &inbox.counters, &mut failures).await;
        }
    }))
}

/// Tries until the destination took it or refused it.
async fn deliver(client: &Client, json: String, counters: &counters::Sink, failures: &mut u32) {
    let endpoint = &counters.endpoint;
    loop {
        let Err(failure) = client.post(json.clone()).await else {
            if std::mem::take(failures) > 0 {
                tracing::info!(endpoint, "alerts are taken again");
            }
            return counters.delivered.add(1);
        };
        counters.errors.add(&(endpoint.clone(), failure.reason()), 1);
        match failure {
            Failure::Refused { why, .. } => {
                tracing::warn!(endpoint, why, "an alert was refused; it is dropped and counted");
                return counters.dropped.add(&"refused", 1);
            }
            Failure::Retry { why, after, .. } => {
                *failures = failures.saturating_add(1);
                if *failures == 1 {
                    tracing::warn!(endpoint, why, "cannot deliver alerts; they wait in the queue");
                }
                let wait = after.unwrap_or_else(|| back_off(*failures, random()));
                tokio::time::sleep(wait).await;
            }
        }
    }
}
