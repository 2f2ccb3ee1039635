//! Counted stacks of addresses → counted stacks of named frames.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::profile::fold::{Counted, Fold};
use crate::profile::jit::PerfMap;
use crate::profile::report::{Frame, Kind, Stack};
use crate::profile::space::{Place, Space, Spaces};
use crate::profile::symbol::{self, Functions};

/// The result: every frame and stack in its one order, and how many got names.
#[derive(Debug, Default)]
pub struct Named {
    pub frames: Vec<Frame>,
    pub stacks: Vec<Stack>,
    /// Frames of all samples.
    pub named: u64,
    pub unnamed: u64,
    /// Samples with a user stack, and those whose stack is whole.
    pub user: u64,
    pub rooted: u64,
}

/// Names all stacks, each file's symbols read once and let go.
pub fn name(fold: &Fold, spaces: &Spaces, group: &dyn Fn(u64) -> Option<String>) -> Named {
    let mut namer = Namer { spaces, names: names(fold, spaces), perf_maps: HashMap::new() };
    let mut frames = Frames::default();
    let mut all = Named::default();
    for counted in fold.iter() {
        let Some(space) = spaces.get(counted.space) else { continue };
        let kernel = namer.kernel(&counted);
        let user = namer.user(&counted, space);
        all.user += if user.is_empty() { 0 } else { counted.count };
        all.rooted += if is_whole(&user) { counted.count } else { 0 };
        let process = frame(Kind::Process, space.name.clone(), String::new(), true);
        let group = group(space.cgroup_id);
        let group = group.map(|name| frame(Kind::Group, name, String::new(), true));
        let mut numbers = Vec::with_capacity(kernel.len() + user.len() + 2);
        for frame in group.into_iter().chain([process]).chain(user).chain(kernel) {
            if frame.kind.is_code() {
                let count = if frame.is_named { &mut all.named } else { &mut all.unnamed };
                *count += counted.count;
            }
            numbers.push(frames.number(frame));
        }
        all.stacks.push(Stack { frames: numbers, pid: space.process.pid, count: counted.count });
    }
    let (frames, order) = frames.sorted();
    for stack in &mut all.stacks {
        stack.frames.iter_mut().for_each(|frame| *frame = order[*frame]);
    }
    all.stacks.sort_unstable();
    all.stacks.dedup_by(|next, kept| {
        let same = next.frames == kept.frames && next.pid == kept.pid;
        kept.count += if same { next.count } else { 0 };
        same
    });
    all.frames = frames;
    all
}

/// Where names come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Source {
    Kernel,
    Vdso,
    Module(u32),
}

type Names = HashMap<(Source, u64), Functions>;

/// All names that any stack needs, looked up file by file.
fn names(fold: &Fold, spaces: &Spaces) -> Names {
    let mut wanted: BTreeMap<Source, BTreeSet<u64>> = BTreeMap::new();
    for counted in fold.iter() {
        let kernel = lookups(counted.kernel.iter()).map(|address| (Source::Kernel, address));
        let space = spaces.get(counted.space);
        let user = lookups(counted.user.iter()).filter_map(|address| {
            let location = space?.locate(address)?;
            Some((source(location.place)?, location.offset))
        });
        for (source, offset) in kernel.chain(user) {
            wanted.entry(source).or_default().insert(offset);
        }
    }
    let mut names = Names::new();
    for (source, offsets) in wanted {
        let offsets: Vec<u64> = offsets.into_iter().collect();
        let functions = match source {
            Source::Kernel => symbol::kernel(&offsets),
            Source::Vdso => symbol::vdso(&offsets),
            Source::Module(number) => match spaces.modules.get(number) {
                Some(module) => symbol::module(module, &offsets),
                None => continue,
            },
        };
        names.extend(offsets.into_iter().map(|offset| (source, offset)).zip(functions));
    }
    names
}

fn source(place: Place) -> Option<Source> {
    match place {
        Place::Module(number) => Some(Source::Module(number)),
        Place::Vdso => Some(Source::Vdso),
        Place::Anonymous => None,
    }
}

/// The addresses at which to look for names. A return address is that of the next instruction,
/// which may be the next function's.
fn lookups(addresses: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    addresses
        .enumerate()
        .map(|(at, address)| if at == 0 { address } else { address.wrapping_sub(1) })
}

struct Namer<'a> {
    spaces: &'a Spaces,
    names: Names,
    /// By address space.
    perf_maps: HashMap<u32, PerfMap>,
}

impl Namer<'_> {
    /// The frames of a kernel stack, the root first.
    fn kernel(&self, counted: &Counted<'_>) -> Vec<Frame> {
        const MODULE: &str = "[kernel]";
        let mut frames = Vec::new();
        for address in lookups(counted.kernel.iter()) {
            let functions = self.names.get(&(Source::Kernel, address));
            push(&mut frames, Kind::Kernel, functions, MODULE, || format!("{MODULE}+{address:#x}"));
        }
        frames.reverse();
        frames
    }

    /// The frames of a user stack, the root first.
    fn user(&mut self, counted: &Counted<'_>, space: &Space) -> Vec<Frame> {
        let unknown = frame(Kind::User, "[unknown]".into(), String::new(), false);
        let mut frames = Vec::new();
        for address in lookups(counted.user.iter()) {
            let Some(location) = space.locate(address) else {
                // Where a frame pointer was something else, one wrong address leads to the next.
                if frames.last() != Some(&unknown) {
                    frames.push(unknown.clone());
                }
                continue;
            };
            let module = match location.place {
                Place::Module(number) => {
                    self.spaces.modules.get(number).map_or("", |module| module.path.as_str())
                }
                Place::Vdso => "[vdso]",
                Place::Anonymous => "[anon]",
            };
            let source = source(location.place);
            let known = source.and_then(|source| self.names.get(&(source, location.offset)));
            if known.is_none_or(Vec::is_empty)
                && let Some(name) = compiled(&mut self.perf_maps, counted.space, space, address)
            {
                frames.push(frame(Kind::User, name, "[jit]".into(), true));
                continue;
            }
            push(&mut frames, Kind::User, known, module, || {
                let name = module.rsplit('/').next().unwrap_or(module);
                format!("{name}+{:#x}", location.offset)
            });
        }
        cut_below_start(&mut frames);
        frames.reverse();
        frames
    }
}

fn compiled(
    perf_maps: &mut HashMap<u32, PerfMap>,
    number: u32,
    space: &Space,
    address: u64,
) -> Option<String> {
    let file = space.perf_map.as_ref()?;
    let map = perf_maps.entry(number).or_insert_with(|| PerfMap::read(file));
    map.name(address).map(str::to_owned)
}

/// Adds the frames of one address, the innermost first.
fn push(
    frames: &mut Vec<Frame>,
    kind: Kind,
    functions: Option<&Functions>,
    module: &str,
    nameless: impl FnOnce() -> String,
) {
    match functions.and_then(|functions| functions.split_first()) {
        None => frames.push(frame(kind, nameless(), module.into(), false)),
        Some((function, inlined)) => {
            for name in inlined.iter().rev() {
                frames.push(frame(Kind::Inlined, name.clone(), module.into(), true));
            }
            frames.push(frame(kind, function.clone(), module.into(), true));
        }
    }
}

fn frame(kind: Kind, function: String, module: String, is_named: bool) -> Frame {
    Frame { kind, function, module, is_named }
}

/// What starts a program or a thread: nothing called it but others of these.
const STARTS: [&str; 8] = [
    "_start",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "start_thread",
    "runtime.goexit",
    "runtime.mstart",
    "runtime.rt0_go",
];

/// Where a thread begins too; but a program may also call these.
const FIRST: [&str; 5] = ["main", "clone", "__clone", "clone3", "__clone3"];

fn is_one_of(frame: &Frame, functions: &[&str]) -> bool {
    let name = frame.function.split_once(['@', '(']).map_or(&*frame.function, |(name, _)| name);
    let name = name.strip_suffix(".abi0").unwrap_or(name);
    frame.is_named && functions.contains(&name)
}

/// Takes what is no caller off a stack, the innermost frame first: a function that starts a thread
/// finds no frame pointer that it would have to keep, and uses the register for something else.
fn cut_below_start(frames: &mut Vec<Frame>) {
    let Some(start) = frames.iter().position(|frame| is_one_of(frame, &STARTS)) else { return };
    let real = |frame: &&Frame| is_one_of(frame, &STARTS) || is_one_of(frame, &FIRST);
    frames.truncate(start + frames[start..].iter().take_while(real).count());
}

/// Whether a user stack, root first, goes back to where its thread began.
fn is_whole(frames: &[Frame]) -> bool {
    let named = |frame: &Frame| is_one_of(frame, &STARTS) || is_one_of(frame, &FIRST);
    // A C library without its local symbols: the functions that start threads are of those.
    let in_libc = |frame: &Frame| {
        let file = frame.module.rsplit('/').next().unwrap_or_default();
        !frame.is_named
            && ["libc.so", "libc-", "ld-musl-"].iter().any(|libc| file.starts_with(libc))
    };
    frames.iter().any(named) || (frames.len() > 1 && frames.first().is_some_and(in_libc))
}

/// Distinct frames, numbered as they come.
#[derive(Default)]
struct Frames {
    numbers: HashMap<Frame, usize>,
}

impl Frames {
    fn number(&mut self, frame: Frame) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(frame).or_insert(next)
    }

    /// The frames in their own order, and the new number of each old one.
    fn sorted(self) -> (Vec<Frame>, Vec<usize>) {
        let mut all: Vec<(Frame, usize)> = self.numbers.into_iter().collect();
        all.sort_unstable();
        let mut order = vec![0; all.len()];
        for (new, (_, old)) in all.iter().enumerate() {
            order[*old] = new;
        }
        (all.into_iter().map(|(frame, _)| frame).collect(), order)
    }
}

#[cfg(test)]
mod tests {
    use super::{cut_below_start, frame, is_whole};
    use crate::profile::report::Kind;

    #[test]
    fn nothing_called_what_starts_a_thread() {
        for (stack, expected) in [
            ("work main __libc_start_call_main [unknown] tm", 3),
            ("work main __libc_start_call_main __libc_start_main_impl _start", 5),
            ("work start_thread clone3 [unknown]", 3),
            ("clone3 create_thread work main", 4),
            ("work [unknown] other", 3),
        ] {
            let named =
                |name: &str| frame(Kind::User, name.into(), "a".into(), name != "[unknown]");
            let mut frames = stack.split(' ').map(named).collect();
            cut_below_start(&mut frames);
            assert_eq!(frames.len(), expected, "{stack}");
        }
    }

    #[test]
    fn knows_a_whole_stack() {
        let libc = "/usr/lib/x86_64-linux-gnu/libc.so.6";
        for (root, module, depth, expected) in [
            ("_start", "/bin/a", 3, true),
            ("__libc_start_main@@GLIBC_2.34", libc, 2, true),
            ("main(int, char**)", "/bin/a", 2, true),
            ("runtime.goexit.abi0", "/bin/a", 2, true),
            ("libc.so.6+0x2724a", libc, 2, true),
            ("libc.so.6+0x2724a", libc, 1, false),
            ("qsort", libc, 2, false),
            ("a+0x10", "/bin/a", 5, false),
            ("[unknown]", "", 5, false),
        ] {
            let is_named = !root.contains("+0x") && root != "[unknown]";
            let mut frames = vec![frame(Kind::User, root.into(), module.into(), is_named)];
            frames.resize(depth, frame(Kind::User, "work".into(), "/bin/a".into(), true));
            assert_eq!(is_whole(&frames), expected, "{root} of {depth}");
        }
        assert!(!is_whole(&[]));
    }
}
