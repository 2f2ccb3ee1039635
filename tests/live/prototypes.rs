//! The running kernel has the prototypes that the programs were written for.

use sensor::probe::kernel;
use sensor::probe::prototype::{NAME, PROTOTYPES, Place, Prototype};
use sensor::probe::table::{PROBES, Target};

use crate::btf::Btf;

/// The newest kernel that was looked at: beyond it the newest prototype is still the best guess.
const NEWEST: (u32, u32) = (7, 2);

#[test]
fn arguments_are_where_the_programs_look_for_them() {
    let btf = Btf::of_kernel();
    let version = kernel::version(&kernel::release()).unwrap();
    let mut wrong = Vec::new();
    for prototype in PROTOTYPES {
        let expected = expected(prototype, version);
        if expected == [""] {
            continue;
        }
        let mut check = |name: &str, found: Vec<String>| {
            let as_expected =
                |found: &String| expected.iter().any(|text| text.replace(NAME, name) == *found);
            if !found.iter().any(as_expected) {
                wrong.push(format!("{name}: {found:?}, not {}", expected.join(" or ")));
            }
        };
        match prototype.place {
            Place::Tracepoint(name) => check(name, btf.tracepoint(name).into_iter().collect()),
            Place::Function(name) => check(name, btf.functions(name)),
            Place::SystemCall => {
                for name in system_calls() {
                    // Some kernels describe the stub that stands in for calls that are not built in.
                    let found = btf.functions(name).into_iter();
                    check(name, found.map(|text| text.replace("__unused", "regs")).collect());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The own functions of system calls that programs are on; all kernels of the tests have 32-bit ones.
fn system_calls() -> impl Iterator<Item = &'static str> {
    let programs = PROBES.iter().flat_map(|probe| probe.ways).flat_map(|way| way.programs);
    programs.filter_map(|program| match program.target {
        Target::Called(name) => Some(name),
        Target::CalledCompat(name) => name,
        _ => None,
    })
}

/// What a kernel of this version may have; one between the oldest and the newest may have any.
fn expected(prototype: &Prototype, version: (u32, u32)) -> Vec<&'static str> {
    if version == kernel::OLDEST {
        vec![prototype.oldest]
    } else if version >= NEWEST || prototype.oldest == prototype.newest {
        vec![prototype.newest]
    } else {
        vec![prototype.oldest, prototype.between, prototype.newest]
    }
}
