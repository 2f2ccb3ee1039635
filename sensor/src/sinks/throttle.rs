//! A token bucket for each rule: a rule that goes off without end does not bury the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::config;

/// The buckets. Their number is bounded by the number of rules.
pub(crate) struct Throttle {
    rate: f64,
    burst: f64,
    buckets: HashMap<Arc<str>, Bucket>,
    started: Instant,
}

struct Bucket {
    tokens: f64,
    /// Seconds from the throttle's start.
    filled_at: f64,
}

impl Throttle {
    pub(crate) fn new(settings: &config::Throttle, now: Instant) -> Self {
        let burst = u32::try_from(settings.burst).map_or(f64::MAX, f64::from);
        Self { rate: settings.rate, burst, buckets: HashMap::new(), started: now }
    }

    /// Whether one more alert of the rule may pass.
    pub(crate) fn take(&mut self, rule: &Arc<str>, now: Instant) -> bool {
        if self.rate <= 0.0 {
            return true;
        }
        let now = now.saturating_duration_since(self.started).as_secs_f64();
        let bucket = match self.buckets.get_mut(rule) {
            Some(bucket) => bucket,
            None => self
                .buckets
                .entry(Arc::clone(rule))
                .or_insert(Bucket { tokens: self.burst, filled_at: now }),
        };
        let refill = (now - bucket.filled_at) * self.rate;
        bucket.tokens = (bucket.tokens + refill).min(self.burst);
        bucket.filled_at = now;
        let passes = bucket.tokens >= 1.0;
        if passes {
            bucket.tokens -= 1.0;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// At these milliseconds an alert of rule `a` comes; which pass?
    fn passed(rate: f64, burst: usize, at_ms: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let mut throttle = Throttle::new(&config::Throttle { rate, burst }, start);
        at_ms
            .iter()
            .copied()
            .filter(|ms| throttle.take(&"a".into(), start + Duration::from_millis(*ms)))
            .collect()
    }

    #[test]
    fn bursts_then_the_rate() {
        assert_eq!(passed(0.0, 1, &[0, 0, 0]), [0, 0, 0]);
        assert_eq!(passed(1.0, 2, &[0, 1, 2, 3, 1500, 1600, 2500]), [0, 1, 1500, 2500]);
        assert_eq!(passed(0.5, 1, &[0, 1000, 2000, 3000]), [0, 2000]);
        // A long silence fills the bucket to the burst and no further.
        assert_eq!(passed(10.0, 2, &[0, 60_000, 60_000, 60_000]), [0, 60_000, 60_000]);
    }

    #[test]
    fn rules_do_not_share_a_bucket() {
        let now = Instant::now();
        let mut throttle = Throttle::new(&config::Throttle { rate: 1.0, burst: 1 }, now);
        let taken: Vec<bool> =
            ["a", "a", "b"].iter().map(|rule| throttle.take(&(*rule).into(), now)).collect();
        assert_eq!(taken, [true, false, true]);
    }
}
