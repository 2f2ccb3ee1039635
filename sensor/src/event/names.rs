//! What numbers are called: users and groups of each container, and hosts by the answers of DNS.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::attribution::Attribution;
use crate::event::Text;

/// Containers whose users are remembered; the one that was learnt first goes first.
const PLACES_MAX: usize = 1_024;
/// Addresses whose names are remembered.
const HOSTS_MAX: usize = 16_384;

/// Every name that is known.
#[derive(Debug, Default)]
pub struct Names {
    users: Bounded<Box<str>, Users, PLACES_MAX>,
    hosts: Bounded<IpAddr, Text, HOSTS_MAX>,
}

/// The users and groups of one container, or of the host.
#[derive(Debug, Default)]
pub struct Users {
    by_uid: HashMap<u32, User>,
    by_gid: HashMap<u32, Text>,
    /// Device and inode of the root directory that they lie below.
    root: [u64; 2],
    /// When they were read, nanoseconds since boot.
    read_boot_ns: u64,
}

/// A line of `/etc/passwd`.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    pub name: Text,
    pub home: Text,
    pub shell: Text,
}

/// What tells apart whose users are meant: the container's id, or nothing for the host.
pub fn place(attribution: Option<&Attribution>) -> &str {
    let container = attribution.and_then(|attribution| attribution.container.as_ref());
    container.map_or("", |container| container.id.as_str())
}

/// Users that were read this long ago are read again when somebody acts.
const FRESH_NS: u64 = 30_000_000_000;

impl Names {
    /// Takes in the users of a container, or of the host, whose id is empty.
    pub fn learn_users(
        &mut self,
        place: &str,
        root: [u64; 2],
        (passwd, group): (&[u8], &[u8]),
        read_boot_ns: u64,
    ) {
        let mut users = Users { root, read_boot_ns, ..Users::default() };
        for line in passwd.split(|byte| *byte == b'\n') {
            let mut columns = line.split(|byte| *byte == b':');
            let mut next = || columns.next().unwrap_or_default();
            let (name, uid, _gid, home, shell) = (next(), next(), next(), next(), next());
            if let Some(uid) = number(uid) {
                let user = User { name: name.into(), home: home.into(), shell: shell.into() };
                // The first line of a number wins, as for the C library.
                users.by_uid.entry(uid).or_insert(user);
            }
        }
        for line in group.split(|byte| *byte == b'\n') {
            let mut columns = line.split(|byte| *byte == b':');
            let name = columns.next().unwrap_or_default();
            if let Some(gid) = columns.next().and_then(number) {
                users.by_gid.entry(gid).or_insert_with(|| name.into());
            }
        }
        self.users.insert(place.into(), users);
    }

    /// Whether the users of this container should be read, again perhaps.
    pub fn lacks_users(&self, place: &str, now_boot_ns: u64) -> bool {
        self.users
            .get(place)
            .is_none_or(|users| now_boot_ns.saturating_sub(users.read_boot_ns) > FRESH_NS)
    }

    /// The root directory below which the users of this container were read.
    pub fn root(&self, place: &str) -> Option<[u64; 2]> {
        self.users.get(place).map(|users| users.root)
    }

    /// Marks the users of this container as looked at, whatever came of it.
    pub fn looked(&mut self, place: &str, now_boot_ns: u64) {
        match self.users.entries.get_mut(place) {
            Some(users) => users.read_boot_ns = now_boot_ns,
            None => self.learn_users(place, [0; 2], (b"", b""), now_boot_ns),
        }
    }

    /// Containers whose users, and addresses whose names, made room for others.
    pub fn evicted(&self) -> [(&'static str, u64); 2] {
        [("users", self.users.evicted), ("hosts", self.hosts.evicted)]
    }

    pub fn user(&self, place: &str, uid: u32) -> Option<&User> {
        self.users.get(place)?.by_uid.get(&uid)
    }

    pub fn group(&self, place: &str, gid: u32) -> Option<&[u8]> {
        self.users.get(place)?.by_gid.get(&gid).map(|name| &**name)
    }

    /// Takes in what somebody was told about a name.
    pub fn learn_host(&mut self, name: &[u8], addresses: &[IpAddr]) {
        for address in addresses {
            self.hosts.insert(*address, name.into());
        }
    }

    /// The name that somebody last asked for and got this address.
    pub fn host(&self, address: IpAddr) -> Option<&[u8]> {
        self.hosts.get(&address).map(|name| &**name)
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A map of at most `MAX` entries, of which the oldest make room.
#[derive(Debug)]
struct Bounded<K, V, const MAX: usize> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    evicted: u64,
}

impl<K, V, const MAX: usize> Default for Bounded<K, V, MAX> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), evicted: 0 }
    }
}

impl<K: std::hash::Hash + Eq + Clone, V, const MAX: usize> Bounded<K, V, MAX> {
    fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.entries.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
            self.evicted += 1;
        }
    }

    fn get<Q: std::hash::Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{FRESH_NS, HOSTS_MAX, Names};
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn users_are_those_of_their_container() {
        let mut names = Names::default();
        assert!(names.lacks_users("web", 1));
        names.learn_users("", [0; 2], (b"root:0:0:/root:/bin/sh\n", b"adm:4\n"), 1);
        let passwd = b"app:1000:1000:/app:/bin/ash\ntwin:1000:1:/:/\nx:y\n";
        names.learn_users("web", [1, 2], (passwd, b""), 1);
        assert_eq!(names.root("web"), Some([1, 2]));
        let name = |place: &str, uid| names.user(place, uid).map(|user| user.name.to_vec());
        assert_eq!(name("", 0), Some(b"root".to_vec()));
        assert_eq!(name("web", 1000), Some(b"app".to_vec()));
        assert_eq!((name("web", 0), name("other", 0)), (None, None));
        assert_eq!(names.group("", 4), Some(b"adm".as_slice()));
        assert!(!names.lacks_users("web", FRESH_NS) && names.lacks_users("web", FRESH_NS + 2));
    }

    #[test]
    fn hosts_are_bounded() {
        let mut names = Names::default();
        let address = |n: usize| IpAddr::from(Ipv4Addr::from(u32::try_from(n).unwrap()));
        for n in 0..HOSTS_MAX + 5 {
            names.learn_host(format!("host{n}").as_bytes(), &[address(n)]);
        }
        assert_eq!(names.evicted(), [("users", 0), ("hosts", 5)]);
        assert_eq!(names.host(address(4)), None);
        assert_eq!(names.host(address(5)), Some(b"host5".as_slice()));
    }
}
