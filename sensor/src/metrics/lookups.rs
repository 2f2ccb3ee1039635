//! Metrics of attribution: whether it is known which container an event is of, and what that is.

use crate::metrics::family::{Family, Read, number};

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
