//! Exit of open, openat, openat2 and creat: a program on the function that all of them call, or one that
//! the dispatcher calls.
//!
//! `do_sys_openat2(int dfd, const char *filename, struct open_how *how)` → long or int, 5.10 to 7.2.
//! `io_uring` does not pass there, nor does an openat2 whose `how` is refused before it is read.
//!
//! The path is taken from the open file, not from the caller's memory, which another thread can
//! change in between. The caller's text is kept beside it.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use sensor_common::Kind;
use sensor_common::filter::{self, Facts, Flags, Found, Look, Number};
use sensor_common::function::Function;
use sensor_common::open::{CREATED, Call, Open};
use sensor_common::path::{BASE, PATH_MAX};
use sensor_common::syscall::{CREAT, OPEN, OPENAT, OPENAT2, Syscall};

use crate::filter::{Asker, Walk};
use crate::kernel::{file, file_how, file_inode, file_path, inode_mode, task_struct};
use crate::path;
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted, current_wanted_in};
use crate::submit::{Draft, read_kernel, read_user, zero};
use crate::syscall::{AT_FDCWD, Exit};
use crate::task;

/// `O_CREAT | O_WRONLY | O_TRUNC`, which is what creat means.
const CREAT_FLAGS: u32 = 0o1101;
/// The kernel adds it to the flags of every openat2 by itself, so there it says nothing.
const O_LARGEFILE: u32 = 0o100_000;

tracepoint!("sys_exit", open_btf, open_raw, try_open);

/// `struct open_how`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

#[inline(always)]
fn try_open(ctx: &impl Arguments) {
    if current_wanted() {
        let exit = Exit::new(ctx.arg(0), ctx.arg(1));
        if let Some(call) = called(&exit) {
            record(&exit, call, |how| read_user(exit.arg::<2>(), how));
        }
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
fn called(exit: &Exit) -> Option<Called> {
    let number = exit.number();
    let is = |call: Syscall| call.is(exit.compat(), number);
    // What is opened most often comes first.
    let call = if is(OPENAT) {
        Call::Openat
    } else if is(OPEN) {
        Call::Open
    } else if is(OPENAT2) {
        Call::Openat2
    } else if is(CREAT) {
        Call::Creat
    } else {
        return None;
    };
    Some(Called { task: exit.task, call })
}

/// A [`Call`] of which the verifier never sees which one it is: it would go through all that follows once
/// for each.
#[derive(Clone, Copy)]
struct Called {
    task: *const task_struct,
    call: Call,
}

impl Called {
    /// Its number, which is also the index of its filter.
    #[inline(always)]
    fn number(&self) -> u32 {
        const { assert!(filter::of_open(Call::Open) == Call::Open as u32) };
        task::forget(self.task, self.call as u32)
    }

    #[inline(always)]
    fn is(&self, call: Call) -> bool {
        self.number() == call as u32
    }
}

#[inline(always)]
fn record(exit: &Exit, call: Called, read_how: impl FnOnce(&mut How) -> bool) {
    let event = call.number();
    let mut passed = Passed::new(exit, call, read_how);
    let known = &mut passed;
    let draft = Draft::begin_if(Kind::Open, event, exit.task, move |asker| Opened {
        asker,
        passed: known,
        walk: Walk::new(),
    });
    let Some(mut draft) = draft else { return };
    // SAFETY: `Open` is a record.
    let open = unsafe { draft.fixed::<Open>() };
    task::fill(&mut open.header, current_cgroup_id());
    open.result = exit.result;
    open.call = call.number();
    (open.flags, open.mode) = (passed.flags(), passed.mode());
    (open.dirfd, open.resolve) = (passed.dirfd(), passed.how.resolve as u32);

    let file = passed.file();
    let path = if file.is_null() {
        zero(&mut open.file);
        // Of a descriptor that another thread has closed already nothing is known.
        if exit.result < 0 { exit.directory(passed.dirfd()) } else { core::ptr::null() }
    } else {
        path::identify(&mut open.file, file);
        open.call |= created(file);
        file_path(file)
    };
    let (path_len, path_flags) = path::append(&mut draft, path);
    let text_len = draft.user_str::<PATH_MAX>(passed.text()) as u32;
    // SAFETY: as above.
    let open = unsafe { draft.fixed::<Open>() };
    let failed = open.result < 0;
    (open.path_len, open.text_len) = (path_len, text_len);
    open.path_flags = if failed { path_flags | BASE } else { path_flags };
    draft.submit();
}

/// Whether the open made its file, as a bit of the record.
#[inline(always)]
pub(crate) fn created(file: *const file) -> u32 {
    const FMODE_CREATED: u32 = 1 << 20;
    if file_how(file) & FMODE_CREATED != 0 { CREATED } else { 0 }
}

/// The call's arguments and its file, each read when somebody asks for it: most opens end at a filter
/// that asks for little.
struct Passed<'a> {
    exit: &'a Exit,
    call: Called,
    /// Of openat2, as the kernel used it; of the others there is none.
    how: How,
    file: *const file,
}

impl<'a> Passed<'a> {
    #[inline(always)]
    fn new(exit: &'a Exit, call: Called, read_how: impl FnOnce(&mut How) -> bool) -> Self {
        let mut how = How::default();
        if call.is(Call::Openat2) {
            read_how(&mut how);
        }
        Self { exit, call, how, file: core::ptr::null() }
    }

    /// Whether there is no directory among the arguments.
    #[inline(always)]
    fn is_short(&self) -> bool {
        self.call.is(Call::Open) || self.call.is(Call::Creat)
    }

    /// Address of the path's text.
    #[inline(always)]
    fn text(&self) -> *const u8 {
        (if self.is_short() { self.exit.arg::<0>() } else { self.exit.arg::<1>() }) as *const u8
    }

    #[inline(always)]
    fn dirfd(&self) -> i32 {
        if self.is_short() { AT_FDCWD } else { self.exit.arg::<0>() as i32 }
    }

    #[inline(always)]
    fn flags(&self) -> u32 {
        if self.call.is(Call::Openat) {
            self.exit.arg::<2>() as u32
        } else if self.call.is(Call::Open) {
            self.exit.arg::<1>() as u32
        } else if self.call.is(Call::Creat) {
            CREAT_FLAGS
        } else {
            self.how.flags as u32 & !O_LARGEFILE
        }
    }

    #[inline(always)]
    fn mode(&self) -> u32 {
        if self.call.is(Call::Openat) {
            self.exit.arg::<3>() as u32
        } else if self.call.is(Call::Open) {
            self.exit.arg::<2>() as u32
        } else if self.call.is(Call::Creat) {
            self.exit.arg::<1>() as u32
        } else {
            self.how.mode as u32
        }
    }

    /// What was opened; null after a failure. Once known it stays the same, whatever another thread
    /// does to the descriptor.
    #[inline(always)]
    fn file(&mut self) -> *const file {
        if self.file.is_null() && self.exit.result >= 0 {
            self.file = self.exit.file(self.exit.result as i32);
        }
        self.file
    }
}

/// What its filter is told of an open.
struct Opened<'a, 'b> {
    asker: Asker,
    passed: &'a mut Passed<'b>,
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

impl Facts for Opened<'_, '_> {
    #[inline(always)]
    fn number(&mut self, number: Number) -> Option<i64> {
        let is = |known: bool| Some(i64::from(known));
        let result = self.passed.exit.result;
        match number {
            Number::Result => Some(result),
            Number::Descriptor => Some(result.max(-1)),
            Number::OpenRead => is(matches!(self.passed.flags() & O_ACCMODE, 0 | O_RDWR)),
            Number::OpenWrite => is(matches!(self.passed.flags() & O_ACCMODE, O_WRONLY | O_RDWR)),
            Number::OpenExec => {
                is(self.passed.flags() & CREATES != 0 && self.passed.mode() & EXECUTABLE != 0)
            }
            Number::FileType => self.file_type(),
            Number::Climbs => self.asker.double_dots(self.passed.text()),
            _ => self.asker.number(number),
        }
    }

    #[inline(always)]
    fn flags(&mut self, flags: Flags) -> Option<u64> {
        match flags {
            // creat has none that rules see.
            Flags::Open if self.passed.call.is(Call::Creat) => None,
            Flags::Open => Some(self.passed.flags().into()),
            _ => self.asker.flags(flags),
        }
    }

    #[inline(always)]
    fn walk(&mut self) {
        let file = self.passed.file();
        if !file.is_null() {
            self.walk.walk(&mut self.asker, file);
        }
    }

    #[inline(always)]
    fn find(&mut self, look: Look, lengths: u64) -> Option<Found> {
        let is_of_file =
            matches!(look, Look::Leaf | Look::Parent | Look::Directory | Look::Path | Look::Ending);
        if !is_of_file {
            return self.asker.find(look);
        }
        // After a failure it is the text that says which file it was to be.
        let file = self.passed.file();
        if file.is_null() {
            return None;
        }
        self.walk.find(&self.asker, look, lengths, file)
    }
}

impl Opened<'_, '_> {
    /// Not known where another thread has closed the descriptor already.
    #[inline(always)]
    fn file_type(&mut self) -> Option<i64> {
        if self.passed.exit.result < 0 {
            return Some(b'f'.into());
        }
        let file = self.passed.file();
        if file.is_null() {
            return None;
        }
        let is_directory = inode_mode(file_inode(file)) & S_IFMT == S_IFDIR;
        Some(if is_directory { b'd' } else { b'f' }.into())
    }
}
