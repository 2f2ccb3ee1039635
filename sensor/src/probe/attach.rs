//! The probe table → attached programs, each probe by the first way that this kernel accepts.

use aya::maps::{Array, ProgramArray};
use aya::programs::{
    BtfTracePoint, FEntry, FExit, PerfEvent, Program as Typed, ProgramError, RawTracePoint,
};
use aya::{Btf, BtfError, Ebpf};
use sensor_common::Kind;
use sensor_common::config::Config;
use sensor_common::syscall::Syscall;

use super::load::{Hooks, Loaded, Settings, chain, load};
use super::table::{DISPATCH, FLOOR, PROBES, Probe, Program, Target, Way};
use super::{Error, kernel, trial};

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// By which hook.
    Attached(&'static str),
    /// Nobody asked for its records.
    Off,
    /// No way worked; the reason of each.
    Failed(String),
}

/// A probe and its state, for `sensor doctor`, the log and metrics.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub probe: &'static str,
    pub state: State,
}

/// The kernel side, attached. Dropping it detaches everything.
pub struct Probes {
    pub(super) ebpf: Ebpf,
    pub outcomes: Vec<Outcome>,
}

/// Loads the object and attaches every probe that the settings ask for.
pub fn attach(settings: &Settings, run_queue: bool) -> Result<Probes, Error> {
    let mut loaded = load(settings)?;
    let wanted = |probe: &Probe| match probe.kind {
        Some(kind) => settings.config.kinds & kind.bit() != 0,
        None => run_queue,
    };
    let mut outcomes = Vec::new();
    let mut syscalls = Vec::new();
    let mut refused = Vec::new();
    for probe in PROBES {
        let state = if wanted(probe) {
            let hooks = settings.hooks;
            attach_probe(&mut loaded, probe, hooks, (&mut syscalls, &mut refused))
        } else {
            State::Off
        };
        outcomes.push(Outcome { probe: probe.name, state });
    }
    if !refused.is_empty() {
        tracing::info!("this kernel takes other hooks than the best: {}", refused.join("; "));
    }
    if let Err(reason) = dispatch(&mut loaded, &syscalls) {
        for outcome in &mut outcomes {
            if syscalls.iter().any(|entry| entry.probe == outcome.probe) {
                outcome.state = State::Failed(reason.clone());
            }
        }
    }
    if !outcomes.iter().any(|outcome| matches!(outcome.state, State::Attached(_))) {
        return Err(nothing(&outcomes));
    }
    Ok(Probes { ebpf: loaded.ebpf, outcomes })
}

/// Attaches the program that only counts system calls, by one hook: the least that watching them
/// costs, for benchmarks.
pub fn floor(hook: &str) -> Result<Probes, Error> {
    let mut loaded =
        load(&Settings { config: Config::default(), ring_bytes: 4096, hooks: Hooks::Exit })?;
    let way = FLOOR
        .iter()
        .find(|way| way.hook == hook)
        .ok_or_else(|| Error::Nothing(format!("there is no hook {hook}")))?;
    for program in way.programs {
        attach_program(&mut loaded, program).map_err(Error::Nothing)?;
    }
    let outcomes = vec![Outcome { probe: "floor", state: State::Attached(way.hook) }];
    Ok(Probes { ebpf: loaded.ebpf, outcomes })
}

/// One system call's program, loaded and waiting for its dispatcher.
struct Entry {
    probe: &'static str,
    program: &'static str,
    hook: &'static str,
    syscall: Syscall,
}

/// Takes the first way that works. System calls that wait for the dispatcher are added to the first
/// list, the reasons why better ways were refused to the second.
fn attach_probe(
    loaded: &mut Loaded,
    probe: &'static Probe,
    hooks: Hooks,
    (syscalls, refused): (&mut Vec<Entry>, &mut Vec<String>),
) -> State {
    let mut reasons = Vec::new();
    for way in probe.ways {
        if hooks == Hooks::Exit && way.on_functions() {
            continue;
        }
        match attach_way(loaded, probe, way, syscalls) {
            Ok(()) => {
                refused.append(&mut reasons);
                return State::Attached(way.hook);
            }
            Err(reason) => {
                // Half a way would report next to the whole one that follows.
                unload(loaded, way);
                reasons.push(format!("{}: {reason}", way.hook));
            }
        }
    }
    State::Failed(reasons.join("; "))
}

/// Takes a way's programs out of the kernel again.
fn unload(loaded: &mut Loaded, way: &Way) {
    for program in way.programs {
        // An error says that it was not loaded.
        drop(match loaded.ebpf.program_mut(program.name) {
            Some(Typed::BtfTracePoint(typed)) => typed.unload(),
            Some(Typed::RawTracePoint(typed)) => typed.unload(),
            Some(Typed::FEntry(typed)) => typed.unload(),
            Some(Typed::FExit(typed)) => typed.unload(),
            Some(Typed::PerfEvent(typed)) => typed.unload(),
            _ => Ok(()),
        });
    }
}

fn attach_way(
    loaded: &mut Loaded,
    probe: &'static Probe,
    way: &'static Way,
    syscalls: &mut Vec<Entry>,
) -> Result<(), String> {
    let programs = || way.programs.iter().filter(|program| program.target.exists());
    for program in programs() {
        attach_program(loaded, program)?;
    }
    for program in programs() {
        if let Target::Fexit(function) = program.target {
            trial::run(&loaded.ebpf, function)?;
        }
        if let Target::SyscallBtf(syscall) | Target::SyscallRaw(syscall) = program.target {
            syscalls.push(Entry {
                probe: probe.name,
                program: program.name,
                hook: way.hook,
                syscall,
            });
        }
    }
    Ok(())
}

/// Loads a program, and attaches it if it has a hook of its own.
fn attach_program(loaded: &mut Loaded, program: &Program) -> Result<(), String> {
    let Loaded { ebpf, btf } = loaded;
    let slot = ebpf
        .program_mut(program.name)
        .ok_or_else(|| format!("the object has no program {}", program.name))?;
    let result = match program.target {
        Target::BtfTracepoint(tracepoint) => {
            <&mut BtfTracePoint>::try_from(slot).and_then(|typed| {
                typed.load(tracepoint, btf)?;
                typed.attach().map(drop)
            })
        }
        Target::SyscallBtf(_) => {
            <&mut BtfTracePoint>::try_from(slot).and_then(|typed| typed.load("sys_exit", btf))
        }
        Target::RawTracepoint(tracepoint) => {
            <&mut RawTracePoint>::try_from(slot).and_then(|typed| {
                typed.load()?;
                typed.attach(tracepoint).map(drop)
            })
        }
        Target::Fentry(function) => <&mut FEntry>::try_from(slot).and_then(|typed| {
            typed.load(function, btf)?;
            typed.attach().map(drop)
        }),
        Target::Fexit(function) => attach_fexit(slot, function.name(), btf),
        Target::Called(function) => attach_fexit(slot, function, btf),
        Target::CalledCompat(Some(function)) => match attach_fexit(slot, function, btf) {
            Err(ProgramError::Btf(BtfError::UnknownBtfTypeName { .. })) => Ok(()),
            result => result,
        },
        Target::CalledCompat(None) => Ok(()),
        Target::SyscallRaw(_) => <&mut RawTracePoint>::try_from(slot).and_then(RawTracePoint::load),
        Target::CpuClock => <&mut PerfEvent>::try_from(slot).and_then(PerfEvent::load),
    };
    result.map_err(|error| explain(program.name, &error))
}

fn attach_fexit(slot: &mut Typed, function: &str, btf: &Btf) -> Result<(), ProgramError> {
    let typed = <&mut FExit>::try_from(slot)?;
    typed.load(function, btf)?;
    typed.attach().map(drop)
}

/// Fills the tables of the dispatcher with the loaded programs, then attaches it.
///
/// A table holds programs of one type only, so all of them must have taken the same way.
fn dispatch(loaded: &mut Loaded, syscalls: &[Entry]) -> Result<(), String> {
    let Some(hook) = syscalls.first().map(|entry| entry.hook) else { return Ok(()) };
    if let Some(other) = syscalls.iter().find(|entry| entry.hook != hook) {
        return Err(format!("{} took {} and others {hook}", other.program, other.hook));
    }
    fill(&mut loaded.ebpf, syscalls)
        .map_err(|error| format!("fill the system call table: {error:#}"))?;
    let way = DISPATCH
        .iter()
        .find(|way| way.hook == hook)
        .ok_or_else(|| format!("no dispatcher for {hook}"))?;
    way.programs.iter().try_for_each(|program| attach_program(loaded, program))
}

fn fill(ebpf: &mut Ebpf, syscalls: &[Entry]) -> anyhow::Result<()> {
    let mut programs = Vec::new();
    for entry in syscalls {
        if let (Some(program), Some(native)) = (ebpf.program(entry.program), entry.syscall.native) {
            programs.push((native, entry.syscall, program.fd()?.try_clone()?));
        }
    }
    if let Some(map) = ebpf.map_mut("SYSCALLS") {
        let mut table = ProgramArray::try_from(map)?;
        for (native, _, program) in &programs {
            table.set(*native, program, 0)?;
        }
    }
    if let Some(map) = ebpf.map_mut("COMPAT") {
        let mut table = Array::<_, u32>::try_from(map)?;
        for (native, syscall, _) in &programs {
            for compat in [syscall.compat, syscall.compat_16].into_iter().filter(|n| *n != 0) {
                table.set(compat, *native, 0)?;
            }
        }
    }
    Ok(())
}

/// The kernel's refusal in one line: the verifier's last words, not its whole log.
fn explain(program: &str, error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            tracing::debug!(program, log, "the verifier refused a program");
            match verdict(&log) {
                "" => format!("{program}: {io_error}"),
                verdict => format!("{program}: {io_error}: {verdict}"),
            }
        }
        other => format!("{program}: {}", chain(other)),
    }
}

/// What the verifier objects to: its last line that is not one of its statistics.
fn verdict(log: &str) -> &str {
    const STATISTICS: [&str; 4] = ["processed ", "stack depth", "verification time", "peak_states"];
    log.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !STATISTICS.iter().any(|word| line.starts_with(word)))
        .unwrap_or("")
}

fn nothing(outcomes: &[Outcome]) -> Error {
    let reasons: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.state {
            State::Failed(reason) => Some(format!("{}: {reason}", outcome.probe)),
            State::Attached(_) | State::Off => None,
        })
        .collect();
    let text = reasons.join("; ");
    if text.contains("os error 1)") && !rustix::process::geteuid().is_root() {
        return Error::Permission;
    }
    Error::Nothing(format!("{text} (kernel {})", kernel::release()))
}

/// The kinds of which records are wanted, as the kernel side's bit set.
pub fn kinds(wanted: impl IntoIterator<Item = Kind>) -> u64 {
    wanted.into_iter().fold(0, |bits, kind| bits | kind.bit())
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn finds_what_the_verifier_objects_to() {
        let log = "12: (85) call bpf_probe_read_user#112\n\
                   R2 unbounded memory access, use 'var &= const'\n\
                   verification time 81 usec\nstack depth 24+0\n\
                   processed 93 insns (limit 1000000) max_states_per_insn 1\n\n";
        assert_eq!(verdict(log), "R2 unbounded memory access, use 'var &= const'");
        assert_eq!(verdict(""), "");
    }
}
