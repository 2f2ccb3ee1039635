//! Exit of open, openat, openat2 and creat: one program on the function that all of them call, or a
//! program each, called by the dispatcher.
//!
//! `do_sys_openat2(int dfd, const char *filename, struct open_how *how)` → long or int, 5.10 to 7.2.
//! `io_uring` does not pass there, nor does an openat2 whose `how` is refused before it is read.
//!
//! The path is taken from the open file, not from the caller's memory, which another thread can
//! change in between. The caller's text is kept beside it.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use sensor_common::Kind;
use sensor_common::exec::FileId;
use sensor_common::filter::{self, Facts, Flags, Found, Look, Number};
use sensor_common::function::Function;
use sensor_common::open::{Call, Open};
use sensor_common::path::{BASE, PATH_MAX};
use sensor_common::syscall::{CREAT, OPEN, OPENAT, OPENAT2};

use crate::filter::{Asker, Walk};
use crate::kernel::{file, file_inode, file_path, fs_pwd, inode_mode, task_fs};
use crate::path;
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted, current_wanted_in};
use crate::submit::{Draft, read_kernel, read_user};
use crate::syscall::Exit;
use crate::task;

const AT_FDCWD: i32 = -100;
/// `O_CREAT | O_WRONLY | O_TRUNC`, which is what creat means.
const CREAT_FLAGS: u32 = 0o1101;
/// The kernel adds it to the flags of every openat2 by itself, so there it says nothing.
const O_LARGEFILE: u32 = 0o100_000;

tracepoint!("sys_exit", open_btf, open_raw, |ctx| try_open(ctx, Call::Open));
tracepoint!("sys_exit", openat_btf, openat_raw, |ctx| try_open(ctx, Call::Openat));
tracepoint!("sys_exit", openat2_btf, openat2_raw, |ctx| try_open(ctx, Call::Openat2));
tracepoint!("sys_exit", creat_btf, creat_raw, |ctx| try_open(ctx, Call::Creat));

/// `struct open_how`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

#[inline(always)]
fn try_open(ctx: &impl Arguments, call: Call) {
    if current_wanted() {
        let exit = Exit::new(ctx.arg(0), ctx.arg(1));
        record(&exit, call, |how| read_user(exit.arg::<2>(), how));
    }
}

#[fexit(function = "do_sys_openat2")]
pub(crate) fn open_fexit(ctx: FExitContext) -> i32 {
    if current_wanted_in(Function::DoSysOpenat2) {
        let exit = Exit::inside(ctx.arg(3));
        if let Some(call) = called(&exit) {
            record(&exit, call, |how| read_kernel(ctx.arg::<*const How>(2), how));
        }
    }
    0
}

/// Which call it is, by its number in the native table or in the 32-bit one.
#[inline(always)]
fn called(exit: &Exit) -> Option<Call> {
    let number = exit.number();
    if OPENAT.is(exit.compat, number) {
        return Some(Call::Openat);
    }
    if OPEN.is(exit.compat, number) {
        return Some(Call::Open);
    }
    if OPENAT2.is(exit.compat, number) {
        return Some(Call::Openat2);
    }
    CREAT.is(exit.compat, number).then_some(Call::Creat)
}

#[inline(always)]
fn record(exit: &Exit, call: Call, read_how: impl FnOnce(&mut How) -> bool) {
    let passed = Passed::new(exit, call, read_how);
    let file = if exit.result >= 0 { exit.file(exit.result as i32) } else { core::ptr::null() };
    let facts =
        |asker| Opened { asker, call, result: exit.result, file, passed, walk: Walk::new() };
    let event = filter::of_open(call);
    let Some(mut draft) = Draft::begin_if(Kind::Open, event, exit.task, facts) else { return };
    // SAFETY: `Open` is a record.
    let open = unsafe { draft.fixed::<Open>() };
    task::fill(&mut open.header, exit.task, current_cgroup_id());
    open.result = exit.result;
    open.call = call as u32;
    (open.flags, open.mode) = (passed.flags, passed.mode);
    (open.dirfd, open.resolve) = (passed.dirfd, passed.resolve);

    let (path_len, path_flags) = if exit.result >= 0 {
        path::identify(&mut open.file, file);
        path::append(&mut draft, file_path(file))
    } else {
        open.file = FileId::default();
        let base = if passed.dirfd == AT_FDCWD {
            fs_pwd(task_fs(exit.task))
        } else {
            file_path(exit.file(passed.dirfd))
        };
        let (len, flags) = path::append(&mut draft, base);
        (len, flags | BASE)
    };
    let text_len = draft.user_str::<PATH_MAX>(passed.text) as u32;
    // SAFETY: as above.
    let open = unsafe { draft.fixed::<Open>() };
    (open.path_len, open.path_flags, open.text_len) = (path_len, path_flags, text_len);
    draft.submit();
}

/// The arguments of the call.
#[derive(Clone, Copy)]
struct Passed {
    /// Address of the path's text.
    text: *const u8,
    dirfd: i32,
    flags: u32,
    mode: u32,
    resolve: u32,
}

impl Passed {
    #[inline(always)]
    fn new(exit: &Exit, call: Call, read_how: impl FnOnce(&mut How) -> bool) -> Self {
        let text = match call {
            Call::Open | Call::Creat => exit.arg::<0>(),
            Call::Openat | Call::Openat2 => exit.arg::<1>(),
        };
        let dirfd = match call {
            Call::Open | Call::Creat => AT_FDCWD,
            Call::Openat | Call::Openat2 => exit.arg::<0>() as i32,
        };
        let (flags, mode, resolve) = match call {
            Call::Open => (exit.arg::<1>() as u32, exit.arg::<2>() as u32, 0),
            Call::Openat => (exit.arg::<2>() as u32, exit.arg::<3>() as u32, 0),
            Call::Creat => (CREAT_FLAGS, exit.arg::<1>() as u32, 0),
            Call::Openat2 => {
                let mut how = How::default();
                read_how(&mut how);
                (how.flags as u32 & !O_LARGEFILE, how.mode as u32, how.resolve as u32)
            }
        };
        Self { text: text as *const u8, dirfd, flags, mode, resolve }
    }
}

/// What its filter is told of an open.
struct Opened {
    asker: Asker,
    call: Call,
    result: i64,
    file: *const file,
    passed: Passed,
    walk: Walk,
}

const O_ACCMODE: u32 = 0o3;
const O_WRONLY: u32 = 0o1;
const O_RDWR: u32 = 0o2;
/// `O_CREAT`, and the bit that is `O_TMPFILE`'s own: only then does an open read its mode.
const CREATES: u32 = 0o100 | 0o20_000_000;
const EXECUTABLE: u32 = 0o111;
const S_IFMT: u16 = 0o170_000;
const S_IFDIR: u16 = 0o040_000;

impl Facts for Opened {
    #[inline(always)]
    fn number(&self, number: Number) -> Option<i64> {
        let Passed { flags, mode, .. } = self.passed;
        let access = flags & O_ACCMODE;
        let is = |known: bool| Some(i64::from(known));
        match number {
            Number::Result => Some(self.result),
            Number::Descriptor => Some(self.result.max(-1)),
            Number::OpenRead => is(access == 0 || access == O_RDWR),
            Number::OpenWrite => is(access == O_WRONLY || access == O_RDWR),
            Number::OpenExec => is(flags & CREATES != 0 && mode & EXECUTABLE != 0),
            Number::FileType => Some(i64::from(self.file_type())),
            _ => self.asker.number(number),
        }
    }

    #[inline(always)]
    fn flags(&self, flags: Flags) -> Option<u64> {
        match flags {
            // creat has none that rules see.
            Flags::Open if self.call == Call::Creat => None,
            Flags::Open => Some(self.passed.flags.into()),
            _ => self.asker.flags(flags),
        }
    }

    #[inline(always)]
    fn walk(&mut self) {
        if !self.file.is_null() {
            self.walk.walk(&mut self.asker, self.file);
        }
    }

    #[inline(always)]
    fn find(&mut self, look: Look) -> Option<Found> {
        match look {
            // After a failure it is the text that says which file it was to be.
            Look::Leaf | Look::Directory | Look::Path if self.file.is_null() => None,
            Look::Leaf | Look::Directory | Look::Path => {
                self.walk.find(&self.asker, look, self.file)
            }
            _ => self.asker.find(look),
        }
    }
}

impl Opened {
    #[inline(always)]
    fn file_type(&self) -> u8 {
        let is_directory =
            self.result >= 0 && inode_mode(file_inode(self.file)) & S_IFMT == S_IFDIR;
        if is_directory { b'd' } else { b'f' }
    }
}
