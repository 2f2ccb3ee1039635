//! A program was executed: the record → what the process now runs.

use sensor_common::exec::{EXECVEAT, FROM_MEMFD, LOWER_LAYER, UPPER_LAYER};
use sensor_common::path::DELETED;

use crate::event::decode::ExecRecord;
use crate::event::path::from_components;
use crate::event::process::{Executable, Program, Strings};

/// An exec that succeeded; the new program is the event's process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exec {
    at: bool,
}

impl Exec {
    pub fn new(record: &sensor_common::exec::Exec) -> Self {
        Self { at: record.flags & EXECVEAT != 0 }
    }

    /// The name of the system call, as in `evt.type`.
    pub const fn event_type(self) -> &'static str {
        if self.at { "execveat" } else { "execve" }
    }
}

impl Program {
    /// The program of an exec, or of a process that already ran.
    pub fn new(record: &ExecRecord<'_>) -> Self {
        let exec = &record.exec;
        let exe_path = from_components(record.exe).into_boxed_slice();
        let filename =
            if record.filename.is_empty() { exe_path.clone() } else { record.filename.into() };
        Self {
            // A kernel thread has none.
            exe_path: if record.exe.is_empty() { Box::default() } else { exe_path },
            filename: if record.exe.is_empty() { Box::default() } else { filename },
            argv: strings(record.argv, exec.argv_total),
            env: strings(record.env, exec.env_total),
            session: exec.session,
            resources: exec.resources,
            executable: Executable {
                file: exec.file,
                from_memfd: exec.flags & FROM_MEMFD != 0,
                owner: exec.owner,
                writable: is_writable(exec),
                upper_layer: exec.flags & UPPER_LAYER != 0,
                lower_layer: exec.flags & LOWER_LAYER != 0,
                deleted: exec.exe_flags & DELETED != 0,
            },
            exec_boot_ns: exec.header.boot_ns,
            cgroup_id: exec.header.cgroup_id,
        }
    }
}

/// Whether the process may write to the file that it executes, by permissions and capabilities.
fn is_writable(exec: &sensor_common::exec::Exec) -> bool {
    const CAP_DAC_OVERRIDE: u64 = 1 << 1;
    let header = &exec.header;
    let bit = if header.uid == exec.owner.uid {
        0o200
    } else if header.gid == exec.owner.gid {
        0o020
    } else {
        0o002
    };
    header.cap_effective & CAP_DAC_OVERRIDE != 0 || exec.file.mode & bit != 0
}

fn strings(bytes: &[u8], total: u32) -> Strings {
    Strings { bytes: bytes.into(), total: (total as usize).max(bytes.len()) }
}
