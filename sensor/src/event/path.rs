//! Components, leaf first, as the kernel side sends them → a path; and paths made absolute.

use std::borrow::Cow;

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
    use super::{absolute, from_components};

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
