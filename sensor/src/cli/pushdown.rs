//! What the rules ask of events, on its way to the kernel side.

use crate::config::Rules;
use crate::detect::filters;
use crate::driver::Live;
use crate::rules::Ruleset;
use crate::rules::pushdown::Pushdown;
use crate::rules::pushdown::lower::Tables;

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
