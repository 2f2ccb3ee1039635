//! The sensor's own alert when it lost records: how many, and whose.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::alert::{self, Alert, Origin};
use crate::attribution::cache::Cache;
use crate::detect::origin;
use crate::probe::counters::Counters;
use crate::rules::priority::Priority;

/// The rule's name, in the place where a rule of the ruleset has its own.
pub const RULE: &str = "Sensor internal: events lost";

/// The first loss is told at once, those that follow together after this long.
const INTERVAL: Duration = Duration::from_mins(1);

/// Containers that one alert names; the others are counted.
const NAMED: usize = 10;

/// What was lost when it was last told.
#[derive(Debug, Default)]
pub struct Blindness {
    told: u64,
    by_cgroup: HashMap<u64, u64>,
    told_at: Option<Instant>,
}

impl Blindness {
    /// The alert about what was lost since the last one, if it is time for it. `final_word` is for
    /// the end, which waits for nothing.
    pub fn look(
        &mut self,
        counters: &Counters,
        cgroups: &Cache,
        (hostname, time_ns): (&Arc<str>, i64),
        final_word: bool,
    ) -> Option<Alert> {
        let losses = counters.losses();
        let is_early = self.told_at.is_some_and(|at| at.elapsed() < INTERVAL);
        if losses == self.told || (is_early && !final_word) {
            return None;
        }
        let lost = losses - self.told;
        self.told = losses;
        self.told_at = Some(Instant::now());
        let mut by_container: HashMap<Origin, u64> = HashMap::new();
        for (id, count) in counters.blinded() {
            let before = self.by_cgroup.insert(id, count).unwrap_or(0);
            // A cgroup that made room for others began again.
            let new = if count >= before { count - before } else { count };
            if new > 0 {
                let place = cgroups.get(id).map_or_else(Origin::host, origin);
                *by_container.entry(place).or_default() += new;
            }
        }
        self.by_cgroup = counters.blinded().into_iter().collect();
        let mut blinded: Vec<_> = by_container.into_iter().collect();
        blinded.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        Some(alert(lost, &blinded, hostname, time_ns))
    }
}

fn alert(lost: u64, blinded: &[(Origin, u64)], hostname: &Arc<str>, time_ns: i64) -> Alert {
    let worst = blinded.iter().take(NAMED);
    let mut victims: Vec<String> =
        worst.map(|(origin, count)| format!("{} ({count})", name(origin))).collect();
    if blinded.len() > NAMED {
        victims.push(format!("{} more", blinded.len() - NAMED));
    }
    let victims = victims.join(", ");
    let containers: Map<String, Value> =
        blinded.iter().map(|(origin, count)| (name(origin), json!(count))).collect();
    let mut output_fields = Map::new();
    output_fields.insert("evt.time".into(), json!(time_ns));
    output_fields.insert("sensor.lost".into(), json!(lost));
    output_fields.insert("sensor.blinded".into(), Value::Object(containers));
    Alert {
        update_of: None,
        uuid: alert::id(hostname, RULE, time_ns, lost),
        time_ns,
        rule: RULE.into(),
        priority: Priority::Critical,
        source: "internal",
        tags: Arc::new([]),
        hostname: Arc::clone(hostname),
        output: format!(
            "{lost} events were lost and no rule saw them; blinded: {victims}; a larger \
             events.ring_size or fewer rules on frequent events prevent it"
        ),
        output_fields,
        origin: Origin::host(),
    }
}

/// `namespace/pod/container` as far as it is known.
fn name(origin: &Origin) -> String {
    [&origin.namespace, &origin.pod, &origin.container]
        .into_iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::{NAMED, alert};
    use crate::alert::Origin;

    #[test]
    fn names_the_worst_first_and_counts_the_rest() {
        let origin = |n: usize| Origin { container: format!("c{n}"), ..Origin::default() };
        let blinded: Vec<_> = (0..NAMED + 3).map(|n| (origin(n), 100 - n as u64)).collect();
        let alert = alert(1_000, &blinded, &"host".into(), 7);
        assert!(alert.output.contains("1000 events"), "{}", alert.output);
        assert!(alert.output.contains("c0 (100), c1 (99)"), "{}", alert.output);
        assert!(alert.output.contains("c9 (91), 3 more"), "{}", alert.output);
        assert_eq!(alert.output_fields["sensor.blinded"]["c12"], 88);
    }
}
