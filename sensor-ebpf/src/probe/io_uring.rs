//! Opens and connects that a process asks `io_uring` for: no system call opens or connects then, and
//! who watches system calls alone sees nothing.
//!
//! `io_openat`, `io_openat2` and `io_connect` (`struct io_kiocb *req, unsigned int issue_flags`) → int
//! do the work; an open without a descriptor hands its file to `io_fixed_fd_install(struct io_kiocb
//! *req, unsigned int issue_flags, struct file *file, unsigned int file_slot)` → int. 6.1 to 7.2: in
//! 5.10 a request does not keep its result, and the verifier refuses these programs.
//!
//! Else the tracepoint `io_uring_complete(ctx, struct io_kiocb *req, …)`. A process can ask for no
//! completion where a request succeeds, and then does not pass there.
//!
//! The text of a path is gone by then, the file is not.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use sensor_common::Kind;
use sensor_common::connect;
use sensor_common::open::{self, Call, Open};
use sensor_common::path::BASE;

use crate::kernel::{
    file, file_path, io_kiocb, request_connect_address, request_connect_len, request_file,
    request_opcode, request_open_directory, request_open_flags, request_open_mode,
    request_open_resolve, request_open_slot, request_result,
};
use crate::path;
use crate::probe::connect::{Address, Passed, record as record_connect};
use crate::probe::open::created;
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted};
use crate::submit::{Draft, zero};
use crate::syscall::Exit;
use crate::task;

// `enum io_uring_op`.
const CONNECT: u8 = 16;
const OPENAT: u8 = 18;
const OPENAT2: u8 = 28;
/// Not done yet: the request comes by again.
const EAGAIN: i32 = -11;
/// It had no descriptor, or none that is known any more.
const NO_DESCRIPTOR: i32 = -1;

tracepoint!("io_uring_complete", io_open_btf, io_open_raw, |ctx| opened(Arguments::arg(ctx, 1)));
tracepoint!("io_uring_complete", io_connect_btf, io_connect_raw, |ctx| connected(Arguments::arg(
    ctx, 1
)));

#[fexit(function = "io_openat")]
pub(crate) fn io_openat_fexit(ctx: FExitContext) -> i32 {
    // It calls the other one.
    issued(&ctx, OPENAT);
    0
}

#[fexit(function = "io_openat2")]
pub(crate) fn io_openat2_fexit(ctx: FExitContext) -> i32 {
    issued(&ctx, OPENAT2);
    0
}

#[fexit(function = "io_fixed_fd_install")]
pub(crate) fn io_slot_fexit(ctx: FExitContext) -> i32 {
    let (request, file, result) = (ctx.arg(0), ctx.arg(2), ctx.arg::<i32>(4));
    if result >= 0
        && let Some(call) = open_call(request)
        && current_wanted()
    {
        record(&Exit::elsewhere(result), request, file, call);
    }
    0
}

#[fexit(function = "io_connect")]
pub(crate) fn io_connect_fexit(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(2) != EAGAIN {
        connected(ctx.arg(0));
    }
    0
}

#[inline(always)]
fn issued(ctx: &FExitContext, opcode: u8) {
    let request = ctx.arg(0);
    if ctx.arg::<i32>(2) == EAGAIN || request_opcode(request) != opcode {
        return;
    }
    let is_installed = request_result(request) >= 0 && request_open_slot(request) != 0;
    if !is_installed {
        opened(request);
    }
}

#[inline(always)]
fn opened(request: *const io_kiocb) {
    let Some(call) = open_call(request) else { return };
    if !current_wanted() {
        return;
    }
    let exit = Exit::elsewhere(request_result(request));
    // Where a file took a slot instead of a descriptor, the result is none.
    let fd = if request_open_slot(request) == 0 { exit.result as i32 } else { NO_DESCRIPTOR };
    record(&exit, request, exit.file(fd), call);
}

#[inline(always)]
fn open_call(request: *const io_kiocb) -> Option<Call> {
    match request_opcode(request) {
        OPENAT => Some(Call::Openat),
        OPENAT2 => Some(Call::Openat2),
        _ => None,
    }
}

#[inline(always)]
fn record(exit: &Exit, request: *const io_kiocb, file: *const file, call: Call) {
    let Some(mut draft) = Draft::begin(Kind::Open) else { return };
    // SAFETY: `Open` is a record.
    let open = unsafe { draft.fixed::<Open>() };
    task::fill(&mut open.header, current_cgroup_id());
    open.result = exit.result;
    open.call = call as u32 | open::IO_URING;
    open.flags = request_open_flags(request) as u32;
    open.mode = request_open_mode(request) as u32;
    open.dirfd = request_open_directory(request);
    open.resolve = request_open_resolve(request) as u32;
    (open.path_len, open.path_flags, open.text_len) = (0, BASE, 0);
    zero(&mut open.file);
    if !file.is_null() {
        path::identify(&mut open.file, file);
        open.call |= created(file);
        let (path_len, path_flags) = path::append(&mut draft, file_path(file));
        // SAFETY: as above.
        let open = unsafe { draft.fixed::<Open>() };
        (open.path_len, open.path_flags) = (path_len, path_flags);
    }
    draft.submit();
}

#[inline(always)]
fn connected(request: *const io_kiocb) {
    if request_opcode(request) != CONNECT || !current_wanted() {
        return;
    }
    let passed = Passed {
        fd: NO_DESCRIPTOR,
        file: request_file(request),
        address: Address::User(request_connect_address(request)),
        len: request_connect_len(request) as u32,
        flags: connect::IO_URING,
    };
    record_connect(&Exit::elsewhere(request_result(request)), &passed);
}
