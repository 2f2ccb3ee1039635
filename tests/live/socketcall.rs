//! Calls about sockets that old 32-bit C libraries make through `socketcall`: each is the event that the
//! native call is.

use std::process;

use sensor_common::Kind;
use sensor_common::syscall::{CONNECT, PACKED, Packed, native};

use crate::actor::Actor;
use crate::harness::Cgroup;
use crate::observer::{Observer, Seen, What};

/// `socketcall` in the 32-bit table.
const SOCKETCALL: u32 = 102;
const CLOSE_RANGE: u32 = 436;
const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const STREAM: u32 = 1;
const DATAGRAM: u32 = 2;
const CLOEXEC: u32 = 0o2_000_000;
const ADDRESS_LEN: u32 = 16;
const TEXT: &str = "question";
const LEN: u32 = 8;

/// A program that does the same in one of the two ways.
struct Program {
    actor: Actor,
    is_packed: bool,
    /// The calls that it makes, by their numbers in `socketcall`.
    made: Vec<u32>,
    /// Of the addresses that it uses.
    host: [u8; 4],
}

impl Program {
    /// Makes the call of this native number; one with fewer words than another of that number is older.
    fn call(&mut self, native: u32, words: &[u32]) {
        let is_it =
            |packed: &&Packed| packed.native == native && packed.words as usize == words.len();
        let packed = PACKED.iter().find(is_it).expect("it is in the table");
        self.made.push(packed.number);
        if self.is_packed {
            let at = self.actor.data(words);
            self.actor.call_32(SOCKETCALL, [packed.number, at, 0]);
        } else {
            let mut arguments = [0; 6];
            arguments[..words.len()].copy_from_slice(words);
            self.actor.call_native(native, &arguments);
        }
    }

    /// Numbers that are as wide as a pointer.
    fn pointers(&mut self, values: &[u32]) -> u32 {
        let wide: Vec<u32> = values.iter().flat_map(|value| [*value, 0]).collect();
        self.actor.data(if self.is_packed { values } else { &wide })
    }

    fn address(&mut self, port: u16) -> u32 {
        let family = AF_INET | u32::from(port.to_be()) << 16;
        self.actor.data(&[family, u32::from_le_bytes(self.host), 0, 0])
    }

    /// A `struct mmsghdr`, which begins with a `struct msghdr`.
    fn message(&mut self, name: u32, data: u32, len: u32) -> u32 {
        let vector = self.pointers(&[data, len]);
        self.pointers(&[name, ADDRESS_LEN, vector, 1, 0, 0, 0, 0])
    }

    /// Makes a socket with this descriptor, which is the next, and gives it an address.
    fn socket(&mut self, fd: u32, kind: u32, port: u16) {
        let address = self.address(port);
        self.call(native("socket"), &[AF_INET, kind | CLOEXEC, 0]);
        self.call(native("bind"), &[fd, address, ADDRESS_LEN]);
    }

    fn connect(&mut self, fd: u32, port: u16) {
        let address = self.address(port);
        self.call(CONNECT.native.unwrap(), &[fd, address, ADDRESS_LEN]);
    }

    fn streams(&mut self) {
        self.socket(3, STREAM, 7000);
        self.call(native("listen"), &[3, 7]);
        self.socket(4, STREAM, 7001);
        self.connect(4, 7000);
        self.call(native("accept"), &[3, 0, 0]);
        self.socket(6, STREAM, 7002);
        self.connect(6, 7000);
        self.call(native("accept4"), &[3, 0, 0, CLOEXEC]);
        let pair = self.actor.data(&[0; 2]);
        self.call(native("socketpair"), &[AF_UNIX, STREAM, 0, pair]);
    }

    /// Each call is the first between its two sockets.
    fn datagrams(&mut self) {
        const RECEIVER: u32 = 10;
        assert_eq!(TEXT.len(), LEN as usize);
        let text = self.actor.text(TEXT);
        let room = self.actor.data(&[0; 16]);
        let sender = self.actor.data(&[0; 4]);
        let sender_len = self.actor.data(&[ADDRESS_LEN]);
        self.socket(RECEIVER, DATAGRAM, 7010);
        let receiver = self.address(7010);
        self.socket(11, DATAGRAM, 7011);
        self.call(native("sendto"), &[11, text, LEN, 0, receiver, ADDRESS_LEN]);
        self.call(native("recvfrom"), &[RECEIVER, room, 64, 0, sender, sender_len]);
        self.socket(12, DATAGRAM, 7012);
        let (sent, came) = (self.message(receiver, text, LEN), self.message(sender, room, 64));
        self.call(native("sendmsg"), &[12, sent, 0]);
        self.call(native("recvmsg"), &[RECEIVER, came, 0]);
        self.socket(13, DATAGRAM, 7013);
        let (sent, came) = (self.message(receiver, text, LEN), self.message(sender, room, 64));
        self.call(native("sendmmsg"), &[13, sent, 1, 0]);
        self.call(native("recvmmsg"), &[RECEIVER, came, 1, 0, 0]);
        self.socket(14, DATAGRAM, 7014);
        self.connect(14, 7010);
        self.call(native("sendto"), &[14, text, LEN, 0]);
        self.call(native("recvfrom"), &[RECEIVER, room, 64, 0]);
    }
}

/// What is made and what is seen of it. `host` is an address of the loopback device that nobody else uses, not even
/// the run before: connections linger.
fn seen(is_packed: bool) -> (Vec<u32>, Vec<String>) {
    let [.., high, low] = process::id().to_be_bytes();
    let host = [127, high, low, 1 + u8::from(is_packed)];
    let mut program = Program { actor: Actor::new(), is_packed, made: Vec::new(), host };
    // Whoever starts it may have left descriptors open.
    program.actor.call_native(CLOSE_RANGE, &[3, u32::MAX, 0]);
    program.streams();
    program.datagrams();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("actor");
    program.actor.write(&path);
    let cgroup = Cgroup::new("socketcall");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Connect, Kind::Call]);
    let status = cgroup.command(&path).status().unwrap();
    assert!(status.success(), "{status}");
    let host = host.map(|byte| byte.to_string()).join(".");
    let shown = |seen: Seen| match seen.what {
        What::Connect { peer, result, .. } => Some(format!("connect {peer} {result}")),
        What::Call { name, arguments, .. } => Some(format!("{name} {arguments}")),
        _ => None,
    };
    let (seen, _) = observer.stop();
    let shown = seen
        .into_iter()
        .filter_map(shown)
        // What comes before prepares the descriptors of the program.
        .skip_while(|line| !line.starts_with("socket "))
        .map(|line| line.replace(&host, "HOST"));
    (program.made, shown.collect())
}

#[test]
fn a_packed_call_is_the_native_call() {
    let (made, packed) = seen(true);
    let mut tried = made.clone();
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried, PACKED.iter().map(|one| one.number).collect::<Vec<_>>());
    let (_, expected) = seen(false);
    assert_eq!(packed, expected);
    assert_eq!(packed.len(), made.len(), "{packed:#?}");
    // The last is of a form that is in no other table, and passes no address.
    let last = packed.last().unwrap();
    for part in ["recvfrom res=8", "data=question", "tuple=", "fd=10(<4>"] {
        assert!(last.contains(part), "{part}: {packed:#?}");
    }
}
