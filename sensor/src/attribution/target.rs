//! What a user types → the container, pod, unit or cgroup that is meant, or those that may be.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::attribution::cgroup::{self, Scope};
use crate::attribution::{Attribution, Container, runtime};

/// The part of the hierarchy that a user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub kind: Kind,
    /// The best name that is known: the user's own for a container, `namespace/pod`, the unit.
    pub name: String,
    pub scope: Scope,
    /// Others are in its cgroup as well: which events are its own, their attribution says.
    pub shares_cgroup: bool,
    /// Of the topmost cgroup; of one of the containers where it is a pod.
    pub attribution: Arc<Attribution>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Container,
    Pod,
    Unit,
    Cgroup,
}

impl Target {
    /// The id of a container by which its events are told from those of others in its cgroup.
    pub fn sharing(&self) -> Option<String> {
        let container = self.attribution.container.as_ref().filter(|_| self.shares_cgroup)?;
        Some(container.id.clone())
    }

    /// Whether a container, by what is known of one of its cgroups, is the target or part of it.
    pub fn holds(&self, attribution: &Attribution) -> bool {
        let Some(container) = &attribution.container else { return false };
        match (self.kind, &self.attribution.container) {
            (Kind::Container, Some(own)) => own.id == container.id,
            _ => Path::new(&attribution.cgroup_path).starts_with(&self.scope.path),
        }
    }
}

impl fmt::Display for Target {
    /// `container web (docker 0f1e2d3c4b5a)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let container = self.attribution.container.as_ref();
        match (self.kind, container) {
            (Kind::Container, Some(container)) => {
                write!(f, "container {} ({}", self.name, container.runtime)?;
                if self.name != container.short_id() {
                    write!(f, " {}", container.short_id())?;
                }
                if let Some(pod) = pod_name(container) {
                    write!(f, ", pod {pod}")?;
                }
                write!(f, ")")
            }
            (Kind::Pod, _) => write!(f, "pod {}", self.name),
            (Kind::Unit, _) => write!(f, "unit {}", self.name),
            (Kind::Cgroup | Kind::Container, _) => write!(f, "cgroup {}", self.name),
        }
    }
}

/// Why a text names no target.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("nothing here is called {text}{}", cgroup::near(near))]
    Unknown { text: String, near: Vec<String> },
    #[error("{text} may be any of:\n  {}", list(candidates))]
    Ambiguous { text: String, candidates: Vec<Target> },
}

fn list(candidates: &[Target]) -> String {
    let one = |target: &Target| match target.kind {
        // Each user may have one of this name.
        Kind::Unit => format!("{target} in {}", target.scope.path),
        Kind::Container | Kind::Pod | Kind::Cgroup => target.to_string(),
    };
    candidates.iter().map(one).collect::<Vec<_>>().join("\n  ")
}

/// How a text may match; the first way that finds something decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Id,
    ContainerName,
    PodInNamespace,
    PodName,
    Unit,
    IdPrefix,
}

const MATCHES: [Match; 6] = [
    Match::Id,
    Match::ContainerName,
    Match::PodInNamespace,
    Match::PodName,
    Match::Unit,
    Match::IdPrefix,
];

/// A target and what it answers to.
struct Candidate {
    target: Target,
    names: Vec<(Match, String)>,
}

impl Candidate {
    fn answers(&self, text: &str, how: Match) -> bool {
        self.names.iter().any(|(kind, name)| match how {
            // Every path begins with another one; ids do not.
            Match::IdPrefix => {
                *kind == Match::Id && self.target.kind != Kind::Cgroup && name.starts_with(text)
            }
            _ => *kind == how && name == text,
        })
    }
}

/// Finds what `text` names among the cgroups that live, and the containers that have none.
pub fn resolve(
    cgroups: &[(u64, Arc<Attribution>)],
    kept: &[Arc<Attribution>],
    text: &str,
) -> Result<Target, TargetError> {
    let candidates = candidates(cgroups, kept);
    for how in MATCHES {
        let mut found: Vec<Target> = candidates
            .iter()
            .filter(|candidate| !text.is_empty() && candidate.answers(text, how))
            .map(|candidate| candidate.target.clone())
            .collect();
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            _ => return Err(TargetError::Ambiguous { text: text.to_owned(), candidates: found }),
        }
    }
    let names = candidates
        .iter()
        .filter(|candidate| candidate.target.kind != Kind::Cgroup)
        .flat_map(|candidate| &candidate.names)
        .map(|(kind, name)| match kind {
            Match::Id if runtime::is_full_id(name) => name[..12].to_owned(),
            _ => name.clone(),
        });
    Err(TargetError::Unknown { text: text.to_owned(), near: nearest(text, names) })
}

/// All that a name may mean, for who lists them.
pub fn all_meant(found: Result<Target, TargetError>) -> Result<Vec<Target>, TargetError> {
    match found {
        Ok(target) => Ok(vec![target]),
        Err(TargetError::Ambiguous { candidates, .. }) => Ok(candidates),
        Err(error) => Err(error),
    }
}

/// At most five of `names` that are like `text`, the nearest first.
pub fn nearest(text: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    const COUNT: usize = 5;
    const LIKENESS_MIN: f64 = 0.8;
    let mut scored: Vec<(f64, String)> = names
        .map(|name| {
            let contained = text.len() > 2 && (name.contains(text) || text.contains(name.as_str()));
            // The first forgives what is missing at the end, the second a letter at the beginning.
            let likeness = strsim::jaro_winkler(text, &name)
                .max(strsim::normalized_damerau_levenshtein(text, &name));
            (if contained { likeness.max(LIKENESS_MIN) } else { likeness }, name)
        })
        .filter(|(likeness, name)| *likeness >= LIKENESS_MIN && name.len() > 1)
        .collect();
    scored.sort_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then_with(|| a_name.cmp(b_name)));
    scored.dedup();
    scored.into_iter().take(COUNT).map(|(_, name)| name).collect()
}

fn candidates(cgroups: &[(u64, Arc<Attribution>)], kept: &[Arc<Attribution>]) -> Vec<Candidate> {
    let by_path: BTreeMap<&str, u64> =
        cgroups.iter().map(|(id, attribution)| (attribution.cgroup_path.as_str(), *id)).collect();
    let scope = |path: &str| {
        let id = *by_path.get(path)?;
        Some(Scope { id, level: cgroup::level(path), path: path.to_owned() })
    };
    // Keyed, so that the topmost cgroup of each stands for all below it.
    let mut found: BTreeMap<(u8, String), Candidate> = BTreeMap::new();
    let mut offer = |key: (u8, String), candidate: Option<Candidate>| {
        let Some(candidate) = candidate else { return };
        let level = candidate.target.scope.level;
        if found.get(&key).is_none_or(|known| level < known.target.scope.level) {
            found.insert(key, candidate);
        }
    };
    for (_, attribution) in cgroups {
        let path = attribution.cgroup_path.as_str();
        if let Some(container) = &attribution.container {
            let made = scope(path).map(|scope| container_candidate(container, scope, attribution));
            offer((0, container.id.clone()), made);
            if let Some(pod) = &container.pod {
                let top = runtime::pod_path(path).and_then(scope);
                let made = top.map(|scope| pod_candidate(container, &pod.uid, scope, attribution));
                offer((1, pod.uid.clone()), made);
            }
        } else if let Some(unit) = &attribution.unit {
            let names = vec![(Match::Unit, unit.clone())];
            let made = scope(path).map(|scope| candidate(Kind::Unit, names, scope, attribution));
            offer((2, unit_path(path, unit).to_owned()), made);
        }
        let names = vec![(Match::Id, path.to_owned())];
        let made = scope(path).map(|scope| candidate(Kind::Cgroup, names, scope, attribution));
        offer((3, path.to_owned()), made);
    }
    for attribution in kept {
        if let (Some(container), Some(scope)) =
            (&attribution.container, scope(&attribution.cgroup_path))
        {
            let mut made = container_candidate(container, scope, attribution);
            made.target.shares_cgroup = true;
            offer((0, container.id.clone()), Some(made));
        }
    }
    found.into_values().collect()
}

/// The path as far as the unit's own cgroup: two users may have units of one name.
fn unit_path<'a>(path: &'a str, unit: &str) -> &'a str {
    path.rfind(unit).map_or(path, |at| &path[..at + unit.len()])
}

fn container_candidate(
    container: &Container,
    scope: Scope,
    attribution: &Arc<Attribution>,
) -> Candidate {
    let mut names = Vec::new();
    names.extend(container.name.clone().map(|name| (Match::ContainerName, name)));
    names.push((Match::Id, container.id.clone()));
    let mut candidate = candidate(Kind::Container, names, scope, attribution);
    if container.name.is_none() {
        container.short_id().clone_into(&mut candidate.target.name);
    }
    candidate
}

fn pod_candidate(
    container: &Container,
    uid: &str,
    scope: Scope,
    attribution: &Arc<Attribution>,
) -> Candidate {
    let mut names = Vec::new();
    if let Some(pod) = container.pod.as_ref()
        && let Some(name) = &pod.name
    {
        names.extend(pod_name(container).map(|name| (Match::PodInNamespace, name)));
        names.push((Match::PodName, name.clone()));
    }
    names.push((Match::Id, uid.to_owned()));
    candidate(Kind::Pod, names, scope, attribution)
}

/// The first of the names is the one to show.
fn candidate(
    kind: Kind,
    names: Vec<(Match, String)>,
    scope: Scope,
    attribution: &Arc<Attribution>,
) -> Candidate {
    let name = names.first().map(|(_, name)| name.clone()).unwrap_or_default();
    let attribution = Arc::clone(attribution);
    let target = Target { kind, name, scope, shares_cgroup: false, attribution };
    Candidate { target, names }
}

/// `namespace/pod`, or what of it is known.
fn pod_name(container: &Container) -> Option<String> {
    let pod = container.pod.as_ref()?;
    let name = pod.name.as_ref()?;
    Some(match &pod.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.clone(),
    })
}

#[cfg(test)]
mod tests;
