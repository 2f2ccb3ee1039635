//! The ring buffer → records, without missing one and without waking for each.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Error;
use super::attach::Probes;
use super::fill::Fill;

/// The reader's end of the ring.
///
/// The kernel side wakes it only when the last wake-up is at least `interval` ago (or the ring
/// fills, or the record is urgent), so after reading something it looks again an interval later,
/// and sleeps without limit only after a look that found nothing.
///
/// A wake-up costs more than a record. Where records keep coming, it no longer lets itself be woken, and
/// looks every few intervals: what is late by that much is late on a busy host only.
pub struct Ring {
    records: RingBuf<MapData>,
    interval: Duration,
    /// Looks on end that found something.
    streak: u32,
    /// The last look took as much as it might, and there may be more.
    is_cut: bool,
}

/// So many looks on end are a stream, of which a look takes what came in so many intervals.
const STREAM: u32 = 8;
const STREAM_INTERVALS: u32 = 4;

impl Ring {
    /// Takes the ring out of the attached programs; there is one reader.
    pub fn new(probes: &mut Probes, interval: Duration) -> Result<Self, Error> {
        let map =
            probes.ebpf.take_map("RING").ok_or_else(|| Error::Load("the ring is taken".into()))?;
        let records = RingBuf::try_from(map).map_err(|error| Error::Load(error.to_string()))?;
        Ok(Self { records, interval, streak: 0, is_cut: false })
    }

    /// How full it is, for another thread.
    pub fn fill(&self, size_bytes: u32) -> Result<Fill, Error> {
        Fill::new(self.records.as_fd(), size_bytes)
    }

    /// Waits until there may be records, `stop` becomes readable, or `limit` has passed.
    pub fn wait(&self, stop: BorrowedFd<'_>, limit: Duration) -> Result<(), Error> {
        let is_stream = self.streak >= STREAM;
        let timeout = match self.streak {
            _ if self.is_cut => Duration::ZERO,
            0 => limit,
            _ if is_stream => limit.min(self.interval * STREAM_INTERVALS),
            _ => limit.min(self.interval),
        };
        let timeout = Timespec::try_from(timeout)
            .map_err(|error| Error::Load(format!("wait for {timeout:?}: {error}")))?;
        let mut fds = [
            PollFd::from_borrowed_fd(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(self.records.as_fd(), PollFlags::IN),
        ];
        let watched = if is_stream { &mut fds[..1] } else { &mut fds[..] };
        match poll(watched, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::Io("wait for the ring buffer".into(), errno.into())),
        }
    }

    /// Hands every record that is there to `take`, at most `limit` of them; their number.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut taken = 0;
        while taken < limit {
            let Some(record) = self.records.next() else { break };
            take(&record);
            taken += 1;
        }
        self.is_cut = taken == limit;
        self.streak = if taken == 0 { 0 } else { self.streak.saturating_add(1) };
        taken
    }
}
