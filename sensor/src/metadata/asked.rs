//! The containers that were asked about, what was last told of each, and which are to be looked at
//! again: a runtime says that they have changed, or one that may know them did not answer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::attribution::{Runtime, runtime};
use crate::metadata::Answer;
use crate::metadata::socket::Socket;
use crate::metadata::sockets::{kinds, user_of};
use crate::metadata::status::Miss;

/// Containers that are remembered; beyond that the one that was asked about first is forgotten.
const ENTRIES_MAX: usize = 4096;

/// What happens to a container within this time is looked at once.
const PAUSE: Duration = Duration::from_millis(100);

/// How often, and after how long, a container is looked at again of which something is owed.
const RETRIES: u32 = 16;
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// Something that may have changed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// An engine tells of one of its containers.
    Container { id: String, by: Arc<Socket> },
    /// An engine tells from here on: what it did not tell before may be anything.
    Engine { by: Arc<Socket> },
    /// By its uid.
    Pod(String),
}

/// What came of a look.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) wanted: Wanted,
    pub(super) found: Result<Metadata, Miss>,
    /// It was looked at before, and its events do not wait.
    pub(super) is_again: bool,
    pub(super) is_last: bool,
    /// A socket that may know more did not answer, or files do not have all of it yet.
    pub(super) is_owed: bool,
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    /// Differs from that of an older entry of the same id.
    number: u64,
    /// A hash of what was told.
    told: Option<u64>,
    /// The uid of its pod.
    pod: Option<String>,
    /// Who made it, as far as is known.
    runtime: Runtime,
    due: Option<Instant>,
    retries: u32,
}

#[derive(Debug, Default)]
pub(super) struct Asked {
    entries: HashMap<String, Entry>,
    /// In the order of asking; those whose number is another are no longer there.
    order: VecDeque<(u64, String)>,
    due: BinaryHeap<Reverse<(Instant, String)>>,
    next_number: u64,
}

impl Asked {
    /// Remembers a container; how many were forgotten for it.
    pub(super) fn insert(&mut self, wanted: Wanted) -> u64 {
        let (id, number) = (wanted.container_id.clone(), self.next_number);
        self.next_number += 1;
        self.order.push_back((number, id.clone()));
        let runtime = wanted.runtime;
        let pod = pod_in(&wanted.cgroup_path);
        let entry = Entry { wanted, number, told: None, pod, runtime, due: None, retries: 0 };
        self.entries.insert(id, entry);
        let mut forgotten = 0;
        while self.entries.len() > ENTRIES_MAX || self.order.len() > 2 * ENTRIES_MAX {
            let Some((number, id)) = self.order.pop_front() else { break };
            if self.entries.get(&id).is_some_and(|entry| entry.number == number) {
                self.entries.remove(&id);
                forgotten += 1;
            }
        }
        forgotten
    }

    /// Notes that what is known of some may be old.
    pub(super) fn changed(&mut self, change: &Change, now: Instant) {
        let ids: Vec<String> = match change {
            Change::Container { id, by } => {
                let entry = self.entries.get(id).filter(|entry| entry.may_be_of(by));
                entry.map(|_| id.clone()).into_iter().collect()
            }
            Change::Pod(uid) => self.ids(|entry| entry.pod.as_ref() == Some(uid)),
            Change::Engine { by } => self.ids(|entry| entry.may_be_of(by)),
        };
        for id in ids {
            self.plan(&id, now + PAUSE);
        }
    }

    /// When there is something to look at again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// The next container to look at again.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Wanted> {
        while self.next_due().is_some_and(|at| at <= now) {
            let Reverse((at, id)) = self.due.pop()?;
            if let Some(entry) = self.entries.get_mut(&id)
                && entry.due == Some(at)
            {
                entry.due = None;
                return Some(entry.wanted.clone());
            }
        }
        None
    }

    /// What of a finding is to be told: not what was told already, and not less than that.
    pub(super) fn take(&mut self, finding: Finding, now: Instant) -> Option<Answer> {
        let Finding { wanted, found, is_again, is_last, is_owed } = finding;
        let Some(entry) = self.entries.get_mut(&wanted.container_id) else {
            return (!is_again).then_some(Answer { wanted, found, is_last });
        };
        if is_owed && is_last && entry.retries < RETRIES {
            let retry = FIRST_RETRY.saturating_mul(1 << entry.retries).min(LONGEST_RETRY);
            entry.retries += 1;
            self.plan(&wanted.container_id, now + retry);
        }
        let entry = self.entries.get_mut(&wanted.container_id)?;
        let Ok(metadata) = &found else {
            return (!is_again).then_some(Answer { wanted, found, is_last });
        };
        let told = hash(metadata);
        let is_news = match entry.told {
            Some(before) => before != told && !(is_again && is_owed),
            None => true,
        };
        if !is_news {
            return None;
        }
        entry.told = Some(told);
        if let Some(pod) = &metadata.pod {
            entry.pod = Some(pod.uid.clone());
        }
        entry.runtime = metadata.runtime.unwrap_or(wanted.runtime);
        Some(Answer { wanted, found, is_last })
    }

    fn ids(&self, which: impl Fn(&Entry) -> bool) -> Vec<String> {
        let found = self.entries.iter().filter(|(_, entry)| which(entry));
        found.map(|(id, _)| id.clone()).collect()
    }

    fn plan(&mut self, id: &str, at: Instant) {
        if let Some(entry) = self.entries.get_mut(id)
            && entry.due.is_none_or(|planned| at < planned)
        {
            entry.due = Some(at);
            self.due.push(Reverse((at, id.to_owned())));
        }
    }
}

impl Entry {
    /// A user's engine is believed about that user's containers alone.
    fn may_be_of(&self, socket: &Socket) -> bool {
        let is_of_user = socket.user.is_none() || socket.user == user_of(&self.wanted.cgroup_path);
        is_of_user && kinds(&self.wanted, self.runtime).contains(&socket.kind)
    }
}

/// The uid of the pod that a path names.
pub(super) fn pod_in(cgroup_path: &str) -> Option<String> {
    runtime::attribute(cgroup_path).container?.pod.map(|pod| pod.uid)
}

fn hash(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Every value in it is text, a number or a list of such: it cannot fail.
    serde_json::to_vec(metadata).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::socket::{Kind, Limits};

    fn wanted(id: &str) -> Wanted {
        let cgroup_path = format!("/user.slice/user-7.slice/libpod-{id}.scope");
        let container_id = format!("{id:0>64}");
        Wanted { cgroup_id: 7, cgroup_path, container_id, runtime: Runtime::Podman, bundle: None }
    }

    fn finding(id: &str, name: Option<&str>, is_again: bool, is_owed: bool) -> Finding {
        let named = |name: &str| Metadata { name: Some(name.to_owned()), ..Metadata::default() };
        let found = name.map(named).ok_or(Miss::NotFound);
        Finding { wanted: wanted(id), found, is_again, is_last: true, is_owed }
    }

    fn socket(kind: Kind, user: u32) -> Arc<Socket> {
        let socket = Socket::new(kind, "s".into(), "/s".into(), Limits::default());
        Arc::new(if user == 0 { socket } else { socket.of_user(user) })
    }

    /// How long until each of the next `count` looks, in seconds.
    fn waits(asked: &mut Asked, count: usize) -> Vec<u64> {
        let mut now = Instant::now();
        let mut wait = || {
            let due = asked.next_due()?;
            let seconds = (due.duration_since(now) + Duration::from_millis(500)).as_secs();
            now = due;
            let wanted = asked.take_due(now)?;
            let id = wanted.container_id.trim_start_matches('0');
            assert!(asked.take(finding(id, Some("a"), true, true), now).is_none());
            Some(seconds)
        };
        (0..count).map_while(|_| wait()).collect()
    }

    #[test]
    fn what_is_owed_is_asked_for_again_and_again_but_not_for_ever() {
        let mut asked = Asked::default();
        asked.insert(wanted("1"));
        assert!(asked.take(finding("1", Some("a"), false, true), Instant::now()).is_some());
        let longest = [60; 9];
        assert_eq!(waits(&mut asked, 100), [&[1, 2, 4, 8, 16, 32, 60], &longest[..]].concat());
        assert!(asked.next_due().is_none());
    }

    #[test]
    fn what_is_told_is_news_and_never_less_than_before() {
        let mut asked = Asked::default();
        asked.insert(wanted("1"));
        let now = Instant::now();
        let mut is_told = |name, is_again, is_owed| {
            asked.take(finding("1", name, is_again, is_owed), now).is_some()
        };
        assert!(is_told(Some("a"), false, false));
        assert!(!is_told(Some("a"), false, false) && !is_told(Some("a"), true, false));
        assert!(is_told(Some("b"), true, false));
        // Files alone, while the socket that had told the rest is down.
        assert!(!is_told(Some("c"), true, true) && !is_told(None, true, true));
        // Whoever waits for a first answer gets one.
        assert!(is_told(None, false, false));
    }

    #[test]
    fn changes_are_collected_and_believed_of_whoever_may_know() {
        let mut asked = Asked::default();
        asked.insert(wanted("1"));
        let now = Instant::now();
        let id = wanted("1").container_id;
        for (by, is_believed) in [
            (socket(Kind::Docker, 0), false),
            (socket(Kind::Podman, 8), false),
            (socket(Kind::Podman, 0), true),
            (socket(Kind::Podman, 7), true),
        ] {
            let told = Change::Container { id: id.clone(), by: Arc::clone(&by) };
            for change in [told.clone(), told, Change::Engine { by }] {
                asked.changed(&change, now);
            }
            assert!(asked.take_due(now).is_none());
            assert_eq!(asked.take_due(now + PAUSE).is_some(), is_believed);
            // Three changes, one look.
            assert!(asked.take_due(now + PAUSE).is_none());
        }
        // A change does not wait for a retry that comes much later.
        for _ in 0..10 {
            asked.take(finding("1", Some("a"), true, true), now);
            asked.take_due(now + LONGEST_RETRY);
        }
        asked.take(finding("1", Some("a"), true, true), now);
        asked.changed(&Change::Engine { by: socket(Kind::Podman, 0) }, now);
        assert!(asked.take_due(now + PAUSE).is_some());
        assert!(asked.take_due(now + LONGEST_RETRY).is_none());
    }

    #[test]
    fn the_first_are_forgotten_when_there_are_too_many() {
        let mut asked = Asked::default();
        let forgotten: u64 =
            (0..ENTRIES_MAX + 10).map(|number| asked.insert(wanted(&number.to_string()))).sum();
        assert_eq!((forgotten, asked.entries.len()), (10, ENTRIES_MAX));
        // The same one again and again takes no more room.
        for _ in 0..3 * ENTRIES_MAX {
            asked.insert(wanted("x"));
        }
        assert!(asked.entries.contains_key(&wanted("x").container_id));
        assert!(asked.order.len() <= 2 * ENTRIES_MAX);
    }
}
