//! Durations as people write them.

use std::time::Duration;

use crate::config::value::{Value, scalar};
use crate::config::yaml::Node;

const A_DURATION: &str = "a duration of up to 24h such as `500ms`, `30s` or `5m`";

const A_WAIT: &str = "`0ms` or a duration of up to 24h such as `500ms` or `5s`";

/// A duration that may be none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl Wait {
    /// As in the settings and on the command line; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        duration(text).map(Self).ok_or(A_WAIT)
    }
}

/// Of up to a day.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let (_, factor) = DURATIONS.iter().find(|(name, _)| *name == unit.trim())?;
    let duration = Duration::from_millis(number.checked_mul(*factor)?);
    (duration <= Duration::from_hours(24)).then_some(duration)
}

impl Value for Duration {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        let duration = duration(scalar(node, A_DURATION)?);
        *self = duration.filter(|duration| !duration.is_zero()).ok_or(A_DURATION)?;
        Ok(())
    }

    fn render(&self) -> String {
        let milliseconds = self.as_millis();
        let (unit, factor) = DURATIONS
            .iter()
            .rfind(|(_, factor)| milliseconds.is_multiple_of(u128::from(*factor)))
            .copied()
            .unwrap_or(DURATIONS[0]);
        format!("{}{unit}", milliseconds / u128::from(factor))
    }
}

impl Value for Wait {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = Self::parse(scalar(node, A_WAIT)?)?;
        Ok(())
    }

    fn render(&self) -> String {
        self.0.render()
    }
}

const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
