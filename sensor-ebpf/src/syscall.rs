//! A system call that returns: its arguments, whichever table it came through.

use sensor_common::call::RESULT;

use crate::kernel::{
    current_regs, fdt_files, fdt_max, fdtable, file, files_fdt, pt_regs, regs_bp, regs_bx, regs_cx,
    regs_di, regs_dx, regs_orig_ax, regs_r8, regs_r9, regs_r10, regs_si, task_files, task_status,
    task_struct,
};
use crate::maps::COMPAT;
use crate::submit::read_kernel;
use crate::task;

/// `TS_COMPAT`: this system call came through the 32-bit table, from whatever code segment.
const TS_COMPAT: u32 = 2;

/// A system call that returned.
pub(crate) struct Exit {
    pub task: *const task_struct,
    pub regs: *const pt_regs,
    pub result: i64,
    pub compat: bool,
}

impl Exit {
    #[inline(always)]
    pub(crate) fn new(regs: *const pt_regs, result: i64) -> Self {
        let task = task::current();
        let compat = is_compat(task);
        // A 32-bit result is an int: its sign is in bit 31.
        let result = if compat { i64::from(result as i32) } else { result };
        Self { task, regs, result, compat }
    }

    /// The system call that the current task is in, seen from a function that does its work and
    /// returned an int.
    #[inline(always)]
    pub(crate) fn inside(result: i32) -> Self {
        let task = task::current();
        let compat = is_compat(task);
        Self { task, regs: current_regs(), result: i64::from(result), compat }
    }

    /// Its number, in the table that it came through.
    #[inline(always)]
    pub(crate) fn number(&self) -> u32 {
        regs_orig_ax(self.regs) as u32
    }

    /// Its number in the native table, where the 32-bit one has a call that the loader knows.
    #[inline(always)]
    pub(crate) fn native_number(&self) -> u32 {
        COMPAT.get(self.number()).copied().unwrap_or(0)
    }

    /// An argument by its number; 6 is the result, all else 0.
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

    /// Argument 0 to 5. The 32-bit convention passes them in ebx, ecx, edx, esi, edi, ebp.
    #[inline(always)]
    pub(crate) fn arg<const N: usize>(&self) -> u64 {
        if self.compat {
            let value = match N {
                0 => regs_bx(self.regs),
                1 => regs_cx(self.regs),
                2 => regs_dx(self.regs),
                3 => regs_si(self.regs),
                4 => regs_di(self.regs),
                _ => regs_bp(self.regs),
            };
            return value & 0xffff_ffff;
        }
        match N {
            0 => regs_di(self.regs),
            1 => regs_si(self.regs),
            2 => regs_dx(self.regs),
            3 => regs_r10(self.regs),
            4 => regs_r8(self.regs),
            _ => regs_r9(self.regs),
        }
    }

    /// The open file behind a descriptor of the current task, or null.
    #[inline(always)]
    pub(crate) fn file(&self, fd: i32) -> *const file {
        let table: *const fdtable = files_fdt(task_files(self.task));
        let mut file = core::ptr::null();
        if fd < 0 || fd as u32 >= fdt_max(table) {
            return file;
        }
        read_kernel(fdt_files(table).wrapping_add(fd as usize), &mut file);
        file
    }
}

/// Whether the task is in a system call of the 32-bit table.
#[inline(always)]
pub(crate) fn is_compat(task: *const task_struct) -> bool {
    task_status(task) & TS_COMPAT != 0
}
