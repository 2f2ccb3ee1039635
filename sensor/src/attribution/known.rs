//! What is known of each container, who is to be asked, and who has been asked and not yet answered.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use sensor_common::container::Stage;

use crate::attribution::metadata::{Announcement, Metadata};
use crate::attribution::monitor::stands_for_a_monitor;
use crate::attribution::{Attribution, Container, Runtime, runtime};

/// Containers that wait to be asked about. Live ones are asked again when their turn comes.
const WANTED_MAX: usize = 1 << 16;

/// A container that somebody should be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub cgroup_id: u64,
    pub cgroup_path: String,
    pub container_id: String,
    pub runtime: Runtime,
    /// Where who made it keeps its configuration, if that is known.
    pub bundle: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// Its cgroups that are remembered, the dead in their grace included.
    cgroups: Vec<u64>,
    /// Of these, the ones that live.
    live: usize,
    /// When the first of them was made, if that was seen.
    made_ns: Option<u64>,
    waits: bool,
    metadata: Option<Arc<Metadata>>,
}

/// By container id.
#[derive(Debug, Default)]
pub struct Containers {
    known: HashMap<String, Known>,
    /// Containers that no path names, by the path of the cgroup that was made for them.
    plain: HashMap<String, (Runtime, String)>,
    /// Below which cgroup there is somebody to ask about containers; the empty path is everywhere.
    pub asks: Option<String>,
    wanted: VecDeque<Wanted>,
    waiting: usize,
    /// Containers that were not asked about because too many others were to be.
    pub unasked: u64,
}

impl Containers {
    /// Makes of a path's attribution what is known of it beyond the path.
    pub fn complete(&self, attribution: &mut Attribution) {
        if attribution.container.is_none()
            && let Some(container) = self.plain_container(&attribution.cgroup_path)
        {
            attribution.container = Some(container);
            attribution.unit = None;
        }
        if let Some(container) = &mut attribution.container
            && let Some(known) = self.known.get(&container.id)
            && let Some(metadata) = &known.metadata
        {
            metadata.fill(container);
        }
    }

    fn plain_container(&self, path: &str) -> Option<Container> {
        if self.plain.is_empty() {
            return None;
        }
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        let of_prefix = |end: usize| self.plain.get(&path[..end]);
        let (runtime, id) = ends.filter_map(of_prefix).last()?;
        Some(Container { id: id.clone(), runtime: *runtime, ..Container::default() })
    }

    /// A cgroup of a container is known from here on; the first that lives is a reason to ask. Returns
    /// when the first was made.
    pub fn joined(
        &mut self,
        cgroup_id: u64,
        attribution: &Attribution,
        made_ns: Option<u64>,
    ) -> Option<u64> {
        let container = attribution.container.as_ref()?;
        if let Some(known) = self.known.get_mut(&container.id) {
            if !known.cgroups.contains(&cgroup_id) {
                known.cgroups.push(cgroup_id);
            }
            known.live += 1;
            if known.live > 1 {
                return known.made_ns;
            }
            known.made_ns = made_ns;
        } else {
            let known = Known { cgroups: vec![cgroup_id], live: 1, made_ns, ..Known::default() };
            self.known.insert(container.id.clone(), known);
        }
        self.want(cgroup_id, attribution, container);
        made_ns
    }

    fn want(&mut self, cgroup_id: u64, attribution: &Attribution, container: &Container) {
        let is_of_interest = |scope: &String| {
            Path::new(&attribution.cgroup_path).starts_with(scope) || scope.is_empty()
        };
        if !self.asks.as_ref().is_some_and(is_of_interest) {
            return;
        }
        if self.wanted.len() >= WANTED_MAX {
            self.unasked += 1;
            return;
        }
        self.wanted.push_back(Wanted {
            cgroup_id,
            cgroup_path: attribution.cgroup_path.clone(),
            container_id: container.id.clone(),
            runtime: container.runtime,
            bundle: None,
        });
    }

    /// Whether a container is known by another cgroup than this one, which it has not.
    pub fn is_of_others(&self, container_id: &str, cgroup_id: u64) -> bool {
        let known = self.known.get(container_id);
        known.is_some_and(|known| known.cgroups.iter().any(|cgroup| *cgroup != cgroup_id))
    }

    /// A cgroup ended.
    pub fn left(&mut self, attribution: &Attribution) {
        if let Some(container) = &attribution.container
            && let Some(known) = self.known.get_mut(&container.id)
        {
            known.live = known.live.saturating_sub(1);
        }
    }

    /// The next container to ask about.
    pub fn take_wanted(&mut self) -> Option<Wanted> {
        self.wanted.pop_front()
    }

    /// Takes in what a record of the stream says; the cgroups whose attribution it changes.
    pub fn heard(&mut self, cgroup_id: u64, stage: Stage, told: &Announcement) -> Vec<u64> {
        let of_path = runtime::attribute(&told.cgroup_path).container;
        let is_plain = of_path.is_none_or(|container| container.id != told.id);
        // Others are in that cgroup as well.
        let is_kept = stands_for_a_monitor(cgroup_id);
        if is_plain && !is_kept && told.cgroup_path.len() > 1 {
            self.plain.insert(told.cgroup_path.clone(), (told.runtime, told.id.clone()));
        }
        let known = self.known.entry(told.id.clone()).or_default();
        if !known.cgroups.contains(&cgroup_id) {
            known.cgroups.push(cgroup_id);
        }
        let waits = stage == Stage::Asked;
        match (known.waits, waits) {
            (false, true) => self.waiting += 1,
            (true, false) => self.waiting -= 1,
            _ => {}
        }
        known.waits = waits;
        if stage == Stage::Known {
            known.metadata = Some(Arc::new(told.metadata.clone()));
        }
        known.cgroups.clone()
    }

    /// Whether the sources are still being asked about a container.
    pub fn waits(&self, container: &Container) -> bool {
        self.waiting > 0 && self.known.get(&container.id).is_some_and(|known| known.waits)
    }

    /// Cgroups that are remembered no longer.
    pub fn forget(&mut self, is_remembered: impl Fn(u64) -> bool) {
        self.known.retain(|_, known| {
            known.cgroups.retain(|cgroup| is_remembered(*cgroup));
            let keep = !known.cgroups.is_empty();
            self.waiting -= usize::from(!keep && known.waits);
            keep
        });
        self.plain.retain(|_, (_, id)| self.known.contains_key(id));
    }

    /// Containers that are known, alive or in their grace.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}
