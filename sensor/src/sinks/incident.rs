//! Incidents: alerts that Alertmanager is to see as one thing that begins, lasts and ends.
//!
//! Alertmanager identifies an alert by its labels, wants it sent again while it lasts, and takes a
//! later `endsAt` as its end. Everything here is values in, values out; the clock is an argument.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::alert::{Alert, Origin};
use crate::config::Incidents;
use crate::rules::priority::Priority;

/// A moment on both clocks: one to measure with, one to tell others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { instant: Instant::now(), wall: Timestamp::now() }
    }
}

/// What makes two alerts the same incident. The node and the sensor's own labels are the same for
/// all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) rule: Arc<str>,
    pub(crate) priority: Priority,
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
    pub(crate) count: u64,
    /// The latest alert, for the annotations.
    pub(crate) latest: Arc<Alert>,
    /// When the latest alert came, which is not when its event was.
    seen: Instant,
    /// When it was found to be quiet.
    pub(crate) resolved: Option<Moment>,
    /// Counts what must be told at once: the beginning, the end, a new beginning.
    phase: u64,
    /// When the phase began.
    since: Instant,
    /// For each endpoint, what it was told last.
    told: Vec<Option<Told>>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    phase: u64,
    at: Instant,
}

/// An incident as one endpoint is told of it.
#[derive(Clone, Debug)]
pub(crate) struct Posting {
    pub(crate) key: Key,
    pub(crate) incident: Incident,
    /// In the future while it lasts: should the sensor die, Alertmanager ends it by itself.
    pub(crate) ends: Timestamp,
}

/// All incidents that last, and those whose end is not told to every endpoint yet.
pub(crate) struct Table {
    settings: Incidents,
    endpoints: usize,
    incidents: HashMap<Key, Incident>,
    evicted: u64,
}

/// An endpoint that was down for longer than this after the end is not told of the end any more:
/// the `endsAt` that it knows has passed.
const TELL_END_FOR: Duration = Duration::from_mins(15);
/// An endpoint that never heard of an incident is told of it even this long after the end.
const TELL_ALL_FOR: Duration = Duration::from_hours(4);
/// A lasting incident ends by itself when so many of its resends did not come.
const MISSED_RESENDS: u32 = 4;
/// And not before this: what Alertmanager itself takes for an alert without an end.
const SHORTEST_LIFE: Duration = Duration::from_mins(5);

impl Table {
    pub(crate) fn new(settings: Incidents, endpoints: usize) -> Self {
        Self { settings, endpoints, incidents: HashMap::new(), evicted: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.incidents.len()
    }

    /// Incidents that were forgotten since this was last asked.
    pub(crate) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// Counts an alert to its incident.
    pub(crate) fn observe(&mut self, alert: Arc<Alert>, now: Moment) {
        let key = Key {
            rule: Arc::clone(&alert.rule),
            priority: alert.priority,
            origin: alert.origin.clone(),
        };
        if let Some(earlier) = &alert.update_of {
            self.withdraw(&Key { origin: earlier.clone(), ..key.clone() }, &key, now);
        }
        if let Some(incident) = self.incidents.get_mut(&key) {
            incident.observe(alert, now);
            return;
        }
        if self.incidents.len() >= self.settings.max {
            self.evict();
        }
        self.incidents.insert(key, Incident::new(alert, now, self.endpoints));
    }

    /// An alert was counted to an incident whose origin is now known better: that one ends, or was
    /// never told.
    fn withdraw(&mut self, earlier: &Key, better: &Key, now: Moment) {
        let Some(incident) = self.incidents.get_mut(earlier) else { return };
        incident.count = incident.count.saturating_sub(1);
        let is_empty = incident.count == 0;
        if is_empty && incident.told.iter().all(Option::is_none) {
            self.incidents.remove(earlier);
        } else if is_empty && earlier != better {
            incident.resolved = Some(now);
            incident.begin_phase(now);
        }
    }

    /// Forgets the incident that was quiet the longest. Alertmanager ends it at its last `endsAt`.
    fn evict(&mut self) {
        let quietest = self.incidents.iter().min_by_key(|(_, incident)| incident.seen);
        if let Some(key) = quietest.map(|(key, _)| key.clone()) {
            self.incidents.remove(&key);
            self.evicted += 1;
        }
    }

    /// Ends what is quiet, and forgets what everyone knows the end of.
    pub(crate) fn settle(&mut self, now: Moment) {
        let quiet = self.settings.resolve_after;
        self.incidents.retain(|_, incident| {
            if incident.resolved.is_none() && now.instant >= incident.seen + quiet {
                incident.resolved = Some(now);
                incident.begin_phase(now);
            }
            !incident.is_over(now)
        });
    }

    /// Up to `limit` incidents that an endpoint is to be told now, those of the most urgent rules
    /// first.
    pub(crate) fn due(&self, endpoint: usize, limit: usize, now: Moment) -> Vec<Posting> {
        let mut due: Vec<(&Key, &Incident)> = self
            .incidents
            .iter()
            .filter(|(key, incident)| {
                incident
                    .due_at(endpoint, key.priority, &self.settings)
                    .is_some_and(|at| at <= now.instant)
            })
            .collect();
        due.sort_by_key(|(key, incident)| (key.priority, incident.since));
        due.truncate(limit);
        due.into_iter()
            .map(|(key, incident)| Posting {
                key: key.clone(),
                incident: incident.clone(),
                ends: incident.ends(endpoint, &self.settings, now),
            })
            .collect()
    }

    /// The endpoint was told, and said that it heard.
    pub(crate) fn told(&mut self, endpoint: usize, postings: &[Posting], now: Moment) {
        for posting in postings {
            // It may have been evicted meanwhile.
            if let Some(incident) = self.incidents.get_mut(&posting.key) {
                incident.told[endpoint] =
                    Some(Told { phase: posting.incident.phase, at: now.instant });
            }
        }
    }

    /// When an endpoint is to be told something next.
    pub(crate) fn next_due(&self, endpoint: usize) -> Option<Instant> {
        self.incidents
            .iter()
            .filter_map(|(key, incident)| incident.due_at(endpoint, key.priority, &self.settings))
            .min()
    }

    /// When the next incident becomes quiet, or can be forgotten.
    pub(crate) fn next_settling(&self) -> Option<Instant> {
        self.incidents
            .values()
            .map(|incident| match incident.resolved {
                None => incident.seen + self.settings.resolve_after,
                Some(resolved) => resolved.instant + incident.told_for(),
            })
            .min()
    }

    /// Lets what is new go out without waiting for others; used when there is no time left.
    pub(crate) fn hurry(&mut self) {
        self.settings.batch_wait = Duration::ZERO;
    }

    /// Whether an endpoint knows the present phase of every incident.
    pub(crate) fn knows_all(&self, endpoint: usize) -> bool {
        self.incidents.values().all(|incident| incident.knows(endpoint))
    }
}

impl Incident {
    fn new(alert: Arc<Alert>, now: Moment, endpoints: usize) -> Self {
        Self {
            first_ns: alert.time_ns,
            last_ns: alert.time_ns,
            count: 1,
            latest: alert,
            seen: now.instant,
            resolved: None,
            phase: 1,
            since: now.instant,
            told: vec![None; endpoints],
        }
    }

    fn observe(&mut self, alert: Arc<Alert>, now: Moment) {
        if self.resolved.take().is_some() {
            self.first_ns = alert.time_ns;
            self.last_ns = alert.time_ns;
            self.count = 0;
            self.begin_phase(now);
        }
        self.count += 1;
        self.first_ns = self.first_ns.min(alert.time_ns);
        self.last_ns = self.last_ns.max(alert.time_ns);
        self.latest = alert;
        self.seen = now.instant;
    }

    fn begin_phase(&mut self, now: Moment) {
        self.phase += 1;
        self.since = now.instant;
    }

    fn knows(&self, endpoint: usize) -> bool {
        self.told[endpoint].is_some_and(|told| told.phase == self.phase)
    }

    /// When an endpoint is to be told of it next; `None` when it knows the end.
    fn due_at(&self, endpoint: usize, priority: Priority, settings: &Incidents) -> Option<Instant> {
        match self.told[endpoint] {
            Some(told) if told.phase == self.phase => match self.resolved {
                Some(_) => None,
                None => told.at.checked_add(settings.resend_interval),
            },
            Some(_) | None if priority <= Priority::Critical => Some(self.since),
            Some(_) | None => Some(self.since + settings.batch_wait),
        }
    }

    /// Whether an endpoint knows that it began, be it that it knows no more than that.
    fn began_for(&self, endpoint: usize) -> bool {
        // The end is the phase after the beginning.
        let beginning = self.phase - u64::from(self.resolved.is_some());
        self.told[endpoint].is_some_and(|told| told.phase >= beginning)
    }

    fn ends(&self, endpoint: usize, settings: &Incidents, now: Moment) -> Timestamp {
        match self.resolved {
            None => {
                let missed = settings.resend_interval.saturating_mul(MISSED_RESENDS);
                later(now.wall, missed.max(SHORTEST_LIFE))
            }
            Some(resolved) if self.began_for(endpoint) => resolved.wall,
            // Told for the first time with an end in the past, nobody would be notified of it.
            Some(_) => later(now.wall, settings.resolve_after),
        }
    }

    /// How long after its end it is still told.
    fn told_for(&self) -> Duration {
        let all_heard = (0..self.told.len()).all(|endpoint| self.began_for(endpoint));
        if all_heard { TELL_END_FOR } else { TELL_ALL_FOR }
    }

    fn is_over(&self, now: Moment) -> bool {
        self.resolved.is_some_and(|resolved| {
            let all_know = (0..self.told.len()).all(|endpoint| self.knows(endpoint));
            all_know || now.instant >= resolved.instant + self.told_for()
        })
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
