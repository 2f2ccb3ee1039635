//! Perf maps: where runtimes that compile while they run say what they compiled.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::profile::module::open_file;

/// A perf map larger than this is read so far; the largest runtimes write a tenth of it.
const BYTES_MAX: u64 = 64 << 20;

/// Opens the perf map of a process that runs, in its own mount and pid namespace.
pub fn open(pid: u32, vpid: u32) -> Option<File> {
    open_file(Path::new(&format!("/proc/{pid}/root/tmp/perf-{vpid}.map"))).ok()
}

/// The functions of a perf map, by address.
#[derive(Debug, Default)]
pub struct PerfMap {
    /// Sorted by start; of functions at one address the last that was written.
    functions: Vec<(u64, u64, String)>,
}

impl PerfMap {
    /// What has been written so far.
    pub fn read(file: &File) -> Self {
        let mut bytes = Vec::new();
        // A part is better than nothing.
        if file.take(BYTES_MAX).read_to_end(&mut bytes).is_err() {
            bytes.clear();
        }
        Self::parse(&bytes)
    }

    /// Lines of `START SIZE NAME`, the numbers in hexadecimal.
    pub fn parse(bytes: &[u8]) -> Self {
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut functions: Vec<(u64, u64, String)> = lines.filter_map(function).collect();
        // Code is moved and thrown away, its place used again: what came later holds.
        functions.reverse();
        functions.sort_by_key(|(start, _, _)| *start);
        functions.dedup_by_key(|(start, _, _)| *start);
        Self { functions }
    }

    pub fn name(&self, address: u64) -> Option<&str> {
        let after = self.functions.partition_point(|(start, _, _)| *start <= address);
        let (start, size, name) = self.functions.get(after.checked_sub(1)?)?;
        (address - start < *size).then_some(name)
    }
}

fn function(line: &[u8]) -> Option<(u64, u64, String)> {
    let mut fields = line.splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let text = std::str::from_utf8(fields.next()?).ok()?;
        u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = String::from_utf8_lossy(fields.next()?).trim().to_owned();
    (!name.is_empty()).then_some((start, size, name))
}

#[cfg(test)]
mod tests {
    use super::PerfMap;
    use proptest::prelude::*;

    #[test]
    fn finds_the_function_that_was_written_last() {
        let map = PerfMap::parse(
            b"1000 10 LazyCompile:~old file.js:1\n\
              0x2000 0x20 py::work:/app/a.py\n\
              1000 20 LazyCompile:*new file.js:1\n\
              broken\n3000 zz x\n4000 10 \n5000 10 cut",
        );
        for (address, expected) in [
            (0xfff, None),
            (0x1000, Some("LazyCompile:*new file.js:1")),
            (0x101f, Some("LazyCompile:*new file.js:1")),
            (0x1020, None),
            (0x2010, Some("py::work:/app/a.py")),
            (0x4000, None),
            (0x500f, Some("cut")),
            (u64::MAX, None),
        ] {
            assert_eq!(map.name(address), expected, "{address:#x}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, address: u64) {
            PerfMap::parse(&bytes).name(address);
        }
    }
}
