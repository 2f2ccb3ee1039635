//! What attribution costs with many containers or processes, for benchmarks: prints one JSON object.
//!
//! `attribution containers COUNT`: bytes that the table keeps for each of as many containers, and
//! nanoseconds to find the container of an event among them. `attribution scan`: milliseconds to take in
//! all processes of this host, as the agent does when it starts.
#![expect(clippy::print_stdout, reason = "a command line program of benchmarks")]

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use sensor::attribution::Runtime;
use sensor::attribution::cache::Cache;
use sensor::attribution::metadata::{Announcement, Details, Image, Metadata, Mount};
use sensor::pipeline::Pipeline;
use sensor::probe::proc::Proc;
use sensor_common::container::Stage;
use serde_json::{Value, json};

/// Look-ups that are timed.
const LOOKUPS: u64 = 20_000_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let said = match arguments.next().as_deref() {
        Some("containers") => {
            let count = arguments.next().context("how many containers")?;
            containers(count.parse().context("how many containers")?)?
        }
        Some("scan") => scan(),
        _ => bail!("containers COUNT, or scan"),
    };
    println!("{said}");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes are far below 2^52")]
fn containers(count: u64) -> Result<Value> {
    let before = resident_bytes()?;
    let mut cache = Cache::default();
    // Ids as the kernel gives them: not one after the other.
    let cgroup = |number: u64| 1000 + number * 7;
    for number in 0..count {
        let id = format!("{number:064x}");
        let path = format!("/docker/{id}");
        cache.made(cgroup(number), &path, Some(1));
        cache.heard(cgroup(number), Stage::Known, &told(number, id, path));
    }
    let bytes = resident_bytes()?.saturating_sub(before) as f64 / count as f64;
    let start = Instant::now();
    let mut number = 0;
    for _ in 0..LOOKUPS {
        // Far from the one before, and all of them in turn.
        number = (number + 617) % count;
        cache.find(cgroup(number));
        black_box(cache.get(cgroup(number)));
    }
    let ns = start.elapsed().as_nanos() as f64 / LOOKUPS as f64;
    Ok(json!({ "containers": count, "bytes": bytes, "ns": ns }))
}

fn told(number: u64, id: String, cgroup_path: String) -> Announcement {
    let labels =
        (0..10).map(|label| (format!("com.example.label-{label}"), "of some value".into()));
    let mount = Mount {
        source: "/srv/data".into(),
        destination: "/data".into(),
        writable: true,
        ..Mount::default()
    };
    let details = Details {
        labels: labels.collect(),
        mounts: vec![mount],
        privileged: Some(false),
        user: Some("app".into()),
        ip: Some("172.17.0.2".into()),
        started_ns: Some(1),
        sources: vec!["docker-state".into()],
        ..Details::default()
    };
    let metadata = Metadata {
        runtime: Some(Runtime::Docker),
        name: Some(format!("service-{number}")),
        image: Some(Image::parse("registry.example.com/shop/service:1.29").with_id(&id)),
        pod: None,
        details,
    };
    Announcement { id, cgroup_path, runtime: Runtime::Docker, metadata }
}

/// Of some passes the shortest: what disturbs one only makes it longer.
fn scan() -> Value {
    const PASSES: usize = 5;
    let pass = |_| {
        let mut pipeline = Pipeline::new(Cache::default());
        let start = Instant::now();
        let records = Proc::default().processes();
        for record in &records {
            pipeline.take(record, &mut |_| {});
        }
        (start.elapsed(), pipeline.processes.len())
    };
    let (time, processes) = (0..PASSES).map(pass).min().unwrap_or_default();
    json!({ "processes": processes, "ms": time.as_secs_f64() * 1e3 })
}

fn resident_bytes() -> Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm").context("read /proc/self/statm")?;
    let pages = statm.split(' ').nth(1).context("/proc/self/statm has no second number")?;
    let pages: u64 = pages.parse().context("/proc/self/statm has no second number")?;
    Ok(pages * rustix::param::page_size() as u64)
}
