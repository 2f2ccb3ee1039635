//! What the running kernel is and has, as far as loading depends on it.

use std::path::Path;

/// Where a kernel with BTF shows it.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// The oldest kernel that has what the programs need: ring buffers (5.8), and the tests' floor.
pub const OLDEST: (u32, u32) = (5, 10);

/// The release text of the running kernel, such as `6.1.0-9-amd64`.
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Major and minor of a release text.
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

pub fn has_btf() -> bool {
    Path::new(BTF_PATH).exists()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn reads_distribution_releases() {
        for (release, expected) in [
            ("6.1.0-56-cloud-amd64", Some((6, 1))),
            ("5.10.262", Some((5, 10))),
            ("7.2.13+deb14-amd64", Some((7, 2))),
            ("6.18.44-fc-v657", Some((6, 18))),
            ("weird", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
