//! What Podman and CRI-O keep in containers/storage about a container.

use std::io;

use serde::Deserialize;

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::{Image, Metadata};
use crate::metadata::host::Host;
use crate::metadata::places::Places;
use crate::metadata::spec::Spec;
use crate::metadata::time_ns;

/// Storage drivers name their directories by themselves.
const DRIVERS: [&str; 3] = ["overlay", "vfs", "btrfs"];

/// One of `containers.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stored {
    id: String,
    names: Vec<String>,
    image: String,
    /// JSON in a string.
    metadata: String,
    created: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct StoredMetadata {
    image_name: String,
    image_id: String,
    name: String,
}

/// One of `images.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StoredImage {
    id: String,
    digest: String,
}

pub fn find(host: &Host, places: &Places, wanted: &Wanted) -> io::Result<Option<Metadata>> {
    for root in roots(host, places) {
        for driver in DRIVERS {
            if let Some(found) = in_store(host, &root, driver, wanted)? {
                return Ok(Some(found));
            }
        }
    }
    // Wherever else its monitor was told that it is.
    if let Some((root, driver)) = wanted.bundle.as_deref().and_then(|bundle| store(bundle, wanted))
    {
        return in_store(host, root, driver, wanted);
    }
    Ok(None)
}

/// The store of a bundle, and its driver: `ROOT/DRIVER-containers/ID/userdata`.
fn store<'a>(bundle: &'a str, wanted: &Wanted) -> Option<(&'a str, &'a str)> {
    let containers = bundle.strip_suffix("/userdata")?.strip_suffix(&wanted.container_id)?;
    let (root, driver) = containers.strip_suffix("-containers/")?.rsplit_once('/')?;
    (!driver.is_empty()).then_some((root, driver))
}

/// The stores of the system and of every user who may have one.
fn roots(host: &Host, places: &Places) -> Vec<String> {
    const OF_USER: &str = ".local/share/containers/storage";
    let mut roots = places.podman_roots.clone();
    let homes = host.names("/home").into_iter().map(|name| format!("/home/{name}"));
    for home in homes.chain(["/root".to_owned()]) {
        let root = format!("{home}/{OF_USER}");
        if host.is_directory(&root) {
            roots.push(root);
        }
    }
    roots
}

fn in_store(
    host: &Host,
    root: &str,
    driver: &str,
    wanted: &Wanted,
) -> io::Result<Option<Metadata>> {
    let directory = format!("{root}/{driver}-containers");
    let spec_path = format!("{directory}/{}/userdata/config.json", wanted.container_id);
    let spec: Option<Spec> = host.json(spec_path)?;
    let stored: Option<Vec<Stored>> = host.json(format!("{directory}/containers.json"))?;
    let stored = stored.unwrap_or_default().into_iter().find(|one| one.id == wanted.container_id);
    if spec.is_none() && stored.is_none() {
        return Ok(None);
    }
    let mut metadata = spec.as_ref().map(Spec::metadata).unwrap_or_default();
    // The engine's own: hosts, names, shared memory.
    let own = format!("/{}/userdata/", wanted.container_id);
    metadata.details.mounts.retain(|mount| !mount.source.contains(&own));
    metadata.details.sources = vec!["containers-storage".into()];
    let is_crio = metadata.pod.is_some();
    metadata.runtime = Some(if is_crio { Runtime::Crio } else { Runtime::Podman });
    if let Some(stored) = stored {
        let more: StoredMetadata = serde_json::from_str(&stored.metadata).unwrap_or_default();
        if !is_crio {
            metadata.name = Some(more.name)
                .filter(|name| !name.is_empty())
                .or_else(|| stored.names.first().cloned());
        }
        let image = if more.image_id.is_empty() { stored.image } else { more.image_id };
        if metadata.image.is_none() && !more.image_name.is_empty() {
            metadata.image = Some(Image::parse(&more.image_name).with_id(&image));
        }
        let images: Option<Vec<StoredImage>> =
            host.json(format!("{root}/{driver}-images/images.json"))?;
        let digest = images.unwrap_or_default().into_iter().find(|one| one.id == image);
        if let (Some(known), Some(found)) = (&mut metadata.image, digest)
            && known.digest.is_none()
            && !found.digest.is_empty()
        {
            known.digest = Some(found.digest);
        }
        metadata.details.started_ns = time_ns(&stored.created);
    }
    Ok(Some(metadata))
}
