//! What each Alertmanager is to be told when: the incidents, and how each endpoint fares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::alert::Alert;
use crate::config::Incidents;
use crate::sinks::client::back_off;
use crate::sinks::incident::{Moment, Posting, Table};

/// Incidents in one request.
const BATCH: usize = 64;

pub(crate) struct Schedule {
    table: Table,
    endpoints: Vec<Endpoint>,
}

struct Endpoint {
    /// A request is on its way.
    busy: bool,
    /// In a row.
    failures: u32,
    not_before: Option<Instant>,
    /// Incidents in its next request: halved when one is refused, to find out which.
    batch: usize,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    /// Not as it is; one of its incidents may be the reason.
    Refused,
    /// Later, and not before this has passed if it was said.
    Retry(Option<Duration>),
}

/// What is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Down,
    Up,
    /// This one incident is refused.
    Rejected,
}

impl Schedule {
    pub(crate) fn new(settings: Incidents, endpoints: usize) -> Self {
        let endpoint = || Endpoint { busy: false, failures: 0, not_before: None, batch: BATCH };
        Self {
            table: Table::new(settings, endpoints),
            endpoints: std::iter::repeat_with(endpoint).take(endpoints).collect(),
        }
    }

    pub(crate) fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    pub(crate) fn observe(&mut self, alert: Arc<Alert>, now: Moment) {
        self.table.observe(alert, now);
    }

    /// The requests to send now, at most one for each endpoint, which is busy until [`finish`].
    ///
    /// [`finish`]: Self::finish
    pub(crate) fn start(&mut self, now: Moment) -> Vec<(usize, Vec<Posting>)> {
        self.table.settle(now);
        let mut requests = Vec::new();
        for (index, endpoint) in self.endpoints.iter_mut().enumerate() {
            if endpoint.busy || endpoint.not_before.is_some_and(|at| now.instant < at) {
                continue;
            }
            let due = self.table.due(index, endpoint.batch, now);
            if !due.is_empty() {
                endpoint.busy = true;
                requests.push((index, due));
            }
        }
        requests
    }

    /// Records the outcome of a request. `random` spreads retries.
    pub(crate) fn finish(
        &mut self,
        (index, postings): (usize, &[Posting]),
        outcome: Outcome,
        random: u64,
        now: Moment,
    ) -> Change {
        let endpoint = &mut self.endpoints[index];
        endpoint.busy = false;
        endpoint.not_before = None;
        let failures = std::mem::take(&mut endpoint.failures);
        match outcome {
            Outcome::Retry(after) => {
                endpoint.failures = failures.saturating_add(1);
                let wait = after.unwrap_or_else(|| back_off(endpoint.failures, random));
                endpoint.not_before = Some(now.instant + wait);
                return if failures > 0 { Change::None } else { Change::Down };
            }
            // Alertmanager takes the valid ones of a batch, so that sending them again is harmless.
            Outcome::Refused if postings.len() > 1 => endpoint.batch = postings.len() / 2,
            Outcome::Refused => {
                // Counted as told: the same again would be refused again.
                self.table.told(index, postings, now);
                return Change::Rejected;
            }
            Outcome::Taken => {
                endpoint.batch = (endpoint.batch * 2).min(BATCH);
                self.table.told(index, postings, now);
            }
        }
        if failures > 0 { Change::Up } else { Change::None }
    }

    /// When [`Self::start`] may have something to do next, apart from alerts and answers.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let due = self.endpoints.iter().enumerate().filter(|(_, endpoint)| !endpoint.busy);
        due.filter_map(|(index, endpoint)| {
            let due = self.table.next_due(index)?;
            Some(endpoint.not_before.map_or(due, |not_before| due.max(not_before)))
        })
        .chain(self.table.next_settling())
        .min()
    }

    /// Whether every endpoint knows everything.
    pub(crate) fn is_drained(&self) -> bool {
        let idle =
            |(index, endpoint): (usize, &Endpoint)| !endpoint.busy && self.table.knows_all(index);
        self.endpoints.iter().enumerate().all(idle)
    }
}

#[cfg(test)]
mod tests;
