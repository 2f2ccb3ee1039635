//! A report → speedscope's JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::profile::report::Report;

/// Writes one sampled profile: each distinct stack once, weighted by its CPU time.
pub fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let frames = report.frames.iter().map(|frame| Frame {
        name: &frame.function,
        file: (!frame.module.is_empty()).then_some(&frame.module),
    });
    let weights: Vec<u64> =
        report.stacks.iter().map(|stack| stack.count.saturating_mul(report.period_ns())).collect();
    let file = File {
        schema: "https://www.speedscope.app/file-format-schema.json",
        name: format!("CPU profile of {}", report.target),
        exporter: concat!("sensor ", env!("CARGO_PKG_VERSION")),
        active_profile_index: 0,
        shared: Shared { frames: frames.collect() },
        profiles: [Sampled {
            kind: "sampled",
            name: &report.target,
            unit: "nanoseconds",
            start_value: 0,
            end_value: weights.iter().sum(),
            samples: report.stacks.iter().map(|stack| stack.frames.as_slice()).collect(),
            weights,
        }],
    };
    serde_json::to_writer(&mut *to, &file)?;
    writeln!(to)
}

/// `file-format-schema.json`, as far as it is used.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    name: String,
    exporter: &'a str,
    active_profile_index: usize,
    shared: Shared<'a>,
    profiles: [Sampled<'a>; 1],
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<Frame<'a>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    unit: &'a str,
    start_value: u64,
    end_value: u64,
    /// Frames of each stack, the root first.
    samples: Vec<&'a [usize]>,
    weights: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::profile::testing::{check_golden, report};
    use serde_json::Value;

    #[test]
    fn writes_what_speedscope_reads() {
        let report = report();
        let mut json = Vec::new();
        write(&report, &mut json).unwrap();
        let value: Value = serde_json::from_slice(&json).unwrap();
        let profile = &value["profiles"][0];
        let weights = profile["weights"].as_array().unwrap();
        let total: u64 = weights.iter().map(|weight| weight.as_u64().unwrap()).sum();
        assert_eq!(total, report.samples() * report.period_ns());
        assert_eq!(profile["endValue"], total);
        assert_eq!(profile["samples"].as_array().unwrap().len(), weights.len());
        let mut pretty = serde_json::to_vec_pretty(&value["profiles"]).unwrap();
        pretty.push(b'\n');
        check_golden("speedscope.json", &pretty);
        assert_eq!(value["shared"]["frames"][2]["name"], "main");
        assert_eq!(value["shared"]["frames"][0].get("file"), None);
    }
}
