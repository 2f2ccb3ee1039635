//! A task → the header of a record.

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use sensor_common::exec::{Resources, Session};
use sensor_common::header::{COMM_LEN, Header};

use crate::kernel::{
    cred_cap_effective, cred_cap_inheritable, cred_cap_permitted, cred_egid, cred_euid,
    current_task, mm_anon_pages, mm_file_pages, mm_shmem_pages, mm_swapped_pages, mm_total_vm,
    namespace_init, own, pid, pid_level, pid_numbers, signal_fd_limit, signal_pgrp, signal_session,
    signal_tty, task_comm, task_cred, task_leader, task_login_uid, task_major_faults,
    task_minor_faults, task_mm, task_parent, task_pid, task_signal, task_start_boot_ns,
    task_struct, task_tgid, task_thread_pid, tty_driver, tty_driver_major, tty_driver_minor_start,
    tty_index, upid, upid_namespace, upid_nr, upid_size,
};
use crate::submit::{now_boot_ns, read_kernel};

/// Fills a header about the current task.
#[inline(always)]
pub(crate) fn fill(header: &mut Header, cgroup_id: u64) {
    let task = current_task();
    let leader = own::task_leader(task);
    let cred = own::task_cred(task);
    header.start_boot_ns = own::task_start_boot_ns(leader);
    header.tgid = own::task_tgid(task);
    header.tid = own::task_pid(task);
    header.ppid = own::task_tgid(own::task_parent(task));
    header.uid = own::cred_euid(cred);
    header.gid = own::cred_egid(cred);
    header.cap_effective = own::cred_cap_effective(cred);
    header.cap_permitted = own::cred_cap_permitted(cred);
    header.comm = own_comm(task);
    // In the initial namespace the numbers are those that are known already.
    let is_inside = own::pid_level(own::task_thread_pid(task)) != 0;
    header.vpid = if is_inside { own_number_inside(leader) } else { header.tgid };
    header.vtid = match is_inside {
        false => header.tid,
        true if header.tid == header.tgid => header.vpid,
        true => own_number_inside(task),
    };
    moment(header, cgroup_id);
}

/// Fills a header about any task.
#[inline(always)]
pub(crate) fn fill_about(header: &mut Header, task: *const task_struct, cgroup_id: u64) {
    let leader: *const task_struct = task_leader(task);
    let cred = task_cred(task);
    header.start_boot_ns = task_start_boot_ns(leader);
    header.tgid = task_tgid(task);
    header.tid = task_pid(task);
    header.ppid = task_tgid(task_parent(task));
    header.uid = cred_euid(cred);
    header.gid = cred_egid(cred);
    header.cap_effective = cred_cap_effective(cred);
    header.cap_permitted = cred_cap_permitted(cred);
    read_kernel(task_comm(task).cast::<[u8; COMM_LEN]>(), &mut header.comm);
    header.vpid = number_inside(task_thread_pid(leader));
    header.vtid = number_inside(task_thread_pid(task));
    moment(header, cgroup_id);
}

#[inline(always)]
fn moment(header: &mut Header, cgroup_id: u64) {
    header.boot_ns = now_boot_ns();
    header.cgroup_id = cgroup_id;
    // SAFETY: a helper without preconditions.
    header.cpu = unsafe { bpf_get_smp_processor_id() };
}

/// The same number, of which the verifier knows no more than that it is below 1024. `task` is the
/// current one.
///
/// No thread's id has a bit there: `PID_MAX_LIMIT` is 2²² (`include/linux/threads.h`, 5.10 to 7.2).
#[inline(always)]
pub(crate) fn forget(task: *const task_struct, number: u32) -> u32 {
    number ^ own::task_pid(task) >> 22
}

/// What the current task is called.
#[inline(always)]
fn own_comm(task: *const task_struct) -> [u8; COMM_LEN] {
    const { assert!(COMM_LEN == 16) };
    let words = [own::task_comm_begin(task), own::task_comm_end(task)];
    // SAFETY: sixteen bytes are sixteen bytes.
    unsafe { core::mem::transmute(words.map(u64::to_ne_bytes)) }
}

/// The number in its own pid namespace of the current task or its leader.
#[inline(always)]
pub(crate) fn own_number_inside(task: *const task_struct) -> u32 {
    if own::pid_level(own::task_thread_pid(task)) == 0 {
        return own::task_pid(task);
    }
    number_inside(task_thread_pid(task))
}

/// What the task shares with the others of its login.
#[inline(always)]
pub(crate) fn session(to: &mut Session, task: *const task_struct) {
    let signal = task_signal(task);
    let group = signal_pgrp(signal);
    to.login_uid = task_login_uid(task);
    to.sid = number_outside(signal_session(signal));
    to.pgid = number_outside(group);
    to.vpgid = number_inside(group);
    to.reserved = 0;
    to.tty = 0;
    let tty = signal_tty(signal);
    if !tty.is_null() {
        let driver = tty_driver(tty);
        let minor = (tty_driver_minor_start(driver) + tty_index(tty)) as u32;
        to.tty = (tty_driver_major(driver) as u32) << 20 | (minor & 0xf_ffff);
    }
}

/// A pid's number in the initial namespace.
#[inline(always)]
fn number_outside(pid: *const pid) -> u32 {
    upid_nr(pid_numbers(pid))
}

/// A pid's number in its own namespace, the innermost.
#[inline(always)]
pub(crate) fn number_inside(pid: *const pid) -> u32 {
    upid_nr(innermost(pid))
}

/// A pid in its own namespace.
#[inline(always)]
fn innermost(pid: *const pid) -> *const upid {
    // The kernel's own limit on nesting (MAX_PID_NS_LEVEL).
    let level = (pid_level(pid) & 31) as usize;
    pid_numbers(pid).cast::<u8>().wrapping_add(level * upid_size() as usize).cast::<upid>()
}

/// What the task may use and uses.
#[inline(always)]
pub(crate) fn resources(to: &mut Resources, task: *const task_struct) {
    let mm = task_mm(task);
    to.fd_limit = signal_fd_limit(task_signal(task));
    to.vm_pages = mm_total_vm(mm);
    // A counter that is split over processors can be a little below zero.
    to.resident_pages = (mm_file_pages(mm) + mm_anon_pages(mm) + mm_shmem_pages(mm)).max(0) as u64;
    to.swapped_pages = mm_swapped_pages(mm).max(0) as u64;
    to.major_faults = task_major_faults(task);
    to.minor_faults = task_minor_faults(task);
    to.cap_inheritable = cred_cap_inheritable(task_cred(task));
    let namespace = upid_namespace(innermost(task_thread_pid(task)));
    to.pid_namespace_boot_ns = task_start_boot_ns(namespace_init(namespace));
}
