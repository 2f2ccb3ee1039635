//! The host's files, below a prefix when the agent itself runs in a container; each read is bounded.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// No runtime's file about one container or one image is longer.
pub const FILE_MAX: u64 = 4 << 20;

/// Entries of one directory that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Where the host's file system is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    root: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self { root: "/".into() }
    }
}

impl Host {
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A path of the host as this process opens it.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The contents of a regular file; `None` where there is none, an error where it is too long
    /// or cannot be read.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Option<Vec<u8>>> {
        // Whatever else has this name must not block: a pipe would.
        let opened =
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(self.path(path));
        let file = match opened {
            Ok(file) => file,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_MAX {
            return Err(io::Error::other(format!("longer than {FILE_MAX} bytes")));
        }
        Ok(Some(bytes))
    }

    /// A file of JSON. One that is being written counts as absent: it is read again.
    pub fn json<T: DeserializeOwned>(&self, path: impl AsRef<Path>) -> io::Result<Option<T>> {
        let bytes = self.read(path)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub fn is_directory(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).is_dir()
    }

    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// The names in a directory; none where there is no such directory.
    pub fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else { return Vec::new() };
        let names = entries.flatten().take(ENTRIES_MAX).map(|entry| entry.file_name());
        names.filter_map(|name| name.into_string().ok()).collect()
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::{FILE_MAX, Host};

    #[test]
    fn reads_what_is_a_file_of_reasonable_size() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::below(root.path());
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(root.path().join(name), bytes).unwrap();
        write("good.json", b"{\"a\":1}");
        write("cut.json", b"{\"a\":");
        write("long", &vec![b' '; usize::try_from(FILE_MAX).unwrap() + 1]);
        std::fs::create_dir(root.path().join("directory")).unwrap();
        let json = |name: &str| host.json::<serde_json::Value>(name);
        assert_eq!(json("/good.json").unwrap().unwrap()["a"], 1);
        assert_eq!(json("cut.json").unwrap(), None);
        assert_eq!(json("absent").unwrap(), None);
        assert_eq!(json("good.json/below").unwrap(), None);
        assert_eq!(json("directory").unwrap(), None);
        assert!(json("long").unwrap_err().to_string().starts_with("longer than"));
        assert!(host.names("absent").is_empty());
        assert_eq!(host.names("/").len(), 4);
    }
}
