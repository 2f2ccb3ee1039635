//! A cgroup was made or removed.

/// The event's process is the one that did it.
#[derive(Debug)]
pub struct Cgroup<'a> {
    pub id: u64,
    pub made: bool,
    /// Below the hierarchy's root, with a leading `/`.
    pub path: &'a [u8],
}
