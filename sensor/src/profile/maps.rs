//! /proc/PID/maps → mappings. Pure.

/// A mapping of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    pub start: u64,
    pub end: u64,
    pub executable: bool,
    /// Of the file, where the mapping starts.
    pub offset: u64,
    /// Device and inode of the file, as text and as number.
    pub device: &'a [u8],
    pub inode: u64,
    /// A path, or a name in brackets, or nothing.
    pub path: &'a [u8],
}

/// The mappings in the contents of a maps file; lines that are none are left out.
pub fn parse(contents: &[u8]) -> impl Iterator<Item = Mapping<'_>> {
    contents.split(|byte| *byte == b'\n').filter_map(mapping)
}

/// `55d0c000-55d0d000 r-xp 00001000 08:01 1234      /usr/bin/a name (deleted)`.
fn mapping(line: &[u8]) -> Option<Mapping<'_>> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let range = fields.next()?;
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let (start, end) = (hex(&range[..dash])?, hex(&range[dash + 1..])?);
    let permissions = fields.next()?;
    let offset = hex(fields.next()?)?;
    let device = fields.next()?;
    let inode = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let path = fields.next().unwrap_or_default().trim_ascii_start();
    let executable = permissions.get(2) == Some(&b'x');
    (start < end).then_some(Mapping { start, end, executable, offset, device, inode, path })
}

fn hex(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{Mapping, parse};
    use proptest::prelude::*;

    #[test]
    fn reads_every_form_of_line() {
        let contents = b"\
55d0c000-55d0d000 r-xp 00001000 08:01 1234      /usr/bin/a name (deleted)
55d0d000-55d0e000 rw-p 00002000 00:2f 99        /usr/bin/b
7f000000-7f001000 rwxp 00000000 00:00 0 
7ffd1000-7ffd3000 r-xp 00000000 00:00 0                                  [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
5-4 r-xp 0 00:00 0
not a line
";
        let line = |start, end, executable, offset, device, inode, path| Mapping {
            start,
            end,
            executable,
            offset,
            device,
            inode,
            path,
        };
        let expected = [
            line(
                0x55d0_c000,
                0x55d0_d000,
                true,
                0x1000,
                b"08:01",
                1234,
                b"/usr/bin/a name (deleted)",
            ),
            line(0x55d0_d000, 0x55d0_e000, false, 0x2000, b"00:2f", 99, b"/usr/bin/b"),
            line(0x7f00_0000, 0x7f00_1000, true, 0, b"00:00", 0, b""),
            line(0x7ffd_1000, 0x7ffd_3000, true, 0, b"00:00", 0, b"[vdso]"),
            line(0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000, true, 0, b"00:00", 0, b"[vsyscall]"),
        ];
        assert_eq!(parse(contents).collect::<Vec<_>>(), expected);
    }

    proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>) {
            parse(&contents).for_each(drop);
        }
    }
}
