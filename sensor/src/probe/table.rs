//! Every probe, with the ways to hook it, best first.

use sensor_common::Kind;
use sensor_common::call::Shape;
use sensor_common::function::Function;
use sensor_common::syscall::{
    CAPSET, CAPSET_COMPAT_FUNCTION, CAPSET_FUNCTION, CONNECT, CREAT, OPEN, OPENAT, OPENAT2,
    SETFSGID, SETFSUID, SETGID, SETGROUPS, SETGROUPS_16_FUNCTION, SETGROUPS_COMPAT_FUNCTION,
    SETGROUPS_FUNCTION, SETREGID, SETRESGID, SETRESUID, SETREUID, SETUID, Syscall,
};

/// One thing that is observed.
#[derive(Debug)]
pub struct Probe {
    pub name: &'static str,
    pub gives: Gives,
    /// Sets of programs that do the same, the cheapest first.
    pub ways: &'static [Way],
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Records of this kind.
    Records(Kind),
    /// Run-queue waits, which are counted in the kernel.
    Waits,
    /// What the paths of system calls lead to, for their records.
    Paths,
    /// The same for calls of which only the look-up itself says so.
    LookUps,
    /// Records of what `io_uring` does as these calls would.
    Requests(&'static [&'static str]),
}

/// One way to hook a probe: all of its programs, or none.
#[derive(Debug)]
pub struct Way {
    /// The name in `sensor doctor` and the `hook` label.
    pub hook: &'static str,
    pub programs: &'static [Program],
}

impl Way {
    /// Whether it hooks kernel functions: exit of every system call is left alone then.
    pub fn on_functions(&self) -> bool {
        let on_function = |program: &Program| {
            matches!(program.target, Target::Fentry(_) | Target::Fexit(_) | Target::FexitOf(_))
        };
        self.programs.iter().any(on_function)
    }
}

/// A program of the object, and where it goes.
#[derive(Debug)]
pub struct Program {
    pub name: &'static str,
    pub target: Target,
}

#[derive(Debug)]
pub enum Target {
    BtfTracepoint(&'static str),
    RawTracepoint(&'static str),
    /// Entry of a kernel function that nobody inlines.
    Fentry(&'static str),
    /// Exit of a kernel function, which must be seen to be called ([`super::trial`]).
    Fexit(Function),
    /// Exit of a function that is called through a table, or from another unit of the kernel, so that
    /// nobody inlines it.
    FexitOf(&'static str),
    /// Exit of a system call's own function, which nobody can inline: the table calls it.
    Called(&'static str),
    /// The same for the 32-bit table, which a kernel may be built without.
    CalledCompat(Option<&'static str>),
    /// Called by the dispatcher on `sys_exit`, by the numbers of both tables.
    SyscallBtf(&'static [Syscall]),
    SyscallRaw(&'static [Syscall]),
    /// Called by the dispatcher for every wanted row of this shape.
    CallsBtf(Shape),
    CallsRaw(Shape),
    /// The cpu-clock of each processor; attached by the profiler, not at start.
    CpuClock,
}

impl Target {
    /// Whether this architecture has it.
    pub fn exists(&self) -> bool {
        match self {
            Self::SyscallBtf(syscalls) | Self::SyscallRaw(syscalls) => {
                syscalls.iter().any(|syscall| syscall.native.is_some())
            }
            Self::CalledCompat(function) => function.is_some(),
            Self::BtfTracepoint(_)
            | Self::RawTracepoint(_)
            | Self::Fentry(_)
            | Self::Fexit(_)
            | Self::FexitOf(_)
            | Self::CallsBtf(_)
            | Self::CallsRaw(_)
            | Self::Called(_)
            | Self::CpuClock => true,
        }
    }
}

const fn btf(name: &'static str, tracepoint: &'static str) -> Program {
    Program { name, target: Target::BtfTracepoint(tracepoint) }
}

const fn raw(name: &'static str, tracepoint: &'static str) -> Program {
    Program { name, target: Target::RawTracepoint(tracepoint) }
}

const fn fentry(name: &'static str, function: &'static str) -> Program {
    Program { name, target: Target::Fentry(function) }
}

const fn fexit(name: &'static str, function: Function) -> Program {
    Program { name, target: Target::Fexit(function) }
}

const fn fexit_of(name: &'static str, function: &'static str) -> Program {
    Program { name, target: Target::FexitOf(function) }
}

const fn called(name: &'static str, function: &'static str) -> Program {
    Program { name, target: Target::Called(function) }
}

const fn called_compat(name: &'static str, function: Option<&'static str>) -> Program {
    Program { name, target: Target::CalledCompat(function) }
}

const fn syscall_btf(name: &'static str, syscalls: &'static [Syscall]) -> Program {
    Program { name, target: Target::SyscallBtf(syscalls) }
}

const fn calls_btf(name: &'static str, shape: Shape) -> Program {
    Program { name, target: Target::CallsBtf(shape) }
}

const fn calls_raw(name: &'static str, shape: Shape) -> Program {
    Program { name, target: Target::CallsRaw(shape) }
}

const fn syscall_raw(name: &'static str, syscalls: &'static [Syscall]) -> Program {
    Program { name, target: Target::SyscallRaw(syscalls) }
}

/// The programs that hand system calls on; attached last, when the table behind them is filled.
pub const DISPATCH: &[Way] = &[
    Way { hook: "tp_btf", programs: &[btf("dispatch_btf", "sys_exit")] },
    Way { hook: "raw_tp", programs: &[raw("dispatch_raw", "sys_exit")] },
];

/// Programs that only count, on the hook that system calls are watched from. For benchmarks.
pub const FLOOR: &[Way] = &[
    Way { hook: "tp_btf", programs: &[btf("floor_btf", "sys_exit")] },
    Way { hook: "raw_tp", programs: &[raw("floor_raw", "sys_exit")] },
];

pub const PROBES: &[Probe] = &[
    Probe {
        name: "fork",
        gives: Gives::Records(Kind::Fork),
        ways: &[
            Way { hook: "tp_btf", programs: &[btf("fork_btf", "sched_process_fork")] },
            Way { hook: "raw_tp", programs: &[raw("fork_raw", "sched_process_fork")] },
        ],
    },
    Probe {
        name: "exec",
        gives: Gives::Records(Kind::Exec),
        ways: &[
            Way { hook: "tp_btf", programs: &[btf("exec_btf", "sched_process_exec")] },
            Way { hook: "raw_tp", programs: &[raw("exec_raw", "sched_process_exec")] },
        ],
    },
    Probe {
        name: "exit",
        gives: Gives::Records(Kind::Exit),
        ways: &[
            Way { hook: "tp_btf", programs: &[btf("exit_btf", "sched_process_exit")] },
            Way { hook: "raw_tp", programs: &[raw("exit_raw", "sched_process_exit")] },
        ],
    },
    Probe {
        name: "open",
        gives: Gives::Records(Kind::Open),
        ways: &[
            Way { hook: "fexit", programs: &[fexit("open_fexit", Function::DoSysOpenat2)] },
            Way {
                hook: "tp_btf",
                programs: &[syscall_btf("open_btf", &[OPEN, OPENAT, OPENAT2, CREAT])],
            },
            Way {
                hook: "raw_tp",
                programs: &[syscall_raw("open_raw", &[OPEN, OPENAT, OPENAT2, CREAT])],
            },
        ],
    },
    Probe {
        name: "connect",
        gives: Gives::Records(Kind::Connect),
        ways: &[
            Way {
                hook: "fexit",
                programs: &[
                    fexit("connect_fexit", Function::SysConnect),
                    fexit("connect_file_fexit", Function::SysConnectFile),
                ],
            },
            Way { hook: "tp_btf", programs: &[syscall_btf("connect_btf", &[CONNECT])] },
            Way { hook: "raw_tp", programs: &[syscall_raw("connect_raw", &[CONNECT])] },
        ],
    },
    Probe {
        name: "io_uring_open",
        gives: Gives::Records(Kind::Open),
        ways: &[
            Way {
                hook: "fexit",
                programs: &[
                    fexit_of("io_openat_fexit", "io_openat"),
                    fexit_of("io_openat2_fexit", "io_openat2"),
                    fexit_of("io_slot_fexit", "io_fixed_fd_install"),
                ],
            },
            Way { hook: "tp_btf", programs: &[btf("io_open_btf", "io_uring_complete")] },
            Way { hook: "raw_tp", programs: &[raw("io_open_raw", "io_uring_complete")] },
        ],
    },
    Probe {
        name: "io_uring_connect",
        gives: Gives::Records(Kind::Connect),
        ways: &[
            Way { hook: "fexit", programs: &[fexit_of("io_connect_fexit", "io_connect")] },
            Way { hook: "tp_btf", programs: &[btf("io_connect_btf", "io_uring_complete")] },
            Way { hook: "raw_tp", programs: &[raw("io_connect_raw", "io_uring_complete")] },
        ],
    },
    Probe {
        name: "io_uring_call",
        gives: Gives::Requests(&["unlinkat", "renameat2", "mkdirat", "symlinkat", "linkat"]),
        ways: &[Way {
            hook: "fexit",
            programs: &[
                fexit_of("io_unlinkat_fexit", "io_unlinkat"),
                fexit_of("io_renameat_fexit", "io_renameat"),
                fexit_of("io_mkdirat_fexit", "io_mkdirat"),
                fexit_of("io_symlinkat_fexit", "io_symlinkat"),
                fexit_of("io_linkat_fexit", "io_linkat"),
            ],
        }],
    },
    Probe {
        name: "call",
        gives: Gives::Records(Kind::Call),
        ways: &[
            Way {
                hook: "tp_btf",
                programs: &[
                    calls_btf("call_plain_btf", Shape::Plain),
                    calls_btf("call_path_btf", Shape::Path),
                    calls_btf("call_paths_btf", Shape::Paths),
                    calls_btf("call_message_btf", Shape::Message),
                ],
            },
            Way {
                hook: "raw_tp",
                programs: &[
                    calls_raw("call_plain_raw", Shape::Plain),
                    calls_raw("call_path_raw", Shape::Path),
                    calls_raw("call_paths_raw", Shape::Paths),
                    calls_raw("call_message_raw", Shape::Message),
                ],
            },
        ],
    },
    Probe {
        name: "path",
        gives: Gives::Paths,
        ways: &[
            Way {
                hook: "fentry",
                programs: &[
                    fentry("path_unlink_fentry", "security_path_unlink"),
                    fentry("path_rmdir_fentry", "security_path_rmdir"),
                    fentry("path_mkdir_fentry", "security_path_mkdir"),
                    fentry("path_mknod_fentry", "security_path_mknod"),
                    fentry("path_symlink_fentry", "security_path_symlink"),
                    fentry("path_link_fentry", "security_path_link"),
                    fentry("path_rename_fentry", "security_path_rename"),
                    fentry("path_truncate_fentry", "security_path_truncate"),
                    fentry("path_chmod_fentry", "security_path_chmod"),
                    fentry("path_chown_fentry", "security_path_chown"),
                    fentry("path_chroot_fentry", "security_path_chroot"),
                    fentry("path_mount_fentry", "security_sb_mount"),
                    fentry("path_umount_fentry", "security_sb_umount"),
                    fentry("path_move_mount_fentry", "security_move_mount"),
                    fentry("path_pivot_root_fentry", "security_sb_pivotroot"),
                    fexit_of("path_open_fexit", "file_open_name"),
                ],
            },
            // The passed text made absolute, by the programs of `call`: links in it are not followed.
            Way { hook: "text", programs: &[] },
        ],
    },
    Probe {
        name: "lookup",
        gives: Gives::LookUps,
        ways: &[
            Way { hook: "fexit", programs: &[fexit_of("lookup_fexit", "filename_lookup")] },
            Way { hook: "text", programs: &[] },
        ],
    },
    Probe {
        name: "credentials",
        gives: Gives::Records(Kind::Credentials),
        ways: &[
            Way {
                hook: "fexit",
                programs: &[
                    fentry("commit_fentry", "commit_creds"),
                    fexit("setuid_fexit", Function::SysSetuid),
                    fexit("setgid_fexit", Function::SysSetgid),
                    fexit("setreuid_fexit", Function::SysSetreuid),
                    fexit("setregid_fexit", Function::SysSetregid),
                    fexit("setresuid_fexit", Function::SysSetresuid),
                    fexit("setresgid_fexit", Function::SysSetresgid),
                    fexit("setfsuid_fexit", Function::SysSetfsuid),
                    fexit("setfsgid_fexit", Function::SysSetfsgid),
                    called("setgroups_fexit", SETGROUPS_FUNCTION),
                    called("capset_fexit", CAPSET_FUNCTION),
                    called_compat("setgroups_compat_fexit", SETGROUPS_COMPAT_FUNCTION),
                    called_compat("setgroups16_fexit", Some(SETGROUPS_16_FUNCTION)),
                    called_compat("capset_compat_fexit", CAPSET_COMPAT_FUNCTION),
                ],
            },
            Way {
                hook: "tp_btf",
                programs: &[
                    syscall_btf("setuid_btf", &[SETUID]),
                    syscall_btf("setgid_btf", &[SETGID]),
                    syscall_btf("setreuid_btf", &[SETREUID]),
                    syscall_btf("setregid_btf", &[SETREGID]),
                    syscall_btf("setresuid_btf", &[SETRESUID]),
                    syscall_btf("setresgid_btf", &[SETRESGID]),
                    syscall_btf("setfsuid_btf", &[SETFSUID]),
                    syscall_btf("setfsgid_btf", &[SETFSGID]),
                    syscall_btf("setgroups_btf", &[SETGROUPS]),
                    syscall_btf("capset_btf", &[CAPSET]),
                ],
            },
            Way {
                hook: "raw_tp",
                programs: &[
                    syscall_raw("setuid_raw", &[SETUID]),
                    syscall_raw("setgid_raw", &[SETGID]),
                    syscall_raw("setreuid_raw", &[SETREUID]),
                    syscall_raw("setregid_raw", &[SETREGID]),
                    syscall_raw("setresuid_raw", &[SETRESUID]),
                    syscall_raw("setresgid_raw", &[SETRESGID]),
                    syscall_raw("setfsuid_raw", &[SETFSUID]),
                    syscall_raw("setfsgid_raw", &[SETFSGID]),
                    syscall_raw("setgroups_raw", &[SETGROUPS]),
                    syscall_raw("capset_raw", &[CAPSET]),
                ],
            },
        ],
    },
    Probe {
        name: "oom",
        gives: Gives::Records(Kind::Oom),
        ways: &[
            Way { hook: "fentry", programs: &[fentry("oom_fentry", "__oom_kill_process")] },
            Way { hook: "tp_btf", programs: &[btf("oom_btf", "mark_victim")] },
            Way { hook: "raw_tp", programs: &[raw("oom_raw", "mark_victim")] },
        ],
    },
    Probe {
        name: "cgroup",
        gives: Gives::Records(Kind::Cgroup),
        ways: &[
            Way {
                hook: "tp_btf",
                programs: &[
                    btf("cgroup_mkdir_btf", "cgroup_mkdir"),
                    btf("cgroup_rmdir_btf", "cgroup_rmdir"),
                ],
            },
            Way {
                hook: "raw_tp",
                programs: &[
                    raw("cgroup_mkdir_raw", "cgroup_mkdir"),
                    raw("cgroup_rmdir_raw", "cgroup_rmdir"),
                ],
            },
        ],
    },
    Probe {
        name: "run_queue",
        gives: Gives::Waits,
        ways: &[Way {
            hook: "tp_btf",
            programs: &[
                btf("wakeup_btf", "sched_wakeup"),
                btf("wakeup_new_btf", "sched_wakeup_new"),
                btf("switch_btf", "sched_switch"),
            ],
        }],
    },
    Probe {
        name: "sample",
        gives: Gives::Records(Kind::Sample),
        ways: &[Way {
            hook: "perf_event",
            programs: &[Program { name: "sample", target: Target::CpuClock }],
        }],
    },
];

#[cfg(test)]
mod tests {
    /// The kernel side has its own list of numbers, since libc is not for it.
    #[test]
    fn numbers_of_system_calls_are_those_of_libc() {
        use sensor_common::syscall as ours;
        for (ours, libc) in [
            (ours::OPENAT, libc::SYS_openat),
            (ours::OPENAT2, libc::SYS_openat2),
            (ours::CONNECT, libc::SYS_connect),
            (ours::SETUID, libc::SYS_setuid),
            (ours::SETGID, libc::SYS_setgid),
            (ours::SETREUID, libc::SYS_setreuid),
            (ours::SETREGID, libc::SYS_setregid),
            (ours::SETRESUID, libc::SYS_setresuid),
            (ours::SETRESGID, libc::SYS_setresgid),
            (ours::SETFSUID, libc::SYS_setfsuid),
            (ours::SETFSGID, libc::SYS_setfsgid),
            (ours::SETGROUPS, libc::SYS_setgroups),
            (ours::CAPSET, libc::SYS_capset),
            #[cfg(target_arch = "x86_64")]
            (ours::OPEN, libc::SYS_open),
            #[cfg(target_arch = "x86_64")]
            (ours::CREAT, libc::SYS_creat),
        ] {
            assert_eq!(ours.native.map(libc::c_long::from), Some(libc), "{ours:?}");
        }
    }
}
