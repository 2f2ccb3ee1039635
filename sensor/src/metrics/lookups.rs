//! Metrics of attribution: whether it is known which container an event is of, and what that is.

use crate::metadata::socket::{Report, State};
use crate::metrics::family::{Family, Read, Scrape, Series, number};

const SOCKET: &[&str] = &["kind", "socket"];

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "sensor_attribution_misses",
        unit: None,
        help: "Events whose control group nobody had announced and that is not known either, by why",
        labels: &["reason"],
        read: Read::Counter(|scrape, series| {
            for (reason, count) in scrape.snapshot.tables.cgroups.misses() {
                series.add([reason], count);
            }
        }),
    },
    Family {
        name: "sensor_attribution_scans",
        unit: None,
        help: "Searches of the whole hierarchy for a control group that nobody had announced",
        labels: &[],
        read: Read::Counter(|scrape, series| series.add([], scrape.snapshot.tables.cgroups.scans)),
    },
    Family {
        name: "sensor_attribution_found",
        unit: None,
        help: "Control groups that such a search found",
        labels: &[],
        read: Read::Counter(|scrape, series| series.add([], scrape.snapshot.tables.cgroups.found)),
    },
    Family {
        name: "sensor_attribution_evicted",
        unit: None,
        help: "Control groups that were forgotten because there were too many",
        labels: &[],
        read: Read::Counter(|scrape, series| {
            series.add([], scrape.snapshot.tables.cgroups.evicted);
        }),
    },
    Family {
        name: "sensor_processes_known",
        unit: None,
        help: "Processes of which something is remembered, those that ended a moment ago included",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            series.add([], number(scrape.snapshot.tables.processes));
        }),
    },
    Family {
        name: "sensor_processes_evicted",
        unit: None,
        help: "Processes that were forgotten because there were too many; they are looked up again",
        labels: &[],
        read: Read::Counter(|scrape, series| {
            series.add([], scrape.snapshot.tables.processes_evicted);
        }),
    },
    Family {
        name: "sensor_processes_unknown",
        unit: None,
        help: "Events of processes of which nothing was known and that had ended before they could be looked up",
        labels: &[],
        read: Read::Counter(|scrape, series| {
            series.add([], scrape.snapshot.tables.unknown_process);
        }),
    },
    Family {
        name: "sensor_names_evicted",
        unit: None,
        help: "Names that were forgotten because there were too many: the users of containers, and hosts",
        labels: &["of"],
        read: Read::Counter(|scrape, series| {
            for (of, count) in scrape.snapshot.tables.names_evicted {
                series.add([of], count);
            }
        }),
    },
    Family {
        name: "sensor_containers_known",
        unit: None,
        help: "Containers of which something is remembered, those that ended a moment ago included",
        labels: &[],
        read: Read::Gauge(|scrape, series| {
            series.add([], number(scrape.snapshot.tables.known_containers));
        }),
    },
    Family {
        name: "sensor_containers_unasked",
        unit: None,
        help: "Containers whose name and image nobody was asked for, because too many others waited",
        labels: &[],
        read: Read::Counter(|scrape, series| series.add([], scrape.snapshot.tables.unasked)),
    },
    Family {
        name: "sensor_metadata_answers",
        unit: None,
        help: "Containers whose name, image and the like were found",
        labels: &[],
        read: Read::Counter(|scrape, series| series.add([], scrape.snapshot.lookups.answered)),
    },
    Family {
        name: "sensor_metadata_misses",
        unit: None,
        help: "Containers whose name, image and the like were not found, or (`late`) not in time for their first events",
        labels: &["reason"],
        read: Read::Counter(|scrape, series| {
            for (reason, count) in &scrape.snapshot.lookups.misses {
                series.add([reason], *count);
            }
        }),
    },
    Family {
        name: "sensor_metadata_forgotten",
        unit: None,
        help: "Containers of which later changes are not noticed, because there were too many",
        labels: &[],
        read: Read::Counter(|scrape, series| series.add([], scrape.snapshot.lookups.forgotten)),
    },
    Family {
        name: "sensor_metadata_left_out",
        unit: None,
        help: "Times that a user's engine was not asked or a pod not remembered, because there were too many",
        labels: &[],
        read: Read::Counter(|scrape, series| series.add([], scrape.snapshot.lookups.left_out)),
    },
    Family {
        name: "sensor_runtime_up",
        unit: None,
        help: "1 if a runtime's socket has answered the last question, 0 while it is left alone because it has not",
        labels: SOCKET,
        read: Read::Gauge(|scrape, series| {
            for socket in asked(scrape) {
                let is_up = f64::from(u8::from(socket.state == State::Up));
                series.add([socket.kind, &socket.path], is_up);
            }
        }),
    },
    Family {
        name: "sensor_runtime_questions",
        unit: None,
        help: "Questions to a runtime's socket: questions = answers + unknown + failures",
        labels: SOCKET,
        read: Read::Counter(|scrape, series| count(scrape, series, |socket| socket.questions)),
    },
    Family {
        name: "sensor_runtime_answers",
        unit: None,
        help: "Questions that a runtime answered",
        labels: SOCKET,
        read: Read::Counter(|scrape, series| count(scrape, series, |socket| socket.answers)),
    },
    Family {
        name: "sensor_runtime_unknown",
        unit: None,
        help: "Questions about containers that the runtime does not know",
        labels: SOCKET,
        read: Read::Counter(|scrape, series| count(scrape, series, |socket| socket.unknown)),
    },
    Family {
        name: "sensor_runtime_failures",
        unit: None,
        help: "Questions without an answer that could be used, by why; `lie` is an answer about something else",
        labels: &["kind", "socket", "reason"],
        read: Read::Counter(|scrape, series| {
            for socket in asked(scrape) {
                for (reason, count) in &socket.failures {
                    series.add([socket.kind, &socket.path, reason], *count);
                }
            }
        }),
    },
    Family {
        name: "sensor_events_held",
        unit: None,
        help: "Events that waited for their container's name and image",
        labels: &[],
        read: Read::Counter(|scrape, series| series.add([], scrape.snapshot.tables.held)),
    },
    Family {
        name: "sensor_events_not_held",
        unit: None,
        help: "Events that did not wait for it because too many others did",
        labels: &[],
        read: Read::Counter(|scrape, series| series.add([], scrape.snapshot.tables.overflowed)),
    },
];

/// What is counted of each socket.
fn count(scrape: &Scrape<'_>, series: &mut Series<u64>, of: fn(&Report) -> u64) {
    for socket in asked(scrape) {
        series.add([socket.kind, &socket.path], of(socket));
    }
}

/// Sockets that are there, or were.
fn asked<'a>(scrape: &'a Scrape<'_>) -> impl Iterator<Item = &'a Report> {
    scrape.snapshot.sockets.iter().filter(|socket| socket.questions > 0)
}
