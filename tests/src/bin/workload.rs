//! One kind of system call, many times over: what benchmarks put the sensor beside.
//!
//! `workload spin` keeps a processor busy in two functions of known names until it is killed.
//! `workload NAME COUNT` prints one JSON object: what it did, how often, and what that took on the
//! clock and of this process's processor time, both in nanoseconds. What children took is for their
//! control group to say.
#![expect(clippy::print_stdout, reason = "a command line program of benchmarks")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

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
    let count: u64 = arguments.next().context("how often")?.parse().context("how often")?;
    let once = workload(&name)?;
    let (start, cpu_start) = (Instant::now(), cpu_ns());
    run(once, count)?;
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

fn run(mut once: Once, count: u64) -> Result<()> {
    (0..count).try_for_each(|_| once())
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
    rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO))
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
