//! Addresses → function names. The only file that names blazesym.

use std::ops::Range;
use std::path::PathBuf;

use blazesym::symbolize::source::{Elf, Kernel, Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use blazesym::{MaybeDefault, Pid};

use crate::profile::maps;
use crate::profile::module::{DEBUG_DIRECTORY, Module};

/// The functions at one address: the one that has code of its own, then those that are inlined
/// into it, the innermost last. Empty: no name.
pub type Functions = Vec<String>;

/// The names of kernel addresses, in their order.
pub fn kernel(addresses: &[u64]) -> Vec<Functions> {
    // Debug information of the kernel is large, seldom there and seldom of the running one;
    // kallsyms has every function, modules and BPF programs included.
    let kernel = Kernel { vmlinux: MaybeDefault::None, debug_syms: false, ..Kernel::default() };
    let symbolizer = Symbolizer::new();
    functions(&symbolizer, &Source::Kernel(kernel), Input::AbsAddr(addresses))
        .unwrap_or_else(|| nameless(addresses))
}

/// The names at offsets of a mapped file, in their order.
pub fn module(module: &Module, offsets: &[u64]) -> Vec<Functions> {
    let Some(path) = module.file_path() else { return nameless(offsets) };
    let theirs = module.debug_directory();
    let directories = theirs.into_iter().chain([PathBuf::from(DEBUG_DIRECTORY)]);
    let symbolizer = Symbolizer::builder().set_debug_dirs(Some(directories)).build();
    let named = |debug_syms| {
        let elf = Elf { debug_syms, ..Elf::new(&path) };
        functions(&symbolizer, &Source::Elf(elf), Input::FileOffset(offsets))
    };
    // Debug information that does not match its file is an error; the file's own symbols are left.
    named(true).or_else(|| named(false)).unwrap_or_else(|| nameless(offsets))
}

/// The names at offsets of the vdso, in their order.
pub fn vdso(offsets: &[u64]) -> Vec<Functions> {
    let Some(vdso) = own_vdso() else { return nameless(offsets) };
    // Every process has the same one, at another place.
    let addresses: Vec<u64> =
        offsets.iter().map(|offset| vdso.start.saturating_add(*offset).min(vdso.end)).collect();
    let symbolizer = Symbolizer::new();
    functions(&symbolizer, &Source::Process(Process::new(Pid::Slf)), Input::AbsAddr(&addresses))
        .unwrap_or_else(|| nameless(offsets))
}

fn own_vdso() -> Option<Range<u64>> {
    let contents = std::fs::read("/proc/self/maps").ok()?;
    let vdso = maps::parse(&contents).find(|mapping| mapping.path == b"[vdso]")?;
    Some(vdso.start..vdso.end)
}

fn nameless(addresses: &[u64]) -> Vec<Functions> {
    vec![Vec::new(); addresses.len()]
}

fn functions(
    symbolizer: &Symbolizer,
    source: &Source<'_>,
    input: Input<&[u64]>,
) -> Option<Vec<Functions>> {
    let symbols = symbolizer.symbolize(source, input).ok()?;
    Some(symbols.into_iter().map(names).collect())
}

fn names(symbolized: Symbolized<'_>) -> Functions {
    let Symbolized::Sym(symbol) = symbolized else { return Vec::new() };
    let inlined = symbol.inlined.iter().map(|function| &function.name);
    let names = std::iter::once(&symbol.name).chain(inlined);
    names.filter(|name| !name.is_empty()).map(|name| name.clone().into_owned()).collect()
}
