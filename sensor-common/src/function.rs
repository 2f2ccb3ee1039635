//! Kernel functions that programs hook.
//!
//! A compiler may have inlined a function into its callers: a program on it attaches then, and never
//! runs. So each of these programs counts its meetings with the sensor itself, and the loader makes
//! it meet.

/// A hooked function, as an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Function {
    DoSysOpenat2 = 0,
    SysConnect = 1,
    SysConnectFile = 2,
    SysSetuid = 3,
    SysSetgid = 4,
    SysSetreuid = 5,
    SysSetregid = 6,
    SysSetresuid = 7,
    SysSetresgid = 8,
    SysSetfsuid = 9,
    SysSetfsgid = 10,
}

/// How many there are.
pub const COUNT: u32 = 11;

impl Function {
    /// The kernel's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoSysOpenat2 => "do_sys_openat2",
            Self::SysConnect => "__sys_connect",
            Self::SysConnectFile => "__sys_connect_file",
            Self::SysSetuid => "__sys_setuid",
            Self::SysSetgid => "__sys_setgid",
            Self::SysSetreuid => "__sys_setreuid",
            Self::SysSetregid => "__sys_setregid",
            Self::SysSetresuid => "__sys_setresuid",
            Self::SysSetresgid => "__sys_setresgid",
            Self::SysSetfsuid => "__sys_setfsuid",
            Self::SysSetfsgid => "__sys_setfsgid",
        }
    }
}
