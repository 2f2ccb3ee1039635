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
}

/// How many there are.
pub const COUNT: u32 = 3;

impl Function {
    /// The kernel's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoSysOpenat2 => "do_sys_openat2",
            Self::SysConnect => "__sys_connect",
            Self::SysConnectFile => "__sys_connect_file",
        }
    }
}
