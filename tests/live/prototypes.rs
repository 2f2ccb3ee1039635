//! The running kernel has the prototypes that the programs were written for.

use sensor::probe::kernel;
use sensor::probe::prototype::{PROTOTYPES, Place, Prototype};

use crate::btf::Btf;

/// The newest kernel that was looked at: beyond it the newest prototype is still the best guess.
const NEWEST: (u32, u32) = (7, 2);

#[test]
fn arguments_are_where_the_programs_look_for_them() {
    let btf = Btf::of_kernel();
    let version = kernel::version(&kernel::release()).unwrap();
    let mut wrong = Vec::new();
    for prototype in PROTOTYPES {
        let found = match prototype.place {
            Place::Tracepoint(name) => btf.tracepoint(name),
            Place::Function(name) => btf.function(name),
        };
        let found = found.unwrap_or_else(|| "not there".into());
        let expected = expected(prototype, version);
        if !expected.contains(&found.as_str()) {
            let name = prototype.place;
            wrong.push(format!("{name:?}: {found}, not {}", expected.join(" or ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a kernel of this version may have; one between the oldest and the newest may have either.
fn expected(prototype: &Prototype, version: (u32, u32)) -> Vec<&'static str> {
    if version == kernel::OLDEST {
        vec![prototype.oldest]
    } else if version >= NEWEST || prototype.oldest == prototype.newest {
        vec![prototype.newest]
    } else {
        vec![prototype.oldest, prototype.newest]
    }
}
