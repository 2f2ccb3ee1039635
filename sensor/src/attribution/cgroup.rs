//! Cgroup id ↔ path: the hierarchy whose ids the kernel reports, and its directories.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use sensor_common::config::Controller;

/// The inode, and so the id, of the unified hierarchy's root.
const ROOT_ID: u64 = 1;

/// More cgroups than a host has; a hierarchy that is larger is read this far.
const CGROUPS_MAX: usize = 1 << 18;

/// A part of the hierarchy, as the kernel's filter takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The topmost cgroup.
    pub id: u64,
    /// Its distance from the root of the hierarchy.
    pub level: u32,
    /// Below the root, with a leading `/`.
    pub path: String,
}

/// Why a text names no cgroup.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    #[error(
        "this host has no cgroup hierarchy, neither v2 nor v1 of pids or memory; mount one \
         (mount -t cgroup2 none /sys/fs/cgroup)"
    )]
    NoHierarchy,
    #[error("no cgroup {text} below {}{}", point.display(), near(near_paths))]
    Unknown { text: String, point: PathBuf, near_paths: Vec<String> },
    #[error(
        "{} shows the hierarchy from inside a cgroup namespace, where depths are unknown; \
         run in the host's cgroup namespace", point.display()
    )]
    Namespace { point: PathBuf },
    #[error("read the cgroup {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// `; did you mean …?`, or nothing.
pub(super) fn near(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(", ")) }
}

/// The hierarchy by which tasks are told apart: all of cgroup v2, the part of a hybrid host that is
/// v2, or the one of a v1 controller where there is no v2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    point: PathBuf,
    /// What of the hierarchy is mounted there; `/` is all of it.
    root: String,
    legacy: Option<Legacy>,
}

/// A hierarchy of v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legacy {
    pub controller: Controller,
    /// In `/proc/PID/cgroup`; also the kernel's own.
    pub number: u32,
}

impl Hierarchy {
    /// As this process sees it; `None` on a host that has no such hierarchy.
    pub fn find() -> io::Result<Option<Self>> {
        let mountinfo = fs::read("/proc/self/mountinfo")?;
        let mut mounts = unified_mounts(&mountinfo);
        if mounts.is_empty() {
            mounts = legacy_mounts(&mountinfo, &fs::read_to_string("/proc/self/cgroup")?);
        }
        // A container that runs the agent may see its own part besides the host's whole.
        let whole = mounts.iter().position(|mount| {
            fs::metadata(&mount.point).is_ok_and(|metadata| metadata.ino() == ROOT_ID)
        });
        Ok(match whole {
            Some(whole) => Some(mounts.swap_remove(whole)),
            None => mounts.into_iter().next(),
        })
    }

    /// Which one of v1 it is, if it is not the unified one.
    pub fn legacy(&self) -> Option<Legacy> {
        self.legacy
    }

    /// The controllers in its line of `/proc/PID/cgroup` include this; the unified one has none.
    pub fn controller(&self) -> &'static str {
        self.legacy.map_or("", |legacy| legacy.controller.name())
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// The directory of a cgroup.
    pub fn directory(&self, cgroup_path: &str) -> PathBuf {
        self.point.join(cgroup_path.trim_start_matches('/'))
    }

    /// Every cgroup, parents before children, as (id, path). What disappears meanwhile is left out.
    pub fn scan(&self) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        if let Ok(metadata) = fs::metadata(&self.point) {
            found.push((metadata.ino(), "/".to_owned()));
        }
        let mut next = 0;
        while let Some((_, path)) = found.get(next)
            && found.len() < CGROUPS_MAX
        {
            let children = self.children(path);
            found.extend(children);
            next += 1;
        }
        found
    }

    fn children(&self, path: &str) -> Vec<(u64, String)> {
        let Ok(entries) = fs::read_dir(self.directory(path)) else { return Vec::new() };
        entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|file_type| file_type.is_dir()))
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (entry.ino(), format!("{}/{name}", path.trim_end_matches('/')))
            })
            .collect()
    }

    /// The cgroup that a user means by a path: below the mount point, or of the file system.
    pub fn scope(&self, text: &str) -> Result<Scope, ScopeError> {
        let below = Path::new(text)
            .strip_prefix(&self.point)
            .map_or(text.into(), |below| below.to_string_lossy());
        let components: Vec<&str> = below.split('/').filter(|name| !name.is_empty()).collect();
        let path = format!("/{}", components.join("/"));
        let directory = self.directory(&path);
        let unknown = || ScopeError::Unknown {
            text: text.to_owned(),
            point: self.point.clone(),
            near_paths: self.near(&path),
        };
        if components.iter().any(|name| matches!(*name, "." | "..")) {
            return Err(unknown());
        }
        let metadata = match fs::metadata(&directory) {
            Ok(metadata) if metadata.is_dir() => metadata,
            Ok(_) => return Err(unknown()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
            Err(source) => return Err(ScopeError::Io { path: directory, source }),
        };
        let level = self.root_level()? + level(&path);
        Ok(Scope { id: metadata.ino(), level, path })
    }

    fn root_level(&self) -> Result<u32, ScopeError> {
        let read = |source| ScopeError::Io { path: self.point.clone(), source };
        // All of it, whatever its root is called where this process looks from.
        if fs::metadata(&self.point).map_err(read)?.ino() == ROOT_ID {
            return Ok(0);
        }
        match level(&self.root) {
            0 => Err(ScopeError::Namespace { point: self.point.clone() }),
            _ if self.root.split('/').any(|name| name == "..") => {
                Err(ScopeError::Namespace { point: self.point.clone() })
            }
            level => Ok(level),
        }
    }

    fn near(&self, path: &str) -> Vec<String> {
        let paths = self.scan().into_iter().map(|(_, path)| path);
        super::target::nearest(path, paths)
    }
}

/// Distance of a cgroup from the root.
pub fn level(path: &str) -> u32 {
    let components = path.split('/').filter(|name| !name.is_empty()).count();
    u32::try_from(components).unwrap_or(u32::MAX)
}

/// The cgroup2 mounts of a mountinfo file, in its order.
fn unified_mounts(mountinfo: &[u8]) -> Vec<Hierarchy> {
    mounts(mountinfo, b"cgroup2", None)
}

/// The v1 mounts of the controller that tells most, in the order of the mountinfo file. `membership`
/// is a /proc/PID/cgroup of this host.
fn legacy_mounts(mountinfo: &[u8], membership: &str) -> Vec<Hierarchy> {
    let number = |controller: Controller| {
        let line = memberships(membership).find(|line| line.has(controller.name()))?;
        Some(Legacy { controller, number: line.number })
    };
    let of = |legacy| mounts(mountinfo, b"cgroup", Some(legacy));
    let mut found = Controller::ALL.into_iter().filter_map(number).map(of);
    found.find(|mounts| !mounts.is_empty()).unwrap_or_default()
}

/// The mounts of a kind: `41 31 0:38 / /sys/fs/cgroup/unified rw shared:1 - cgroup2 cgroup2 rw`, or of
/// a controller: `… - cgroup cgroup rw,pids`.
fn mounts(mountinfo: &[u8], kind: &[u8], legacy: Option<Legacy>) -> Vec<Hierarchy> {
    let mount = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let separator = fields.iter().position(|field| *field == b"-")?;
        if *fields.get(separator + 1)? != kind {
            return None;
        }
        if let Some(legacy) = legacy {
            let mut options = fields.get(separator + 3)?.split(|byte| *byte == b',');
            options.find(|option| *option == legacy.controller.name().as_bytes())?;
        }
        let root = String::from_utf8_lossy(&unescape(fields.get(3)?)).into_owned();
        let point = std::ffi::OsString::from_vec(unescape(fields.get(4)?));
        Some(Hierarchy { point: point.into(), root, legacy })
    };
    mountinfo.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

/// `\040` → a space, as mountinfo writes what would end a field.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        if let Some(byte) = after.get(..3).filter(|_| *first == b'\\').and_then(octal) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

/// The path in the contents of /proc/PID/cgroup that says most about a container: the unified
/// hierarchy's unless that is its root, else the v1 hierarchy that runtimes use most surely.
pub fn path_in(contents: &str) -> Option<&str> {
    const BY_PREFERENCE: [&str; 4] = ["", "name=systemd", "pids", "memory"];
    let path_of = |controller: &&str| {
        memberships(contents).find(|line| line.has(controller)).map(|line| line.path)
    };
    let paths: Vec<&str> = BY_PREFERENCE.iter().filter_map(path_of).collect();
    paths.iter().find(|path| **path != "/").or_else(|| paths.first()).copied()
}

/// A line of /proc/PID/cgroup: `4:memory:/docker/a`; of the unified hierarchy: `0::/docker/a`.
struct Membership<'a> {
    number: u32,
    controllers: &'a str,
    path: &'a str,
}

impl Membership<'_> {
    fn has(&self, controller: &str) -> bool {
        self.controllers.split(',').any(|one| one == controller)
    }
}

fn memberships(contents: &str) -> impl Iterator<Item = Membership<'_>> {
    contents.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let number = fields.next()?.parse().unwrap_or(0);
        Some(Membership { number, controllers: fields.next()?, path: fields.next()? })
    })
}

#[cfg(test)]
mod tests;
