//! What the rules ask of events, on its way to the kernel side.

use crate::config::Rules;
use crate::detect::filters;
use crate::driver::Live;
use crate::rules::Ruleset;
use crate::rules::pushdown::Pushdown;
use crate::rules::pushdown::lower::Tables;
use serde::Serialize;

/// What the rules ask of events, unless all are to leave the kernel.
pub(super) fn tables(rules: &Rules, ruleset: &Ruleset) -> Option<Tables> {
    let tables = rules.pushdown.then(|| Tables::of(&Pushdown::of(ruleset)))?;
    if !tables.widened.is_empty() {
        let types: Vec<&str> = tables.widened.iter().copied().collect();
        tracing::info!(
            "more events of {} leave the kernel than the rules ask for: they are beyond the limits of \
             a filter (`sensor rules explain` shows what is left)",
            types.join(", ")
        );
    }
    Some(tables)
}

/// Leaves in the kernel what no rule can match.
pub(super) fn push_down(live: &mut Live, tables: Option<&Tables>) {
    let content = |first| tables.map(|tables| filters(tables, first)).unwrap_or_default();
    if let Err(error) = live.filter(content) {
        tracing::warn!(%error, "every event leaves the kernel");
    }
}

/// What leaves the kernel of some event types, for `sensor doctor`.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Row {
    event_types: Vec<&'static str>,
    rules: usize,
    /// A guess: by what is asked of them, not by what happens on this host.
    percent: f64,
    /// The rule that lets the most through.
    widest: Option<String>,
    /// A limit lets more through than the rules ask for.
    widened: bool,
}

/// By event type that some rule can match; those of which the same is asked stand together.
pub(super) fn rows(ruleset: &Ruleset) -> Vec<Row> {
    let pushdowns = Pushdown::of(ruleset);
    let tables = Tables::of(&pushdowns);
    let mut rows: Vec<Row> = Vec::new();
    for pushdown in &pushdowns {
        let row = Row {
            event_types: Vec::new(),
            rules: pushdown.rules(),
            percent: (pushdown.share() * 1000.0).round() / 10.0,
            widest: pushdown.widest().map(|(rule, _)| rule.to_owned()),
            widened: tables.widened.contains(pushdown.event_type),
        };
        let is_same = |known: &&mut Row| {
            (known.rules, &known.widest, known.widened) == (row.rules, &row.widest, row.widened)
                && (known.percent - row.percent).abs() < f64::EPSILON
        };
        match rows.iter_mut().find(is_same) {
            Some(known) => known.event_types.push(pushdown.event_type),
            None => rows.push(Row { event_types: vec![pushdown.event_type], ..row }),
        }
    }
    rows
}

impl std::fmt::Display for Row {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wide = if self.widened { " (a limit lets more through)" } else { "" };
        let widest = self.widest.as_deref().unwrap_or("-");
        let leaves = format!("{} %", self.percent);
        write!(
            out,
            "{:>5}  {leaves:<8} {}: {widest}{wide}",
            self.rules,
            self.event_types.join(", ")
        )
    }
}
