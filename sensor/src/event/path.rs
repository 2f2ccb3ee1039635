//! Components, leaf first, as the kernel side sends them → a path; and paths made absolute.

use std::borrow::Cow;

use sensor_common::exec::FileId;

/// Turns components round: `shadow\0etc\0` is `/etc/shadow`, nothing is `/`.
pub fn from_components(components: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(components.len() + 1);
    let body = components.strip_suffix(b"\0").unwrap_or(components);
    for name in body.rsplit(|byte| *byte == 0) {
        // The root's own name is `/`.
        if !name.is_empty() && name != b"/" {
            path.push(b'/');
            path.extend_from_slice(name);
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// As [`absolute`], where `base` is the process's root for an absolute text, and that root may lie
/// below the mount namespace's. Nothing leads above an absolute text's root.
pub fn rooted<'a>(base: &[u8], text: &'a [u8]) -> Cow<'a, [u8]> {
    if !text.starts_with(b"/") || base == b"/" {
        return absolute(base, text);
    }
    let mut path = base.to_vec();
    let below = absolute(b"", text);
    if *below != *b"/" {
        path.extend_from_slice(&below);
    }
    Cow::Owned(path)
}

/// The kernel's name for a file of a filesystem that has no tree.
pub fn unnamed(file: &FileId, components: &[u8]) -> Option<Vec<u8>> {
    const PIPEFS_MAGIC: u64 = 0x5049_5045;
    const SOCKFS_MAGIC: u64 = 0x534f_434b;
    const ANON_INODE_FS_MAGIC: u64 = 0x0904_1934;
    let kind = match file.fs_magic {
        PIPEFS_MAGIC => "pipe",
        SOCKFS_MAGIC => "socket",
        ANON_INODE_FS_MAGIC => {
            let name = components.split(|byte| *byte == 0).next().unwrap_or_default();
            return Some([b"anon_inode:", name].concat());
        }
        _ => return None,
    };
    let has_path = components.iter().any(|byte| !matches!(byte, 0 | b'/'));
    (!has_path).then(|| format!("{kind}:[{}]", file.inode).into_bytes())
}

/// `text` made absolute: joined to `base` unless it is absolute itself, and `.`, `..` and double
/// slashes resolved in the text alone, without looking at links.
pub fn absolute<'a>(base: &[u8], text: &'a [u8]) -> Cow<'a, [u8]> {
    if text.starts_with(b"/") && is_normal(text) {
        return Cow::Borrowed(text);
    }
    let mut path: Vec<u8> = Vec::with_capacity(base.len() + text.len() + 1);
    let base = if text.starts_with(b"/") { b"".as_slice() } else { base };
    for name in base.split(|byte| *byte == b'/').chain(text.split(|byte| *byte == b'/')) {
        match name {
            b"" | b"." => {}
            b".." => {
                let parent = memchr::memrchr(b'/', &path).unwrap_or(0);
                path.truncate(parent);
            }
            name => {
                path.push(b'/');
                path.extend_from_slice(name);
            }
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
    Cow::Owned(path)
}

/// Whether an absolute path is already in its shortest form.
fn is_normal(path: &[u8]) -> bool {
    path == b"/"
        || path[1..].split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::{absolute, from_components, rooted};

    #[test]
    fn paths_stay_below_a_changed_root() {
        for (base, text, path) in [
            ("/jail", "/etc/shadow", "/jail/etc/shadow"),
            ("/jail", "/../etc", "/jail/etc"),
            ("/jail", "/", "/jail"),
            ("/jail/tmp", "../x", "/jail/x"),
            ("/", "/etc/../x", "/x"),
        ] {
            assert_eq!(&*rooted(base.as_bytes(), text.as_bytes()), path.as_bytes());
        }
    }

    #[test]
    fn turns_components_round() {
        for (components, path) in [
            (b"".as_slice(), b"/".as_slice()),
            (b"shadow\0etc\0", b"/etc/shadow"),
            (b"shadow\0etc", b"/etc/shadow"),
            (b"memfd:x\0", b"/memfd:x"),
            (b"/\0", b"/"),
        ] {
            assert_eq!(from_components(components), path);
        }
    }

    #[test]
    fn makes_paths_absolute() {
        for (base, text, path) in [
            ("/home/a", "b", "/home/a/b"),
            ("/home/a", "../b/./c//d", "/home/b/c/d"),
            ("/home/a", "/etc/shadow", "/etc/shadow"),
            ("/home/a", "/etc/../etc//shadow", "/etc/shadow"),
            ("/", "..", "/"),
            ("/", "", "/"),
            ("/a", "../../../b", "/b"),
        ] {
            assert_eq!(
                &*absolute(base.as_bytes(), text.as_bytes()),
                path.as_bytes(),
                "{base} {text}"
            );
        }
    }
}
