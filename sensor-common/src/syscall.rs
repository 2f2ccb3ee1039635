//! Numbers of the system calls that have programs of their own, from a file for each architecture.

#[cfg_attr(any(target_arch = "x86_64", bpf_target_arch = "x86_64"), path = "syscall/x86_64.rs")]
#[cfg_attr(any(target_arch = "aarch64", bpf_target_arch = "aarch64"), path = "syscall/aarch64.rs")]
mod architecture;

pub use architecture::{
    CAPSET, CAPSET_COMPAT_FUNCTION, CAPSET_FUNCTION, CLONE3, CONNECT, CREAT, EXECVE, FORK, OPEN,
    OPENAT, OPENAT2, PACKED, SETFSGID, SETFSUID, SETGID, SETGROUPS, SETGROUPS_16_FUNCTION,
    SETGROUPS_COMPAT_FUNCTION, SETGROUPS_FUNCTION, SETREGID, SETRESGID, SETRESUID, SETREUID,
    SETUID, SOCKETCALL, VFORK,
};

use crate::call::Row;
use crate::call::table::CALLS;

/// The native number of the call that has a row of this name.
///
/// # Panics
/// Where there is none, so that a constant of it does not compile.
pub const fn native(name: &str) -> u32 {
    let mut index = 0;
    while index < CALLS.len() {
        if is_same(CALLS[index].name.as_bytes(), name.as_bytes()) {
            let (number, _) = architecture::of(CALLS[index].numbers);
            assert!(number >= 0, "only the 32-bit table has it");
            return number.unsigned_abs() as u32;
        }
        index += 1;
    }
    panic!("no row has this name")
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// A call of the 32-bit table's `socketcall`, whose second argument points to an array of 32-bit words.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    /// The first argument, `SYS_*` of `linux/net.h`.
    pub number: u32,
    /// The native call that does the same.
    pub native: u32,
    /// How many words the kernel reads; what the native call has beyond them is 0.
    pub words: u32,
}

impl Packed {
    /// Entries of a table by [`Packed::number`].
    pub const NUMBERS: u32 = 32;

    /// The number of the call that does what the native one does; 0, which is none, where there is none.
    pub const fn number_of(native: u32) -> u32 {
        let mut index = 0;
        while index < PACKED.len() {
            if PACKED[index].native == native {
                return PACKED[index].number;
            }
            index += 1;
        }
        0
    }
}

/// A system call's number in the native table and in the 32-bit one.
#[derive(Clone, Copy, Debug)]
pub struct Syscall {
    /// `None` where the architecture has only the call's successor.
    pub native: Option<u32>,
    /// 0 if there is none.
    pub compat: u32,
    /// Its older form in the 32-bit table, whose ids have 16 bits or whose offsets have 32; 0 if there
    /// is none.
    pub compat_16: u32,
}

impl Syscall {
    const fn new(native: u32, compat: u32) -> Self {
        Self { native: Some(native), compat, compat_16: 0 }
    }

    const fn with_16(native: u32, compat: u32, compat_16: u32) -> Self {
        Self { native: Some(native), compat, compat_16 }
    }

    /// The numbers of a row of the table of calls on this architecture.
    pub fn of(row: &Row) -> Self {
        let (native, compat) = architecture::of(row.numbers);
        let older = architecture::OLDER_FORMS.iter().find(|(_, name)| *name == row.name);
        let number = |number: i16| u32::try_from(number).ok();
        Self {
            native: number(native),
            // 0 is restart_syscall, which nobody watches: it stands for none.
            compat: number(compat).unwrap_or(0),
            compat_16: older.and_then(|(older, _)| number(*older)).unwrap_or(0),
        }
    }

    /// Whether it is the call of this number, in the 32-bit table or in the native one.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call costs a kernel program more than its body")]
    pub const fn is(&self, compat: bool, number: u32) -> bool {
        if compat {
            return number == self.compat || self.is_16(compat, number);
        }
        matches!(self.native, Some(native) if native == number)
    }

    /// Whether it is that older form.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call costs a kernel program more than its body")]
    pub const fn is_16(&self, compat: bool, number: u32) -> bool {
        compat && self.compat_16 != 0 && number == self.compat_16
    }
}

#[cfg(test)]
mod tests {
    use super::{CALLS, PACKED, Syscall};
    use crate::call::{NONE, Shape};

    #[test]
    fn what_the_kernel_side_takes_from_registers_is_never_packed() {
        for packed in PACKED {
            let is_it = |native: Option<u32>| native == Some(packed.native);
            // Connect has a program of its own.
            for row in CALLS.iter().filter(|row| is_it(Syscall::of(row).native)) {
                assert_eq!(row.plan(0).filter_arg, NONE, "{}", row.name);
                assert!(matches!(row.shape(), Shape::Plain | Shape::Message), "{}", row.name);
            }
        }
    }
}
