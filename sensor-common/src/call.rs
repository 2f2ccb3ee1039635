//! A system call that returned, of those that need no record of their own: one row of [`table::CALLS`]
//! says which number it has, what it is about and what its arguments are.
//!
//! The row is all there is to add for such an event. The loader makes a [`Plan`] of it, which tells
//! one program for all of them what to copy; fields, documents and rules read the same row.

use crate::exec::FileId;
use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub mod table;

/// The most bytes of a datagram that are carried: a DNS message over UDP.
pub const DATA_MAX: usize = 512;
/// `sizeof(struct sockaddr_storage)`
pub const ADDRESS_MAX: usize = 128;
/// Texts that a call can pass.
pub const TEXTS: usize = 3;

/// Exit of a system call. Variable parts, in this order: `file_path`, then for each text its `base`
/// and the text itself, then `address`, then `data`.
///
/// `file_path` and the bases are components as [`crate::path`] describes; a unix socket's `file_path`
/// is its address as `sun_path` holds it. A base is the directory that a path is relative to.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Call {
    pub header: Header,
    /// The arguments as passed; then the result, a negated errno when the call failed; then 0.
    pub args: [u64; NUMBERS],
    /// The file of the descriptor that the call is about.
    pub file: FileId,
    pub socket: Socket,
    /// Row of [`table::CALLS`].
    pub call: u32,
    /// [`HAS_FILE`], [`COMPAT`] and [`IO_URING`].
    pub flags: u32,
    pub file_path: Part,
    pub bases: [Part; TEXTS],
    pub texts: [Part; TEXTS],
    pub address: Part,
    pub data: Part,
}
const _: () = assert!(size_of::<Call>() == 320);

/// The descriptor was open.
pub const HAS_FILE: u32 = 1 << 0;
/// The call came through the 32-bit table.
pub const COMPAT: u32 = 1 << 1;
/// `io_uring` did it, and no system call. Its paths are what they led to, or nothing; what was passed is
/// not known.
pub const IO_URING: u32 = 1 << 2;

/// What a call passes and returns, and a 0.
pub const NUMBERS: usize = 8;
/// Index of the result among the arguments.
pub const RESULT: u8 = 6;
/// Index of a number that is always 0.
pub const ZERO: u8 = 7;

impl Call {
    /// What the call returned.
    pub const fn result(&self) -> i64 {
        self.args[RESULT as usize].cast_signed()
    }

    /// The row, or `None` for a number that this build does not know.
    pub fn row(&self) -> Option<&'static Row> {
        table::CALLS.get(self.call as usize)
    }
}

/// A variable part of the record.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Part {
    pub len: u32,
    /// [`crate::path`] flags.
    pub flags: u32,
}

/// A socket, as the kernel keeps it when the call returns. Family 0: the file is none.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Socket {
    pub family: u16,
    /// `SOCK_*`
    pub socket_type: u16,
    /// `IPPROTO_*`
    pub protocol: u16,
    /// `TCP_*`, which other protocols borrow: 1 is connected, 10 is listening.
    pub state: u16,
    /// Host byte order.
    pub local_port: u16,
    pub remote_port: u16,
    /// `SOCK_BINDADDR_LOCK` (4) and `SOCK_BINDPORT_LOCK` (8): the process itself chose the address
    /// and the port.
    pub locks: u16,
    pub reserved: u16,
    /// IPv4 in the first four bytes, network byte order.
    pub local: [u8; 16],
    pub remote: [u8; 16],
    /// A listening socket's connections that wait to be accepted, and how many may.
    pub queue_len: u32,
    pub queue_max: u32,
}

/// A system call that is reported as a [`Call`].
#[derive(Debug)]
pub struct Row {
    /// The name that rules test as `evt.type`.
    pub name: &'static str,
    pub numbers: Numbers,
    pub category: Category,
    /// Which of these calls are reported; the kernel side counts no others.
    pub filter: Filter,
    /// What the call passes and returns, in the order and with the names of Falco's event table.
    pub parameters: &'static [Parameter],
}

/// The call's number in each table; -1 where it has none.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    pub x86_64: i16,
    /// The 32-bit table of x86-64.
    pub i386: i16,
    pub aarch64: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    File,
    Net,
    Process,
    Memory,
    Signal,
    System,
    Io,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    All,
    /// The argument, or the result, is 0 to this.
    AtMost(u8, u64),
    /// The argument is the number of one of these bits.
    OneOf(u8, u64),
    /// The argument is one of these two.
    Either(u8, u32, u32),
    /// The argument has all of these bits.
    AllOf(u8, u64),
    /// The call failed.
    Failed,
    /// The first datagram that goes to a peer; those to and from a DNS server's port all.
    FirstSent,
    /// The first datagram that comes from a peer.
    FirstReceived,
}

/// One thing that a call passes or returns.
#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub what: What,
}

/// Where a parameter is. Numbers are those of arguments, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// What the call returned: 0 or a count, or an error.
    Result,
    /// A new descriptor, which the event is about, or an error.
    NewFd,
    Number(u8, Format),
    /// The descriptor that the event is about.
    Fd(u8),
    /// The working directory after the call, which the event is about.
    WorkingDirectory,
    /// A descriptor that is only told by its number.
    OtherFd(u8),
    /// The descriptor of a directory that a path is relative to.
    Directory(u8),
    /// A path, and the argument that holds its directory's descriptor ([`NO_DIRECTORY`]: none).
    Path {
        text: u8,
        directory: u8,
    },
    /// Text that is no path.
    Text(u8),
    /// What is mounted: a path if the kernel looks it up as one, else a mere name.
    Source(u8),
    /// A socket address, and its length.
    Address {
        at: u8,
        len: u8,
    },
    /// A socket address that the kernel wrote, and the address of its length.
    Sender {
        at: u8,
        len: u8,
    },
    /// What is sent, and its length.
    Data {
        at: u8,
        len: u8,
    },
    /// A `struct msghdr`: what is sent and to whom, or what came and from whom.
    Message(u8),
    /// Both ends of the socket.
    Tuple,
}

impl What {
    /// Whether the parameter is one of the record's texts.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Path { .. } | Self::Text(_) | Self::Source(_))
    }
}

/// A path without a directory argument: it is relative to the working directory.
pub const NO_DIRECTORY: u8 = 0xff;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Dec,
    Hex,
    /// Permission bits.
    Mode,
    Uid,
    Gid,
    Pid,
    Signal,
    OpenFlags,
    AtFlags,
    RenameFlags,
    MountFlags,
    UmountFlags,
    CloneFlags,
    MemfdFlags,
    FcntlCmd,
    FsconfigCmd,
    BpfCmd,
    PtraceRequest,
    Prctl,
    KeyctlOption,
    Prot,
    MmapFlags,
    Domain,
    SocketType,
    Protocol,
}

/// What the kernel side copies for one call. Numbers are those of arguments; [`NONE`]: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Plan {
    pub filter_bits: u64,
    /// Row of [`table::CALLS`].
    pub call: u16,
    pub filter: u8,
    pub filter_arg: u8,
    /// The descriptor that the event is about, or [`WORKING_DIRECTORY`].
    pub fd: u8,
    pub texts: [u8; TEXTS],
    /// The directory of each text that is a path, or [`WORKING_DIRECTORY`].
    pub bases: [u8; TEXTS],
    pub address: u8,
    pub address_len: u8,
    pub data: u8,
    pub data_len: u8,
    /// [`ADDRESS_LEN_BY_REFERENCE`], [`DATA_IS_MESSAGE`], [`LOOKS_UP`], [`LOOKS_UP_SOURCE`]
    /// and [`WANTED`].
    pub flags: u8,
}
const _: () = assert!(size_of::<Plan>() == 24);

pub const NONE: u8 = 0xff;
pub const WORKING_DIRECTORY: u8 = 0xfe;
pub const ADDRESS_LEN_BY_REFERENCE: u8 = 1 << 0;
pub const DATA_IS_MESSAGE: u8 = 1 << 1;
/// No security module is told where its path led to: what the call looks up last is.
pub const LOOKS_UP: u8 = 1 << 2;
/// Somebody wants the call.
pub const WANTED: u8 = 1 << 3;
/// It may look up what it mounts.
pub const LOOKS_UP_SOURCE: u8 = 1 << 4;
/// All that is asked of what a call looks up.
pub const LOOK_UPS: u8 = LOOKS_UP | LOOKS_UP_SOURCE;

/// [`Filter`] as the number in [`Plan::filter`].
pub mod filter {
    pub const ALL: u8 = 0;
    pub const AT_MOST: u8 = 1;
    pub const ONE_OF: u8 = 2;
    pub const ALL_OF: u8 = 3;
    pub const FAILED: u8 = 4;
    pub const FIRST_SENT: u8 = 5;
    pub const FIRST_RECEIVED: u8 = 6;
    pub const EITHER: u8 = 7;
}

/// Which program fills a call's record. Each has in it what its calls need, because the kernel's
/// verifier walks all that a program might do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Numbers, and perhaps a descriptor.
    Plain,
    /// One text, and perhaps a descriptor.
    Path,
    /// Several texts.
    Paths,
    /// A socket with an address or with data.
    Message,
}

impl Row {
    /// What the kernel side is told about the row with this index.
    pub fn plan(&self, call: u16) -> Plan {
        let (filter, filter_arg, filter_bits) = match self.filter {
            Filter::All => (filter::ALL, NONE, 0),
            Filter::AtMost(arg, most) => (filter::AT_MOST, arg, most),
            Filter::OneOf(arg, bits) => (filter::ONE_OF, arg, bits),
            Filter::Either(arg, one, other) => {
                (filter::EITHER, arg, u64::from(other) << 32 | u64::from(one))
            }
            Filter::AllOf(arg, bits) => (filter::ALL_OF, arg, bits),
            Filter::Failed => (filter::FAILED, NONE, 0),
            Filter::FirstSent => (filter::FIRST_SENT, NONE, 0),
            Filter::FirstReceived => (filter::FIRST_RECEIVED, NONE, 0),
        };
        let mut plan = Plan {
            filter_bits,
            call,
            filter,
            filter_arg,
            fd: NONE,
            texts: [NONE; TEXTS],
            bases: [NONE; TEXTS],
            address: NONE,
            address_len: NONE,
            data: NONE,
            data_len: NONE,
            flags: WANTED,
        };
        let mut texts = 0;
        for parameter in self.parameters {
            plan.add(parameter.what, &mut texts);
        }
        if self.looks_up() {
            plan.flags |= LOOKS_UP;
        }
        plan
    }

    /// Whether only what it looks up says where its path led to.
    pub fn looks_up(&self) -> bool {
        table::LOOK_UP.contains(&self.name)
    }

    /// Which program handles it.
    pub fn shape(&self) -> Shape {
        let plan = self.plan(0);
        let texts = plan.texts.iter().filter(|text| **text != NONE).count();
        match texts {
            _ if plan.address != NONE || plan.data != NONE => Shape::Message,
            0 => Shape::Plain,
            1 => Shape::Path,
            _ => Shape::Paths,
        }
    }

    /// The place of a parameter among the record's texts.
    pub fn text_index(&self, name: &str) -> Option<usize> {
        self.parameters
            .iter()
            .filter(|parameter| parameter.what.is_text())
            .position(|parameter| parameter.name == name)
    }
}

impl Plan {
    fn add(&mut self, what: What, texts: &mut usize) {
        match what {
            What::Result
            | What::Number(..)
            | What::OtherFd(_)
            | What::Directory(_)
            | What::Tuple => {}
            What::NewFd => self.fd = RESULT,
            What::Fd(fd) => self.fd = fd,
            What::WorkingDirectory => self.fd = WORKING_DIRECTORY,
            What::Path { text, directory } => {
                let base = if directory == NO_DIRECTORY { WORKING_DIRECTORY } else { directory };
                self.add_text(text, base, texts);
            }
            What::Text(text) => self.add_text(text, NONE, texts),
            What::Source(text) => {
                self.add_text(text, NONE, texts);
                self.flags |= LOOKS_UP_SOURCE;
            }
            What::Address { at, len } => (self.address, self.address_len) = (at, len),
            What::Sender { at, len } => {
                (self.address, self.address_len) = (at, len);
                self.flags |= ADDRESS_LEN_BY_REFERENCE;
            }
            What::Data { at, len } => (self.data, self.data_len) = (at, len),
            What::Message(at) => {
                self.data = at;
                self.flags |= DATA_IS_MESSAGE;
            }
        }
    }

    fn add_text(&mut self, text: u8, base: u8, texts: &mut usize) {
        if *texts < TEXTS {
            (self.texts[*texts], self.bases[*texts]) = (text, base);
        }
        *texts += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::table::CALLS;
    use super::{NONE, Shape, WORKING_DIRECTORY, What};

    #[test]
    fn names_and_numbers_are_unique() {
        for (index, row) in CALLS.iter().enumerate() {
            for other in &CALLS[..index] {
                assert_ne!(row.name, other.name);
                let same = |a: i16, b: i16| a >= 0 && a == b;
                let (a, b) = (row.numbers, other.numbers);
                let clash = same(a.x86_64, b.x86_64) || same(a.i386, b.i386);
                assert!(!clash && !same(a.aarch64, b.aarch64), "{} {}", row.name, other.name);
            }
        }
    }

    /// What is looked up stands for the first text.
    #[test]
    fn calls_that_look_up_pass_a_path_first() {
        for name in super::table::LOOK_UP {
            let row = CALLS.iter().find(|row| row.name == *name).unwrap();
            assert_ne!(row.plan(0).bases[0], NONE, "{name}");
        }
    }

    /// The verifier's patience is what one program may do: two walks of a path.
    #[test]
    fn no_call_needs_more_walks_than_its_program_has() {
        for row in CALLS {
            let plan = row.plan(0);
            let bases = plan.bases.iter().filter(|base| **base != NONE).count();
            let most = match row.shape() {
                Shape::Path => 1,
                Shape::Paths => 2,
                Shape::Plain | Shape::Message => 0,
            };
            assert!(bases <= most, "{}", row.name);
            let has_file = plan.fd != NONE;
            assert!(!has_file || row.shape() != Shape::Paths, "{}", row.name);
            assert!(plan.bases[2] == NONE, "{}: the third text is no path", row.name);
        }
    }

    #[test]
    fn plans_say_what_to_copy() {
        let row = |name: &str| CALLS.iter().find(|row| row.name == name).unwrap();
        let plan = row("renameat2").plan(7);
        assert_eq!((plan.call, plan.texts, plan.bases), (7, [1, 3, NONE], [0, 2, NONE]));
        let plan = row("mount").plan(0);
        assert_eq!((plan.texts, plan.bases), ([0, 1, 2], [NONE, WORKING_DIRECTORY, NONE]));
        assert_eq!(row("setns").plan(0).fd, 0);
        assert_eq!(row("accept4").plan(0).fd, super::RESULT);
        assert_eq!(row("linkat").text_index("newpath"), Some(1));
        assert!(row("sendto").parameters.iter().any(|one| one.what == What::Tuple));
    }
}
