//! What an event costs between the process table and the verdict of the rules.
//!
//! `cargo bench -p sensor --bench rules` measures with criterion; `cargo xtask bench rules` records
//! a stream of this machine first, measures the rulesets in turns, and writes docs/benchmarks.md.
//! The official files are measured where they lie beside the checkout, in `../shared/falco-rules`.
#![allow(clippy::print_stdout, reason = "a benchmark's result")]

mod checks;
mod rulesets;
mod stream;
mod truths;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use sensor::attribution::cache::Cache;
use sensor::pipeline::Pipeline;
use sensor::rules::Ruleset;
use sensor::rules::program::Scratch;
use serde_json::{Value as Json, json};

use crate::stream::Stream;

/// Set by `cargo xtask bench`: measure in so many rounds, and print one line of JSON.
const ROUNDS: &str = "SENSOR_BENCH_ROUNDS";

fn main() {
    let stream = Stream::read();
    let sets = rulesets::all();
    match std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()) {
        Some(rounds) => println!("{}", in_turns(&stream, &sets, rounds)),
        None => with_criterion(&stream, &sets),
    }
}

fn with_criterion(stream: &Stream, sets: &[rulesets::Set]) {
    let mut criterion = Criterion::default().configure_from_args();
    println!("{}", stream.described());
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(stream.events));
    for set in sets {
        let mut scratch = set.ruleset.scratch();
        group.bench_function(&set.name, |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds).map(|_| of_rules(stream, &set.ruleset, &mut scratch)).sum()
            });
        });
    }
    group.finish();
    checks::with_criterion(&mut criterion);
    criterion.final_summary();
}

/// The time that the rules add to one pass over the stream.
fn of_rules(stream: &Stream, ruleset: &Ruleset, scratch: &mut Scratch) -> Duration {
    let without = pass(stream, None);
    let with = pass(stream, Some((ruleset, scratch)));
    with.saturating_sub(without)
}

/// Processor time of one pass over the stream, with the process table and attribution.
fn pass(stream: &Stream, rules: Option<(&Ruleset, &mut Scratch)>) -> Duration {
    let mut pipeline = Pipeline::new(Cache::default());
    let mut matched = 0_usize;
    let start = processor_time();
    match rules {
        None => {
            for record in &stream.records {
                pipeline.take(record, &mut |event| {
                    black_box(event);
                });
            }
        }
        Some((ruleset, scratch)) => {
            for record in &stream.records {
                pipeline.take(record, &mut |event| {
                    ruleset.evaluate(event, scratch, |_| matched += 1);
                });
            }
        }
    }
    black_box(matched);
    processor_time().saturating_sub(start)
}

/// Of this thread: what else runs on the machine does not count.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Medians over rounds in which every ruleset has its turn.
fn in_turns(stream: &Stream, sets: &[rulesets::Set], rounds: usize) -> Json {
    let mut scratches: Vec<Scratch> = sets.iter().map(|set| set.ruleset.scratch()).collect();
    let mut times = vec![Vec::new(); sets.len()];
    for round in 0..rounds {
        for turn in 0..sets.len() {
            let turn = (turn + round) % sets.len();
            let time = of_rules(stream, &sets[turn].ruleset, &mut scratches[turn]);
            times[turn].push(per_event(time, stream.events));
        }
    }
    let results = sets.iter().zip(times).map(|(set, times)| {
        json!({
            "name": set.name,
            "rules": set.ruleset.rules().len(),
            "ns": median(times),
            "kib": set.ruleset.memory() / 1024,
            "load_ms": set.load.as_secs_f64() * 1e3,
        })
    });
    json!({
        "stream": stream.described(),
        "rulesets": results.collect::<Vec<_>>(),
        "list": long_list(),
        "checks": checks::in_turns(rounds),
        "truths": sets.iter().find(|set| set.name.starts_with("official")).map(|set| {
            truths::measured(stream, &set.ruleset)
        }),
    })
}

/// What loading a list of 100,000 items takes.
fn long_list() -> Json {
    let start = Instant::now();
    let ruleset = rulesets::load(rulesets::long_list());
    json!({ "ms": start.elapsed().as_secs_f64() * 1e3, "kib": ruleset.memory() / 1024 })
}

#[allow(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
fn per_event(time: Duration, events: u64) -> f64 {
    time.as_secs_f64() * 1e9 / events as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
