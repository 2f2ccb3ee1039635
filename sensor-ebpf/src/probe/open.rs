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
use sensor_common::filter::{self, Facts, Flags, Found, Look, Number};
use sensor_common::function::Function;
use sensor_common::open::{CREATED, Call, Open};
use sensor_common::path::{BASE, PATH_MAX};
use sensor_common::syscall::{CREAT, OPEN, OPENAT, OPENAT2};

use crate::filter::{Asker, Walk};
use crate::kernel::{file, file_how, file_inode, file_path, fs_pwd, inode_mode, task_fs};
use crate::path;
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted, current_wanted_in};
use crate::submit::{Draft, read_kernel, read_user, zero};
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
    let mut passed = Passed::new(exit, call, read_how);
    let (event, known) = (filter::of_open(call), &mut passed);
    let draft = Draft::begin_if(Kind::Open, event, exit.task, move |asker| Opened {
        asker,
        call,
        passed: known,
        walk: Walk::new(),
    });
    let Some(mut draft) = draft else { return };
    // SAFETY: `Open` is a record.
    let open = unsafe { draft.fixed::<Open>() };
    task::fill(&mut open.header, current_cgroup_id());
    open.result = exit.result;
    open.call = call as u32;
    (open.flags, open.mode) = (passed.flags(), passed.mode());
    (open.dirfd, open.resolve) = (passed.dirfd(), passed.how.resolve as u32);

    let (path_len, path_flags) = if exit.result >= 0 {
        let file = passed.file();
        path::identify(&mut open.file, file);
        open.call |= created(file);
        path::append(&mut draft, file_path(file))
    } else {
        zero(&mut open.file);
        let base = if passed.dirfd() == AT_FDCWD {
            fs_pwd(task_fs(exit.task))
        } else {
            file_path(exit.file(passed.dirfd()))
        };
        let (len, flags) = path::append(&mut draft, base);
        (len, flags | BASE)
    };
    let text_len = draft.user_str::<PATH_MAX>(passed.text()) as u32;
    // SAFETY: as above.
    let open = unsafe { draft.fixed::<Open>() };
    (open.path_len, open.path_flags, open.text_len) = (path_len, path_flags, text_len);
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
    call: Call,
    /// Of openat2, as the kernel used it; of the others there is none.
    how: How,
    file: *const file,
}

impl<'a> Passed<'a> {
    #[inline(always)]
    fn new(exit: &'a Exit, call: Call, read_how: impl FnOnce(&mut How) -> bool) -> Self {
        let mut how = How::default();
        if call == Call::Openat2 {
            read_how(&mut how);
        }
        Self { exit, call, how, file: core::ptr::null() }
    }

    /// Address of the path's text.
    #[inline(always)]
    fn text(&self) -> *const u8 {
        (match self.call {
            Call::Open | Call::Creat => self.exit.arg::<0>(),
            Call::Openat | Call::Openat2 => self.exit.arg::<1>(),
        }) as *const u8
    }

    #[inline(always)]
    fn dirfd(&self) -> i32 {
        match self.call {
            Call::Open | Call::Creat => AT_FDCWD,
            Call::Openat | Call::Openat2 => self.exit.arg::<0>() as i32,
        }
    }

    #[inline(always)]
    fn flags(&self) -> u32 {
        match self.call {
            Call::Open => self.exit.arg::<1>() as u32,
            Call::Openat => self.exit.arg::<2>() as u32,
            Call::Creat => CREAT_FLAGS,
            Call::Openat2 => self.how.flags as u32 & !O_LARGEFILE,
        }
    }

    #[inline(always)]
    fn mode(&self) -> u32 {
        match self.call {
            Call::Open => self.exit.arg::<2>() as u32,
            Call::Openat => self.exit.arg::<3>() as u32,
            Call::Creat => self.exit.arg::<1>() as u32,
            Call::Openat2 => self.how.mode as u32,
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
    call: Call,
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
            Number::Climbs => self.asker.has_dots(self.passed.text()).map(i64::from),
            _ => self.asker.number(number),
        }
    }

    #[inline(always)]
    fn flags(&mut self, flags: Flags) -> Option<u64> {
        match flags {
            // creat has none that rules see.
            Flags::Open if self.call == Call::Creat => None,
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
