//! One sample's bytes → whose it is and its two stacks. Total: no input panics.

use sensor_common::header::COMM_LEN;
use sensor_common::sample::{self, FRAMES_MAX};
use sensor_common::{Header, Kind};
use zerocopy::FromBytes as _;

use crate::event::decode::Malformed;
use crate::event::process::ProcessId;

/// A CPU sample; the addresses are still in the record.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub process: ProcessId,
    pub tid: u32,
    pub ppid: u32,
    /// Process id in the process's own pid namespace.
    pub vpid: u32,
    pub cgroup_id: u64,
    /// Nanoseconds since boot.
    pub boot_ns: u64,
    /// Name of the thread, NUL-padded.
    pub comm: [u8; COMM_LEN],
    pub kernel: Stack<'a>,
    pub user: Stack<'a>,
}

impl Sample<'_> {
    /// The thread's name without its padding.
    pub fn name(&self) -> &[u8] {
        self.comm.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// Return addresses, the leaf first; or why there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack<'a> {
    Addresses(Addresses<'a>),
    /// The errno of `bpf_get_stack`: a kernel thread has no user stack, for one.
    Missing(i32),
}

impl<'a> Stack<'a> {
    /// The addresses; none where the stack is missing.
    pub fn addresses(self) -> Addresses<'a> {
        match self {
            Self::Addresses(addresses) => addresses,
            Self::Missing(_) => Addresses(&[]),
        }
    }
}

/// Native-endian `u64`s at any alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses<'a>(&'a [u8]);

impl<'a> Addresses<'a> {
    const BYTES: usize = size_of::<u64>();

    /// `None` unless the bytes are whole addresses.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.len().is_multiple_of(Self::BYTES).then_some(Self(bytes))
    }

    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + 'a {
        let word = |bytes: &[u8]| u64::read_from_bytes(bytes).unwrap_or_default();
        self.0.chunks_exact(Self::BYTES).map(word)
    }
}

/// Decodes one sample record.
pub fn decode(bytes: &[u8]) -> Result<Sample<'_>, Malformed> {
    let (header, _) = Header::read_from_prefix(bytes).map_err(|_short| Malformed::Short)?;
    if header.len as usize != bytes.len() {
        return Err(Malformed::Length(header.len));
    }
    if header.kind() != Some(Kind::Sample) {
        return Err(Malformed::Kind(header.kind));
    }
    let (fixed, rest) =
        sample::Sample::read_from_prefix(bytes).map_err(|_short| Malformed::Short)?;
    let (kernel, rest) = stack(fixed.kernel_len, rest)?;
    let (user, rest) = stack(fixed.user_len, rest)?;
    if !rest.is_empty() {
        return Err(Malformed::Value);
    }
    Ok(Sample {
        process: ProcessId { pid: header.tgid, start_boot_ns: header.start_boot_ns },
        tid: header.tid,
        ppid: header.ppid,
        vpid: header.vpid,
        cgroup_id: header.cgroup_id,
        boot_ns: header.boot_ns,
        comm: header.comm,
        kernel,
        user,
    })
}

fn stack(len: i32, bytes: &[u8]) -> Result<(Stack<'_>, &[u8]), Malformed> {
    let Ok(len) = usize::try_from(len) else {
        return Ok((Stack::Missing(len.saturating_neg()), bytes));
    };
    if len > FRAMES_MAX * Addresses::BYTES {
        return Err(Malformed::Value);
    }
    let (addresses, rest) = bytes.split_at_checked(len).ok_or(Malformed::Short)?;
    Ok((Stack::Addresses(Addresses::new(addresses).ok_or(Malformed::Value)?), rest))
}

#[cfg(test)]
mod tests {
    use super::{Stack, decode};
    use crate::event::decode::Malformed;
    use crate::profile::testing::record;
    use proptest::prelude::*;

    fn addresses(stack: Stack<'_>) -> Vec<u64> {
        stack.addresses().iter().collect()
    }

    /// Where the record has the lengths of its stacks.
    const KERNEL_LEN: usize = size_of::<sensor_common::Header>();
    const USER_LEN: usize = KERNEL_LEN + 4;

    #[test]
    fn decodes_both_stacks_at_any_alignment() {
        let bytes = record(42, &[0xffff_ffff_8100_0000], &[1, 2, 3]);
        for offset in 0..8 {
            let mut shifted = vec![0; offset];
            shifted.extend_from_slice(&bytes);
            let sample = decode(&shifted[offset..]).unwrap();
            assert_eq!((sample.process.pid, sample.name()), (42, &b"busy"[..]));
            assert_eq!(addresses(sample.kernel), [0xffff_ffff_8100_0000]);
            assert_eq!(addresses(sample.user), [1, 2, 3]);
        }
    }

    #[test]
    fn keeps_the_reason_of_a_missing_stack() {
        let mut bytes = record(42, &[7], &[]);
        bytes[USER_LEN..USER_LEN + 4].copy_from_slice(&(-14_i32).to_ne_bytes());
        let sample = decode(&bytes).unwrap();
        assert_eq!(sample.user, Stack::Missing(14));
        assert!(sample.user.addresses().is_empty());
        assert_eq!(addresses(sample.kernel), [7]);
    }

    #[test]
    fn refuses_what_lies() {
        let whole = record(42, &[7], &[1, 2]);
        let with = |at: usize, value: i32| {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            bytes
        };
        for (bytes, expected) in [
            (vec![], Malformed::Short),
            (whole[..USER_LEN + 7].to_vec(), Malformed::Length(128)),
            (with(0, 129), Malformed::Length(129)),
            (with(4, 1), Malformed::Kind(1)),
            (with(KERNEL_LEN, 9), Malformed::Value),
            (with(KERNEL_LEN, 128 * 8), Malformed::Value),
            (with(KERNEL_LEN, i32::MAX), Malformed::Value),
            (with(KERNEL_LEN, 16), Malformed::Short),
            (with(USER_LEN, 8), Malformed::Value),
            (with(USER_LEN, 24), Malformed::Short),
            (with(USER_LEN, i32::MIN), Malformed::Value),
        ] {
            assert_eq!(decode(&bytes).unwrap_err(), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes: Vec<u8>, kernel_len: i32, user_len: i32) {
            bytes.resize(bytes.len() + USER_LEN + 4, 0);
            let len = u32::try_from(bytes.len()).unwrap();
            bytes[..4].copy_from_slice(&len.to_ne_bytes());
            bytes[4..8].copy_from_slice(&8_u32.to_ne_bytes());
            bytes[KERNEL_LEN..KERNEL_LEN + 4].copy_from_slice(&kernel_len.to_ne_bytes());
            bytes[USER_LEN..USER_LEN + 4].copy_from_slice(&user_len.to_ne_bytes());
            if let Ok(sample) = decode(&bytes) {
                prop_assert!(sample.kernel.addresses().iter().len() <= 127);
            }
        }
    }
}
