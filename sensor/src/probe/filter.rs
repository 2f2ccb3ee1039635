//! The kernel's side of the rules' filters: written beside those in use, then taken into use by one
//! word for each event type, so that no probe ever sees half of one.

use std::collections::HashSet;
use std::io;

use aya::Pod;
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, MapData, MapError};
use sensor_common::filter::{EVENTS, FILTERS_MAX, Filter, NetworkKey, PathKey, TextKey};
use zerocopy::IntoBytes as _;

use super::Error;
use super::attach::Probes;
use super::load::chain;
use super::wire::Wire;

/// What a ruleset asks of events, with filters numbered from a number that the loader gives.
#[derive(Debug, Default)]
pub struct Content {
    pub filters: Vec<Filter>,
    /// Index of an event type, and the number of its filter.
    pub events: Vec<(u32, u32)>,
    pub texts: Vec<(TextKey, u64)>,
    pub paths: Vec<(PathKey, u64)>,
    pub networks: Vec<(NetworkKey, u64)>,
}

/// What follows the length in a trie's key.
type PathBody = [u8; size_of::<PathKey>() - size_of::<u32>()];
type NetworkBody = [u8; size_of::<NetworkKey>() - size_of::<u32>()];

/// The filters of the programs that are attached.
pub struct Filters {
    of: Array<MapData, u32>,
    by_number: Array<MapData, Wire<Filter>>,
    texts: HashMap<MapData, Wire<TextKey>, u64>,
    paths: LpmTrie<MapData, PathBody, u64>,
    networks: LpmTrie<MapData, NetworkBody, u64>,
    contained: HashMap<MapData, u64, u8>,
    /// The first number of the filters in use.
    first: u32,
    /// Rows of the filters in use, and of those that were and could not be taken out yet.
    rows: Content,
    stale: Vec<Content>,
    /// Cgroups that the kernel side knows.
    known: HashSet<u64>,
}

impl Filters {
    /// Takes the maps out of the attached programs. Until the first [`Self::replace`] everything passes.
    pub fn new(probes: &mut Probes) -> Result<Self, Error> {
        let mut take = |name: &str| {
            probes.ebpf.take_map(name).ok_or_else(|| Error::Load(format!("map {name} is taken")))
        };
        let wrong = |error: MapError| Error::Load(error.to_string());
        Ok(Self {
            of: Array::try_from(take("FILTER_OF")?).map_err(wrong)?,
            by_number: Array::try_from(take("FILTERS")?).map_err(wrong)?,
            texts: HashMap::try_from(take("TEXTS")?).map_err(wrong)?,
            paths: LpmTrie::try_from(take("PATHS")?).map_err(wrong)?,
            networks: LpmTrie::try_from(take("NETWORKS")?).map_err(wrong)?,
            contained: HashMap::try_from(take("CONTAINED")?).map_err(wrong)?,
            first: 1,
            rows: Content::default(),
            stale: Vec::new(),
            known: HashSet::new(),
        })
    }

    /// Takes new filters into use. On an error there are none: everything passes.
    pub fn replace(&mut self, content: impl FnOnce(u32) -> Content) -> Result<(), Error> {
        let first = if self.first == 1 { 1 + FILTERS_MAX } else { 1 };
        let content = content(first);
        let replaced = self.clean().and_then(|()| self.write(first, &content));
        let mut numbers = vec![0; EVENTS as usize];
        if replaced.is_ok() {
            for (event, number) in &content.events {
                numbers[*event as usize] = *number;
            }
        }
        let used = (0..).zip(numbers).try_for_each(|(event, number)| self.of.set(event, number, 0));
        self.first = first;
        self.stale.push(std::mem::replace(&mut self.rows, content));
        if replaced.is_err() || used.is_err() {
            // Whatever of it is there is in nobody's use.
            self.stale.push(std::mem::take(&mut self.rows));
        }
        replaced
            .and(used)
            .map_err(|error| Error::Load(format!("write filters: {}", chain(&error))))?;
        if wait_for_programs().is_ok() {
            // What is left is taken out before the next time.
            drop(self.clean());
        }
        Ok(())
    }

    /// Tells the kernel side which cgroups are no container's, for good. Of those that are it is told
    /// nothing: who is in one may be the runtime on its way into the container, which is the host's.
    pub fn contain(&mut self, cgroups: impl Iterator<Item = (u64, bool)>) {
        let wanted: HashSet<u64> =
            cgroups.filter(|(_, is_container)| !is_container).map(|(id, _)| id).collect();
        let gone: Vec<u64> = self.known.difference(&wanted).copied().collect();
        for id in gone {
            self.tell(id, None);
        }
        for id in wanted {
            self.tell(id, Some(false));
        }
    }

    /// The same of one cgroup; `None`: it is gone, or may be either.
    pub fn tell(&mut self, id: u64, is_container: Option<bool>) {
        let is_wanted = is_container == Some(false);
        if self.known.contains(&id) == is_wanted {
            return;
        }
        if !is_wanted {
            // Not there is what it is to be.
            drop(self.contained.remove(&id));
            self.known.remove(&id);
        } else if self.contained.insert(id, 0, 0).is_ok() {
            // Of one that has no room nothing is known, so that its events pass.
            self.known.insert(id);
        }
    }

    fn write(&mut self, first: u32, content: &Content) -> Result<(), MapError> {
        for (number, filter) in (first..).zip(&content.filters) {
            self.by_number.set(number, Wire(*filter), 0)?;
        }
        for (key, terms) in &content.texts {
            self.texts.insert(Wire(*key), terms, 0)?;
        }
        for (key, terms) in &content.paths {
            self.paths.insert(&of_path(key), terms, 0)?;
        }
        for (key, terms) in &content.networks {
            self.networks.insert(&of_network(key), terms, 0)?;
        }
        Ok(())
    }

    /// Takes out the rows of filters that nobody uses.
    fn clean(&mut self) -> Result<(), MapError> {
        while let Some(content) = self.stale.last() {
            for (key, _) in &content.texts {
                gone(self.texts.remove(&Wire(*key)))?;
            }
            for (key, _) in &content.paths {
                gone(self.paths.remove(&of_path(key)))?;
            }
            for (key, _) in &content.networks {
                gone(self.networks.remove(&of_network(key)))?;
            }
            self.stale.pop();
        }
        Ok(())
    }
}

/// A row that was never written is gone as well.
fn gone(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => {
            Ok(())
        }
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}

fn of_path(key: &PathKey) -> Key<PathBody> {
    body(key.prefix_bits, key.as_bytes())
}

fn of_network(key: &NetworkKey) -> Key<NetworkBody> {
    body(key.prefix_bits, key.as_bytes())
}

/// The key as the map has it: its length, and all that follows.
fn body<const LEN: usize>(prefix_bits: u32, bytes: &[u8]) -> Key<[u8; LEN]>
where
    [u8; LEN]: Pod,
{
    let mut behind = [0; LEN];
    for (to, from) in behind.iter_mut().zip(&bytes[size_of::<u32>()..]) {
        *to = *from;
    }
    Key::new(prefix_bits, behind)
}

/// Waits until every program that runs now has ended: with one processor the kernel does not say.
fn wait_for_programs() -> io::Result<()> {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    if std::thread::available_parallelism()?.get() == 1 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: the call takes two numbers and touches no memory of this process.
    match unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
