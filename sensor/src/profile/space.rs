//! Address spaces: what each process had mapped, read while it ran.
//!
//! A process is read when its first sample comes, and again when an address is in none of its
//! mappings or when it has executed another program. What is read stays when the process ends.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;

use sensor_common::header::COMM_LEN;

use crate::event::process::ProcessId;
use crate::profile::jit;
use crate::profile::maps::{self, Mapping};
use crate::profile::module::Modules;
use crate::profile::stack::Sample;

/// More processes than a profile is readable with.
const SPACES_MAX: usize = 1 << 16;

/// The shortest time between two reads of one process, nanoseconds; it doubles with each read. A
/// program that starts maps its libraries within milliseconds.
const READ_INTERVAL_NS: u64 = 1_000_000;

/// Reads after which the interval no longer grows: 4 s.
const DOUBLINGS_MAX: u32 = 12;

/// A maps file that is longer is read so far: some 100,000 mappings.
const MAPS_BYTES_MAX: u64 = 16 << 20;

/// What a region of code belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A file, by its number.
    Module(u32),
    Vdso,
    /// Memory without a file: what a just-in-time compiler made.
    Anonymous,
}

/// An executable mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u64,
    end: u64,
    /// Of the place, where the mapping starts.
    offset: u64,
    place: Place,
}

/// Where an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    pub place: Place,
    /// In the file, or from the start of the mapping.
    pub offset: u64,
}

/// One address space, from one exec to the next.
#[derive(Debug)]
pub struct Space {
    pub process: ProcessId,
    /// Name of the process.
    pub name: String,
    pub cgroup_id: u64,
    /// Name of the main thread in its last sample.
    main_thread: Option<[u8; COMM_LEN]>,
    /// Sorted, disjoint.
    regions: Vec<Region>,
    /// An address of a stack is nowhere, as far as is known.
    incomplete: bool,
    reads: u32,
    next_read_ns: u64,
    pub perf_map: Option<File>,
}

impl Space {
    pub fn locate(&self, address: u64) -> Option<Location> {
        let after = self.regions.partition_point(|region| region.start <= address);
        let region = self.regions.get(after.checked_sub(1)?)?;
        let offset = region.offset.wrapping_add(address - region.start);
        (address < region.end).then_some(Location { place: region.place, offset })
    }

    fn covers(&self, sample: &Sample<'_>) -> bool {
        sample.user.addresses().iter().all(|address| self.locate(address).is_some())
    }

    /// Adds what is mapped now; what was mapped before stays where nothing took its place.
    fn overlay(&mut self, new: Vec<Region>) {
        let gone = |old: &Region| !new.iter().any(|new| new.start < old.end && old.start < new.end);
        let old: Vec<Region> = self.regions.iter().copied().filter(gone).collect();
        self.regions = new;
        self.regions.extend(old);
        self.regions.sort_unstable_by_key(|region| region.start);
    }
}

/// All address spaces of a profile, numbered.
#[derive(Debug, Default)]
pub struct Spaces {
    all: Vec<Space>,
    current: HashMap<ProcessId, u32>,
    pub modules: Modules,
    /// Processes that had ended before their mappings could be read.
    pub unread: u64,
}

impl Spaces {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn get(&self, number: u32) -> Option<&Space> {
        self.all.get(number as usize)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Space> {
        self.all.iter()
    }

    /// The space that a sample was taken in. `None` when there are too many.
    pub fn of(&mut self, sample: &Sample<'_>) -> Option<u32> {
        if let Some(number) = self.current.get(&sample.process).copied()
            && !self.executed_unseen(number, sample)
        {
            return Some(number);
        }
        if self.all.len() >= SPACES_MAX {
            return None;
        }
        let number = u32::try_from(self.all.len()).ok()?;
        let space = self.read_first(sample);
        self.all.push(space);
        self.current.insert(sample.process, number);
        Some(number)
    }

    /// The process executes another program from now on.
    pub fn executed(&mut self, process: ProcessId) {
        self.current.remove(&process);
    }

    /// Looks again, if an address of this or of an earlier stack is nowhere.
    pub fn complete(&mut self, number: u32, sample: &Sample<'_>, is_new: bool) {
        let Some(space) = self.all.get_mut(number as usize) else { return };
        if !is_new && !space.incomplete {
            return;
        }
        space.incomplete |= !space.covers(sample);
        if space.incomplete && sample.boot_ns >= space.next_read_ns {
            let pid = space.process.pid;
            let regions = read_maps(pid).map(|contents| regions(pid, &contents, &mut self.modules));
            space.overlay(regions.unwrap_or_default());
            space.incomplete = !space.covers(sample);
            schedule(space, sample.boot_ns);
        }
        let modules = &self.modules;
        let compiled =
            |address| space.locate(address).is_some_and(|at| may_be_compiled(at.place, modules));
        if space.perf_map.is_none() && sample.user.addresses().iter().any(compiled) {
            space.perf_map = jit::open(space.process.pid, sample.vpid);
        }
    }

    #[cfg(test)]
    pub(super) fn map_anonymous(&mut self, number: u32, range: std::ops::Range<u64>) {
        let place = Place::Anonymous;
        let region = Region { start: range.start, end: range.end, offset: 0, place };
        self.all[number as usize].overlay(vec![region]);
    }

    /// Whether the main thread has another name than before and the process other code: an exec of
    /// which there was no record.
    fn executed_unseen(&mut self, number: u32, sample: &Sample<'_>) -> bool {
        let Some(space) = self.all.get_mut(number as usize) else { return false };
        let main_thread = main_thread(sample);
        if main_thread.is_none() || space.main_thread == main_thread {
            return false;
        }
        if space.main_thread.replace(sample.comm).is_none() {
            return false;
        }
        let Some(contents) = read_maps(sample.process.pid) else { return true };
        let first = regions(sample.process.pid, &contents, &mut self.modules).first().copied();
        // A process that only took another name has its code where it was.
        first.is_none() || first != space.regions.first().copied()
    }

    fn read_first(&mut self, sample: &Sample<'_>) -> Space {
        let pid = sample.process.pid;
        let mut name = String::from_utf8_lossy(sample.name()).into_owned();
        let regions = match read_maps(pid) {
            Some(contents) => {
                if let Some(process) = process_name(pid) {
                    name = process;
                }
                regions(pid, &contents, &mut self.modules)
            }
            None => self.inherited(sample, &name),
        };
        let mut space = Space {
            process: sample.process,
            name,
            cgroup_id: sample.cgroup_id,
            main_thread: main_thread(sample),
            regions,
            incomplete: false,
            reads: 0,
            next_read_ns: 0,
            perf_map: None,
        };
        schedule(&mut space, sample.boot_ns);
        space
    }

    /// Of a process that ended already: it had its parent's mappings, if it was forked and still
    /// went by the same name.
    fn inherited(&mut self, sample: &Sample<'_>, name: &str) -> Vec<Region> {
        let has_user_stack = !sample.user.addresses().is_empty();
        let parent = self.all.iter().rev().find(|space| space.process.pid == sample.ppid);
        let parent = parent.filter(|space| {
            space.name == name && space.process.start_boot_ns <= sample.process.start_boot_ns
        });
        self.unread += u64::from(has_user_stack && parent.is_none());
        parent.map(|space| space.regions.clone()).unwrap_or_default()
    }
}

/// Whether a just-in-time compiler may have put its code there: some use a file in memory.
fn may_be_compiled(place: Place, modules: &Modules) -> bool {
    match place {
        Place::Anonymous => true,
        Place::Vdso => false,
        Place::Module(number) => {
            modules.get(number).is_some_and(|module| module.path.starts_with("/memfd:"))
        }
    }
}

fn main_thread(sample: &Sample<'_>) -> Option<[u8; COMM_LEN]> {
    (sample.tid == sample.process.pid).then_some(sample.comm)
}

fn schedule(space: &mut Space, now_ns: u64) {
    space.next_read_ns = now_ns + (READ_INTERVAL_NS << space.reads.min(DOUBLINGS_MAX));
    space.reads += 1;
}

/// `None` when the process has ended: its file is then empty or gone.
fn read_maps(pid: u32) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    let file = File::open(format!("/proc/{pid}/maps")).ok()?;
    file.take(MAPS_BYTES_MAX).read_to_end(&mut contents).ok()?;
    (!contents.is_empty()).then_some(contents)
}

fn process_name(pid: u32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
}

fn regions(pid: u32, contents: &[u8], modules: &mut Modules) -> Vec<Region> {
    maps::parse(contents)
        .filter(|mapping| mapping.executable)
        .filter_map(|mapping| {
            let Mapping { start, end, offset, path, .. } = mapping;
            let (place, offset) = match path {
                b"[vdso]" => (Place::Vdso, 0),
                // Shared memory without a file goes by the device's name.
                path if path.starts_with(b"/") && !path.starts_with(b"/dev/zero") => {
                    (Place::Module(modules.add(pid, &mapping)?), offset)
                }
                _ => (Place::Anonymous, 0),
            };
            Some(Region { start, end, offset, place })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Location, Place, Region, Spaces, regions};
    use crate::event::process::ProcessId;
    use crate::profile::maps;
    use crate::profile::module::Modules;
    use crate::profile::stack::decode;
    use crate::profile::testing::record;

    /// Above every pid that there can be.
    const NOBODY: u32 = 1 << 30;

    #[test]
    fn locates_and_keeps_what_is_unmapped() {
        let mut spaces = Spaces::default();
        let bytes = record(NOBODY, &[], &[0x1000]);
        let number = spaces.of(&decode(&bytes).unwrap()).unwrap();
        assert_eq!(spaces.unread, 1);
        let space = &mut spaces.all[number as usize];
        assert_eq!((space.name.as_str(), space.locate(0x1000)), ("busy", None));

        let region = |start, end, place| Region { start, end, offset: 0x10, place };
        space.overlay(vec![
            region(0x1000, 0x2000, Place::Module(0)),
            region(0x3000, 0x4000, Place::Module(1)),
        ]);
        space.overlay(vec![region(0x3800, 0x5000, Place::Anonymous)]);
        let at = |place, offset| Some(Location { place, offset });
        for (address, expected) in [
            (0xfff, None),
            (0x1000, at(Place::Module(0), 0x10)),
            (0x1fff, at(Place::Module(0), 0x100f)),
            (0x2000, None),
            (0x3000, None),
            (0x3800, at(Place::Anonymous, 0x10)),
            (u64::MAX, None),
        ] {
            assert_eq!(space.locate(address), expected, "{address:#x}");
        }
    }

    #[test]
    fn reads_again_as_long_as_an_address_is_nowhere() {
        let contents = std::fs::read("/proc/self/maps").unwrap();
        let code = maps::parse(&contents).find(|mapping| mapping.executable).unwrap().start;
        let bytes = record(std::process::id(), &[], &[code]);
        let mut sample = decode(&bytes).unwrap();
        let mut spaces = Spaces::default();
        let number = spaces.of(&sample).unwrap();
        // As if the file had been mapped only now.
        spaces.all[0].regions.clear();
        spaces.complete(number, &sample, true);
        assert_eq!(spaces.all[0].locate(code), None, "too soon to read again");
        sample.boot_ns = spaces.all[0].next_read_ns;
        spaces.complete(number, &sample, false);
        assert!(spaces.all[0].locate(code).is_some());
        assert_eq!((spaces.all[0].reads, spaces.all[0].incomplete), (2, false));
    }

    #[test]
    fn an_exec_starts_a_new_space() {
        let mut spaces = Spaces::default();
        let bytes = record(NOBODY, &[], &[1]);
        let sample = decode(&bytes).unwrap();
        assert_eq!(spaces.of(&sample), Some(0));
        assert_eq!(spaces.of(&sample), Some(0));
        spaces.executed(sample.process);
        assert_eq!(spaces.of(&sample), Some(1));
        // A thread of another name is no exec; the main thread's other name is.
        let mut renamed = sample;
        renamed.comm[0] = b'x';
        renamed.tid += 1;
        assert_eq!(spaces.of(&renamed), Some(1));
        renamed.tid = renamed.process.pid;
        assert_eq!(spaces.of(&renamed), Some(2));
        // The same pid, but another process.
        let start_boot_ns = sample.process.start_boot_ns + 1;
        let process = ProcessId { start_boot_ns, ..sample.process };
        let mut younger = sample;
        younger.process = process;
        assert_eq!(spaces.of(&younger), Some(3));
    }

    #[test]
    fn a_fork_that_ended_has_its_parents_mappings() {
        let mut spaces = Spaces::default();
        let bytes = record(NOBODY, &[], &[1]);
        let parent = decode(&bytes).unwrap();
        spaces.of(&parent);
        let region = Region { start: 0, end: 0x1000, offset: 0, place: Place::Module(3) };
        spaces.all[0].regions = vec![region];
        let mut child = parent;
        child.process = ProcessId { pid: NOBODY - 1, ..parent.process };
        child.ppid = NOBODY;
        let number = spaces.of(&child).unwrap();
        assert_eq!(spaces.get(number).unwrap().regions, [region]);
        child.process.pid = NOBODY - 2;
        child.comm[0] = b'x';
        let number = spaces.of(&child).unwrap();
        assert_eq!(spaces.get(number).unwrap().regions, []);
        assert_eq!(spaces.unread, 2);
    }

    #[test]
    fn reads_regions_of_code() {
        let contents = b"\
400000-401000 r--p 00000000 08:01 7   /bin/a
401000-402000 r-xp 00001000 08:01 7   /bin/a
7000000-7001000 rwxp 00000000 00:00 0
8000000-8001000 r-xp 00000000 00:00 0 [vdso]
";
        let mut modules = Modules::default();
        let found = regions(NOBODY, contents, &mut modules);
        let summary: Vec<_> =
            found.iter().map(|region| (region.start, region.offset, region.place)).collect();
        assert_eq!(
            summary,
            [
                (0x40_1000, 0x1000, Place::Module(0)),
                (0x700_0000, 0, Place::Anonymous),
                (0x800_0000, 0, Place::Vdso),
            ]
        );
    }
}
