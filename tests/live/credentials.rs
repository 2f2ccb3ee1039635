//! Changes of user, group and capabilities: what was asked, what came of it, what was before.

use sensor_common::Kind;
use sensor_common::credentials::{Call, Identity};
use sensor_common::syscall::{
    CAPSET, SETFSGID, SETFSUID, SETGID, SETGROUPS, SETREGID, SETRESGID, SETRESUID, SETREUID, SETUID,
};

use crate::actor::Actor;
use crate::harness::Cgroup;
use crate::observer::{Observer, Seen, What};

const EPERM: i64 = -1;
const LEAVE: u32 = u32::MAX;
/// `_LINUX_CAPABILITY_VERSION_3`
const VERSION_3: u32 = 0x2008_0522;

/// What is looked at of one event.
#[derive(Debug, PartialEq)]
struct Change {
    call: Call,
    ids: Vec<u32>,
    result: i64,
    before: Identity,
    after: Identity,
    groups: Vec<u32>,
}

/// Runs the actor as root and returns what was seen of it.
fn changes(test: &str, actor: Actor) -> Vec<Change> {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("actor");
    actor.write(&program);
    let cgroup = Cgroup::new(test);
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Exit, Kind::Credentials]);
    let status = cgroup.command(&program).status().unwrap();
    assert!(status.success(), "{status}");
    let (seen, _) = observer.stop();
    seen.into_iter().filter_map(change).collect()
}

fn change(seen: Seen) -> Option<Change> {
    let What::Credentials { call, ids, result, before, after, groups } = seen.what else {
        return None;
    };
    let before = before.expect("the process was seen to begin");
    Some(Change { call, ids, result, before, after, groups })
}

/// The user ids and the group ids: real, effective, saved, of the file system.
fn users(identity: &Identity) -> [u32; 4] {
    [identity.uid, identity.euid, identity.suid, identity.fsuid]
}

fn groups(identity: &Identity) -> [u32; 4] {
    [identity.gid, identity.egid, identity.sgid, identity.fsgid]
}

#[test]
fn each_call_says_what_it_changed() {
    let mut actor = Actor::new();
    let list = actor.data(&[7, 5]);
    actor.call(SETGROUPS, [2, list, 0]);
    actor.call(SETGID, [10, 0, 0]);
    actor.call(SETREGID, [11, 12, 0]);
    actor.call(SETRESGID, [LEAVE, LEAVE, 13]);
    actor.call(SETFSGID, [14, 0, 0]);
    actor.call(SETRESUID, [21, LEAVE, LEAVE]);
    actor.call(SETREUID, [22, 0, 0]);
    actor.call(SETFSUID, [24, 0, 0]);
    actor.call(SETUID, [25, 0, 0]);
    // Root no more: this fails, and changes nothing.
    actor.call(SETUID, [0, 0, 0]);
    let changes = changes("credentials", actor);
    let shown: Vec<_> = changes
        .iter()
        .map(|one| {
            let ids = (groups(&one.before), groups(&one.after));
            (one.call, &*one.ids, one.result, ids, (users(&one.before), users(&one.after)))
        })
        .collect();
    let root = ([0; 4], [0; 4]);
    let same = |ids: [u32; 4]| (ids, ids);
    let group = [11, 12, 13, 14];
    let expected: [(Call, &[u32], i64, _, _); 10] = [
        (Call::Setgroups, &[], 0, root, root),
        (Call::Setgid, &[10], 0, ([0; 4], [10; 4]), root),
        (Call::Setregid, &[11, 12], 0, ([10; 4], [11, 12, 12, 12]), root),
        (Call::Setresgid, &[LEAVE, LEAVE, 13], 0, ([11, 12, 12, 12], [11, 12, 13, 12]), root),
        (Call::Setfsgid, &[14], 12, ([11, 12, 13, 12], group), root),
        (Call::Setresuid, &[21, LEAVE, LEAVE], 0, same(group), ([0; 4], [21, 0, 0, 0])),
        (Call::Setreuid, &[22, 0], 0, same(group), ([21, 0, 0, 0], [22, 0, 0, 0])),
        (Call::Setfsuid, &[24], 0, same(group), ([22, 0, 0, 0], [22, 0, 0, 24])),
        (Call::Setuid, &[25], 0, same(group), ([22, 0, 0, 24], [25; 4])),
        (Call::Setuid, &[0], EPERM, same(group), same([25; 4])),
    ];
    assert_eq!(shown, expected);
    // The kernel sorts them.
    assert_eq!(changes[0].groups, [5, 7]);
    // Who gives up root gives up its capabilities.
    let Change { before, after, .. } = &changes[8];
    assert!(before.cap_permitted != 0 && before.cap_effective != 0, "{before:?}");
    assert_eq!((after.cap_permitted, after.cap_effective), (0, 0));
}

#[test]
fn capset_says_what_was_given_up() {
    const CHOWN: u32 = 1 << 0;
    const KILL: u32 = 1 << 5;
    let mut actor = Actor::new();
    let header = actor.data(&[VERSION_3, 0]);
    // Effective, permitted, inheritable: of the first 32 bits, then of the others.
    let given_up = actor.data(&[CHOWN, CHOWN | KILL, KILL, 0, 0, 0]);
    let wanted_back = actor.data(&[u32::MAX; 6]);
    actor.call(CAPSET, [header, given_up, 0]);
    actor.call(CAPSET, [header, wanted_back, 0]);
    let changes = changes("capset", actor);
    let [first, second] = &changes[..] else { panic!("{changes:?}") };
    let sets = |identity: &Identity| {
        [identity.cap_effective, identity.cap_permitted, identity.cap_inheritable]
    };
    let [chown, kill] = [CHOWN, KILL].map(u64::from);
    assert_eq!((first.call, first.result), (Call::Capset, 0));
    assert_eq!(sets(&first.after), [chown, chown | kill, kill]);
    assert!(first.before.cap_permitted > chown | kill, "{first:?}");
    assert_eq!((second.call, second.result), (Call::Capset, EPERM));
    assert_eq!(
        (sets(&second.before), sets(&second.after)),
        (sets(&first.after), sets(&first.after))
    );
}

#[test]
fn calls_of_the_32_bit_table_are_the_same_calls() {
    let mut actor = Actor::new();
    let narrow = actor.data(&[6 << 16 | 9]);
    let wide = actor.data(&[8]);
    let header = actor.data(&[VERSION_3, 0]);
    let none = actor.data(&[0; 6]);
    actor.call_32(SETGROUPS.compat_16, [2, narrow, 0]);
    actor.call_32(SETGROUPS.compat, [1, wide, 0]);
    // Of 16 bits: a -1 is not 65535.
    actor.call_32(SETRESGID.compat_16, [30, 0xffff, 31]);
    actor.call_32(SETRESUID.compat, [40, LEAVE, LEAVE]);
    actor.call_32(SETUID.compat_16, [41, 0, 0]);
    actor.call_32(CAPSET.compat, [header, none, 0]);
    let changes = changes("compat", actor);
    let shown: Vec<_> =
        changes.iter().map(|one| (one.call, &*one.ids, one.result, &*one.groups)).collect();
    let expected: [(Call, &[u32], i64, &[u32]); 6] = [
        (Call::Setgroups, &[], 0, &[6, 9]),
        (Call::Setgroups, &[], 0, &[8]),
        (Call::Setresgid, &[30, LEAVE, 31], 0, &[]),
        (Call::Setresuid, &[40, LEAVE, LEAVE], 0, &[]),
        (Call::Setuid, &[41], 0, &[]),
        (Call::Capset, &[], 0, &[]),
    ];
    assert_eq!(shown, expected);
    assert_eq!(groups(&changes[2].after), [30, 0, 31, 0]);
    assert_eq!(users(&changes[4].after), [41; 4]);
}
