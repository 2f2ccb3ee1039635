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
use sensor_common::function::Function;
use sensor_common::open::{Call, Open};
use sensor_common::path::{BASE, PATH_MAX};
use sensor_common::syscall::{CREAT, OPEN, OPENAT, OPENAT2};

use crate::kernel::{file_path, fs_pwd, task_fs};
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
    let Some(mut draft) = Draft::begin(Kind::Open) else { return };
    // SAFETY: `Open` is a record.
    let open = unsafe { draft.fixed::<Open>() };
    task::fill(&mut open.header, exit.task, current_cgroup_id());
    open.result = exit.result;
    open.call = call as u32;
    open.resolve = 0;
    let text = arguments(open, exit, call, read_how);
    let dirfd = open.dirfd;

    let (path_len, path_flags) = if exit.result >= 0 {
        let file = exit.file(exit.result as i32);
        path::identify(&mut open.file, file);
        path::append(&mut draft, file_path(file))
    } else {
        open.file = FileId::default();
        let base = if dirfd == AT_FDCWD {
            fs_pwd(task_fs(exit.task))
        } else {
            file_path(exit.file(dirfd))
        };
        let (len, flags) = path::append(&mut draft, base);
        (len, flags | BASE)
    };
    let text_len = draft.user_str::<PATH_MAX>(text) as u32;
    // SAFETY: as above.
    let open = unsafe { draft.fixed::<Open>() };
    (open.path_len, open.path_flags, open.text_len) = (path_len, path_flags, text_len);
    draft.submit();
}

/// Fills in what was passed; the address of the path's text.
#[inline(always)]
fn arguments(
    open: &mut Open,
    exit: &Exit,
    call: Call,
    read_how: impl FnOnce(&mut How) -> bool,
) -> *const u8 {
    let text = match call {
        Call::Open | Call::Creat => exit.arg::<0>(),
        Call::Openat | Call::Openat2 => exit.arg::<1>(),
    };
    open.dirfd = match call {
        Call::Open | Call::Creat => AT_FDCWD,
        Call::Openat | Call::Openat2 => exit.arg::<0>() as i32,
    };
    (open.flags, open.mode) = match call {
        Call::Open => (exit.arg::<1>() as u32, exit.arg::<2>() as u32),
        Call::Openat => (exit.arg::<2>() as u32, exit.arg::<3>() as u32),
        Call::Creat => (CREAT_FLAGS, exit.arg::<1>() as u32),
        Call::Openat2 => {
            let mut how = How::default();
            read_how(&mut how);
            open.resolve = how.resolve as u32;
            (how.flags as u32 & !O_LARGEFILE, how.mode as u32)
        }
    };
    text as *const u8
}
