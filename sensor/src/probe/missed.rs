//! Occurrences for which the kernel did not run a program at all.
//!
//! The kernel does not run a tracing program on a processor where the same program is already
//! under way. Where programs can be preempted (tracepoints are, from 7.0 on) that happens to
//! another task's occurrence, and nothing in the program can count it. The kernel does:
//! `recursion_misses` of each program, since 5.12.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};

use super::attach::Probes;
use super::table::{DISPATCH, Gives, PROBES};

/// Where each loaded program's numbers stand.
#[derive(Clone, Debug, Default)]
pub struct Missed {
    programs: Vec<(String, RawFd)>,
}

impl Missed {
    /// Of the programs that send records.
    pub fn new(probes: &Probes) -> Self {
        let sends = |name: &str| {
            let ways = PROBES
                .iter()
                .filter(|probe| probe.gives != Gives::Waits)
                .flat_map(|probe| probe.ways);
            ways.chain(DISPATCH).flat_map(|way| way.programs).any(|program| program.name == name)
        };
        let fd = |program: &aya::programs::Program| Some(program.fd().ok()?.as_fd().as_raw_fd());
        let programs = probes.ebpf.programs().filter(|(name, _)| sends(name));
        Self {
            programs: programs
                .filter_map(|(name, one)| Some((name.to_owned(), fd(one)?)))
                .collect(),
        }
    }

    /// Misses since the load, by program. Programs that are no longer loaded have none.
    pub fn by_program(&self) -> Vec<(&str, u64)> {
        self.programs.iter().map(|(name, fd)| (name.as_str(), misses(*fd))).collect()
    }

    pub fn total(&self) -> u64 {
        self.programs.iter().map(|(_, fd)| misses(*fd)).sum()
    }
}

fn misses(fd: RawFd) -> u64 {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    parse(&info)
}

fn parse(fdinfo: &str) -> u64 {
    let line = fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_the_kernel_shows() {
        let fdinfo =
            "pos:\t0\nprog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t42\nverified_insns:\t7\n";
        assert_eq!(parse(fdinfo), 42);
        assert_eq!(parse("prog_type:\t26\n"), 0);
    }
}
