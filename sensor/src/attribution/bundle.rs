//! Where a container's bundle is, by the arguments of the OCI runtime that makes it. A container that
//! lives for a moment takes the runtime's state with it; its bundle stays.

/// The bundle of the container with this id, if these are the arguments and the working directory of
/// the runtime (`runc run --bundle DIR ID`, `crun create -b DIR … ID`) that makes it.
pub fn bundle_in<'a>(
    mut arguments: impl Iterator<Item = &'a [u8]>,
    cwd: &'a [u8],
    id: &str,
) -> Option<String> {
    let mut makes = false;
    let mut bundle: Option<&[u8]> = None;
    let mut is_of_container = false;
    // The program's own name comes first.
    arguments.next()?;
    while let Some(argument) = arguments.next() {
        match argument {
            b"run" | b"create" | b"restore" => makes = true,
            b"--bundle" | b"-b" => bundle = arguments.next(),
            other if other == id.as_bytes() => is_of_container = true,
            other => bundle = other.strip_prefix(b"--bundle=").or(bundle),
        }
    }
    if !(makes && is_of_container) {
        return None;
    }
    // Without the option it is the working directory.
    let bundle = bundle.unwrap_or(cwd);
    let absolute =
        if bundle.starts_with(b"/") { bundle.to_vec() } else { [cwd, b"/", bundle].concat() };
    String::from_utf8(absolute).ok()
}

#[cfg(test)]
mod tests {
    use super::bundle_in;

    #[test]
    fn bundles_are_found_in_arguments() {
        for (arguments, expected) in [
            ("runc run --bundle /b abc", Some("/b")),
            ("runc --root /r --log /l create --bundle=/b --pid-file p abc", Some("/b")),
            ("crun --cgroup-manager cgroupfs run -b below abc", Some("/cwd/below")),
            ("crun run abc", Some("/cwd")),
            // Of another container; not what makes one; none at all.
            ("runc run --bundle /b abd", None),
            ("runc exec --bundle /b abc sh", None),
            ("runc init", None),
            ("", None),
        ] {
            let words = arguments.split(' ').map(str::as_bytes);
            assert_eq!(bundle_in(words, b"/cwd", "abc").as_deref(), expected, "{arguments}");
        }
    }
}
