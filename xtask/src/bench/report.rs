//! Results → the page under `docs/`, which is also what is printed.

use std::fmt::{self, Write as _};

use super::alerts::Run;
use super::containers::Known;
use super::measure::{Account, Results};
use super::plan::{
    AGENT, BARS, Bar, FLOOR, KNOWN_LIMITS, LATENCY_LIMIT_MS, MEMORY_LIMIT_MIB, Measure, NONE,
    READS, RECORD_LIMIT_US, Variant, WORKLOADS, Workload,
};
use super::workloads::{Outcome, Row, Seen};

/// Where and how it was measured.
pub(super) struct Setting {
    pub(super) command: String,
    pub(super) kernel: String,
    pub(super) processor: String,
    pub(super) processors: usize,
    pub(super) rounds: usize,
}

impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, kernel, processor, processors, rounds } = self;
        write!(
            out,
            "Measured by `{command}`: {processor}, {processors} processors, kernel {kernel}, {rounds} rounds"
        )
    }
}

/// Of opens, what leaves the kernel at most.
const OPENS_AIM_PERCENT: f64 = 10.0;

pub(super) const INTRODUCTION: &str = "\
# What watching costs

Each workload runs alone and beside each variant, in rounds that begin with another variant each time, on one machine in one
run. *Added* is the median over the rounds of the difference to the same round without anything attached, in
processor time of the workload, which is where the kernel's programs run. *Own* is the processor time of the
process that watches. Compare rows, not machines.
";

/// One section for the kernel's side: a table a workload, the bars, the programs.
pub(super) fn kernel(variants: &[Variant], results: &Results, accounts: &[Account]) -> String {
    let mut page = String::new();
    for workload in &WORKLOADS {
        page += &workload_table(variants, results, workload);
    }
    for (variant, package) in &results.skipped {
        line(
            &mut page,
            format_args!("Skipped: {variant}, because package {package} is not installed."),
        );
    }
    page += &bars(results);
    page += &programs(accounts);
    page
}

fn workload_table(variants: &[Variant], results: &Results, workload: &Workload) -> String {
    let mut page = format!("\n## {}: {}\n\n", workload.name, workload.operation);
    page +=
        "| beside | wall, ns | processor, ns | added, ns | × floor | own, ns | records lost |\n";
    page += "|---|---:|---:|---:|---:|---:|---:|\n";
    for variant in variants {
        let median = |part: fn(&super::measure::Sample) -> f64| {
            results.median(workload.name, &variant.name, part)
        };
        let (Some(wall), Some(cpu), Some(own)) = (
            median(|sample| sample.wall),
            median(|sample| sample.cpu),
            median(|sample| sample.own),
        ) else {
            continue;
        };
        let added = results.added(workload.name, &variant.name, NONE).unwrap_or(0.0);
        let ratio = over_floor(results, workload.name, &variant.name)
            .map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let lost = results.lost.get(&variant.name).copied().unwrap_or(0);
        line(
            &mut page,
            format_args!(
                "| {}: {} | {wall:.0} | {cpu:.0} | {added:+.0} | {ratio} | {own:.0} | {lost} |",
                variant.name, variant.what
            ),
        );
    }
    page
}

fn over_floor(results: &Results, workload: &str, variant: &str) -> Option<f64> {
    let floor = results.added(workload, FLOOR, NONE)?;
    Some(results.added(workload, variant, NONE)? / floor)
}

fn bars(results: &Results) -> String {
    let mut page =
        String::from("\n## The bars\n\n| what | bar | measured | |\n|---|---:|---:|---|\n");
    let mut missed = Vec::new();
    for bar in &BARS {
        let Some(value) = value(results, bar) else { continue };
        let unit = if matches!(bar.measure, Measure::OverFloor) { "×" } else { "µs" };
        bar_line(&mut page, bar.text, (value, bar.limit), unit);
        if value > bar.limit {
            missed.push((bar.text, bar.obstacle));
        }
    }
    if let Some(mib) = results.memory_mib.get(AGENT) {
        bar_line(&mut page, "memory of the agent", (*mib, MEMORY_LIMIT_MIB), "MiB");
    }
    if !missed.is_empty() {
        page += "\nWhat stands in the way of those that are missed:\n\n";
    }
    for (text, obstacle) in missed {
        line(&mut page, format_args!("* {text}: {obstacle}"));
    }
    page
}

fn bar_line(page: &mut String, text: &str, (value, limit): (f64, f64), unit: &str) {
    let met = if value <= limit { "met" } else { "missed" };
    line(page, format_args!("| {text} | ≤ {limit} {unit} | {value:.2} {unit} | {met} |"));
}

/// When alerts come, and whether all of them do.
pub(super) fn alerts(runs: &[Run]) -> String {
    let mut page = format!(
        "\n## Alerts\n\n\
         {READS} sensitive reads, on a host that is otherwise idle and with a process for each processor that opens\n\
         and closes a file without a pause. *Latency* is from the event's time to its line on standard output.\n\n\
         | beside | opens a second | alerts | latency, ms: median | most | records lost |\n|---|---:|---:|---:|---:|---:|\n"
    );
    for run in runs {
        let state = if run.is_busy { "busy" } else { "idle" };
        let (middle, most) = (middle(&run.latency_ms), run.latency_ms.last().copied());
        let text = |ms: Option<f64>| ms.map_or("–".to_owned(), |ms| format!("{ms:.2}"));
        line(
            &mut page,
            format_args!(
                "| {}, {state} | {:.0} | {} of {READS} | {} | {} | {} |",
                run.variant,
                run.opens_a_second,
                run.alerts,
                text(middle),
                text(most),
                run.lost
            ),
        );
    }
    page += "\n| what | bar | measured | |\n|---|---:|---:|---|\n";
    for run in runs.iter().filter(|run| run.variant == AGENT) {
        let (middle, most) = (middle(&run.latency_ms), run.latency_ms.last().copied());
        if let (false, Some(middle), Some(most)) = (run.is_busy, middle, most) {
            bar_line(&mut page, "latency, idle: median", (middle, LATENCY_LIMIT_MS.0), "ms");
            bar_line(&mut page, "latency, idle: most", (most, LATENCY_LIMIT_MS.1), "ms");
        }
        if run.is_busy {
            let met = if run.alerts == READS && run.lost == 0 { "met" } else { "missed" };
            line(
                &mut page,
                format_args!(
                    "| every processor busy with opens | {READS} of {READS}, 0 lost | {} of {READS}, {} lost | {met} |",
                    run.alerts, run.lost
                ),
            );
        }
    }
    page
}

/// Of sorted values.
fn middle(values: &[f64]) -> Option<f64> {
    values.get(values.len() / 2).copied()
}

fn value(results: &Results, bar: &Bar) -> Option<f64> {
    match bar.measure {
        Measure::Added => Some(results.added(bar.workload, bar.variant, NONE)? / 1000.0),
        Measure::OverFloor => over_floor(results, bar.workload, bar.variant),
        Measure::Own => {
            Some(results.median(bar.workload, bar.variant, |sample| sample.own)? / 1000.0)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
fn programs(accounts: &[Account]) -> String {
    let mut page = String::from(
        "\n## In the kernel, by program\n\n\
         As the kernel accounts it, in a run of its own, because accounting reads the clock twice a\n\
         run. Of system calls the dispatcher has the account: the programs that it calls are part of it.\n\n\
         | workload | program | runs | ns a run | ns an operation |\n|---|---|---:|---:|---:|\n",
    );
    for account in accounts {
        let operations = (account.workload.count * account.workload.each) as f64;
        for (name, runs, time_ns) in &account.programs {
            let (a_run, an_operation) =
                (*time_ns as f64 / *runs as f64, *time_ns as f64 / operations);
            // What else happened on the host meanwhile.
            if an_operation < 1.0 {
                continue;
            }
            line(
                &mut page,
                format_args!(
                    "| {} | {name} | {runs} | {a_run:.0} | {an_operation:.0} |",
                    account.workload.name
                ),
            );
        }
    }
    page
}

/// How much of short containers is known to be theirs.
#[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
pub(super) fn containers(known: &Known) -> String {
    let mut page = format!(
        "\n## Containers that live for a moment\n\n\
         {} containers, started with runc, each for less than 50 ms: {} executions and exits in them.\n\n\
         | events carry | bar | measured | |\n|---|---:|---:|---|\n",
        known.containers, known.events
    );
    let rows = [
        ("the container's full id", known.id, KNOWN_LIMITS.0),
        ("its name", known.name, KNOWN_LIMITS.1),
        ("its image", known.image, KNOWN_LIMITS.1),
    ];
    for (what, count, limit) in rows {
        let share = count as f64 / known.events as f64;
        let met = if share >= limit { "met" } else { "missed" };
        let percent = |share: f64| share * 100.0;
        line(
            &mut page,
            format_args!(
                "| {what} | ≥ {:.1} % | {:.2} % | {met} |",
                percent(limit),
                percent(share)
            ),
        );
    }
    page
}

/// What leaves the kernel of whole workloads, and what they lose.
pub(super) fn workloads(outcomes: &[Outcome]) -> String {
    let mut page = String::from(
        "\n## Whole workloads\n\n\
         With the agent limited to the workload's control group. *Leave* is the share that no filter in the kernel\n\
         refused: records are made of them. Executions all leave: they make the process tree.\n\n\
         | workload | beside | opens | leave | execs | connects | leave | records lost |\n\
         |---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    let ran = |outcome: &&Outcome| outcome.missing.is_empty();
    for outcome in outcomes.iter().filter(ran) {
        for row in outcome.rows.iter().filter(|row| row.variant != NONE) {
            let [opens, execs, connects] = &row.seen;
            line(
                &mut page,
                format_args!(
                    "| {} | {} | {:.0} | {} | {:.0} | {:.0} | {} | {:.0} |",
                    outcome.workload.name,
                    row.variant,
                    opens.all(),
                    share(opens),
                    execs.all(),
                    connects.all(),
                    share(connects),
                    row.lost
                ),
            );
        }
    }
    page += &above_the_aim(outcomes);
    page += &slowdown(outcomes);
    for outcome in outcomes.iter().filter(|outcome| !ran(outcome)) {
        line(
            &mut page,
            format_args!(
                "Skipped: {}, because these packages are not installed: {}.",
                outcome.workload.name,
                outcome.missing.join(", ")
            ),
        );
    }
    page
}

/// Which rows let more opens out than they should, and where to look for the reason.
fn above_the_aim(outcomes: &[Outcome]) -> String {
    let rows =
        outcomes.iter().flat_map(|outcome| outcome.rows.iter().map(move |row| (outcome, row)));
    let is_above = |(_, row): &(&Outcome, &Row)| {
        let [opens, ..] = &row.seen;
        percentage(opens) > OPENS_AIM_PERCENT
    };
    let named = rows
        .filter(is_above)
        .map(|(outcome, row)| format!("{} beside {}", outcome.workload.name, row.variant));
    let named: Vec<String> = named.collect();
    if named.is_empty() {
        return String::new();
    }
    format!(
        "\nMore than {OPENS_AIM_PERCENT} % of opens, which is the aim, leave the kernel in {}. The rule that lets most of \
         them out is\nthe one that `sensor rules explain --event-type openat` names. Of a file that is not there the kernel \
         has no path, so\nthat a rule about names lets each open out that fails.\n",
        named.join(", ")
    )
}

fn percentage(seen: &Seen) -> f64 {
    if seen.all() == 0.0 { 0.0 } else { seen.produced / seen.all() * 100.0 }
}

fn share(seen: &Seen) -> String {
    if seen.all() == 0.0 {
        return "–".to_owned();
    }
    format!("{:.1} %", percentage(seen))
}

fn slowdown(outcomes: &[Outcome]) -> String {
    let mut page = String::from(
        "\nHow much longer an operation takes than in the same round without the agent, in the median over the rounds:\n\n\
         | workload | beside | on the clock | processor time | bar, on the clock | |\n|---|---|---:|---:|---:|---|\n",
    );
    for outcome in outcomes {
        for row in outcome.rows.iter().filter(|row| row.variant != NONE) {
            let Some((wall, cpu)) = outcome.slower(row) else { continue };
            let limit = outcome.workload.limit;
            let met = if wall <= limit { "met" } else { "missed" };
            line(
                &mut page,
                format_args!(
                    "| {} | {} | {wall:+.1} % | {cpu:+.1} % | ≤ {limit} % | {met} |",
                    outcome.workload.name, row.variant
                ),
            );
        }
    }
    page
}

/// The section about the agent's own pipeline.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
pub(super) fn pipeline(records: u64, cpu_ns: u64) -> String {
    let us = cpu_ns as f64 / records as f64 / 1000.0;
    let met = if us <= RECORD_LIMIT_US { "met" } else { "missed" };
    format!(
        "\n## From record to event\n\n\
         Opens, a tenth connects and a twentieth execs of a hundred processes, from memory through the decoder, the\n\
         process table and attribution, without rules: {us:.3} µs a record, {:.1} million a second and\n\
         processor (bar: ≤ {RECORD_LIMIT_US} µs with rules; {met}).\n",
        1.0 / us
    )
}

fn line(page: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(page, "{text}");
}
