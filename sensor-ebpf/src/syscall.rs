//! A system call that returns: its arguments, whichever table it came through.

use sensor_common::call::{NUMBERS, RESULT};
use sensor_common::syscall::{CONNECT, PACKED, Packed, SOCKETCALL};

use crate::kernel::{
    current_regs, current_task, file, file_path, fs_pwd, own, own_regs, path, pt_regs, task_fs,
    task_struct,
};
use crate::maps::{self, COMPAT};
use crate::submit::{read_kernel, read_user};

#[cfg_attr(bpf_target_arch = "x86_64", path = "syscall/x86_64.rs")]
#[cfg_attr(bpf_target_arch = "aarch64", path = "syscall/aarch64.rs")]
pub(crate) mod architecture;

use architecture::{argument, is_compat};

/// Instead of a descriptor: the working directory.
pub(crate) const AT_FDCWD: i32 = -100;

/// A system call that returned.
pub(crate) struct Exit {
    pub task: *const task_struct,
    pub regs: *const pt_regs,
    pub result: i64,
}

impl Exit {
    #[inline(always)]
    pub(crate) fn new(regs: *const pt_regs, result: i64) -> Self {
        let task = current_task();
        // A 32-bit result is an int: its sign is in bit 31. Without a branch, as in `compat`.
        let unused = u32::from(is_compat(task)) * 32;
        let result = result << unused >> unused;
        Self { task, regs: own_regs(regs), result }
    }

    /// The system call that the current task is in, seen from a function that does its work and
    /// returned an int.
    #[inline(always)]
    pub(crate) fn inside(result: i32) -> Self {
        let task = current_task();
        Self { task, regs: current_regs(), result: i64::from(result) }
    }

    /// What the current task had done for it, outside of the system call that asks for it.
    #[inline(always)]
    pub(crate) fn elsewhere(result: i32) -> Self {
        let task = current_task();
        Self { task, regs: core::ptr::null(), result: i64::from(result) }
    }

    /// The same, seen from the system call's own function, which returned this.
    #[inline(always)]
    pub(crate) fn of_call(result: i64) -> Self {
        Self::new(current_regs(), result)
    }

    /// Whether it came through the 32-bit table. Looked up each time: were it kept, the verifier would go
    /// through all that follows once for either.
    #[inline(always)]
    pub(crate) fn compat(&self) -> bool {
        is_compat(self.task)
    }

    /// Its number, in the table that it came through.
    #[inline(always)]
    pub(crate) fn number(&self) -> u32 {
        architecture::number(self.regs)
    }

    /// Its number in the native table; of a call of the 32-bit one, where the loader knows it.
    #[inline(always)]
    pub(crate) fn native_number(&self) -> u32 {
        let number = self.number();
        if self.compat() { native_number(number, self.regs) } else { number }
    }

    /// An argument by its number, as it is in its register; 6 is the result, all else 0.
    #[inline(always)]
    pub(crate) fn numbered(&self, number: u8) -> u64 {
        match number {
            0 => self.arg::<0>(),
            1 => self.arg::<1>(),
            2 => self.arg::<2>(),
            3 => self.arg::<3>(),
            4 => self.arg::<4>(),
            5 => self.arg::<5>(),
            RESULT => self.result as u64,
            _ => 0,
        }
    }

    /// The same of the native call, where the arguments are packed. They are read from the process's memory,
    /// since the kernel keeps its copy nowhere: another thread can have changed them by then.
    #[inline(always)]
    pub(crate) fn unpacked(&self, number: u8) -> u64 {
        if self.is_packed() && number < RESULT {
            return self.word(number.into());
        }
        self.numbered(number)
    }

    /// All of them, as a record has them.
    #[inline(always)]
    pub(crate) fn numbers(&self, to: &mut [u64; NUMBERS]) {
        *to = [
            self.arg::<0>(),
            self.arg::<1>(),
            self.arg::<2>(),
            self.arg::<3>(),
            self.arg::<4>(),
            self.arg::<5>(),
            self.result as u64,
            0,
        ];
    }

    /// Puts the native call's in the place of those that say where they lie.
    #[inline(always)]
    pub(crate) fn unpack(&self, to: &mut [u64; NUMBERS]) {
        if self.is_packed() {
            for (number, to) in (0..).zip(to).take(usize::from(RESULT)) {
                *to = self.word(number);
            }
        }
    }

    /// One of the words that its arguments lie in, 0 behind the last.
    #[inline(always)]
    fn word(&self, number: u64) -> u64 {
        let count = WORDS.wrapping_shr(self.arg::<0>() as u32 * 3) & 7;
        let mut word = 0_u32;
        if number < count {
            read_user(self.arg::<1>() + number * size_of::<u32>() as u64, &mut word);
        }
        word.into()
    }

    /// Whether its arguments lie where its second points.
    #[inline(always)]
    fn is_packed(&self) -> bool {
        is_packed(self.number()) && self.compat()
    }

    /// The descriptor that was passed to connect; `None` if this is no such call, but `io_uring`.
    #[inline(always)]
    pub(crate) fn connected(&self) -> Option<i32> {
        const NUMBER: u32 = CONNECT.native.unwrap();
        let is_packed = self.is_packed() && self.arg::<0>() == Packed::number_of(NUMBER).into();
        let is_connect = is_packed || CONNECT.is(self.compat(), self.number());
        is_connect.then(|| self.first_three()[0] as i32)
    }

    /// What `numbers` begins with, of a call that has as much.
    #[inline(always)]
    pub(crate) fn first_three(&self) -> [u64; 3] {
        if self.is_packed() {
            let mut words = [0_u32; 3];
            read_user(self.arg::<1>(), &mut words);
            return words.map(u64::from);
        }
        [self.arg::<0>(), self.arg::<1>(), self.arg::<2>()]
    }

    /// Argument 0 to 5, as it is in its register.
    #[inline(always)]
    pub(crate) fn arg<const N: usize>(&self) -> u64 {
        argument::<N>(self.regs, self.compat())
    }

    /// The open file behind a descriptor of the current task, or null.
    #[inline(always)]
    pub(crate) fn file(&self, fd: i32) -> *const file {
        let table = own::files_fdt(own::task_files(self.task));
        let mut file = core::ptr::null();
        if fd < 0 || fd as u32 >= own::fdt_max(table) {
            return file;
        }
        read_kernel(own::fdt_files(table).wrapping_add(fd as usize), &mut file);
        file
    }

    /// What a path is relative to that is passed with this descriptor.
    #[inline(always)]
    pub(crate) fn directory(&self, fd: i32) -> *const path {
        if fd == AT_FDCWD {
            return fs_pwd(task_fs(self.task));
        }
        let file = self.file(fd);
        if file.is_null() { core::ptr::null() } else { file_path(file) }
    }
}

/// The native number of a call of the 32-bit table; 0, which nobody watches, where the loader knows none.
#[inline(always)]
pub(crate) fn native_number(number: u32, regs: *const pt_regs) -> u32 {
    let native = if is_packed(number) {
        maps::PACKED.get(argument::<0>(regs, true) as u32)
    } else {
        COMPAT.get(number)
    };
    native.copied().unwrap_or(0)
}

/// Whether this call of the 32-bit table is one of [`PACKED`], by its first argument, if it is any.
#[inline(always)]
fn is_packed(number: u32) -> bool {
    SOCKETCALL == Some(number)
}

/// How many words each call of [`PACKED`] has, three bits by its number: an array would be a map.
const WORDS: u64 = {
    let (mut words, mut index) = (0, 0);
    while index < PACKED.len() {
        let Packed { number, words: count, .. } = PACKED[index];
        assert!(number < 21 && count <= RESULT as u32);
        words |= (count as u64) << (number * 3);
        index += 1;
    }
    words
};
