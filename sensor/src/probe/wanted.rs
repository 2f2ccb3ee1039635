//! What is to be observed: kinds of record, and of the system calls that share a kind, which.

use sensor_common::Kind;
use sensor_common::call::table::CALLS;
use sensor_common::call::{Filter, LOOK_UPS, NONE, Row};
use sensor_common::credentials;

/// What somebody asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One bit for each kind.
    kinds: u64,
    calls: Calls,
    /// Run-queue waits, which are counted in the kernel.
    pub run_queue: bool,
}

/// Rows of [`CALLS`], one bit each.
type Calls = [u64; CALLS.len().div_ceil(64)];

impl Wanted {
    /// These kinds; `Kind::Call` means every call.
    pub fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut wanted = Self::default();
        for kind in kinds {
            wanted.add(kind);
        }
        wanted
    }

    /// Everything that happens, but no samples.
    pub fn everything() -> Self {
        Self::of(Kind::KERNEL.iter().copied().filter(|kind| *kind != Kind::Sample))
    }

    pub fn add(&mut self, kind: Kind) {
        self.kinds |= kind.bit();
        if kind == Kind::Call {
            self.calls = [u64::MAX; CALLS.len().div_ceil(64)];
        }
    }

    /// Adds the call of this name; false if it has no row.
    pub fn add_call(&mut self, name: &str) -> bool {
        let Some(row) = CALLS.iter().position(|row| row.name == name) else { return false };
        self.kinds |= Kind::Call.bit();
        self.calls[row / 64] |= 1 << (row % 64);
        true
    }

    /// Who is who: what has to be known about processes and cgroups whatever else is wanted.
    pub fn identity() -> Self {
        let mut wanted = Self::of([Kind::Fork, Kind::Exec, Kind::Exit, Kind::Cgroup]);
        for name in ["chdir", "fchdir"] {
            wanted.add_call(name);
        }
        wanted
    }

    /// Adds what makes events of this type; false if nothing does.
    pub fn add_event_type(&mut self, name: &str) -> bool {
        // Executions that fail have no record but their call's.
        let is_call = self.add_call(name);
        let kind = match name {
            "open" | "openat" | "openat2" | "creat" => Kind::Open,
            "connect" => Kind::Connect,
            "execve" | "execveat" => Kind::Exec,
            "clone" | "fork" | "vfork" | "clone3" => Kind::Fork,
            "procexit" => Kind::Exit,
            "cgroup_mkdir" | "cgroup_rmdir" => Kind::Cgroup,
            "oom" => Kind::Oom,
            name if credentials::Call::ALL.iter().any(|call| call.name() == name) => {
                Kind::Credentials
            }
            _ => return is_call,
        };
        self.add(kind);
        true
    }

    pub fn has(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    /// Whether some call is wanted that passes a path to something that it changes, of which a security
    /// module is told. Of executions only those that fail are calls.
    pub fn has_paths(&self) -> bool {
        CALLS.iter().enumerate().any(|(row, call)| {
            let plan = call.plan(0);
            let passes_path = plan.bases.iter().any(|base| *base != NONE);
            let changes = plan.fd == NONE && call.filter != Filter::Failed;
            passes_path && changes && !call.looks_up() && self.has_call(row)
        })
    }

    /// Whether some call is wanted that is about what it looks up, of which no security module is told.
    pub fn has_lookups(&self) -> bool {
        let looks_up = |call: &Row| call.plan(0).flags & LOOK_UPS != 0;
        CALLS.iter().enumerate().any(|(row, call)| looks_up(call) && self.has_call(row))
    }

    /// Whether the call of this name is wanted.
    pub fn has_call_named(&self, name: &str) -> bool {
        CALLS.iter().position(|row| row.name == name).is_some_and(|row| self.has_call(row))
    }

    /// Whether the row with this index is wanted.
    pub fn has_call(&self, row: usize) -> bool {
        self.calls.get(row / 64).is_some_and(|bits| bits >> (row % 64) & 1 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted;
    use sensor_common::Kind;
    use sensor_common::call::table::CALLS;

    #[test]
    fn calls_are_wanted_one_by_one() {
        let mut wanted = Wanted::of([Kind::Exec]);
        assert!(wanted.has(Kind::Exec) && !wanted.has(Kind::Call));
        assert!(wanted.add_call("recvmmsg") && !wanted.add_call("getppid"));
        let rows: Vec<&str> = (0..CALLS.len() + 64)
            .filter(|row| wanted.has_call(*row))
            .map(|row| CALLS[row].name)
            .collect();
        assert_eq!(rows, ["recvmmsg"]);
        assert!(!wanted.has_paths() && !Wanted::identity().has_paths());
        assert!(wanted.add_call("fspick") && wanted.has_lookups() && !wanted.has_paths());
        assert!(wanted.add_call("unlink") && wanted.has_paths());
        let mut mounts = Wanted::default();
        assert!(mounts.add_call("mount") && mounts.has_paths() && mounts.has_lookups());
        assert!(wanted.has(Kind::Call));
        assert!(wanted.has_call_named("fspick") && !wanted.has_call_named("mkdir"));
        let all = Wanted::everything();
        assert!((0..CALLS.len()).all(|row| all.has_call(row)) && !all.has(Kind::Sample));
    }
}
