//! Exit of the calls that change on whose behalf a thread acts: programs on the functions that do
//! their work, or a program each, called by the dispatcher.
//!
//! `__sys_setuid(uid_t uid)` and its like → long, 5.10 to 7.2: both tables' calls come here, those
//! with ids of 16 bits as well. capset and setgroups have no such function, so programs are on the
//! system calls themselves, `__x64_sys_capset(const struct pt_regs *regs)` → long, once for each table.
//!
//! `commit_creds(struct cred *new)`, 5.10 to 7.2, is where the kernel takes the new credentials: what
//! is about to be replaced is kept there for the program at the exit.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use sensor_common::Kind;
use sensor_common::credentials::{BEFORE, Call, Credentials, GROUPS_MAX, Identity};
use sensor_common::function::Function;

use crate::kernel::{
    cred, cred_cap_effective, cred_cap_inheritable, cred_cap_permitted, cred_egid, cred_euid,
    cred_fsgid, cred_fsuid, cred_gid, cred_groups, cred_sgid, cred_suid, cred_uid, current_task,
    groups_count, groups_ids, task_cred,
};
use crate::maps::REPLACED;
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_tid, current_wanted, current_wanted_in};
use crate::submit::{Draft, clamp, read_user};
use crate::syscall::Exit;
use crate::task;

tracepoint!("sys_exit", setuid_btf, setuid_raw, |ctx| at_exit(ctx, Call::Setuid));
tracepoint!("sys_exit", setgid_btf, setgid_raw, |ctx| at_exit(ctx, Call::Setgid));
tracepoint!("sys_exit", setreuid_btf, setreuid_raw, |ctx| at_exit(ctx, Call::Setreuid));
tracepoint!("sys_exit", setregid_btf, setregid_raw, |ctx| at_exit(ctx, Call::Setregid));
tracepoint!("sys_exit", setresuid_btf, setresuid_raw, |ctx| at_exit(ctx, Call::Setresuid));
tracepoint!("sys_exit", setresgid_btf, setresgid_raw, |ctx| at_exit(ctx, Call::Setresgid));
tracepoint!("sys_exit", setfsuid_btf, setfsuid_raw, |ctx| at_exit(ctx, Call::Setfsuid));
tracepoint!("sys_exit", setfsgid_btf, setfsgid_raw, |ctx| at_exit(ctx, Call::Setfsgid));
tracepoint!("sys_exit", setgroups_btf, setgroups_raw, |ctx| at_exit(ctx, Call::Setgroups));
tracepoint!("sys_exit", capset_btf, capset_raw, |ctx| at_exit(ctx, Call::Capset));

/// A program on the function behind a call, whose arguments are its ids and nothing else.
macro_rules! function {
    ($program:ident, $function:literal, $hooked:ident, $call:ident) => {
        #[fexit(function = $function)]
        pub(crate) fn $program(ctx: FExitContext) -> i32 {
            const IDS: usize = Call::$call.ids();
            if current_wanted_in(Function::$hooked) {
                let arguments = [
                    u64::from(ctx.arg::<u32>(0)),
                    if IDS > 1 { u64::from(ctx.arg::<u32>(1)) } else { 0 },
                    if IDS > 2 { u64::from(ctx.arg::<u32>(2)) } else { 0 },
                ];
                record(Call::$call, arguments, ctx.arg(IDS), true);
            }
            0
        }
    };
}

function!(setuid_fexit, "__sys_setuid", SysSetuid, Setuid);
function!(setgid_fexit, "__sys_setgid", SysSetgid, Setgid);
function!(setreuid_fexit, "__sys_setreuid", SysSetreuid, Setreuid);
function!(setregid_fexit, "__sys_setregid", SysSetregid, Setregid);
function!(setresuid_fexit, "__sys_setresuid", SysSetresuid, Setresuid);
function!(setresgid_fexit, "__sys_setresgid", SysSetresgid, Setresgid);
function!(setfsuid_fexit, "__sys_setfsuid", SysSetfsuid, Setfsuid);
function!(setfsgid_fexit, "__sys_setfsgid", SysSetfsgid, Setfsgid);

/// A program on a system call's own function. Its argument, the registers, is not touched: 5.10 does
/// not describe them to every function that has them.
macro_rules! entry {
    ($program:ident, $function:literal, $call:ident) => {
        #[fexit(function = $function)]
        pub(crate) fn $program(ctx: FExitContext) -> i32 {
            if current_wanted() {
                returned(&Exit::of_call(ctx.arg(1)), Call::$call, true);
            }
            0
        }
    };
}

entry!(capset_fexit, "sys_capset", Capset);
entry!(capset_compat_fexit, "compat_sys_capset", Capset);
entry!(setgroups_fexit, "sys_setgroups", Setgroups);
entry!(setgroups_compat_fexit, "compat_sys_setgroups", Setgroups);
entry!(setgroups16_fexit, "compat_sys_setgroups16", Setgroups);

/// Keeps what is about to be replaced, if one of the calls does it: execve and others come here too.
#[fentry(function = "commit_creds")]
pub(crate) fn commit_fentry(_ctx: FEntryContext) -> i32 {
    if current_wanted() {
        let exit = Exit::inside(0);
        let number = exit.number();
        if Call::ALL.iter().any(|call| call.syscall().is(exit.compat(), number)) {
            let mut before = Identity::default();
            identify(&mut before, task_cred(exit.task));
            // A full map forgets who was here longest ago; that record says that it does not know.
            REPLACED.insert(current_tid(), before, 0).ok();
        }
    }
    0
}

#[inline(always)]
fn at_exit(ctx: &impl Arguments, call: Call) {
    if current_wanted() {
        returned(&Exit::new(ctx.arg(0), ctx.arg(1)), call, false);
    }
}

#[inline(always)]
fn returned(exit: &Exit, call: Call, hooked: bool) {
    let mut arguments = [0; 3];
    match call {
        Call::Capset => asked(&mut arguments, exit.arg::<0>(), exit.arg::<1>()),
        Call::Setgroups => arguments[0] = exit.arg::<0>() & 0xffff_ffff,
        _ => {
            let narrow = call.syscall().is_16(exit.compat(), exit.number());
            let ids = call.ids();
            arguments[0] = id(exit.arg::<0>(), narrow);
            arguments[1] = if ids > 1 { id(exit.arg::<1>(), narrow) } else { 0 };
            arguments[2] = if ids > 2 { id(exit.arg::<2>(), narrow) } else { 0 };
        }
    }
    record(call, arguments, exit.result, hooked);
}

/// An id as the kernel takes it: one of 16 bits has its own "leave it".
#[inline(always)]
fn id(passed: u64, narrow: bool) -> u64 {
    match (narrow, passed & 0xffff) {
        (true, 0xffff) => 0xffff_ffff,
        (true, id) => id,
        (false, _) => passed & 0xffff_ffff,
    }
}

/// The sets that were passed to capset, in one or two halves: effective, permitted, inheritable.
#[inline(always)]
fn asked(sets: &mut [u64; 3], header: u64, data: u64) {
    /// `_LINUX_CAPABILITY_VERSION_1`, the one with half the bits.
    const VERSION_1: u32 = 0x1998_0330;
    let mut version = 0_u32;
    read_user(header, &mut version);
    let mut half = [0_u32; 3];
    if data == 0 || !read_user(data, &mut half) {
        return;
    }
    *sets = [u64::from(half[0]), u64::from(half[1]), u64::from(half[2])];
    if version != VERSION_1 && read_user(data + size_of_val(&half) as u64, &mut half) {
        sets[0] |= u64::from(half[0]) << 32;
        sets[1] |= u64::from(half[1]) << 32;
        sets[2] |= u64::from(half[2]) << 32;
    }
}

#[inline(always)]
fn record(call: Call, arguments: [u64; 3], result: i64, hooked: bool) {
    let Some(mut draft) = Draft::begin(Kind::Credentials) else { return };
    let task = current_task();
    let cred = task_cred(task);
    // SAFETY: `Credentials` is a record.
    let credentials = unsafe { draft.fixed::<Credentials>() };
    task::fill(&mut credentials.header, current_cgroup_id());
    credentials.call = call as u32;
    credentials.result = result;
    credentials.arguments = arguments;
    identify(&mut credentials.after, cred);
    credentials.flags = 0;
    if hooked {
        credentials.flags = BEFORE;
        // Nothing was committed: all is as it was.
        credentials.before = credentials.after;
        let tid = current_tid();
        // SAFETY: only this thread writes its entry.
        if let Some(before) = unsafe { REPLACED.get(tid) } {
            credentials.before = *before;
            REPLACED.remove(tid).ok();
        }
    } else {
        credentials.before = Identity::default();
    }
    let groups = cred_groups(cred);
    credentials.groups = groups_count(groups);
    credentials.groups_len = 0;
    if matches!(call, Call::Setgroups) && result == 0 {
        let count = u64::from(groups_count(groups));
        let read = draft.fill::<{ GROUPS_MAX * 4 }>(|to| {
            let len = clamp::<{ GROUPS_MAX * 4 }>(count * 4);
            // SAFETY: `to` has room for the most that `len` can be; the helper checks the source.
            match unsafe { bpf_probe_read_kernel(to, len as u32, groups_ids(groups).cast()) } {
                0 => len as i64,
                error => error,
            }
        });
        // SAFETY: as above.
        unsafe { draft.fixed::<Credentials>() }.groups_len = read.max(0) as u32;
    }
    draft.submit();
}

/// Copies the ids and capabilities of credentials.
#[inline(always)]
pub(crate) fn identify(to: &mut Identity, cred: *const cred) {
    to.uid = cred_uid(cred);
    to.euid = cred_euid(cred);
    to.suid = cred_suid(cred);
    to.fsuid = cred_fsuid(cred);
    to.gid = cred_gid(cred);
    to.egid = cred_egid(cred);
    to.sgid = cred_sgid(cred);
    to.fsgid = cred_fsgid(cred);
    to.cap_inheritable = cred_cap_inheritable(cred);
    to.cap_permitted = cred_cap_permitted(cred);
    to.cap_effective = cred_cap_effective(cred);
}
