//! `docs/metrics.md`, from the tables of families.

use std::fmt::Write as _;

use crate::metrics::family::all;

/// The text of `docs/metrics.md`.
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    for family in all() {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (family.series_name(), family.type_name());
        // Writing to a string cannot fail.
        let _written =
            writeln!(text, "| `{name}` | {kind} | {} | {}. |", labels.join(", "), family.help);
    }
    text
}

const INTRODUCTION: &str = "\
# Metrics

Generated from the tables of families by `cargo xtask docs`.

`GET /metrics` answers in OpenMetrics 1.0 text to a client that accepts it and in the classic Prometheus text otherwise.
`namespace`, `pod` and `container` say where: in Kubernetes as the kubelet says it, so that queries can join; without
Kubernetes the first two are empty. Processes outside of containers are `container=\"host\"`. Process ids, command lines
and addresses are never labels. Histograms have the bounds 2^-18 s (3.8 us) to 2^4 s, a factor of four apart; the kernel
side counts a factor of two, so no value is estimated.

| Series | Type | Labels | Meaning |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_file_is_the_generated_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        if std::env::var_os("SENSOR_BLESS").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, reference(), "write it anew with SENSOR_BLESS=1");
    }

    #[test]
    fn families_follow_the_conventions() {
        let mut seen = BTreeSet::new();
        for family in all() {
            let name = family.series_name();
            assert!(seen.insert(name.clone()), "{name} is there twice");
            assert!(!family.name.ends_with("_total"), "{name}: the encoder adds it");
            assert!(!family.help.ends_with('.') && !family.help.contains('|'), "{name}");
            for label in family.labels {
                assert!(!["pid", "comm", "exe", "cmdline", "path"].contains(label), "{name}");
            }
        }
    }
}
