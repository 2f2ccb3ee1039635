//! Exit of every system call that has a row in `sensor_common::call::table`: one program for each
//! shape of row, which does what the row's plan says. Called by the dispatcher.
//!
//! `sys_exit(struct pt_regs *regs, long ret)`, 5.10 to 7.2.

use sensor_common::Kind;
use sensor_common::call::{
    ADDRESS_LEN_BY_REFERENCE, ADDRESS_MAX, COMPAT, Call, DATA_IS_MESSAGE, DATA_MAX, HAS_FILE, NONE,
    NUMBERS, Part, Plan, Shape, Socket, WORKING_DIRECTORY, filter,
};
use sensor_common::connect::{AF_INET, AF_INET6};
use sensor_common::filter::{Facts, Flags, Found, Look, Number};
use sensor_common::path::PATH_MAX;
use sensor_common::resolved::PATHS;

use crate::filter::Asker;
use crate::kernel::{file_path, fs_pwd, fs_root, path, task_fs};
use crate::maps::{FLOWS, Flow, PLANS};
use crate::probe::{Arguments, resolve, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted};
use crate::socket;
use crate::submit::{Draft, read_user, zero_body};
use crate::syscall::Exit;
use crate::task;

tracepoint!("sys_exit", call_plain_btf, call_plain_raw, |ctx| try_call(ctx, Shape::Plain));
tracepoint!("sys_exit", call_path_btf, call_path_raw, |ctx| try_call(ctx, Shape::Path));
tracepoint!("sys_exit", call_paths_btf, call_paths_raw, |ctx| try_call(ctx, Shape::Paths));
tracepoint!("sys_exit", call_message_btf, call_message_raw, |ctx| try_call(ctx, Shape::Message));

const DNS_PORT: u16 = 53;
const SOCK_STREAM: u16 = 1;
const BPF_ANY: u64 = 0;

#[inline(always)]
fn try_call(ctx: &impl Arguments, shape: Shape) {
    if !current_wanted() {
        return;
    }
    let exit = Exit::new(ctx.arg(0), ctx.arg(1));
    // The dispatcher has looked the number up in the 32-bit table for the tail call only.
    let Some(plan) = PLANS.get(exit.native_number()) else { return };
    if !passes(plan, &exit) {
        return;
    }
    if shape == Shape::Message && is_repeated(plan, &exit) {
        return;
    }
    let facts = |asker| Called { asker, result: exit.result };
    let event = sensor_common::filter::of_call(plan.call);
    let has_paths = matches!(shape, Shape::Path | Shape::Paths);
    if let Some(mut draft) = Draft::begin_if(Kind::Call, event, exit.task, facts) {
        fill(&mut draft, &exit, plan, shape);
        draft.submit();
    }
    if has_paths {
        resolve::forget();
    }
}

#[inline(always)]
fn fill(draft: &mut Draft, exit: &Exit, plan: &Plan, shape: Shape) {
    // SAFETY: `Call` is a record.
    let call = unsafe { draft.fixed::<Call>() };
    start(call, exit, plan);
    // No path is packed.
    if matches!(shape, Shape::Plain | Shape::Message) {
        exit.unpack(&mut call.args);
    }
    if shape != Shape::Paths {
        descriptor(draft, exit, plan, shape);
    }
    match shape {
        Shape::Plain => {}
        Shape::Path => text(draft, exit, plan, 0),
        Shape::Paths => {
            text(draft, exit, plan, 0);
            text(draft, exit, plan, 1);
            text(draft, exit, plan, 2);
        }
        Shape::Message => message(draft, exit, plan),
    }
}

/// Whether the row's filter lets this call pass. It looks at registers: none of a call whose arguments are
/// packed asks for one.
#[inline(always)]
fn passes(plan: &Plan, exit: &Exit) -> bool {
    let value = exit.numbered(plan.filter_arg);
    let bits = plan.filter_bits;
    match plan.filter {
        filter::AT_MOST => value <= bits,
        filter::ONE_OF => value < 64 && bits >> value & 1 != 0,
        filter::EITHER => value == bits & 0xffff_ffff || value == bits >> 32,
        filter::ALL_OF => value & bits == bits,
        filter::FAILED => exit.result < 0,
        _ => true,
    }
}

/// What its filter is told of a call.
struct Called {
    asker: Asker,
    result: i64,
}

impl Facts for Called {
    #[inline(always)]
    fn number(&mut self, number: Number) -> Option<i64> {
        match number {
            Number::Result => Some(self.result),
            _ => self.asker.number(number),
        }
    }

    #[inline(always)]
    fn flags(&mut self, flags: Flags) -> Option<u64> {
        self.asker.flags(flags)
    }

    #[inline(always)]
    fn find(&mut self, look: Look, _lengths: u64) -> Option<Found> {
        self.asker.find(look)
    }
}

#[inline(always)]
fn start(call: &mut Call, exit: &Exit, plan: &Plan) {
    task::fill(&mut call.header, current_cgroup_id());
    zero_body(call);
    exit.numbers(&mut call.args);
    call.call = u32::from(plan.call);
    call.flags = if exit.compat() { COMPAT } else { 0 };
}

/// One of the call's numbers, which stand in the record.
#[inline(always)]
fn numbered(call: &Call, number: u8) -> u64 {
    call.args[usize::from(number) % NUMBERS]
}

/// What the event's descriptor stands for.
#[inline(always)]
fn descriptor(draft: &mut Draft, exit: &Exit, plan: &Plan, shape: Shape) {
    let is_unknown = plan.fd == WORKING_DIRECTORY && exit.result < 0;
    if plan.fd == NONE || is_unknown {
        return;
    }
    let path = if plan.fd == WORKING_DIRECTORY {
        fs_pwd(task_fs(exit.task))
    } else {
        let fd = if shape == Shape::Path { exit.numbered(plan.fd) } else { exit.unpacked(plan.fd) };
        let file = exit.file(fd as i32);
        if file.is_null() {
            return;
        }
        // SAFETY: `Call` is a record.
        let call = unsafe { draft.fixed::<Call>() };
        crate::path::identify(&mut call.file, file);
        let sock = socket::of(file);
        if !sock.is_null() {
            socket::fill(&mut call.socket, sock);
            let len = socket::append_unix(draft, sock);
            return has_file(draft, Part { len, flags: 0 });
        }
        file_path(file)
    };
    let (len, flags) = crate::path::append(draft, path);
    has_file(draft, Part { len, flags });
}

#[inline(always)]
fn has_file(draft: &mut Draft, path: Part) {
    // SAFETY: `Call` is a record.
    let call = unsafe { draft.fixed::<Call>() };
    call.flags |= HAS_FILE;
    call.file_path = path;
}

/// The text in this place, after what it led to, or the directory that it is relative to; the third text is
/// no path.
#[inline(always)]
fn text(draft: &mut Draft, exit: &Exit, plan: &Plan, place: usize) {
    if plan.texts[place] == NONE {
        return;
    }
    let at = exit.numbered(plan.texts[place]);
    let mut base = Part::default();
    if place >= PATHS {
        // No path.
    } else if let Some(found) = resolve::found(exit)
        && let Some(part) = resolve::append(draft, found, place)
    {
        base = part;
    } else if plan.bases[place] != NONE {
        (base.len, base.flags) = crate::path::append(draft, directory(exit, plan.bases[place], at));
    }
    let len = draft.user_str::<PATH_MAX>(at as *const u8) as u32;
    // SAFETY: `Call` is a record.
    let call = unsafe { draft.fixed::<Call>() };
    call.bases[place] = base;
    call.texts[place] = Part { len, flags: 0 };
}

/// Where the walk of a path began: at the process's root, in its working directory or in the
/// directory of a descriptor.
#[inline(always)]
fn directory(exit: &Exit, base: u8, text: u64) -> *const path {
    let mut first = 0_u8;
    read_user(text, &mut first);
    let fs = task_fs(exit.task);
    if first == b'/' {
        return fs_root(fs);
    }
    if base == WORKING_DIRECTORY {
        return fs_pwd(fs);
    }
    exit.directory(exit.numbered(base) as i32)
}

/// `struct msghdr`, and its first `struct iovec`, as far as they are read; in a 32-bit process both
/// consist of 32-bit numbers.
#[derive(Clone, Copy, Default)]
struct Message {
    address: u64,
    address_len: u64,
    data: u64,
    data_len: u64,
}

impl Message {
    #[inline(always)]
    fn read(exit: &Exit, plan: &Plan, call: &Call) -> Self {
        if plan.flags & DATA_IS_MESSAGE == 0 {
            return Self {
                address: numbered(call, plan.address),
                address_len: Self::len(plan, call),
                data: numbered(call, plan.data),
                data_len: numbered(call, plan.data_len),
            };
        }
        let at = numbered(call, plan.data);
        let (mut header, mut vector) = ([0_u64; 3], [0_u64; 2]);
        if exit.compat() {
            let (mut narrow, mut pair) = ([0_u32; 3], [0_u32; 2]);
            read_user(at, &mut narrow);
            read_user(u64::from(narrow[2]), &mut pair);
            header = [u64::from(narrow[0]), u64::from(narrow[1]), 0];
            vector = [u64::from(pair[0]), u64::from(pair[1])];
        } else {
            read_user(at, &mut header);
            read_user(header[2], &mut vector);
        }
        // What came is no longer than what the call returned.
        let data_len =
            if plan.filter == filter::FIRST_RECEIVED { exit.result as u64 } else { vector[1] };
        Self { address: header[0], address_len: header[1] & 0xffff_ffff, data: vector[0], data_len }
    }

    #[inline(always)]
    fn len(plan: &Plan, call: &Call) -> u64 {
        let len = numbered(call, plan.address_len);
        if plan.flags & ADDRESS_LEN_BY_REFERENCE == 0 {
            return len;
        }
        let mut behind = 0_u32;
        read_user(len, &mut behind);
        u64::from(behind)
    }
}

/// The address and the beginning of the data.
#[inline(always)]
fn message(draft: &mut Draft, exit: &Exit, plan: &Plan) {
    // SAFETY: `Call` is a record.
    let message = Message::read(exit, plan, unsafe { draft.fixed::<Call>() });
    let (mut address, mut data) = (Part::default(), Part::default());
    if message.address != 0 && message.address_len != 0 {
        address.len = draft.user_bytes::<ADDRESS_MAX>(message.address, message.address_len) as u32;
    }
    if message.data != 0 && message.data_len as i64 > 0 {
        data.len = draft.user_bytes::<DATA_MAX>(message.data, message.data_len) as u32;
    }
    // SAFETY: `Call` is a record.
    let call = unsafe { draft.fixed::<Call>() };
    (call.address, call.data) = (address, data);
}

/// Where the address lies, of a call whose record is not begun yet.
#[inline(always)]
fn address_at(exit: &Exit, plan: &Plan) -> u64 {
    if plan.flags & DATA_IS_MESSAGE == 0 {
        return exit.unpacked(plan.address);
    }
    let at = exit.unpacked(plan.data);
    let mut address = 0_u64;
    if exit.compat() {
        let mut narrow = 0_u32;
        read_user(at, &mut narrow);
        return narrow.into();
    }
    read_user(at, &mut address);
    address
}

/// Whether this datagram is not the first between the socket and its peer, in its direction; or
/// is none: a stream's bytes are not reported.
#[inline(always)]
fn is_repeated(plan: &Plan, exit: &Exit) -> bool {
    if plan.filter != filter::FIRST_SENT && plan.filter != filter::FIRST_RECEIVED {
        return false;
    }
    let mut seen = Socket::default();
    let sock = socket::of(exit.file(exit.unpacked(plan.fd) as i32));
    if sock.is_null() {
        return true;
    }
    socket::fill(&mut seen, sock);
    if seen.socket_type == SOCK_STREAM || !matches!(seen.family, AF_INET | AF_INET6) {
        return true;
    }
    let address_at = address_at(exit, plan);
    let mut flow = Flow {
        socket: sock as u64,
        remote: seen.remote,
        port: seen.remote_port,
        direction: u16::from(plan.filter),
        local_port: u32::from(seen.local_port),
    };
    if address_at != 0 {
        let mut address = [0_u8; 24];
        read_user(address_at, &mut address);
        flow.port = u16::from_be_bytes([address[2], address[3]]);
        if seen.family == AF_INET {
            flow.remote[..4].copy_from_slice(&address[4..8]);
        } else {
            flow.remote.copy_from_slice(&address[8..24]);
        }
    }
    if flow.port == DNS_PORT {
        return false;
    }
    // SAFETY: the value is not kept.
    if unsafe { FLOWS.get(flow) }.is_some() {
        return true;
    }
    // The oldest makes room for the newest.
    let _full = FLOWS.insert(flow, 1_u8, BPF_ANY);
    false
}
