//! The cpu-clock of every processor, ticking into the sample program.

use aya::programs::PerfEvent;
use aya::programs::perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent};

use super::Error;
use super::attach::Probes;
use super::load::chain;

/// Starts sampling at `hertz` on every online processor; their number.
///
/// A software clock, because virtual machines have no hardware counters.
pub fn start(probes: &mut Probes, hertz: u64) -> Result<usize, Error> {
    let processors = aya::util::online_cpus().map_err(|(file, error)| {
        Error::Io(format!("read the online processors from {file}"), error)
    })?;
    let program: &mut PerfEvent = probes
        .ebpf
        .program_mut("sample")
        .ok_or_else(|| Error::Load("the object has no program sample".into()))?
        .try_into()
        .map_err(|error: aya::programs::ProgramError| Error::Load(error.to_string()))?;
    for cpu in &processors {
        program
            .attach(
                PerfEventConfig::Software(SoftwareEvent::CpuClock),
                PerfEventScope::AllProcessesOneCpu { cpu: *cpu },
                SamplePolicy::Frequency(hertz),
                false,
            )
            .map_err(|error| {
                Error::Load(format!("sample processor {cpu} at {hertz} Hz: {}", chain(&error)))
            })?;
    }
    Ok(processors.len())
}
