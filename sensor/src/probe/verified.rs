//! What the verifier had to do for each program that is in use: what a change costs at load shows here.

use super::attach::{Probes, State};
use super::table::{DISPATCH, PROBES, Way};

/// A program in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// `syscalls` for those that hand system calls on.
    pub probe: &'static str,
    pub program: &'static str,
    pub hook: &'static str,
    /// Instructions that the verifier went through, on all paths; kernels before 5.16 do not say.
    pub instructions: Option<u32>,
}

/// The programs of the ways that were taken, in the order of the probe table.
pub fn programs(probes: &Probes) -> Vec<Verified> {
    let taken = probes.outcomes.iter().filter_map(|outcome| match outcome.state {
        State::Attached(hook) => Some((outcome.probe, hook)),
        State::Off | State::Failed(_) => None,
    });
    let mut found = Vec::new();
    for (name, hook) in taken {
        let ways = PROBES.iter().filter(|probe| probe.name == name).flat_map(|probe| probe.ways);
        push(&mut found, probes, name, ways.filter(|way| way.hook == hook));
    }
    push(&mut found, probes, "syscalls", DISPATCH.iter());
    found
}

/// Adds the programs of these ways that are loaded.
fn push(
    found: &mut Vec<Verified>,
    probes: &Probes,
    probe: &'static str,
    ways: impl Iterator<Item = &'static Way>,
) {
    for (hook, program) in
        ways.flat_map(|way| way.programs.iter().map(|program| (way.hook, program.name)))
    {
        let info = probes.ebpf.program(program).and_then(|loaded| loaded.info().ok());
        found.extend(info.map(|info| Verified {
            probe,
            program,
            hook,
            instructions: info.verified_instruction_count(),
        }));
    }
}
