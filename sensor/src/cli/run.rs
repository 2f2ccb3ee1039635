//! `sensor run`: the agent.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::attribution::cgroup::Scope;
use crate::blindness::Blindness;
use crate::cli::log::Log;
use crate::cli::lookup;
use crate::cli::outside::{Outside, tables_of};
use crate::cli::pushdown::{push_down, tables};
use crate::cli::record::hostname;
use crate::cli::ruleset;
use crate::cli::source::{ContainerArgs, Watched, event_kinds, open, settings};
use crate::config::{self, Config, Overrides};
use crate::detect::{Detector, origin, wanted};
use crate::driver::{Control, Live, Stages};
use crate::event::detail::Detail;
use crate::event::{Event, Turn};
use crate::metrics::health::Condition;
use crate::notify::{State, notify};
use crate::pipeline::{Pipeline, Tally};
use crate::probe::attach;
use crate::probe::load::Settings;
use crate::rules::Ruleset;
use crate::rules::pushdown::lower::Tables;

/// The loop says that it turns this often at least, or `/readyz` fails.
const DRAINING: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Settings; every key is in docs/config.md
    #[arg(long, value_name = "FILE", env = "SENSOR_CONFIG")]
    config: Option<PathBuf>,
    /// Rules files or directories, instead of the shipped ruleset
    #[arg(short, long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Watch only this cgroup and those below it (a path below the cgroup2 mount)
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    #[command(flatten)]
    container: ContainerArgs,
    /// `exit` leaves kernel functions alone and sees system calls at the exit of all of them
    #[arg(long, value_name = "auto|exit")]
    hooks: Option<String>,
    /// Alertmanager to send incidents to
    #[arg(long, value_name = "URL")]
    alertmanager: Vec<String>,
    /// Where to serve /metrics, /livez and /readyz
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Alerts on standard output: pretty, json or none; pretty on a terminal, json otherwise
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Any setting, as in the file (`metrics.enabled=false`)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    settings: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("not of the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl RunArgs {
    pub(super) fn load(&self) -> Result<Config> {
        let mut overrides = Overrides::default();
        for (key, value) in &self.settings {
            overrides.set(key, Some(value));
        }
        let rules: Vec<_> = self.rules.iter().map(|path| path.display().to_string()).collect();
        overrides.set("rules.files", (!rules.is_empty()).then(|| rules.join(",")));
        overrides.set("events.cgroup", self.cgroup.as_ref());
        overrides.set("events.hooks", self.hooks.as_ref());
        let urls = self.alertmanager.join(",");
        overrides.set("sinks.alertmanager.urls", (!urls.is_empty()).then_some(urls));
        overrides.set("metrics.listen", self.listen.as_ref());
        overrides.set("sinks.stdout.format", self.output.as_ref());
        Ok(config::load(self.config.as_deref(), std::env::vars(), &overrides)?)
    }
}

/// Runs the agent until a signal.
pub(super) fn run(arguments: RunArgs, log: Log) -> Result<()> {
    let config = arguments.load()?;
    log.settings(config.general.log_level);
    let rules = ruleset::load(&config.rules)?;
    let control = Control::signals().context("register for signals")?;
    let node =
        if config.general.node.is_empty() { hostname() } else { config.general.node.clone() };
    let lookups = lookup::settings(&config.containers, &node)?;
    let cgroup = config.events.cgroup.as_ref().map(|path| path.display().to_string());
    let watched = arguments.container.watched(cgroup.as_deref(), &lookups)?;
    let scope = watched.scope.as_ref();
    let mut outside = Outside::start(&config)?;
    let ring_bytes = u32::try_from(config.events.ring_size).context("events.ring_size")?;
    let settings = settings(scope, ring_bytes, &wanted(&rules));
    let settings = Settings { hooks: config.events.hooks, ..settings };
    let mut source = open(scope, &settings, &lookups)?;
    let detector = Detector::new(rules, &node);
    let detector = if lookups.wait.is_zero() { detector.at_once() } else { detector };
    // Events are kept for the update even where no alert waits.
    source.ask(lookups.patient(), outside.runtime.handle(), &control)?;
    let count = detector.ruleset().rules().len();
    push_down(&mut source.live, tables(&config.rules, detector.ruleset()).as_ref());
    outside.serve(&config, &source)?;
    let mut agent = Agent::new((arguments, log), &config, detector, outside);
    agent.report_probes(&source.live);
    source.prime(&mut agent);
    agent.canary = start_canary(watched.scope.as_ref());
    agent.watched = watched;
    agent.outside.health.holds(Condition::RulesLoaded);
    agent.outside.health.holds_for(Condition::Draining, DRAINING);
    tracing::info!("watching with {count} rules; SIGTERM or SIGINT ends it");
    notify(State::Ready);
    let balance = source.live.run(&mut source.pipeline, &control, &mut agent)?;
    notify(State::Stopping);
    agent.outside.stop(config.general.shutdown_grace);
    tracing::info!(alerts = agent.alerts, "{balance}");
    Ok(())
}

/// The sensor executes itself, and is ready when it has seen that.
fn start_canary(scope: Option<&Scope>) -> Option<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("canary");
    if let Some(scope) = scope {
        command.arg("--cgroup").arg(&scope.path);
    }
    command
        .spawn()
        .inspect_err(
            |error| tracing::warn!(%error, "cannot start the canary: readiness is not known"),
        )
        .ok()
}

/// What another thread made of the files.
struct Reloaded {
    config: Config,
    ruleset: Ruleset,
    tables: Option<Tables>,
}

/// The stages below the pipeline.
struct Agent {
    arguments: RunArgs,
    log: Log,
    detector: Detector,
    outside: Outside,
    canary: Option<Child>,
    watched: Watched,
    /// A ruleset that is being loaded by another thread.
    reloading: Option<Receiver<Result<Reloaded>>>,
    tally: Tally,
    /// Evaluations and matches of each rule that metrics have.
    counted: Vec<(u64, u64)>,
    alerts: u64,
    blindness: Blindness,
    grace: Duration,
}

impl Agent {
    fn new(
        (arguments, log): (RunArgs, Log),
        config: &Config,
        detector: Detector,
        outside: Outside,
    ) -> Self {
        outside.counters.rules.install(names(detector.ruleset()));
        Self {
            arguments,
            log,
            detector,
            outside,
            canary: None,
            watched: Watched::default(),
            reloading: None,
            tally: Tally::default(),
            counted: Vec::new(),
            alerts: 0,
            blindness: Blindness::default(),
            grace: config.general.shutdown_grace,
        }
    }

    fn report_probes(&self, live: &Live) {
        for outcome in &live.outcomes {
            if let attach::State::Failed(reason) = &outcome.state {
                tracing::warn!("probe {} is not attached: {reason}", outcome.probe);
            }
        }
        self.outside.health.holds(Condition::Attached);
    }

    /// Whether this is the sensor's own marker, which is no business of the rules.
    fn is_canary(&mut self, event: &Event<'_>) -> bool {
        let Some(canary) = &self.canary else { return false };
        if event.process.id.pid != canary.id() {
            return false;
        }
        match event.detail {
            Detail::Exec(_) => self.outside.health.holds(Condition::CanarySeen),
            Detail::Exit(_) => self.reap(),
            _ => {}
        }
        true
    }

    fn reap(&mut self) {
        if let Some(mut canary) = self.canary.take()
            && let Err(error) = canary.wait()
        {
            tracing::debug!(%error, "wait for the canary");
        }
    }

    /// Adds what the pipeline counted since the last time.
    fn count(&mut self, tally: &Tally) {
        let counters = &self.outside.counters;
        for kind in event_kinds() {
            counters.delivered.of(kind).add(tally.delivered(kind) - self.tally.delivered(kind));
        }
        let names = crate::event::decode::Malformed::ALL_NAMES;
        for (index, name) in names.into_iter().enumerate() {
            let new = tally.malformed[index] - self.tally.malformed[index];
            if new > 0 {
                counters.malformed.add(&name, new);
            }
        }
        self.tally.clone_from(tally);
        let ruleset = self.detector.ruleset();
        let counts = ruleset.evaluated().into_iter().map(|(rule, count)| (count, rule.matched()));
        self.counted.resize(ruleset.rules().len(), (0, 0));
        for ((counter, before), now) in
            counters.rules.get().iter().zip(&mut self.counted).zip(counts)
        {
            counter.evaluated.add(now.0 - before.0);
            counter.matched.add(now.1 - before.1);
            *before = now;
        }
    }

    fn show(&self, pipeline: &Pipeline) {
        *self.outside.tables.lock().unwrap_or_else(PoisonError::into_inner) = tables_of(pipeline);
    }

    /// What was lost is an alert of its own.
    fn tell_losses(&mut self, pipeline: &Pipeline, source: &Live) {
        let counters = source.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ns = jiff::Timestamp::now().as_nanosecond().try_into().unwrap_or(i64::MAX);
        let of = (self.detector.hostname(), now_ns);
        let is_over = source.is_over();
        if let Some(alert) = self.blindness.look(&counters, &pipeline.cgroups, of, is_over) {
            self.alerts += 1;
            self.outside.sinks.dispatch(alert);
        }
    }

    /// Takes a ruleset that another thread has finished loading.
    fn take_reloaded(&mut self, source: &mut Live) {
        let Some(reloading) = &self.reloading else { return };
        let loaded = match reloading.try_recv() {
            Ok(loaded) => loaded,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(anyhow::anyhow!("the loading thread ended")),
        };
        self.reloading = None;
        match loaded.and_then(|reloaded| self.apply(reloaded, source)) {
            Ok(count) => {
                self.outside.counters.reload.succeeded(jiff::Timestamp::now());
                tracing::info!("reloaded: {count} rules");
            }
            Err(error) => {
                self.outside.counters.reload.failed();
                tracing::error!("not reloaded, the old rules stay: {error:#}");
            }
        }
        notify(State::Ready);
    }

    /// Until the rules are replaced the kernel side sends what the old ones want, from then on what
    /// the new ones want: what both want is never missing.
    fn apply(&mut self, reloaded: Reloaded, source: &mut Live) -> Result<usize> {
        let Reloaded { config, ruleset, tables } = reloaded;
        let Outside { runtime, sinks, .. } = &self.outside;
        runtime.block_on(sinks.reload(&config.sinks, self.grace))?;
        self.log.settings(config.general.log_level);
        let wanted = wanted(&ruleset);
        self.outside.counters.rules.install(names(&ruleset));
        let count = ruleset.rules().len();
        self.counted.clear();
        self.detector.replace(ruleset);
        source.watch(&wanted);
        push_down(source, tables.as_ref());
        self.report_probes(source);
        Ok(count)
    }
}

fn names(ruleset: &Ruleset) -> Vec<(Arc<str>, crate::rules::priority::Priority)> {
    ruleset.rules().iter().map(|rule| (Arc::clone(&rule.name), rule.priority)).collect()
}

impl Stages for Agent {
    fn event(&mut self, event: &Event<'_>) {
        if self.is_canary(event) || !self.watched.has(event) {
            return;
        }
        let counters = &self.outside.counters;
        // What comes twice is counted when its container is known.
        if event.turn != Turn::Early {
            counters.events.of(event.detail.kind()).add(1);
            if let Detail::Oom(_) = event.detail {
                counters.oom_kills.add(&origin(event.attribution), 1);
            }
        }
        let (sinks, alerts) = (&self.outside.sinks, &mut self.alerts);
        self.detector.detect(event, |alert| {
            *alerts += 1;
            sinks.dispatch(alert);
        });
    }

    fn tick(&mut self, pipeline: &mut Pipeline, source: &mut Live) {
        self.outside.health.holds_for(Condition::Draining, DRAINING);
        self.count(&pipeline.tally);
        self.show(pipeline);
        self.take_reloaded(source);
        self.tell_losses(pipeline, source);
        notify(State::Watchdog);
    }

    /// Rules are read and compiled beside the event path, which goes on with the old ones.
    fn reload(&mut self) {
        notify(State::Reloading);
        let (sender, receiver) = sync_channel(1);
        self.reloading = Some(receiver);
        let loading = self.arguments.load();
        std::thread::spawn(move || {
            let loaded = loading.and_then(|config| {
                let ruleset = ruleset::load(&config.rules)?;
                let tables = tables(&config.rules, &ruleset);
                Ok(Reloaded { config, ruleset, tables })
            });
            // Nobody waits for it when the sensor stops.
            drop(sender.send(loaded));
        });
    }
}
