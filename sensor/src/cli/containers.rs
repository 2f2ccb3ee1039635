//! `sensor containers`: what runs, and how each was attributed.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::attribution::Attribution;
use crate::attribution::cache::Cache;

#[derive(Args, Debug)]
pub(super) struct ContainersArgs {
    /// How to show them
    #[arg(short, long, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) fn containers(arguments: &ContainersArgs) -> Result<()> {
    let mut cache = Cache::live().context("find the cgroup hierarchy")?;
    for (id, path) in cache.scan() {
        cache.made(id, &path);
    }
    let mut rows = cache.snapshot();
    rows.retain(|(_, attribution)| attribution.container.is_some());
    rows.sort_by(|(_, a), (_, b)| a.cgroup_path.cmp(&b.cgroup_path));
    let mut out = io::stdout().lock();
    match arguments.output {
        Format::Table => table(&rows, &mut out)?,
        Format::Json => {
            let rows: Vec<Value> = rows.iter().map(|(id, row)| object(*id, row)).collect();
            serde_json::to_writer_pretty(&mut out, &rows)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

fn table(rows: &[(u64, Arc<Attribution>)], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:<12} {:<14} {:<24} {:<30} CGROUP", "RUNTIME", "ID", "NAME", "IMAGE")?;
    for (_, attribution) in rows {
        let Some(container) = &attribution.container else { continue };
        let image = container.image.as_ref().map(|image| match &image.tag {
            Some(tag) => format!("{}:{tag}", image.repository),
            None => image.repository.clone(),
        });
        writeln!(
            out,
            "{:<12} {:<14} {:<24} {:<30} {}",
            container.runtime.name(),
            container.short_id(),
            container.name.as_deref().unwrap_or("-"),
            image.as_deref().unwrap_or("-"),
            attribution.cgroup_path
        )?;
    }
    Ok(())
}

fn object(cgroup_id: u64, attribution: &Attribution) -> Value {
    let container = attribution.container.as_ref();
    let pod = container.and_then(|container| container.pod.as_ref());
    json!({
        "id": container.map(|container| &container.id),
        "runtime": container.map(|container| container.runtime.name()),
        "name": container.and_then(|container| container.name.as_ref()),
        "image": container.and_then(|container| container.image.as_ref()).map(|image| json!({
            "repository": image.repository, "tag": image.tag, "digest": image.digest,
        })),
        "pod": pod.map(|pod| json!({
            "uid": pod.uid, "name": pod.name, "namespace": pod.namespace,
        })),
        "cgroup_id": cgroup_id,
        "cgroup_path": attribution.cgroup_path,
    })
}
