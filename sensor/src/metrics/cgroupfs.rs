//! CPU, memory and pressure of a cgroup from its files: version 2, version 1, and both at once.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the hierarchies are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    unified: Option<Mount>,
    cpu: Option<Mount>,
    cpuacct: Option<Mount>,
    memory: Option<Mount>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    /// The part of the hierarchy that is mounted; `/` is all of it.
    root: String,
}

impl Layout {
    /// From the text of `/proc/self/mountinfo`.
    pub fn parse(mountinfo: &str) -> Self {
        let mut layout = Self::default();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let mut left = left.split(' ').skip(3);
            let (Some(root), Some(point)) = (left.next(), left.next()) else { continue };
            let mount = Mount { point: PathBuf::from(point), root: root.to_owned() };
            let mut right = right.split(' ');
            match right.next() {
                Some("cgroup2") => mount.take_if_wider(&mut layout.unified),
                Some("cgroup") => {
                    for option in right.nth(1).unwrap_or_default().split(',') {
                        match option {
                            "cpu" => mount.take_if_wider(&mut layout.cpu),
                            "cpuacct" => mount.take_if_wider(&mut layout.cpuacct),
                            "memory" => mount.take_if_wider(&mut layout.memory),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        layout
    }

    /// What the files of a cgroup say. What is not there is absent, not zero.
    pub fn read(&self, cgroup_path: &str) -> Usage {
        let files = |mount: &Option<Mount>| mount.as_ref().and_then(|mount| mount.at(cgroup_path));
        let (unified, cpu) = (files(&self.unified), files(&self.cpu));
        let (cpuacct, memory) = (files(&self.cpuacct), files(&self.memory));
        let read = |directory: &Option<PathBuf>, name: &str| {
            fs::read_to_string(directory.as_deref()?.join(name)).ok()
        };
        // A controller is in one hierarchy only; on a host with both, CPU and memory are in
        // version 1, whose directories exist then.
        let cpu = if cpuacct.is_some() {
            cpu_v1(&|name| read(&cpuacct, name), &|name| read(&cpu, name))
        } else {
            cpu_v2(&|name| read(&unified, name))
        };
        let memory = if memory.is_some() {
            memory_v1(&|name| read(&memory, name))
        } else {
            memory_v2(&|name| read(&unified, name))
        };
        Usage { cpu, memory, pressure: pressure(&|name| read(&unified, name)) }
    }
}

impl Mount {
    /// Takes the place of `known` if it covers it, or shows more than it: from inside of a cgroup
    /// namespace the host's hierarchy has a root like `/../../..`, and the namespace's own has `/`.
    fn take_if_wider(&self, known: &mut Option<Self>) {
        let wider = known.as_ref().is_none_or(|known| {
            known.point == self.point || self.root.len() > known.root.len() && self.is_hosts()
        });
        if wider {
            *known = Some(self.clone());
        }
    }

    fn is_hosts(&self) -> bool {
        self.root.starts_with("/..")
    }

    /// The directory of a cgroup, if this mount shows it.
    fn at(&self, cgroup_path: &str) -> Option<PathBuf> {
        let below = match self.root.as_str() {
            "/" => cgroup_path,
            _ if self.is_hosts() => cgroup_path,
            root => cgroup_path.strip_prefix(root)?,
        };
        let below = Path::new(below.trim_start_matches('/'));
        let inside = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        inside.then(|| self.point.join(below)).filter(|directory| directory.is_dir())
    }
}

/// What one cgroup uses, with all that is below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    pub cpu: Option<Cpu>,
    pub memory: Option<Memory>,
    /// Version 2 only.
    pub pressure: Vec<Pressure>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cpu {
    pub usage_seconds: f64,
    pub user_seconds: f64,
    pub system_seconds: f64,
    /// Absent where the CPU controller is not enabled.
    pub bandwidth: Option<Bandwidth>,
}

/// The CPU quota and how it held the cgroup back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bandwidth {
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_seconds: f64,
    /// Microseconds in each period; absent without a limit.
    pub quota_us: Option<u64>,
    pub period_us: u64,
}

/// Bytes, unless the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub usage: u64,
    /// Usage without the file cache that could go at once.
    pub working_set: u64,
    pub rss: u64,
    pub cache: u64,
    pub mapped_file: u64,
    pub swap: Option<u64>,
    pub max_usage: Option<u64>,
    /// Absent without a limit.
    pub limit: Option<u64>,
    pub faults: u64,
    pub major_faults: u64,
    /// By name: `low`, `high`, `max`, `oom`, `oom_kill`, …. Version 2 only.
    pub events: Vec<(String, u64)>,
}

/// Time that tasks waited for a resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// `cpu`, `memory` or `io`.
    pub resource: &'static str,
    /// At least one task waited.
    pub waiting_seconds: f64,
    /// All tasks waited.
    pub stalled_seconds: f64,
}

/// The text of a file of the cgroup, by name.
type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

fn cpu_v2(files: Files<'_>) -> Option<Cpu> {
    let stat = files("cpu.stat")?;
    let seconds = |key| Some(micros(field(&stat, key)?));
    let bandwidth = || {
        let max = files("cpu.max")?;
        let (quota, period) = max.trim().split_once(' ')?;
        Some(Bandwidth {
            periods: field(&stat, "nr_periods")?,
            throttled_periods: field(&stat, "nr_throttled")?,
            throttled_seconds: seconds("throttled_usec")?,
            quota_us: quota.parse().ok(),
            period_us: period.parse().ok()?,
        })
    };
    Some(Cpu {
        usage_seconds: seconds("usage_usec")?,
        user_seconds: seconds("user_usec")?,
        system_seconds: seconds("system_usec")?,
        bandwidth: bandwidth(),
    })
}

fn cpu_v1(cpuacct: Files<'_>, cpu: Files<'_>) -> Option<Cpu> {
    /// The unit of `cpuacct.stat`: part of the kernel's interface, the same on every platform here.
    const USER_HZ: f64 = 100.0;
    let stat = cpuacct("cpuacct.stat")?;
    let ticks = |key| Some(exact(field(&stat, key)?) / USER_HZ);
    let bandwidth = || {
        let stat = cpu("cpu.stat")?;
        Some(Bandwidth {
            periods: field(&stat, "nr_periods")?,
            throttled_periods: field(&stat, "nr_throttled")?,
            throttled_seconds: nanos(field(&stat, "throttled_time")?),
            // -1 is no limit, and no u64.
            quota_us: number(&cpu("cpu.cfs_quota_us")?),
            period_us: number(&cpu("cpu.cfs_period_us")?)?,
        })
    };
    Some(Cpu {
        usage_seconds: nanos(number(&cpuacct("cpuacct.usage")?)?),
        user_seconds: ticks("user")?,
        system_seconds: ticks("system")?,
        bandwidth: bandwidth(),
    })
}

fn memory_v2(files: Files<'_>) -> Option<Memory> {
    let stat = files("memory.stat")?;
    let usage = number(&files("memory.current")?)?;
    let of = |key| field(&stat, key).unwrap_or_default();
    let value = |name| number(&files(name)?);
    Some(Memory {
        usage,
        working_set: usage.saturating_sub(of("inactive_file")),
        rss: of("anon"),
        cache: of("file"),
        mapped_file: of("file_mapped"),
        swap: value("memory.swap.current"),
        max_usage: value("memory.peak"),
        limit: value("memory.max"),
        faults: of("pgfault"),
        major_faults: of("pgmajfault"),
        events: files("memory.events").map(|text| pairs(&text)).unwrap_or_default(),
    })
}

fn memory_v1(files: Files<'_>) -> Option<Memory> {
    /// The kernel's word for no limit, rounded down to a page.
    const UNLIMITED: u64 = i64::MAX as u64 - 65_535;
    let stat = files("memory.stat")?;
    let usage = number(&files("memory.usage_in_bytes")?)?;
    let of = |key| field(&stat, key).unwrap_or_default();
    let value = |name| number(&files(name)?);
    Some(Memory {
        usage,
        working_set: usage.saturating_sub(of("total_inactive_file")),
        rss: of("total_rss"),
        cache: of("total_cache"),
        mapped_file: of("total_mapped_file"),
        swap: field(&stat, "total_swap"),
        max_usage: value("memory.max_usage_in_bytes"),
        limit: value("memory.limit_in_bytes").filter(|limit| *limit < UNLIMITED),
        faults: of("total_pgfault"),
        major_faults: of("total_pgmajfault"),
        events: Vec::new(),
    })
}

fn pressure(files: Files<'_>) -> Vec<Pressure> {
    const RESOURCES: [(&str, &str); 3] =
        [("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("io", "io.pressure")];
    RESOURCES
        .into_iter()
        .filter_map(|(resource, name)| {
            let text = files(name)?;
            let waiting_seconds = pressure_total(&text, "some")?;
            // Kernels before 5.13 have no `full` line for the CPU.
            let stalled_seconds = pressure_total(&text, "full").unwrap_or_default();
            Some(Pressure { resource, waiting_seconds, stalled_seconds })
        })
        .collect()
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345` → 0.012345.
fn pressure_total(text: &str, line: &str) -> Option<f64> {
    let values = text.lines().find_map(|text| text.strip_prefix(line))?;
    let total = values.split(' ').find_map(|value| value.strip_prefix("total="))?;
    Some(micros(number(total)?))
}

/// The lines `key value` of a flat file.
fn pairs(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key.to_owned(), number(value)?)))
        .collect()
}

fn field(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find_map(|(name, value)| (name == key).then(|| number(value))?)
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn micros(count: u64) -> f64 {
    exact(count) / 1e6
}

fn nanos(count: u64) -> f64 {
    exact(count) / 1e9
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ns are 104 days of CPU, 2^53 us 285 years: then the last digit is rounded"
)]
fn exact(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
