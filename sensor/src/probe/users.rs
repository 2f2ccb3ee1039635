//! `/etc/passwd` and `/etc/group` as a process sees them → a record.
//!
//! What lies in a container is written by whoever runs there: it is opened below the container's
//! root, whatever its links say, and only as a regular file of a limited size on the root's own
//! filesystem, so that neither another file is read in its place nor the agent kept waiting.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat2};
use sensor_common::header::Header;
use sensor_common::users::FILE_MAX;

use super::record;

/// A filesystem in user space may answer late or never.
const FUSE_SUPER_MAGIC: u64 = 0x6573_5546;

/// The record about the users of a process's container; `None` when its root is the known one, or
/// when neither file can be read.
pub(super) fn record(proc: &Path, then: &Header, known: Option<[u64; 2]>) -> Option<Vec<u8>> {
    let root = proc.join(then.tgid.to_string()).join("root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(&root, flags, Mode::empty()).ok()?;
    let stat = fstat(&root).ok()?;
    let identity = [stat.st_dev, stat.st_ino];
    if known == Some(identity) {
        return None;
    }
    let magic = fstatfs(&root).ok()?.f_type;
    if u64::try_from(magic).is_ok_and(|magic| magic == FUSE_SUPER_MAGIC) {
        return None;
    }
    let read = |name: &str| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&root, name, flags, Mode::empty(), resolve).ok()?;
        let kind = FileType::from_raw_mode(fstat(&file).ok()?.st_mode);
        let mut text = Vec::new();
        let is_read = kind == FileType::RegularFile
            && File::from(file).take(FILE_MAX as u64).read_to_end(&mut text).is_ok();
        is_read.then_some(text)
    };
    let passwd = read("etc/passwd").map(|text| columns(&text, &[0, 2, 3, 5, 6]));
    let group = read("etc/group").map(|text| columns(&text, &[0, 2]));
    if passwd.is_none() && group.is_none() {
        return None;
    }
    let (passwd, group) = (passwd.unwrap_or_default(), group.unwrap_or_default());
    Some(record::users(then.cgroup_id, identity, &passwd, &group))
}

/// Some columns of each line. Passwords and people's names are nobody's business.
fn columns(text: &[u8], wanted: &[usize]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let all: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        for (index, column) in wanted.iter().enumerate() {
            if index > 0 {
                kept.push(b':');
            }
            kept.extend_from_slice(all.get(*column).copied().unwrap_or_default());
        }
        kept.push(b'\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn keeps_what_names_users_and_nothing_else() {
        let passwd = b"root:x:0:0:The Boss:/root:/bin/sh\n\nbroken\n";
        assert_eq!(columns(passwd, &[0, 2, 3, 5, 6]), b"root:0:0:/root:/bin/sh\nbroken::::\n");
        assert_eq!(columns(b"adm:x:4:root", &[0, 2]), b"adm:4\n");
    }
}
