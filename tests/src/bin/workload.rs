//! One kind of system call, many times over: what benchmarks put the sensor beside.
//!
//! `workload spin` keeps a processor busy in two functions of known names until it is killed.
//! `workload NAME COUNT`, `workload NAME SECONDSs` and `workload NAME -`, which goes on until its
//! standard input ends, print one JSON object: what it did, how often, and what that took on the
//! clock and of this process's processor time, both in nanoseconds. What children took is for their
//! control group to say.
#![expect(clippy::print_stdout, reason = "a command line program of benchmarks")]

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};

const FILE: &str = "/etc/hostname";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().context("the name of a workload")?;
    if name == "spin" {
        spin()?;
    }
    let end: End = arguments.next().context("how often, or for how long")?.parse()?;
    let once = workload(&name)?;
    let (start, cpu_start) = (Instant::now(), cpu_ns());
    let count = run(once, end)?;
    let (wall_ns, cpu_ns) = (start.elapsed().as_nanos(), cpu_ns() - cpu_start);
    let wall_ns = u64::try_from(wall_ns).context("the time it took")?;
    println!(
        "{}",
        serde_json::json!({ "name": name, "count": count, "wall_ns": wall_ns, "cpu_ns": cpu_ns })
    );
    Ok(())
}

type Once = Box<dyn FnMut() -> Result<()>>;

fn workload(name: &str) -> Result<Once> {
    match name {
        "getppid" => Ok(Box::new(getppid)),
        "open" => Ok(Box::new(open)),
        "exec" => Ok(Box::new(exec)),
        "compute" => Ok(Box::new(compute)),
        "connect" => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
            Ok(Box::new(move || connect(&listener)))
        }
        other => bail!("there is no workload {other}: getppid, open, exec, connect, compute"),
    }
}

/// When it is enough.
#[derive(Clone, Copy)]
enum End {
    Count(u64),
    After(Duration),
    /// Its standard input has ended.
    Input,
}

impl FromStr for End {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Self::Input);
        }
        let number = |text: &str| text.parse().with_context(|| format!("`{text}` is no number"));
        match text.strip_suffix('s') {
            Some(seconds) => number(seconds).map(Duration::from_secs).map(Self::After),
            None => number(text).map(Self::Count),
        }
    }
}

/// How often it was done.
fn run(mut once: Once, end: End) -> Result<u64> {
    /// The clock and the input are looked at this often.
    const TURN: u64 = 64;
    let (start, over) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let total = if let End::Count(count) = end { count } else { u64::MAX };
    let time = if let End::After(time) = end { time } else { Duration::MAX };
    if let End::Input = end {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            // An input that cannot be read has ended as well.
            io::stdin().read_to_end(&mut Vec::new()).ok();
            over.store(true, Ordering::Relaxed);
        });
    }
    let goes_on = || start.elapsed() < time && !over.load(Ordering::Relaxed);
    let mut count = 0;
    while count < total && (!count.is_multiple_of(TURN) || goes_on()) {
        once()?;
        count += 1;
    }
    Ok(count)
}

/// What no rule is about. Several at once, so that the loop does not count.
#[expect(clippy::unnecessary_wraps, reason = "workloads have one type")]
fn getppid() -> Result<()> {
    for _ in 0..GETPPIDS {
        std::hint::black_box(rustix::process::getppid());
    }
    Ok(())
}

/// Calls of getppid in one operation.
const GETPPIDS: u32 = 100;

fn open() -> Result<()> {
    rustix::fs::open(FILE, OFlags::RDONLY, Mode::empty()).map(drop).context(FILE)
}

fn exec() -> Result<()> {
    let status = Command::new("/bin/true").stdin(Stdio::null()).status().context("/bin/true")?;
    anyhow::ensure!(status.success(), "/bin/true ended with {status}");
    Ok(())
}

/// No system call at all.
#[expect(clippy::unnecessary_wraps, reason = "workloads have one type")]
fn compute() -> Result<()> {
    std::hint::black_box(burn_right(burn_left(1)));
    Ok(())
}

fn connect(listener: &TcpListener) -> Result<()> {
    let address = listener.local_addr().context("the listener's address")?;
    let client = TcpStream::connect(address).context("connect")?;
    let server = listener.accept().context("accept")?;
    // Reset instead of lingering, or the ports run out.
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO))
        .context("set SO_LINGER")?;
    drop((client, server));
    Ok(())
}

/// Says that it is there, and burns.
fn spin() -> Result<std::convert::Infallible> {
    println!("{}", serde_json::json!({ "spinning": std::process::id() }));
    let mut state = 1;
    loop {
        state = burn_left(state);
        state = burn_right(state);
    }
}

/// Turns of one call of the functions below: some milliseconds.
const TURNS: u32 = 1 << 22;

/// Nothing in its loop is a call, not even in a build for debugging.
#[inline(never)]
fn burn_left(mut state: u64) -> u64 {
    let mut turn = 0;
    while turn < TURNS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        turn += 1;
    }
    state
}

#[inline(never)]
fn burn_right(mut state: u64) -> u64 {
    let mut turn = 0;
    while turn < TURNS {
        state ^= state << 21;
        state ^= state >> 35;
        state ^= state << 4;
        turn += 1;
    }
    state
}

fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
