//! Metrics of containers, under the names that cAdvisor gave them.

use prometheus_client::registry::Unit;

use crate::attribution::metadata::Image;
use crate::metrics::cgroupfs::{Bandwidth, Cpu, Memory, Pressure};
use crate::metrics::family::{Family, Read, Scrape, Series, number};
use crate::metrics::snapshot::Live;

const CONTAINER: &[&str] = &["namespace", "pod", "container"];

/// The six that the kubelet sets, then ours.
const INFO: &[&str] = &[
    "namespace",
    "pod",
    "container",
    "id",
    "name",
    "image",
    "image_digest",
    "runtime",
    "visibility",
];

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "container_info",
        unit: None,
        help: "Always 1 while the container lives. `id` is the path of its control group, `name` the container's name or, in a pod, its id, `image` the image's name with its tag, as the kubelet and cAdvisor have them",
        labels: INFO,
        read: Read::Gauge(info),
    },
    Family {
        name: "container_cpu_usage",
        unit: Some(Unit::Seconds),
        help: "CPU time consumed",
        labels: &["namespace", "pod", "container", "cpu"],
        read: Read::Seconds(|scrape, series| {
            for (origin, usage) in scrape.containers {
                if let Some(cpu) = &usage.cpu {
                    let labels = [&origin.namespace, &origin.pod, &origin.container, "total"];
                    series.add(labels.map(|label: &str| label), cpu.usage_seconds);
                }
            }
        }),
    },
    Family {
        name: "container_cpu_user",
        unit: Some(Unit::Seconds),
        help: "CPU time consumed in user mode",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| cpu(scrape, series, |cpu| Some(cpu.user_seconds))),
    },
    Family {
        name: "container_cpu_system",
        unit: Some(Unit::Seconds),
        help: "CPU time consumed in the kernel",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| cpu(scrape, series, |cpu| Some(cpu.system_seconds))),
    },
    Family {
        name: "container_cpu_cfs_periods",
        unit: None,
        help: "Periods in which a CPU quota was enforced",
        labels: CONTAINER,
        read: Read::Counter(|scrape, series| {
            bandwidth(scrape, series, |quota| Some(quota.periods));
        }),
    },
    Family {
        name: "container_cpu_cfs_throttled_periods",
        unit: None,
        help: "Periods in which the container used up its CPU quota and had to wait",
        labels: CONTAINER,
        read: Read::Counter(|scrape, series| {
            bandwidth(scrape, series, |quota| Some(quota.throttled_periods));
        }),
    },
    Family {
        name: "container_cpu_cfs_throttled",
        unit: Some(Unit::Seconds),
        help: "Time for which the container had to wait for the next CPU period",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| {
            bandwidth(scrape, series, |quota| Some(quota.throttled_seconds));
        }),
    },
    Family {
        name: "container_spec_cpu_quota",
        unit: None,
        help: "Microseconds of CPU time allowed in each period; absent without a limit",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| {
            bandwidth(scrape, series, |quota| quota.quota_us.map(number));
        }),
    },
    Family {
        name: "container_spec_cpu_period",
        unit: None,
        help: "Length of the CPU period in microseconds",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| {
            bandwidth(scrape, series, |quota| Some(number(quota.period_us)));
        }),
    },
    Family {
        name: "container_cpu_runqueue_wait",
        unit: Some(Unit::Seconds),
        help: "Time that runnable tasks waited for a processor, measured at each switch in the kernel",
        labels: CONTAINER,
        read: Read::Histogram(|scrape, series| {
            for (origin, histogram) in scrape.runqueue_wait {
                series.origin(origin, *histogram);
            }
        }),
    },
    Family {
        name: "container_memory_usage",
        unit: Some(Unit::Bytes),
        help: "Memory in use, with all caches",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| memory(scrape, series, |memory| Some(memory.usage))),
    },
    Family {
        name: "container_memory_working_set",
        unit: Some(Unit::Bytes),
        help: "Memory in use without the file cache that could be given back at once",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| {
            memory(scrape, series, |memory| Some(memory.working_set));
        }),
    },
    Family {
        name: "container_memory_rss",
        unit: None,
        help: "Bytes of anonymous memory",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| memory(scrape, series, |memory| Some(memory.rss))),
    },
    Family {
        name: "container_memory_cache",
        unit: None,
        help: "Bytes of page cache",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| memory(scrape, series, |memory| Some(memory.cache))),
    },
    Family {
        name: "container_memory_mapped_file",
        unit: None,
        help: "Bytes of files that are mapped into memory",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| {
            memory(scrape, series, |memory| Some(memory.mapped_file));
        }),
    },
    Family {
        name: "container_memory_swap",
        unit: None,
        help: "Bytes of swap in use",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| memory(scrape, series, |memory| memory.swap)),
    },
    Family {
        name: "container_memory_max_usage",
        unit: Some(Unit::Bytes),
        help: "The most memory that was in use at one time",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| memory(scrape, series, |memory| memory.max_usage)),
    },
    Family {
        name: "container_spec_memory_limit",
        unit: Some(Unit::Bytes),
        help: "Memory limit; 0 without one",
        labels: CONTAINER,
        read: Read::Gauge(|scrape, series| {
            memory(scrape, series, |memory| Some(memory.limit.unwrap_or(0)));
        }),
    },
    Family {
        name: "container_memory_failures",
        unit: None,
        help: "Page faults",
        labels: &["namespace", "pod", "container", "failure_type", "scope"],
        read: Read::Counter(|scrape, series| {
            for (origin, usage) in scrape.containers {
                let Some(memory) = &usage.memory else { continue };
                for (kind, count) in
                    [("pgfault", memory.faults), ("pgmajfault", memory.major_faults)]
                {
                    let (namespace, pod) = (&*origin.namespace, &*origin.pod);
                    series.add([namespace, pod, &origin.container, kind, "hierarchy"], count);
                }
            }
        }),
    },
    Family {
        name: "container_memory_events",
        unit: None,
        help: "Events of the memory controller: reclaim over a limit, out of memory, kills",
        labels: &["namespace", "pod", "container", "event"],
        read: Read::Counter(|scrape, series| {
            for (origin, usage) in scrape.containers {
                for (event, count) in usage.memory.iter().flat_map(|memory| &memory.events) {
                    series.add([&origin.namespace, &origin.pod, &origin.container, event], *count);
                }
            }
        }),
    },
    Family {
        name: "container_oom_events",
        unit: None,
        help: "Processes that the kernel killed for want of memory; it outlives the container",
        labels: CONTAINER,
        read: Read::Counter(|scrape, series| {
            // Zero before the first, or a rate would not see it.
            for (origin, _) in scrape.containers {
                series.origin(origin, 0);
            }
            for (origin, count) in scrape.counters.oom_kills.get() {
                series.origin(&origin, count);
            }
        }),
    },
    Family {
        name: "container_pressure_cpu_waiting",
        unit: Some(Unit::Seconds),
        help: "Time for which some task waited for the CPU",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| pressure(scrape, series, "cpu", waiting)),
    },
    Family {
        name: "container_pressure_cpu_stalled",
        unit: Some(Unit::Seconds),
        help: "Time for which all tasks waited for the CPU",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| pressure(scrape, series, "cpu", stalled)),
    },
    Family {
        name: "container_pressure_memory_waiting",
        unit: Some(Unit::Seconds),
        help: "Time for which some task waited for memory",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| pressure(scrape, series, "memory", waiting)),
    },
    Family {
        name: "container_pressure_memory_stalled",
        unit: Some(Unit::Seconds),
        help: "Time for which all tasks waited for memory",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| pressure(scrape, series, "memory", stalled)),
    },
    Family {
        name: "container_pressure_io_waiting",
        unit: Some(Unit::Seconds),
        help: "Time for which some task waited for I/O",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| pressure(scrape, series, "io", waiting)),
    },
    Family {
        name: "container_pressure_io_stalled",
        unit: Some(Unit::Seconds),
        help: "Time for which all tasks waited for I/O",
        labels: CONTAINER,
        read: Read::Seconds(|scrape, series| pressure(scrape, series, "io", stalled)),
    },
];

/// One series a container: what two have in common does not make them one.
fn info(scrape: &Scrape<'_>, series: &mut Series<f64>) {
    let shown =
        scrape.snapshot.tables.live.iter().filter(|live| scrape.shown.contains(&live.origin));
    for Live { origin, attribution } in shown.take(scrape.max_containers) {
        let Some(container) = &attribution.container else { continue };
        let name =
            if container.pod.is_some() { Some(&container.id) } else { container.name.as_ref() };
        let image = container.image.as_ref().map(Image::reference).unwrap_or_default();
        let digest = container.image.as_ref().and_then(|image| image.digest.as_deref());
        let values = [
            &*origin.namespace,
            &origin.pod,
            &origin.container,
            &attribution.cgroup_path,
            name.map_or("", String::as_str),
            &image,
            digest.unwrap_or_default(),
            container.runtime.name(),
            container.details.visibility.unwrap_or_default().name(),
        ];
        series.describe(values, 1.0);
    }
}

fn cpu(scrape: &Scrape<'_>, series: &mut Series<f64>, value: fn(&Cpu) -> Option<f64>) {
    for (origin, usage) in scrape.containers {
        if let Some(value) = usage.cpu.as_ref().and_then(value) {
            series.origin(origin, value);
        }
    }
}

fn bandwidth<V: crate::metrics::family::Sum>(
    scrape: &Scrape<'_>,
    series: &mut Series<V>,
    value: fn(&Bandwidth) -> Option<V>,
) {
    for (origin, usage) in scrape.containers {
        let bandwidth = usage.cpu.as_ref().and_then(|cpu| cpu.bandwidth.as_ref());
        if let Some(value) = bandwidth.and_then(value) {
            series.origin(origin, value);
        }
    }
}

fn memory(scrape: &Scrape<'_>, series: &mut Series<f64>, value: fn(&Memory) -> Option<u64>) {
    for (origin, usage) in scrape.containers {
        if let Some(value) = usage.memory.as_ref().and_then(value) {
            series.origin(origin, number(value));
        }
    }
}

fn pressure(
    scrape: &Scrape<'_>,
    series: &mut Series<f64>,
    resource: &str,
    value: fn(&Pressure) -> f64,
) {
    for (origin, usage) in scrape.containers {
        if let Some(found) = usage.pressure.iter().find(|found| found.resource == resource) {
            series.origin(origin, value(found));
        }
    }
}

fn waiting(pressure: &Pressure) -> f64 {
    pressure.waiting_seconds
}

fn stalled(pressure: &Pressure) -> f64 {
    pressure.stalled_seconds
}
