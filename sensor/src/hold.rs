//! Events of containers whose metadata is still on the way: kept, with what they need to be looked
//! at again, until it is there or it is clear that it will not come.
//!
//! Only records of the stream let them go, so that a replay does it at the same place.

use std::collections::HashMap;

use sensor_common::Header;

use crate::event::Since;
use crate::event::process::{Process, ProcessTable};

/// Events of one container that may wait; a container that does more in that time waits no longer.
const EVENTS_MAX: usize = 4096;

/// Bytes of all events that wait.
const BYTES_MAX: usize = 32 << 20;

/// What an event keeps beside its record, about.
const OVERHEAD: usize = 2048;

/// An event's place among the others.
#[derive(Clone, Copy)]
pub struct Position {
    pub number: u64,
    pub since: Since,
    /// The cgroup that says whose it is.
    pub place: u64,
}

/// One event, apart from the tables that have moved on.
pub struct Held {
    pub position: Position,
    pub record: Vec<u8>,
    /// The process and its ancestors as they were.
    pub processes: ProcessTable,
    pub process: Process,
}

/// What became of events that waited, or should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub held: u64,
    /// Not held, since too many already were: containers that were let go for it.
    pub overflowed: u64,
}

/// By container id, in the order of the stream.
#[derive(Default)]
pub struct Hold {
    queues: HashMap<String, Vec<Held>>,
    bytes: usize,
    pub counts: Counts,
}

impl Hold {
    /// Whether one more of this container may wait.
    pub fn has_room(&mut self, container: &str, record: &[u8]) -> bool {
        let waiting = self.queues.get(container).map_or(0, Vec::len);
        let fits = waiting < EVENTS_MAX && self.bytes + record.len() + OVERHEAD <= BYTES_MAX;
        self.counts.overflowed += u64::from(!fits);
        fits
    }

    pub fn push(&mut self, container: &str, held: Held) {
        self.bytes += held.record.len() + OVERHEAD;
        self.counts.held += 1;
        if let Some(queue) = self.queues.get_mut(container) {
            queue.push(held);
        } else {
            self.queues.insert(container.to_owned(), vec![held]);
        }
    }

    /// Those of a container, in their order.
    pub fn take(&mut self, container: &str) -> Vec<Held> {
        let held = self.queues.remove(container).unwrap_or_default();
        self.bytes -= held.iter().map(|held| held.record.len() + OVERHEAD).sum::<usize>();
        held
    }
}

impl Held {
    /// Keeps what the event needs of the table.
    pub fn new(position: Position, record: &[u8], process: &Process, table: &ProcessTable) -> Self {
        Self {
            position,
            record: record.to_vec(),
            processes: table.excerpt(process),
            process: process.clone(),
        }
    }

    pub fn header(&self) -> Option<Header> {
        use zerocopy::FromBytes as _;
        Header::read_from_prefix(&self.record).ok().map(|(header, _)| header)
    }
}
