//! The table behind the program on `sys_exit`: system call number → the program that handles it.
//!
//! The table is the interest set: a call that nobody wants is not in it, and costs the look-up.

use aya::maps::{Array, ProgramArray};
use aya::programs::ProgramFd;
use aya::{Btf, Ebpf};
use sensor_common::call::table::CALLS;
use sensor_common::call::{LOOK_UPS, Plan, Shape, WANTED};
use sensor_common::syscall::{PACKED, Packed, SOCKETCALL, Syscall};

use super::attach::attach_program;
use super::table::{DISPATCH, Target, Way};
use super::wanted::Wanted;
use super::wire::Wire;

/// Entries of the tables; all numbers of system calls are below.
const NUMBERS: u32 = 512;

/// What is loaded behind the dispatcher, and what it hands on now.
#[derive(Default)]
pub(super) struct Dispatcher {
    loaded: Vec<Loaded>,
    /// Native numbers that are in the table.
    filled: Vec<u32>,
    attached: bool,
}

/// A loaded program that waits for the dispatcher.
struct Loaded {
    probe: &'static str,
    program: &'static str,
    hook: &'static str,
    handles: Handles,
}

#[derive(Clone, Copy)]
enum Handles {
    Calls(&'static [Syscall]),
    Rows(Shape),
}

/// A number that is to be in the table.
struct Entry {
    program: &'static str,
    syscall: Syscall,
    plan: Option<Plan>,
}

impl Dispatcher {
    /// Remembers the programs of a way that are called by the dispatcher.
    pub(super) fn add(&mut self, probe: &'static str, way: &Way) {
        for program in way.programs.iter().filter(|program| program.target.exists()) {
            let handles = match program.target {
                Target::SyscallBtf(syscalls) | Target::SyscallRaw(syscalls) => {
                    Handles::Calls(syscalls)
                }
                Target::CallsBtf(shape) | Target::CallsRaw(shape) => Handles::Rows(shape),
                _ => continue,
            };
            self.loaded.push(Loaded { probe, program: program.name, hook: way.hook, handles });
        }
    }

    pub(super) fn forget(&mut self, probe: &str) {
        self.loaded.retain(|loaded| loaded.probe != probe);
    }

    /// Whether the probe needs the dispatcher.
    pub(super) fn serves(&self, probe: &str) -> bool {
        self.loaded.iter().any(|loaded| loaded.probe == probe)
    }

    /// Brings the tables up to date, then attaches the dispatcher if there is work for it.
    ///
    /// A table holds programs of one type only, so all of them must have taken the same way.
    pub(super) fn fill(
        &mut self,
        ebpf: &mut Ebpf,
        btf: &Btf,
        wanted: &Wanted,
    ) -> Result<(), String> {
        let hook = self.loaded.first().map(|loaded| loaded.hook);
        if let Some(other) = self.loaded.iter().find(|loaded| Some(loaded.hook) != hook) {
            let hook = hook.unwrap_or_default();
            return Err(format!("{} took {} and others {hook}", other.program, other.hook));
        }
        self.write(ebpf, &self.entries(wanted))
            .map_err(|error| format!("fill the system call table: {error:#}"))?;
        let Some(hook) = hook.filter(|_| !self.attached) else { return Ok(()) };
        let way = DISPATCH
            .iter()
            .find(|way| way.hook == hook)
            .ok_or_else(|| format!("no dispatcher for {hook}"))?;
        way.programs.iter().try_for_each(|program| attach_program(ebpf, btf, program))?;
        self.attached = true;
        Ok(())
    }

    fn entries(&self, wanted: &Wanted) -> Vec<Entry> {
        let mut entries = Vec::new();
        for loaded in &self.loaded {
            let program = loaded.program;
            match loaded.handles {
                Handles::Calls(syscalls) => {
                    let entry = |&syscall| Entry { program, syscall, plan: None };
                    entries.extend(syscalls.iter().map(entry));
                }
                Handles::Rows(shape) => {
                    let rows = (0_u16..).zip(CALLS).filter(|(index, row)| {
                        wanted.has_call((*index).into()) && row.shape() == shape
                    });
                    entries.extend(rows.map(|(index, row)| Entry {
                        program,
                        syscall: Syscall::of(row),
                        plan: Some(row.plan(index)),
                    }));
                }
            }
        }
        entries.retain(|entry| entry.syscall.native.is_some_and(|native| native < NUMBERS));
        entries
    }

    fn write(&mut self, ebpf: &mut Ebpf, entries: &[Entry]) -> anyhow::Result<()> {
        let mut programs: Vec<(u32, &Entry, ProgramFd)> = Vec::new();
        for entry in entries {
            if let (Some(program), Some(native)) =
                (ebpf.program(entry.program), entry.syscall.native)
            {
                programs.push((native, entry, program.fd()?.try_clone()?));
            }
        }
        let kept = |number: &u32| programs.iter().any(|(native, ..)| native == number);
        if let Some(map) = ebpf.map_mut("PLANS") {
            let mut plans = Array::<_, Wire<Plan>>::try_from(map)?;
            for number in self.filled.iter().filter(|number| !kept(number)) {
                // What else is there stays right for a program that is reading it.
                let mut plan = plans.get(number, 0)?.0;
                plan.flags &= !(WANTED | LOOK_UPS);
                plans.set(*number, Wire(plan), 0)?;
            }
            for (native, entry, _) in &programs {
                if let Some(plan) = entry.plan {
                    plans.set(*native, Wire(plan), 0)?;
                }
            }
        }
        if let Some(map) = ebpf.map_mut("COMPAT") {
            let mut table = Array::<_, u32>::try_from(map)?;
            for (native, entry, _) in &programs {
                let Syscall { compat, compat_16, .. } = entry.syscall;
                for compat in [compat, compat_16].into_iter().filter(|number| *number != 0) {
                    table.set(compat, *native, 0)?;
                }
            }
        }
        if let Some(map) = ebpf.map_mut("PACKED") {
            let mut table = Array::<_, u32>::try_from(map)?;
            for packed in PACKED.iter().filter(|packed| kept(&packed.native)) {
                table.set(packed.number, packed.native, 0)?;
            }
        }
        let handled = handled(programs.iter().map(|(_, entry, _)| entry.syscall));
        if let Some(map) = ebpf.map_mut("HANDLED") {
            let mut table = Array::<_, u32>::try_from(map)?;
            for (number, handled) in (0..).zip(handled) {
                table.set(number, u32::from(handled), 0)?;
            }
        }
        if let Some(map) = ebpf.map_mut("SYSCALLS") {
            let mut table = ProgramArray::try_from(map)?;
            for (native, _, program) in &programs {
                table.set(*native, program, 0)?;
            }
            for number in self.filled.iter().filter(|number| !kept(number)) {
                table.clear_index(number)?;
            }
        }
        self.filled = programs.iter().map(|(native, ..)| *native).collect();
        Ok(())
    }
}

/// By number, whether it is that of one of these calls in either table, or of a call that packs one.
fn handled(calls: impl Iterator<Item = Syscall>) -> [bool; NUMBERS as usize] {
    let mut handled = [false; NUMBERS as usize];
    for call in calls {
        let packs = |native: u32| Packed::number_of(native) != 0;
        let packing = SOCKETCALL.filter(|_| call.native.is_some_and(packs));
        // 0 stands for none: the call of that number is in no table of ours.
        let compat = [call.compat, call.compat_16].into_iter().filter(|number| *number != 0);
        for number in call.native.into_iter().chain(compat).chain(packing) {
            if let Some(entry) = handled.get_mut(number as usize) {
                *entry = true;
            }
        }
    }
    handled
}

#[cfg(test)]
mod tests {
    use super::{CALLS, PACKED, SOCKETCALL, Syscall, handled};

    fn of(name: &str) -> Syscall {
        Syscall::of(CALLS.iter().find(|row| row.name == name).unwrap())
    }

    #[test]
    fn a_call_is_handled_by_its_number_in_every_table() {
        let all = |calls: &[Syscall]| -> Vec<u32> {
            let handled = handled(calls.iter().copied());
            (0_u32..).zip(handled).filter(|(_, one)| *one).map(|(number, _)| number).collect()
        };
        assert_eq!(all(&[]), Vec::<u32>::new());
        let bind = of("bind");
        let mut expected = vec![bind.native.unwrap(), bind.compat];
        expected.extend(SOCKETCALL.filter(|_| !PACKED.is_empty()));
        expected.sort_unstable();
        assert_eq!(all(&[bind]), expected);
        let unlink = of("unlink");
        let numbers = all(&[bind, unlink]);
        let own = unlink.native.into_iter().chain([unlink.compat]).filter(|number| *number != 0);
        assert!(own.clone().all(|number| numbers.contains(&number)), "{numbers:?}");
        assert!(!numbers.contains(&0), "{numbers:?}");
    }
}
