//! `sensor containers`: what runs, and how each was attributed.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::attribution::cache::Cache;
use crate::attribution::metadata::Image;
use crate::attribution::target::all_meant;
use crate::attribution::{Attribution, Container};
use crate::cli::lookup::{LookupArgs, everything};
use crate::cli::source::scope;

#[derive(Args, Debug)]
pub(super) struct ContainersArgs {
    /// Only this container, or those of this pod (`namespace/pod`), by name, id or id prefix; all that it
    /// may be where that is more than one
    #[arg(value_name = "CONTAINER", conflicts_with = "cgroup")]
    name: Option<String>,
    /// Only those in this cgroup and below it (a path below the cgroup2 mount)
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    /// How to show them
    #[arg(short, long, default_value = "table")]
    output: Format,
    /// Show them again every two seconds, until SIGINT
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    lookup: LookupArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// One container: its topmost cgroup, and what is in it and below.
struct Row {
    cgroup_id: u64,
    attribution: Arc<Attribution>,
    pids: usize,
}

pub(super) fn containers(arguments: &ContainersArgs) -> Result<()> {
    const INTERVAL: Duration = Duration::from_secs(2);
    loop {
        let rows = rows(arguments)?;
        let mut out = io::stdout().lock();
        if arguments.watch && out.is_terminal() {
            // Home, and nothing below.
            write!(out, "\x1b[H\x1b[J")?;
        }
        match arguments.output {
            Format::Table => table(&rows, &mut out)?,
            Format::Json => {
                let rows: Vec<Value> = rows.iter().map(object).collect();
                serde_json::to_writer_pretty(&mut out, &rows)?;
                writeln!(out)?;
            }
        }
        out.flush()?;
        if !arguments.watch {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}

fn rows(arguments: &ContainersArgs) -> Result<Vec<Row>> {
    let scope = arguments.cgroup.as_deref().map(scope).transpose()?;
    let (cache, kept) = everything(arguments.lookup.settings()?, scope.as_ref())?;
    let is_in_scope = |path: &str| {
        scope.as_ref().is_none_or(|scope| std::path::Path::new(path).starts_with(&scope.path))
    };
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut all = cache.snapshot();
    all.sort_by(|(_, a), (_, b)| a.cgroup_path.cmp(&b.cgroup_path));
    for (cgroup_id, attribution) in all {
        let Some(container) = &attribution.container else { continue };
        if !is_in_scope(&attribution.cgroup_path) {
            continue;
        }
        let key = (container.runtime.name().to_owned(), container.id.clone());
        let pids = pids(&cache, &attribution.cgroup_path);
        let row = rows.entry(key).or_insert(Row { cgroup_id, attribution, pids: 0 });
        row.pids += pids;
    }
    for (cgroup_id, attribution) in cache.kept() {
        let Some(container) = &attribution.container else { continue };
        if is_in_scope(&attribution.cgroup_path) {
            let key = (container.runtime.name().to_owned(), container.id.clone());
            let pids = kept.pids.get(&container.id).copied().unwrap_or_default();
            rows.insert(key, Row { cgroup_id, attribution: Arc::clone(attribution), pids });
        }
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by(|a, b| a.attribution.cgroup_path.cmp(&b.attribution.cgroup_path));
    if let Some(name) = &arguments.name {
        let targets = all_meant(cache.resolve(name))?;
        rows.retain(|row| targets.iter().any(|target| target.holds(&row.attribution)));
        if rows.is_empty() {
            bail!("there is no container in {name}");
        }
    }
    Ok(rows)
}

/// Processes in one cgroup.
fn pids(cache: &Cache, path: &str) -> usize {
    let Some(hierarchy) = cache.hierarchy() else { return 0 };
    let processes = std::fs::read_to_string(hierarchy.directory(path).join("cgroup.procs"));
    processes.map_or(0, |processes| processes.lines().count())
}

fn table(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<12} {:<14} {:<20} {:<28} {:<24} {:>5} {:<20} {:<18} CGROUP",
        "RUNTIME", "ID", "NAME", "IMAGE", "POD", "PIDS", "SINCE", "ATTRIBUTED BY"
    )?;
    for Row { attribution, pids, .. } in rows {
        let Some(container) = &attribution.container else { continue };
        writeln!(
            out,
            "{:<12} {:<14} {:<20} {:<28} {:<24} {pids:>5} {:<20} {:<18} {}",
            container.runtime.name(),
            container.short_id(),
            container.name.as_deref().unwrap_or("-"),
            container.image.as_ref().map_or_else(|| "-".to_owned(), Image::reference),
            pod(container).unwrap_or_else(|| "-".to_owned()),
            since(container).map_or_else(|| "-".to_owned(), |time| time.chars().take(19).collect()),
            attributed_by(container),
            attribution.cgroup_path
        )?;
    }
    Ok(())
}

/// `namespace/name`, or the uid of a pod of which no more is known.
fn pod(container: &Container) -> Option<String> {
    let pod = container.pod.as_ref()?;
    Some(match (&pod.namespace, &pod.name) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        (None, Some(name)) => name.clone(),
        (_, None) => pod.uid.clone(),
    })
}

fn since(container: &Container) -> Option<String> {
    let started = container.details.started_ns?;
    i64::try_from(started).ok().map(crate::alert::rfc3339)
}

/// The path of the cgroup alone, or also who knew the rest.
fn attributed_by(container: &Container) -> String {
    match container.details.sources.as_slice() {
        [] => "path".to_owned(),
        sources => sources.join(","),
    }
}

fn object(row: &Row) -> Value {
    let attribution = &row.attribution;
    let container = attribution.container.as_ref();
    let details = container.map(|container| &*container.details);
    let outer = container.map(|container| {
        let outer = container.outer.iter();
        outer.map(|one| json!({"id": one.id, "runtime": one.runtime})).collect::<Vec<_>>()
    });
    json!({
        "id": container.map(|container| &container.id),
        "runtime": container.map(|container| container.runtime.name()),
        "name": container.and_then(|container| container.name.as_ref()),
        "image": container.and_then(|container| container.image.as_ref()),
        "pod": container.and_then(|container| container.pod.as_ref()),
        "labels": details.map(|details| &details.labels),
        "pids": row.pids,
        "since": container.and_then(since),
        "attributed_by": container.map(attributed_by),
        "container_visibility": details.map(|details| details.visibility.unwrap_or_default().name()),
        "inside": outer,
        "cgroup_id": row.cgroup_id,
        "cgroup_path": attribution.cgroup_path,
    })
}
