//! What `sensor run` has beside the event path: sinks, and the server of metrics and health.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sensor_common::counters::Outcome;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::cli::source::{Source, event_kinds};
use crate::config::Config;
use crate::detect::origin;
use crate::driver::Live;
use crate::metadata::sockets::Sockets;
use crate::metadata::status::Status;
use crate::metrics::counters::Counters;
use crate::metrics::exporter::Exporter;
use crate::metrics::health::{self, Health};
use crate::metrics::server;
use crate::metrics::snapshot::{self, ProbeState, Snapshot};
use crate::pipeline::Pipeline;
use crate::probe::attach;
use crate::sinks::Sinks;

/// What runs beside the event path: sinks and the HTTP server.
pub(super) struct Outside {
    pub(super) runtime: Runtime,
    pub(super) sinks: Arc<Sinks>,
    pub(super) counters: Arc<Counters>,
    pub(super) health: Arc<Health>,
    /// What a scrape shows of the event path's tables, as of the last tick.
    pub(super) tables: Arc<Mutex<snapshot::Tables>>,
    listener: Option<tokio::net::TcpListener>,
    stop_server: Option<oneshot::Sender<()>>,
}

impl Outside {
    /// Starts the sinks and takes the port, before the kernel is touched.
    pub(super) fn start(config: &Config) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sensor-io")
            .enable_all()
            .build()
            .context("start the runtime of sinks and server")?;
        let counters = Arc::new(Counters::default());
        let sinks = {
            let _entered = runtime.enter();
            Sinks::start(&config.sinks, Arc::clone(&counters), runtime.handle().clone())?
        };
        let listen = config.metrics.enabled.then_some(config.metrics.listen);
        let listener = listen.map(|address| runtime.block_on(server::bind(address))).transpose()?;
        Ok(Self {
            runtime,
            sinks: Arc::new(sinks),
            counters,
            health: Arc::default(),
            tables: Arc::default(),
            listener,
            stop_server: None,
        })
    }

    /// Serves metrics and health, now that there is something to show.
    pub(super) fn serve(&mut self, config: &Config, source: &Source) -> Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let address = listener.local_addr().context("read the address of the metrics")?;
        let snapshot = snapshot_of(&source.live, Arc::clone(&self.tables))?;
        let exporter = Exporter::new(&config.metrics, Arc::clone(&self.counters), snapshot);
        let (stop, stopped) = oneshot::channel();
        self.stop_server = Some(stop);
        let sockets = source.live.lookup.as_ref().map(|lookup| Arc::clone(&lookup.sockets));
        let notes: server::Notes = Arc::new(move || {
            let reports = sockets.as_ref().map(|sockets| sockets.report()).unwrap_or_default();
            health::sockets(&reports, Instant::now())
        });
        let health = Arc::clone(&self.health);
        let serving = server::serve(listener, Arc::new(exporter), health, notes, async {
            // An error means that the sender is gone, which is a reason to stop as well.
            drop(stopped.await);
        });
        self.runtime.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the metrics server ended");
            }
        });
        tracing::info!("metrics on http://{address}/metrics");
        Ok(())
    }

    pub(super) fn stop(mut self, grace: Duration) {
        let left = self.runtime.block_on(self.sinks.shutdown(grace));
        if left > 0 {
            tracing::warn!("{left} alerts could not be delivered within the grace period");
        }
        if let Some(stop) = self.stop_server.take() {
            // The server may have ended by itself.
            stop.send(()).ok();
        }
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// What a scrape asks for: the kernel's counters now, the rest as of the last tick.
fn snapshot_of(live: &Live, tables: Arc<Mutex<snapshot::Tables>>) -> Result<snapshot::Source> {
    let counters = Arc::clone(&live.counters);
    let ring = live.fill()?;
    let lookups = live.lookup.as_ref().map(|lookup| Arc::clone(&lookup.status));
    let sockets = live.lookup.as_ref().map(|lookup| Arc::clone(&lookup.sockets));
    let probes: Vec<_> = live.outcomes.iter().map(probe_state).collect();
    Ok(Box::new(move || {
        let counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = std::iter::once(Outcome::Produced).chain(Outcome::LOSSES);
        let records = outcomes.flat_map(|outcome| {
            let counters = &counters;
            event_kinds().into_iter().map(move |kind| snapshot::Records {
                kind,
                outcome,
                count: counters.get(kind, outcome),
            })
        });
        Snapshot {
            records: records.collect(),
            filtered: counters.filtered(),
            ring: Some(snapshot::Ring {
                size_bytes: ring.size_bytes,
                unread_bytes: ring.unread_bytes(),
            }),
            probes: probes.clone(),
            tables: tables.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            lookups: lookups_of(lookups.as_deref(), sockets.as_deref()),
            sockets: sockets.as_ref().map(|sockets| sockets.report()).unwrap_or_default(),
            runqueue_wait: counters.run_queue(),
        }
    }))
}

fn probe_state(outcome: &attach::Outcome) -> snapshot::Probe {
    let (hook, state) = match &outcome.state {
        attach::State::Attached(hook) => (*hook, ProbeState::Attached),
        attach::State::Off => ("", ProbeState::Off),
        attach::State::Failed(_) => ("", ProbeState::Failed),
    };
    snapshot::Probe { name: outcome.probe.to_owned(), hook: hook.to_owned(), state }
}

/// What the event path's tables have to show.
pub(super) fn tables_of(pipeline: &Pipeline) -> snapshot::Tables {
    let mut containers: HashMap<_, snapshot::Container> = HashMap::new();
    let mut live = Vec::new();
    let mut seen = HashSet::new();
    for (id, attribution) in pipeline.cgroups.snapshot() {
        if attribution.container.is_none() && attribution.unit.is_none() {
            continue;
        }
        let origin = origin(&attribution);
        // The topmost of a container's cgroups was made first, and has the lowest id.
        if let Some(container) = &attribution.container
            && seen.insert(container.id.clone())
        {
            let (origin, attribution) = (origin.clone(), Arc::clone(&attribution));
            live.push(snapshot::Live { origin, attribution });
        }
        let known = containers.entry(origin.clone()).or_insert_with(|| snapshot::Container {
            origin,
            cgroup_path: attribution.cgroup_path.clone(),
            cgroup_ids: Vec::new(),
        });
        known.cgroup_ids.push(id);
    }
    let (known_containers, unasked) = pipeline.cgroups.known_containers();
    snapshot::Tables {
        containers: containers.into_values().collect(),
        live,
        cgroups: pipeline.cgroups.counts(),
        known_containers: known_containers as u64,
        unasked,
        processes: pipeline.processes.len() as u64,
        processes_evicted: pipeline.processes.evicted,
        unknown_process: pipeline.tally.unknown_process,
        names_evicted: pipeline.names_evicted(),
        held: pipeline.hold.counts.held,
        overflowed: pipeline.hold.counts.overflowed,
    }
}

fn lookups_of(status: Option<&Status>, sockets: Option<&Sockets>) -> snapshot::Lookups {
    snapshot::Lookups {
        answered: status.map_or(0, Status::answered),
        misses: status.map(|status| status.misses().to_vec()).unwrap_or_default(),
        forgotten: status.map_or(0, Status::forgotten),
        left_out: sockets.map_or(0, Sockets::left_out),
    }
}
