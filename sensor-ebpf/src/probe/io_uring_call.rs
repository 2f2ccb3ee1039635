//! Files that a process has `io_uring` remove, rename, make and link: the records are those of the system
//! calls, with a mark.
//!
//! `io_unlinkat`, `io_renameat`, `io_mkdirat`, `io_symlinkat`, `io_linkat` (`struct io_kiocb *req, unsigned
//! int issue_flags`) → int, which are called through a table, 6.1 to 7.2. A worker of the process does it.
//! The cost is paid by these requests alone: a copy of what `resolve` found.
//!
//! What was passed is gone by then. Where the request came to pass, the kernel has asked its security
//! modules about the paths, and what was found is the last that this task was asked about.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use sensor_common::Kind;
use sensor_common::call::{Call, IO_URING, NONE, Plan, RESULT, WANTED};
use sensor_common::resolved::PATHS;
use sensor_common::syscall::native;

use crate::kernel::{
    io_kiocb, request_link_directory, request_link_flags, request_link_new_directory,
    request_mkdir_directory, request_mkdir_mode, request_rename_directory, request_rename_flags,
    request_rename_new_directory, request_result, request_unlink_directory, request_unlink_flags,
};
use crate::maps::PLANS;
use crate::probe::resolve;
use crate::scope::{current_cgroup_id, current_wanted};
use crate::submit::{Draft, zero_body};
use crate::syscall::Exit;
use crate::task;

/// The program on a function, the call that it stands for, and the numbers that this would have passed.
macro_rules! request {
    ($($name:ident on $function:literal as $call:literal: |$request:ident| $arguments:expr;)*) => { $(
        #[fexit(function = $function)]
        pub(crate) fn $name(ctx: FExitContext) -> i32 {
            const NUMBER: u32 = native($call);
            let $request: *const io_kiocb = ctx.arg(0);
            if let Some(plan) = PLANS.get(NUMBER)
                && plan.flags & WANTED != 0
                && ctx.arg::<i32>(2) != EAGAIN
                && current_wanted()
            {
                record(plan, request_result($request), $arguments);
            }
            0
        }
    )* };
}

/// Not done yet: the request comes by again, in a worker.
const EAGAIN: i32 = -11;

request! {
    io_unlinkat_fexit on "io_unlinkat" as "unlinkat":
        |request| [request_unlink_directory(request), 0, request_unlink_flags(request), 0, 0];
    io_renameat_fexit on "io_renameat" as "renameat2":
        |request| [request_rename_directory(request), 0, request_rename_new_directory(request), 0, request_rename_flags(request)];
    io_mkdirat_fexit on "io_mkdirat" as "mkdirat":
        |request| [request_mkdir_directory(request), 0, request_mkdir_mode(request), 0, 0];
    io_symlinkat_fexit on "io_symlinkat" as "symlinkat":
        |request| [0, request_link_new_directory(request), 0, 0, 0];
    io_linkat_fexit on "io_linkat" as "linkat":
        |request| [request_link_directory(request), 0, request_link_new_directory(request), 0, request_link_flags(request)];
}

#[inline(always)]
fn record(plan: &Plan, result: i32, arguments: [i32; 5]) {
    let exit = Exit::inside(result);
    // After a failure it might be another request's.
    let found = if result >= 0 { resolve::found(&exit) } else { None };
    if let Some(mut draft) = Draft::begin(Kind::Call) {
        // SAFETY: `Call` is a record.
        let call = unsafe { draft.fixed::<Call>() };
        task::fill(&mut call.header, current_cgroup_id());
        zero_body(call);
        for (to, from) in call.args.iter_mut().zip(arguments) {
            *to = from as u64;
        }
        call.args[RESULT as usize] = exit.result as u64;
        (call.call, call.flags) = (u32::from(plan.call), IO_URING);
        if let Some(found) = found {
            for place in 0..PATHS {
                let is_path = plan.bases[place] != NONE;
                let part = resolve::append_if(&mut draft, found, place, is_path);
                // SAFETY: as above.
                let call = unsafe { draft.fixed::<Call>() };
                if is_path {
                    call.bases[place] = part;
                } else {
                    call.texts[place] = part;
                }
            }
        }
        draft.submit();
    }
    resolve::forget();
}
