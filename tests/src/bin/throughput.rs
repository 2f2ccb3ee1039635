//! How many records a second one processor takes from the ring to an event, for benchmarks.
//!
//! `throughput COUNT` feeds the pipeline the stream of the rules' benchmark: a hundred processes
//! that open files, connect and execute. It prints one JSON object: records, and the processor time
//! they took.
#![expect(clippy::print_stdout, reason = "a command line program of benchmarks")]

#[path = "../../../sensor/benches/rules/stream.rs"]
mod stream;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use sensor::attribution::cache::Cache;
use sensor::pipeline::Pipeline;
use stream::Stream;

fn main() -> Result<()> {
    let count = std::env::args().nth(1).context("how many records")?;
    let count: usize = count.parse().context("how many records")?;
    let stream = Stream::read();
    let mut pipeline = Pipeline::new(Cache::default());
    let mut events = 0_u64;
    let start = cpu_ns();
    for record in stream.records.iter().cycle().take(count) {
        pipeline.take(record, &mut |_| events += 1);
    }
    let cpu_ns = cpu_ns() - start;
    let said = serde_json::json!({
        "stream": stream.described(),
        "records": count,
        "events": events,
        "cpu_ns": cpu_ns,
    });
    println!("{said}");
    Ok(())
}

fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
