//! How full the ring is, from another thread than its reader's.

use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::Error;

/// The two positions of a ring, mapped: the consumer's in its first page, the producer's in its second.
pub struct Fill {
    pages: NonNull<u8>,
    page_bytes: usize,
    pub size_bytes: u64,
}

// SAFETY: the pages are mapped as long as the value lives, and are read with atomic loads only.
unsafe impl Send for Fill {}
// SAFETY: as above.
unsafe impl Sync for Fill {}

impl Fill {
    pub(super) fn new(ring: BorrowedFd<'_>, size_bytes: u32) -> Result<Self, Error> {
        let page_bytes = rustix::param::page_size();
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let pages =
            unsafe { mmap(null_mut(), 2 * page_bytes, ProtFlags::READ, MapFlags::SHARED, ring, 0) };
        let pages = pages.map_err(|errno| {
            Error::Io("map the positions of the ring buffer".into(), errno.into())
        })?;
        let pages = NonNull::new(pages.cast())
            .ok_or_else(|| Error::Load("the ring buffer is mapped at address 0".into()))?;
        Ok(Self { pages, page_bytes, size_bytes: size_bytes.into() })
    }

    /// Bytes that the kernel side wrote and the reader has not taken.
    pub fn unread_bytes(&self) -> u64 {
        // The consumer's first: it only grows, towards the producer's.
        let consumed = self.position(0);
        let produced = self.position(self.page_bytes);
        (produced.wrapping_sub(consumed) as u64).min(self.size_bytes)
    }

    fn position(&self, offset: usize) -> usize {
        // SAFETY: `offset` is the start of one of the two mapped pages, where the kernel keeps an
        // aligned `unsigned long`.
        unsafe { self.pages.add(offset).cast::<AtomicUsize>().as_ref() }.load(Ordering::Acquire)
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.pages.as_ptr().cast(), 2 * self.page_bytes) };
        if let Err(error) = unmapped {
            tracing::debug!(%error, "unmap the positions of the ring buffer");
        }
    }
}
