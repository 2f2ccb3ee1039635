//! Kernels to boot: the newest of each branch, unpacked into a cache.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::archive::{Archive, list};
use crate::command;

const ARCHITECTURE: &str = "amd64";

pub(crate) struct Kernel {
    /// As the kernel itself says it: `6.12.117+deb13-cloud-amd64`.
    pub(crate) version: String,
    /// The file to boot.
    pub(crate) image: PathBuf,
}

impl Kernel {
    /// The security modules to name, where the kernel's own choice leaves BPF out.
    pub(crate) fn lsm(&self) -> Option<&'static str> {
        self.version.starts_with("5.10.").then_some("lockdown,yama,apparmor,bpf")
    }

    fn cached(kernels: &Path, version: &str) -> Option<Self> {
        let image = kernels.join(version).join("vmlinuz");
        image.exists().then(|| Self { version: version.to_owned(), image })
    }
}

/// The kernels for `names`, which are branches (`6.12`) or exact versions.
pub(crate) fn fetch(cache: &Path, names: &[String], refresh: bool) -> Result<Vec<Kernel>> {
    fs::create_dir_all(cache).with_context(|| format!("create {}", cache.display()))?;
    // Another run may be fetching into the same cache.
    let lock = cache.join("lock");
    let lock = fs::File::create(&lock).with_context(|| format!("create {}", lock.display()))?;
    lock.lock().context("wait for another `cargo xtask vm` to fetch its kernels")?;
    let kernels = names.iter().map(|name| {
        fetch_one(cache, name, refresh).with_context(|| format!("fetch kernel {name}"))
    });
    kernels.collect()
}

fn fetch_one(cache: &Path, name: &str, refresh: bool) -> Result<Kernel> {
    let kernels = cache.join("kernels");
    if !is_branch(name) {
        return match Kernel::cached(&kernels, name) {
            Some(kernel) => Ok(kernel),
            None => download(&Archive::open(cache, ARCHITECTURE, refresh)?, &kernels, name),
        };
    }
    let chosen = kernels.join(format!("newest-{name}"));
    if !refresh
        && let Ok(version) = fs::read_to_string(&chosen)
        && let Some(kernel) = Kernel::cached(&kernels, &version)
    {
        return Ok(kernel);
    }
    let archive = Archive::open(cache, ARCHITECTURE, refresh)?;
    let mut versions = archive.images(name)?;
    versions.sort_by_key(|version| Reverse(numbers(version)));
    let mut refused = Vec::new();
    // The archive may list a version whose files it has dropped.
    for version in versions.iter().take(3) {
        let kernel = Kernel::cached(&kernels, version)
            .map_or_else(|| download(&archive, &kernels, version), Ok);
        match kernel {
            Ok(kernel) => {
                fs::write(&chosen, version)
                    .with_context(|| format!("write {}", chosen.display()))?;
                return Ok(kernel);
            }
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    match refused.as_slice() {
        [] => bail!("the package archive has no cloud kernel of branch {name}"),
        refused => bail!("{}", refused.join("; ")),
    }
}

/// `6.12`, not `6.12.117+deb13-cloud-amd64`.
fn is_branch(name: &str) -> bool {
    name.split('.').count() == 2 && name.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// The numbers in a version, which order it: `6.12.9` is before `6.12.117`.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn download(archive: &Archive, kernels: &Path, version: &str) -> Result<Kernel> {
    println!("vm: downloading kernel {version}");
    let image = format!("linux-image-{version}");
    // From 7 on the image itself is a package of its own.
    let parts = archive.dependencies(&image)?;
    let parts = parts.iter().filter(|name| name.starts_with("linux-binary-"));
    fs::create_dir_all(kernels).with_context(|| format!("create {}", kernels.display()))?;
    let scratch = tempfile::tempdir_in(kernels).context("create a temporary directory")?;
    let (packages, files) = (scratch.path().join("packages"), scratch.path().join("files"));
    for package in parts.chain([&image]) {
        archive.download(package, &packages)?;
    }
    for package in list(&packages)? {
        command::capture(Command::new("dpkg").arg("--extract").arg(&package).arg(&files))?;
    }
    let places = [format!("boot/vmlinuz-{version}"), format!("usr/lib/modules/{version}/vmlinuz")];
    let unpacked = places.iter().map(|place| files.join(place)).find(|place| place.exists());
    let unpacked = unpacked.with_context(|| format!("{image} has no kernel inside"))?;
    let directory = kernels.join(version);
    fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    let kept = directory.join("vmlinuz");
    fs::rename(&unpacked, &kept)
        .with_context(|| format!("move the kernel to {}", kept.display()))?;
    Ok(Kernel { version: version.to_owned(), image: kept })
}

#[cfg(test)]
mod tests {
    use super::{is_branch, numbers};

    #[test]
    fn newest_is_by_number() {
        let mut versions = [
            "6.12.9+deb13-cloud-amd64",
            "6.12.117+deb13-cloud-amd64",
            "6.12.43+deb13-cloud-amd64",
            "6.12.117+deb12-cloud-amd64",
        ];
        versions.sort_by_key(|version| numbers(version));
        assert_eq!(versions.last(), Some(&"6.12.117+deb13-cloud-amd64"));
    }

    #[test]
    fn branches_are_two_numbers() {
        assert!(is_branch("5.10") && is_branch("6.1"));
        assert!(!is_branch("6.1.0-56-cloud-amd64") && !is_branch("6") && !is_branch("6.x"));
    }
}
