//! What is known of a container, or that it is being asked about. Never from the kernel: the agent
//! puts it into the stream, so that a replay learns it at the same place.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// How far the question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, Immutable)]
#[repr(u32)]
pub enum Stage {
    /// The sources are asked: events of the container wait from here on.
    Asked = 0,
    /// This is what they say.
    Known = 1,
    /// They did not answer in time: nothing waits any longer.
    GivenUp = 2,
}

/// The header's cgroup is the one in which the container was noticed; the variable part is what is
/// known, as JSON.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Container {
    pub header: Header,
    /// A [`Stage`].
    pub stage: u32,
    pub json_len: u32,
}
const _: () = assert!(size_of::<Container>() == size_of::<Header>() + 8);

impl Container {
    /// The stage, or `None` for a number that this build does not know.
    pub fn stage(&self) -> Option<Stage> {
        Stage::try_read_from_bytes(&self.stage.to_ne_bytes()).ok()
    }
}
