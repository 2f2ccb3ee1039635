//! A program was executed: the record → what the process now runs.

use sensor_common::exec::{FROM_MEMFD, UPPER_LAYER};
use sensor_common::path::DELETED;

use crate::event::decode::ExecRecord;
use crate::event::path::from_components;
use crate::event::process::{Executable, Program, Strings};

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
            cwd: from_components(record.cwd).into(),
            argv: strings(record.argv, exec.argv_total),
            env: strings(record.env, exec.env_total),
            session: exec.session,
            executable: Executable {
                file: exec.file,
                from_memfd: exec.flags & FROM_MEMFD != 0,
                upper_layer: exec.flags & UPPER_LAYER != 0,
                deleted: exec.exe_flags & DELETED != 0,
            },
            exec_boot_ns: exec.header.boot_ns,
        }
    }
}

fn strings(bytes: &[u8], total: u32) -> Strings {
    Strings { bytes: bytes.into(), total: (total as usize).max(bytes.len()) }
}
