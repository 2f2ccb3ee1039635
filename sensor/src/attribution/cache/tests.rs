use super::{Cache, Counts, GRACE_NS, LOOKS};
use crate::attribution::Runtime;
use crate::attribution::metadata::{Announcement, Details, Image, Metadata, Pod};
use crate::attribution::state::StateDirectories;
use sensor_common::container::Stage;
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn container(cache: &Cache, id: u64) -> Option<String> {
    let container = cache.get(id)?.container.as_ref()?;
    Some(format!("{} {}", container.runtime, container.id))
}

#[test]
fn remembers_a_container_through_its_grace() {
    let mut cache = Cache::default();
    cache.made(7, &format!("/docker/{ID}"), None);
    assert_eq!(container(&cache, 7), Some(format!("docker {ID}")));
    cache.removed(7, 1_000);
    assert_eq!(cache.iter().count(), 0);
    cache.tidy(GRACE_NS + 999);
    assert!(cache.get(7).is_some());
    cache.tidy(GRACE_NS + 1_000);
    assert!(cache.get(7).is_none());
    cache.find(7);
    assert_eq!(cache.counts(), Counts { no_hierarchy: 1, ..Counts::default() });
}

#[test]
fn a_full_cache_drops_the_dead_and_the_oldest_and_counts_them() {
    let mut cache = Cache { entries_max: 4, ..Cache::default() };
    for id in 10..14 {
        cache.made(id, &format!("/{id}"), None);
    }
    cache.removed(12, 5);
    cache.made(14, "/14", None);
    cache.made(15, "/15", None);
    let ids: Vec<u64> = cache.snapshot().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [11, 13, 14, 15]);
    assert_eq!(cache.counts().evicted, 2);
}

#[test]
fn what_is_settled_is_told_as_soon_as_it_is() {
    let mut cache = Cache { state: Some(StateDirectories::default()), ..Cache::default() };
    cache.made(7, &format!("/docker/{ID}"), None);
    cache.made(8, "/plain", None);
    assert_eq!(cache.take_news(), [(7, Some(true)), (8, None)]);
    // It may be that of a container whose runtime has not written its state yet.
    for _ in 1..LOOKS {
        assert_eq!(cache.take_news(), []);
        cache.find(8);
    }
    assert_eq!(cache.take_news(), [(8, Some(false))]);
    cache.removed(8, 1_000);
    assert_eq!(cache.take_news(), [(8, None)]);
    let settled: Vec<_> = cache.settled().collect();
    assert_eq!(settled, [(7, true)]);
}

/// Looks for an id on this host's hierarchy; hosts without one have nothing to look at.
#[test]
fn searches_for_what_was_not_announced() {
    let Ok(mut cache) = Cache::live() else { panic!("mountinfo is readable") };
    cache.find(0);
    assert_eq!(cache.counts(), Counts::default());
    let Some((root, path)) = cache.scan().into_iter().next() else {
        cache.find(u64::MAX);
        assert_eq!(cache.counts().no_hierarchy, 1);
        return;
    };
    assert_eq!(path, "/");
    cache.scan_interval = Duration::from_hours(1);
    cache.find(root);
    assert_eq!(cache.get(root).unwrap().cgroup_path, "/");
    assert_eq!(cache.counts().scans, 1);
    // Too soon for another search.
    cache.find(u64::MAX);
    assert_eq!((cache.counts().scans, cache.counts().rate_limited), (1, 1));
    cache.scan_interval = Duration::ZERO;
    cache.find(u64::MAX);
    assert_eq!((cache.counts().scans, cache.counts().unknown), (2, 1));
    // Not worth another search.
    cache.find(u64::MAX);
    assert_eq!((cache.counts().scans, cache.counts().unknown), (2, 2));
}

#[test]
fn asks_the_state_directories_about_plain_names() {
    let root = tempfile::tempdir().unwrap();
    let state = Some(StateDirectories::below(root.path()));
    let mut cache = Cache { state, ..Cache::default() };
    for (id, path) in [(1, "/web"), (2, "/hand-made"), (3, "/system.slice/ssh.service")] {
        cache.made(id, path, None);
    }
    cache.find(1);
    assert_eq!(container(&cache, 1), None);
    let directory = root.path().join("run/crun/web");
    std::fs::create_dir_all(&directory).unwrap();
    for id in 1..=3 {
        cache.find(id);
    }
    assert_eq!(container(&cache, 1).as_deref(), Some("oci web"));
    assert_eq!(container(&cache, 2), None);
    assert_eq!(cache.get(3).unwrap().unit.as_deref(), Some("ssh.service"));
    // One that has its state already needs no event.
    cache.made(4, "/below/web", None);
    assert_eq!(container(&cache, 4).as_deref(), Some("oci web"));
    // Known for good, and the hand-made one is not asked about for ever.
    std::fs::remove_dir(directory).unwrap();
    for _ in 0..10 {
        cache.find(1);
        cache.find(2);
    }
    assert_eq!(container(&cache, 1).as_deref(), Some("oci web"));
    assert_eq!(cache.entries[&2].looks, 0);
}

#[test]
fn metadata_holds_for_all_cgroups_of_a_container() {
    let mut cache = Cache::default();
    let uid = "c2e1a3a4-5b6c-4d7e-8f90-a1b2c3d4e5f6";
    let path = format!("/kubepods/pod{uid}/{ID}");
    cache.made(5, &path, None);
    let before = cache.get_shared(5).unwrap();
    let metadata = Metadata {
        name: Some("app".into()),
        image: Some(Image { repository: "shop/app".into(), ..Image::default() }),
        pod: Some(Pod {
            uid: String::new(),
            name: Some("checkout".into()),
            namespace: Some("shop".into()),
            ..Pod::default()
        }),
        details: Details { privileged: Some(true), ..Details::default() },
        runtime: None,
    };
    cache.heard(5, Stage::Known, &told(&path, ID, &metadata));
    cache.made(6, &format!("{path}/nested"), None);
    for id in [5, 6] {
        let container = cache.get(id).unwrap().container.clone().unwrap();
        assert_eq!(container.name.as_deref(), Some("app"));
        assert_eq!(
            container.pod.unwrap(),
            Pod { uid: uid.into(), ..metadata.pod.clone().unwrap() }
        );
    }
    // Who took the earlier answer keeps it.
    assert_eq!(before.container.as_ref().unwrap().name, None);
    cache.removed(5, 0);
    cache.removed(6, 0);
    cache.tidy(GRACE_NS);
    assert_eq!(cache.known_containers(), (0, 0));
}

#[test]
fn an_announced_cgroup_lives_again() {
    let mut cache = Cache::default();
    cache.made(5, "/a", None);
    cache.removed(5, 0);
    let before = cache.get_shared(5).unwrap();
    cache.made(5, "/a", None);
    assert!(Arc::ptr_eq(&before, &cache.get_shared(5).unwrap()));
    assert_eq!(cache.iter().count(), 1);
    cache.made(5, "/b", None);
    assert_eq!(cache.get(5).unwrap().cgroup_path, "/b");
}

#[test]
fn attributes_by_membership() {
    let cache = Cache::default();
    let contents = format!("9:name=systemd:/docker/{ID}\n0::/\n");
    let attribution = cache.of_membership(&contents);
    assert_eq!(attribution.container.unwrap().id, ID);
    assert_eq!(cache.of_membership("").cgroup_path, "");
}

fn told(path: &str, id: &str, metadata: &Metadata) -> Announcement {
    Announcement {
        id: id.into(),
        cgroup_path: path.into(),
        runtime: Runtime::Oci,
        metadata: metadata.clone(),
    }
}

#[test]
fn asks_once_for_each_life_of_a_container() {
    let mut cache = Cache::default();
    let path = format!("/docker/{ID}");
    cache.made(4, &path, None);
    assert_eq!(cache.take_wanted(), None, "there is nobody to ask");
    cache.removed(4, 0);
    cache.ask(Some("/docker".into()));
    cache.made(5, &path, None);
    cache.made(6, &format!("{path}/init.scope"), None);
    cache.made(7, &format!("/elsewhere/{}", ID.replace('f', "e")), None);
    let wanted = cache.take_wanted().unwrap();
    assert_eq!((wanted.cgroup_id, wanted.container_id.as_str()), (5, ID));
    assert_eq!((wanted.runtime, wanted.cgroup_path), (Runtime::Docker, path.clone()));
    assert_eq!(cache.take_wanted(), None);
    // Started again: its address may be another one.
    cache.removed(6, 0);
    cache.removed(5, 0);
    cache.made(8, &path, None);
    assert_eq!(cache.take_wanted().unwrap().cgroup_id, 8);
}

#[test]
fn a_container_starts_when_its_first_cgroup_is_made() {
    let mut cache = Cache::default();
    let path = format!("/docker/{ID}");
    let started = |cache: &Cache, id| {
        let container = cache.get(id).unwrap().container.as_ref().unwrap();
        container.details.started_ns
    };
    cache.made(4, &path, Some(100));
    cache.made(5, &format!("{path}/init.scope"), Some(200));
    assert_eq!([4, 5].map(|id| started(&cache, id)), [Some(100); 2]);
    // Who made it knows better.
    let mut told = told(&path, ID, &Metadata::default());
    told.metadata.details.started_ns = Some(150);
    cache.heard(4, Stage::Known, &told);
    assert_eq!([4, 5].map(|id| started(&cache, id)), [Some(150); 2]);
    // Started again.
    let path = format!("/elsewhere/{}", ID.replace('f', "e"));
    cache.made(7, &path, Some(300));
    cache.removed(7, 0);
    cache.made(8, &path, Some(400));
    assert_eq!(started(&cache, 8), Some(400));
}

#[test]
fn a_container_waits_from_the_question_to_the_answer() {
    let mut cache = Cache::default();
    let path = format!("/docker/{ID}");
    for (id, path) in [(5, path.clone()), (6, format!("{path}/nested")), (7, "/a".into())] {
        cache.made(id, &path, None);
    }
    let waits = |cache: &Cache| [5, 6, 7].map(|id| cache.waits(id).is_some());
    assert_eq!(waits(&cache), [false; 3]);
    let asked = told(&path, ID, &Metadata::default());
    for (stage, expected) in [
        (Stage::Asked, true),
        (Stage::Asked, true),
        (Stage::Known, false),
        (Stage::Asked, true),
        (Stage::GivenUp, false),
        (Stage::GivenUp, false),
    ] {
        cache.heard(5, stage, &asked);
        assert_eq!(waits(&cache), [expected, expected, false], "{stage:?}");
    }
    // One that is forgotten while it waits.
    cache.heard(5, Stage::Asked, &asked);
    cache.removed(5, 0);
    cache.removed(6, 0);
    cache.tidy(GRACE_NS);
    assert_eq!((waits(&cache), cache.known_containers()), ([false; 3], (0, 0)));
}

/// As in a replay, where no state directory is looked at.
#[test]
fn a_record_tells_what_no_path_does() {
    let mut cache = Cache::default();
    cache.made(5, "/tests/web", None);
    cache.made(6, "/tests/web/container", None);
    cache.made(7, "/tests/webster", None);
    cache.heard(5, Stage::Asked, &told("/tests/web", "web", &Metadata::default()));
    cache.made(8, "/tests/web/made-later", None);
    cache.find(6);
    assert_eq!(container(&cache, 5).as_deref(), Some("oci web"));
    assert_eq!(container(&cache, 7), None);
    assert_eq!(container(&cache, 8).as_deref(), Some("oci web"));
    let known = Metadata { name: Some("w".into()), ..Metadata::default() };
    cache.heard(5, Stage::Known, &told("/tests/web", "web", &known));
    for id in [5, 8] {
        let name = cache.get(id).unwrap().container.as_ref().unwrap().name.clone();
        assert_eq!(name.as_deref(), Some("w"), "{id}");
    }
}
