//! The probe table → attached programs, each probe by the first way that this kernel accepts.

use aya::programs::{
    BtfTracePoint, FEntry, FExit, PerfEvent, Program as Typed, ProgramError, RawTracePoint,
};
use aya::{Btf, BtfError, Ebpf};
use sensor_common::config::Config;

use super::dispatch::Dispatcher;
use super::load::{Hooks, Loaded, Settings, chain, load};
use super::table::{FLOOR, Gives, PROBES, Probe, Program, Target, Way};
use super::wanted::Wanted;
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
    btf: Btf,
    hooks: Hooks,
    pub outcomes: Vec<Outcome>,
    dispatcher: Dispatcher,
    #[cfg(feature = "log")]
    _log: super::log::Log,
}

/// Loads the object and attaches every probe that the settings ask for.
pub fn attach(settings: &Settings) -> Result<Probes, Error> {
    #[cfg_attr(not(feature = "log"), expect(unused_mut, reason = "the log's ring is taken out"))]
    let Loaded { mut ebpf, btf } = load(settings)?;
    let off = |probe: &Probe| Outcome { probe: probe.name, state: State::Off };
    let mut probes = Probes {
        #[cfg(feature = "log")]
        _log: super::log::Log::start(&mut ebpf)?,
        ebpf,
        btf,
        hooks: settings.hooks,
        outcomes: PROBES.iter().map(off).collect(),
        dispatcher: Dispatcher::default(),
    };
    probes.watch(&settings.wanted);
    if !probes.outcomes.iter().any(|outcome| matches!(outcome.state, State::Attached(_))) {
        return Err(nothing(&probes.outcomes));
    }
    Ok(probes)
}

impl Probes {
    /// Attaches what is wanted and is not attached, and detaches the rest. Records of what was and
    /// stays wanted keep coming all the while.
    pub fn watch(&mut self, wanted: &Wanted) {
        let mut refused = Vec::new();
        for (index, probe) in PROBES.iter().enumerate() {
            let is_wanted = match probe.gives {
                Gives::Records(kind) => wanted.has(kind),
                Gives::Waits => wanted.run_queue,
                Gives::Paths => wanted.has_paths(),
                Gives::LookUps => wanted.has_lookups(),
                Gives::Requests(calls) => calls.iter().any(|name| wanted.has_call_named(name)),
            };
            match (is_wanted, &self.outcomes[index].state) {
                (true, State::Off) => {
                    self.outcomes[index].state = self.attach_probe(probe, &mut refused);
                }
                (false, State::Attached(hook)) => {
                    let hook = *hook;
                    self.dispatcher.forget(probe.name);
                    for way in probe.ways.iter().filter(|way| way.hook == hook) {
                        unload(&mut self.ebpf, way);
                    }
                    self.outcomes[index].state = State::Off;
                }
                (false, State::Failed(_)) => self.outcomes[index].state = State::Off,
                (true, State::Attached(_) | State::Failed(_)) | (false, State::Off) => {}
            }
        }
        if !refused.is_empty() {
            tracing::info!("this kernel takes other hooks than the best: {}", refused.join("; "));
        }
        if let Err(reason) = self.dispatcher.fill(&mut self.ebpf, &self.btf, wanted) {
            for outcome in &mut self.outcomes {
                if self.dispatcher.serves(outcome.probe) {
                    outcome.state = State::Failed(reason.clone());
                }
            }
        }
    }

    /// Takes the first way that works; adds the reasons why better ways were refused.
    fn attach_probe(&mut self, probe: &'static Probe, refused: &mut Vec<String>) -> State {
        let mut reasons = Vec::new();
        for way in probe.ways {
            if self.hooks == Hooks::Exit && way.on_functions() {
                continue;
            }
            match self.attach_way(probe, way) {
                Ok(()) => {
                    refused.append(&mut reasons);
                    return State::Attached(way.hook);
                }
                Err(reason) => {
                    // Half a way would report next to the whole one that follows.
                    unload(&mut self.ebpf, way);
                    reasons.push(format!("{}: {reason}", way.hook));
                }
            }
        }
        State::Failed(reasons.join("; "))
    }

    fn attach_way(&mut self, probe: &'static Probe, way: &'static Way) -> Result<(), String> {
        let programs = || way.programs.iter().filter(|program| program.target.exists());
        for program in programs() {
            attach_program(&mut self.ebpf, &self.btf, program)?;
        }
        for program in programs() {
            if let Target::Fexit(function) = program.target {
                trial::run(&self.ebpf, function)?;
            }
        }
        self.dispatcher.add(probe.name, way);
        Ok(())
    }
}

/// Attaches the program that only counts system calls, by one hook: the least that watching them
/// costs, for benchmarks.
pub fn floor(hook: &str) -> Result<Probes, Error> {
    let Loaded { mut ebpf, btf } = load(&Settings {
        config: Config::default(),
        wanted: Wanted::default(),
        ring_bytes: 4096,
        hooks: Hooks::Exit,
    })?;
    let way = FLOOR
        .iter()
        .find(|way| way.hook == hook)
        .ok_or_else(|| Error::Nothing(format!("there is no hook {hook}")))?;
    for program in way.programs {
        attach_program(&mut ebpf, &btf, program).map_err(Error::Nothing)?;
    }
    let outcomes = vec![Outcome { probe: "floor", state: State::Attached(way.hook) }];
    let dispatcher = Dispatcher::default();
    Ok(Probes {
        #[cfg(feature = "log")]
        _log: super::log::Log::start(&mut ebpf)?,
        ebpf,
        btf,
        hooks: Hooks::Exit,
        outcomes,
        dispatcher,
    })
}

/// Takes a way's programs out of the kernel again.
fn unload(ebpf: &mut Ebpf, way: &Way) {
    for program in way.programs {
        // An error says that it was not loaded.
        drop(match ebpf.program_mut(program.name) {
            Some(Typed::BtfTracePoint(typed)) => typed.unload(),
            Some(Typed::RawTracePoint(typed)) => typed.unload(),
            Some(Typed::FEntry(typed)) => typed.unload(),
            Some(Typed::FExit(typed)) => typed.unload(),
            Some(Typed::PerfEvent(typed)) => typed.unload(),
            _ => Ok(()),
        });
    }
}

/// Loads a program, and attaches it if it has a hook of its own.
pub(super) fn attach_program(ebpf: &mut Ebpf, btf: &Btf, program: &Program) -> Result<(), String> {
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
        Target::SyscallBtf(_) | Target::CallsBtf(_) => {
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
        Target::FexitOf(function) | Target::Called(function) => attach_fexit(slot, function, btf),
        Target::CalledCompat(Some(function)) => match attach_fexit(slot, function, btf) {
            Err(ProgramError::Btf(BtfError::UnknownBtfTypeName { .. })) => Ok(()),
            result => result,
        },
        Target::CalledCompat(None) => Ok(()),
        Target::SyscallRaw(_) | Target::CallsRaw(_) => {
            <&mut RawTracePoint>::try_from(slot).and_then(RawTracePoint::load)
        }
        Target::CpuClock => <&mut PerfEvent>::try_from(slot).and_then(PerfEvent::load),
    };
    result.map_err(|error| explain(program.name, &error))
}

fn attach_fexit(slot: &mut Typed, function: &str, btf: &Btf) -> Result<(), ProgramError> {
    let typed = <&mut FExit>::try_from(slot)?;
    typed.load(function, btf)?;
    typed.attach().map(drop)
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
