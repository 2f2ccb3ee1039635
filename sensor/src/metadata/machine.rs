//! What LXC and systemd-nspawn say about their containers: the name is the id, and files have a
//! little more.

use std::io;

use crate::attribution::known::Wanted;
use crate::attribution::metadata::{Details, Metadata, Mount};
use crate::metadata::host::Host;
use crate::metadata::places::Places;

/// `/var/lib/lxc/NAME/config`.
pub fn lxc(host: &Host, places: &Places, wanted: &Wanted) -> io::Result<Option<Metadata>> {
    let name = &wanted.container_id;
    let mut metadata = named(name, "path");
    for root in &places.lxc_roots {
        let Some(config) = host.read(format!("{root}/{name}/config"))? else { continue };
        let config = String::from_utf8_lossy(&config).into_owned();
        metadata.details.mounts = config.lines().filter_map(lxc_mount).collect();
        metadata.details.privileged =
            Some(!config.lines().any(|line| value(line, "lxc.idmap").is_some()));
        metadata.details.host_network =
            Some(config.lines().any(|line| value(line, "lxc.net.0.type") == Some("none")));
        metadata.details.sources = vec!["lxc-state".into()];
    }
    Ok(Some(metadata))
}

/// `/run/systemd/machines/NAME`, where systemd-machined runs.
pub fn nspawn(host: &Host, wanted: &Wanted) -> io::Result<Option<Metadata>> {
    let name = &wanted.container_id;
    let mut metadata = named(name, "path");
    if let Some(machine) = host.read(format!("/run/systemd/machines/{name}"))? {
        let machine = String::from_utf8_lossy(&machine).into_owned();
        let microseconds =
            machine.lines().find_map(|line| line.strip_prefix("REALTIME=")?.parse::<u64>().ok());
        metadata.details.started_ns = microseconds.and_then(|time| time.checked_mul(1000));
        metadata.details.sources = vec!["machined-state".into()];
    }
    Ok(Some(metadata))
}

pub fn named(name: &str, source: &str) -> Metadata {
    let details = Details { sources: vec![source.to_owned()], ..Details::default() };
    Metadata { name: Some(name.to_owned()), details, ..Metadata::default() }
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (name, value) = line.split_once('=')?;
    (name.trim() == key).then(|| value.trim())
}

/// `lxc.mount.entry = /srv/data data none bind,ro 0 0`.
fn lxc_mount(line: &str) -> Option<Mount> {
    let mut fields = value(line, "lxc.mount.entry")?.split_whitespace();
    let (source, destination, _type) = (fields.next()?, fields.next()?, fields.next()?);
    let options = fields.next()?;
    let has = |name: &str| options.split(',').any(|option| option == name);
    (has("bind") || has("rbind")).then(|| Mount {
        source: source.to_owned(),
        destination: format!("/{}", destination.trim_start_matches('/')),
        mode: String::new(),
        writable: !has("ro"),
        propagation: String::new(),
    })
}
