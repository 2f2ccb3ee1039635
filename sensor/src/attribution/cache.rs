//! What every cgroup belongs to, kept by the records that announce and end them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sensor_common::container::Stage;

use crate::attribution::cgroup::{Hierarchy, Scope, ScopeError};
use crate::attribution::known::{Containers, Wanted};
use crate::attribution::metadata::Announcement;
use crate::attribution::monitor::{Monitor, stands_for_a_monitor};
use crate::attribution::state::StateDirectories;
use crate::attribution::target::{self, Target, TargetError};
use crate::attribution::{Attribution, Container, Runtime, cgroup, runtime};

/// More cgroups than a host has, dead ones in their grace included.
const ENTRIES_MAX: usize = 1 << 16;

/// How long a cgroup is remembered after its end: its last events are still on their way.
const GRACE_NS: u64 = 60_000_000_000;

/// A hierarchy is not read more often than this for the sake of ids that nobody announced.
const SCAN_INTERVAL: Duration = Duration::from_millis(200);

/// How often the state directories are asked about a cgroup that may be a container's.
const LOOKS: u8 = 4;
/// News that are kept until somebody asks.
const NEWS_MAX: usize = 1024;

/// Why events had no attribution, and what was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events whose cgroup the hierarchy does not show.
    pub unknown: u64,
    /// Events whose cgroup was not looked for, because the last search was a moment ago.
    pub rate_limited: u64,
    /// Events whose cgroup could not be looked for: no unified hierarchy, or a replay.
    pub no_hierarchy: u64,
    /// Searches of the whole hierarchy.
    pub scans: u64,
    /// Cgroups that a search found and no record had announced.
    pub found: u64,
    /// Entries dropped because the cache was full.
    pub evicted: u64,
}

impl Counts {
    /// The reasons of misses with their `reason` labels.
    pub fn misses(&self) -> [(&'static str, u64); 3] {
        [
            ("unknown", self.unknown),
            ("rate_limited", self.rate_limited),
            ("no_hierarchy", self.no_hierarchy),
        ]
    }
}

#[derive(Clone, Debug)]
struct Entry {
    attribution: Arc<Attribution>,
    /// When it was made, nanoseconds since the epoch, if that was seen.
    made_ns: Option<u64>,
    /// When it was removed, nanoseconds since boot.
    removed_ns: Option<u64>,
    /// Looks at the state directories that are left.
    looks: u8,
}

/// Cgroup id → attribution. Owned by the pipeline; others get snapshots.
#[derive(Debug)]
pub struct Cache {
    hierarchy: Option<Hierarchy>,
    state: Option<StateDirectories>,
    entries: HashMap<u64, Entry>,
    containers: Containers,
    /// Ids that a search did not find.
    unknown: HashSet<u64>,
    /// Cgroups in which containers are that have none of their own.
    shared: HashSet<u64>,
    /// Cgroups of which something else is true for good than before.
    news: Vec<u64>,
    scan_interval: Duration,
    last_scan: Option<Instant>,
    entries_max: usize,
    counts: Counts,
}

impl Default for Cache {
    /// Knows only what records tell it: for replay.
    fn default() -> Self {
        Self {
            hierarchy: None,
            state: None,
            entries: HashMap::new(),
            containers: Containers::default(),
            unknown: HashSet::new(),
            shared: HashSet::new(),
            news: Vec::new(),
            scan_interval: SCAN_INTERVAL,
            last_scan: None,
            entries_max: ENTRIES_MAX,
            counts: Counts::default(),
        }
    }
}

impl Cache {
    /// Looks at this host for what records did not announce.
    pub fn live() -> io::Result<Self> {
        Self::live_with(StateDirectories::default())
    }

    /// The same, with state directories elsewhere.
    pub fn live_with(state: StateDirectories) -> io::Result<Self> {
        let hierarchy = Hierarchy::find()?;
        Ok(Self { hierarchy, state: Some(state), ..Self::default() })
    }

    /// From here on new containers, or those below one cgroup, are to be asked about: see
    /// [`Self::take_wanted`].
    pub fn ask(&mut self, scope: Option<String>) {
        self.containers.asks = Some(scope.unwrap_or_default());
    }

    pub fn hierarchy(&self) -> Option<&Hierarchy> {
        self.hierarchy.as_ref()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Every cgroup of the host as of now, parents first. Empty without a hierarchy.
    pub fn scan(&self) -> Vec<(u64, String)> {
        self.hierarchy.as_ref().map(Hierarchy::scan).unwrap_or_default()
    }

    /// A cgroup is there; `made_ns`: since when, in nanoseconds since the epoch, if its making was seen.
    pub fn made(&mut self, id: u64, path: &str, made_ns: Option<u64>) {
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.attribution.cgroup_path == path
        {
            if entry.removed_ns.take().is_some() {
                self.containers.joined(id, &entry.attribution, made_ns);
            }
            return;
        }
        if self.entries.len() >= self.entries_max {
            self.evict();
        }
        self.unknown.remove(&id);
        let mut attribution = runtime::attribute(path);
        self.containers.complete(&mut attribution);
        let may_be_plain =
            attribution.container.is_none() && runtime::plain_names(path).next().is_some();
        let looks = if may_be_plain && self.state.is_some() { LOOKS } else { 0 };
        self.join(id, &mut attribution, made_ns);
        let attribution = Arc::new(attribution);
        self.entries.insert(id, Entry { attribution, made_ns, removed_ns: None, looks });
        self.tell(id);
        if looks > 0 {
            self.look(id);
        }
    }

    /// A container that has no cgroup of its own: a monitor keeps it in that of an event. Returns what
    /// stands for its cgroup from here on; nothing if its id is another's.
    pub fn keep(&mut self, monitor: &Monitor, cgroup_id: u64) -> Option<u64> {
        let id = monitor.cgroup_id();
        if self.entries.get(&id).is_some_and(|entry| entry.removed_ns.is_none()) {
            return Some(id);
        }
        if self.containers.is_of_others(&monitor.container_id, id) {
            return None;
        }
        if self.entries.len() >= self.entries_max {
            self.evict();
        }
        let cgroup_path = self.get(cgroup_id).map(|known| known.cgroup_path.clone());
        let container = Container {
            id: monitor.container_id.clone(),
            runtime: Runtime::Podman,
            name: monitor.name.clone(),
            ..Container::default()
        };
        let mut attribution = Attribution {
            cgroup_path: cgroup_path.unwrap_or_default(),
            container: Some(container),
            unit: None,
        };
        self.containers.complete(&mut attribution);
        self.containers.joined(id, &attribution, None);
        let attribution = Arc::new(attribution);
        self.entries.insert(id, Entry { attribution, made_ns: None, removed_ns: None, looks: 0 });
        // The kernel side can no longer tell by the cgroup whether it is a container's.
        self.shared.insert(cgroup_id);
        self.tell(cgroup_id);
        Some(id)
    }

    /// A cgroup ended, this many nanoseconds after boot.
    pub fn removed(&mut self, id: u64, boot_ns: u64) {
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.removed_ns.replace(boot_ns).is_none()
        {
            self.containers.left(&entry.attribution);
        }
        self.tell(id);
    }

    /// Makes sure that [`Self::get`] knows the cgroup of an event, if that can be known.
    pub fn find(&mut self, id: u64) {
        match self.entries.get(&id) {
            Some(Entry { looks: 0, .. }) => {}
            Some(_) => self.look(id),
            // Records that the agent makes from /proc have no id.
            None if id == 0 => {}
            None => self.search(id),
        }
    }

    pub fn get(&self, id: u64) -> Option<&Attribution> {
        self.entries.get(&id).map(|entry| &*entry.attribution)
    }

    /// The same, to keep.
    pub fn get_shared(&self, id: u64) -> Option<Arc<Attribution>> {
        self.entries.get(&id).map(|entry| Arc::clone(&entry.attribution))
    }

    /// The cgroups that live, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Arc<Attribution>)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.removed_ns.is_none())
            .map(|(id, entry)| (*id, &entry.attribution))
    }

    /// The cgroups that live of which it will not change whether they are a container's, and whether
    /// they are.
    pub fn settled(&self) -> impl Iterator<Item = (u64, bool)> {
        self.entries.iter().filter_map(|(id, entry)| Some((*id, self.is_contained(*id, entry)?)))
    }

    /// What of that has changed since the last call, or is no longer so. Of what was too much to keep
    /// [`Self::settled`] tells.
    pub fn take_news(&mut self) -> Vec<(u64, Option<bool>)> {
        let ids = std::mem::take(&mut self.news);
        let now = |id: &u64| self.entries.get(id).and_then(|entry| self.is_contained(*id, entry));
        ids.iter().map(|id| (*id, now(id))).collect()
    }

    /// Whether a cgroup is a container's, if that will not change.
    fn is_contained(&self, id: u64, entry: &Entry) -> Option<bool> {
        let is_container = entry.attribution.container.is_some();
        let is_settled = entry.removed_ns.is_none() && (is_container || entry.looks == 0);
        let is_alone = !self.shared.contains(&id) && !stands_for_a_monitor(id);
        (is_settled && is_alone).then_some(is_container)
    }

    fn tell(&mut self, id: u64) {
        if self.news.len() < NEWS_MAX {
            self.news.push(id);
        }
    }

    /// Containers that have no cgroup of their own.
    pub fn kept(&self) -> impl Iterator<Item = (u64, &Arc<Attribution>)> {
        self.iter().filter(|(id, _)| stands_for_a_monitor(*id))
    }

    /// The cgroups that live, by id, for another thread.
    pub fn snapshot(&self) -> Vec<(u64, Arc<Attribution>)> {
        let mut all: Vec<_> = self
            .iter()
            .filter(|(id, _)| !stands_for_a_monitor(*id))
            .map(|(id, attribution)| (id, Arc::clone(attribution)))
            .collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// The next container that somebody should be asked about.
    pub fn take_wanted(&mut self) -> Option<Wanted> {
        self.containers.take_wanted()
    }

    /// What a record of the stream says about a container; holds for all its cgroups.
    pub fn heard(&mut self, cgroup_id: u64, stage: Stage, told: &Announcement) {
        for id in self.containers.heard(cgroup_id, stage, told) {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            let mut attribution = Arc::clone(&entry.attribution);
            self.containers.complete(Arc::make_mut(&mut attribution));
            entry.attribution = attribution;
        }
    }

    /// The container of a cgroup, if its metadata is still on the way.
    pub fn waits(&self, id: u64) -> Option<&str> {
        let container = self.entries.get(&id)?.attribution.container.as_ref()?;
        self.containers.waits(container).then_some(&container.id)
    }

    /// Containers that are known, and those that nobody could be asked about.
    pub fn known_containers(&self) -> (usize, u64) {
        (self.containers.len(), self.containers.unasked)
    }

    /// Forgets the cgroups whose grace is over.
    pub fn tidy(&mut self, now_boot_ns: u64) {
        self.entries.retain(|_, entry| {
            entry.removed_ns.is_none_or(|removed| now_boot_ns < removed.saturating_add(GRACE_NS))
        });
        self.containers.forget(|id| self.entries.contains_key(&id));
        self.shared.retain(|id| self.entries.contains_key(id));
    }

    /// What a user's text names: a container, pod or unit.
    pub fn resolve(&self, text: &str) -> Result<Target, TargetError> {
        let kept: Vec<_> = self.kept().map(|(_, kept)| Arc::clone(kept)).collect();
        target::resolve(&self.snapshot(), &kept, text)
    }

    /// The cgroup that a user gives by its path.
    pub fn scope(&self, text: &str) -> Result<Scope, ScopeError> {
        self.hierarchy.as_ref().ok_or(ScopeError::NoHierarchy)?.scope(text)
    }

    /// Of a process by the contents of its /proc/PID/cgroup: for hosts with v1 alone, where all
    /// ids are the root's, and for processes that run without a record.
    pub fn of_membership(&self, contents: &str) -> Attribution {
        let path = cgroup::path_in(contents).unwrap_or_default();
        let mut attribution = runtime::attribute(path);
        self.name_plain(&mut attribution);
        attribution
    }

    fn look(&mut self, id: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        let looks = entry.looks.saturating_sub(1);
        let mut attribution = Arc::clone(&entry.attribution);
        let named = self.name_plain(Arc::make_mut(&mut attribution));
        let Entry { made_ns, removed_ns, .. } = *entry;
        let looks = if named { 0 } else { looks };
        if named {
            self.join(id, Arc::make_mut(&mut attribution), made_ns);
        }
        self.entries.insert(id, Entry { attribution, made_ns, removed_ns, looks });
        if looks == 0 {
            self.tell(id);
        }
    }

    /// Until somebody knows better, a container started when its first cgroup was made.
    fn join(&mut self, id: u64, attribution: &mut Attribution, made_ns: Option<u64>) {
        let made_ns = self.containers.joined(id, attribution, made_ns);
        if let Some(container) = &mut attribution.container
            && container.details.started_ns.is_none()
            && made_ns.is_some()
        {
            Arc::make_mut(&mut container.details).started_ns = made_ns;
        }
    }

    fn name_plain(&self, attribution: &mut Attribution) -> bool {
        if attribution.container.is_some() {
            return false;
        }
        let Some(state) = &self.state else { return false };
        let Some(container) = state.container(&attribution.cgroup_path) else { return false };
        attribution.container = Some(container);
        attribution.unit = None;
        self.containers.complete(attribution);
        true
    }

    /// The kernel has no way from an id to a path that would not need the whole hierarchy.
    fn search(&mut self, id: u64) {
        let Some(hierarchy) = &self.hierarchy else {
            self.counts.no_hierarchy += 1;
            return;
        };
        if self.unknown.contains(&id) {
            self.counts.unknown += 1;
            return;
        }
        if self.last_scan.is_some_and(|last| last.elapsed() < self.scan_interval) {
            self.counts.rate_limited += 1;
            return;
        }
        let all = hierarchy.scan();
        self.counts.scans += 1;
        self.last_scan = Some(Instant::now());
        for (found, path) in all {
            if !self.entries.contains_key(&found) {
                self.counts.found += 1;
                self.made(found, &path, None);
            }
        }
        if self.entries.contains_key(&id) {
            return;
        }
        self.counts.unknown += 1;
        // Ids are not reused, so this only saves searches; starting over costs one.
        if self.unknown.len() >= self.entries_max {
            self.unknown.clear();
        }
        self.unknown.insert(id);
    }

    /// Makes room: the dead first, then the oldest, which have the lowest ids.
    fn evict(&mut self) {
        let mut order: Vec<(bool, u64)> =
            self.entries.iter().map(|(id, entry)| (entry.removed_ns.is_none(), *id)).collect();
        order.sort_unstable();
        for (_, id) in order.iter().take(self.entries_max.div_ceil(16)) {
            self.entries.remove(id);
            self.counts.evicted += 1;
        }
        self.containers.forget(|id| self.entries.contains_key(&id));
    }
}

#[cfg(test)]
mod tests;
