//! The files that code is mapped from, kept open: they must be readable when their processes have
//! ended, whatever mount namespace those lived in, and even when the files are deleted.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::profile::maps::Mapping;

/// More files than the processes of a target have mapped.
const MODULES_MAX: usize = 1 << 14;

/// A mapped file.
#[derive(Debug)]
pub struct Module {
    /// As the process sees it.
    pub path: String,
    /// `None` when it could not be opened.
    file: Option<File>,
    /// Separate debug information where the process sees it, when that is not where we do.
    debug_directory: Option<File>,
}

impl Module {
    /// The file, by a name that no mount namespace changes.
    pub fn file_path(&self) -> Option<PathBuf> {
        self.file.as_ref().map(descriptor_path)
    }

    /// Where to look for separate debug information besides our own directories.
    pub fn debug_directory(&self) -> Option<PathBuf> {
        self.debug_directory.as_ref().map(descriptor_path)
    }
}

fn descriptor_path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    device: Box<[u8]>,
    inode: u64,
    path: Box<[u8]>,
}

/// All files of a profile, each opened once, however many processes map it.
#[derive(Debug)]
pub struct Modules {
    all: Vec<Module>,
    numbers: HashMap<Key, u32>,
    /// Descriptors that may still be opened.
    descriptors: usize,
    /// Our own root's debug directory, which needs no descriptor.
    own_debug_directory: Option<(u64, u64)>,
}

impl Default for Modules {
    fn default() -> Self {
        /// A share of what the process may open; symbols are read from further descriptors.
        const SHARE: u64 = 4;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let descriptors = limit.unwrap_or(u64::MAX) / SHARE;
        Self {
            all: Vec::new(),
            numbers: HashMap::new(),
            descriptors: usize::try_from(descriptors).unwrap_or(usize::MAX),
            own_debug_directory: identity(Path::new(DEBUG_DIRECTORY)),
        }
    }
}

/// Where distributions put separate debug information.
pub const DEBUG_DIRECTORY: &str = "/usr/lib/debug";

impl Modules {
    pub fn get(&self, number: u32) -> Option<&Module> {
        self.all.get(number as usize)
    }

    /// The number of the file of a mapping of a process that runs. `None` when there are too many.
    pub fn add(&mut self, pid: u32, mapping: &Mapping<'_>) -> Option<u32> {
        let key =
            Key { device: mapping.device.into(), inode: mapping.inode, path: mapping.path.into() };
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        if self.all.len() >= MODULES_MAX {
            return None;
        }
        let number = u32::try_from(self.all.len()).ok()?;
        let module = self.open(pid, mapping);
        self.all.push(module);
        self.numbers.insert(key, number);
        Some(number)
    }

    fn open(&mut self, pid: u32, mapping: &Mapping<'_>) -> Module {
        let deleted = mapping.path.strip_suffix(b" (deleted)");
        let path = deleted.unwrap_or(mapping.path);
        let file = self.spend(|| open_mapped(pid, mapping, path));
        let debug_directory = if file.is_some() { self.debug_directory(pid) } else { None };
        Module { path: String::from_utf8_lossy(path).into_owned(), file, debug_directory }
    }

    fn debug_directory(&mut self, pid: u32) -> Option<File> {
        let path = PathBuf::from(format!("/proc/{pid}/root{DEBUG_DIRECTORY}"));
        let found = identity(&path).filter(|found| Some(*found) != self.own_debug_directory);
        found.and_then(|_| self.spend(|| open_directory(&path)))
    }

    fn spend(&mut self, open: impl FnOnce() -> io::Result<File>) -> Option<File> {
        let left = self.descriptors.checked_sub(1)?;
        let file = open().ok()?;
        self.descriptors = left;
        Some(file)
    }
}

/// The mapped file itself; where the kernel does not let us, what has its path now.
fn open_mapped(pid: u32, mapping: &Mapping<'_>, path: &[u8]) -> io::Result<File> {
    let Mapping { start, end, .. } = mapping;
    let mapped = format!("/proc/{pid}/map_files/{start:x}-{end:x}");
    open_file(Path::new(&mapped)).or_else(|_| {
        let relative = Path::new(std::ffi::OsStr::from_bytes(path));
        let relative = relative.strip_prefix("/").map_err(io::Error::other)?;
        let file = open_file(&Path::new(&format!("/proc/{pid}/root")).join(relative))?;
        // Another file may have taken the name since.
        if file.metadata()?.ino() == mapping.inode {
            Ok(file)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    })
}

/// Opens a regular file. A process may put a pipe or a device where we look: never wait for it.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK).open(path)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::{Modules, open_file};
    use crate::profile::maps;
    use std::path::Path;

    #[test]
    fn opens_each_file_once_and_only_files() {
        let contents = std::fs::read("/proc/self/maps").unwrap();
        let mut modules = Modules::default();
        let mapped: Vec<_> = maps::parse(&contents)
            .filter(|mapping| mapping.executable && mapping.path.starts_with(b"/"))
            .collect();
        for mapping in mapped.iter().chain(&mapped) {
            let number = modules.add(std::process::id(), mapping).unwrap();
            let module = modules.get(number).unwrap();
            assert_eq!(module.path.as_bytes(), mapping.path);
            assert!(std::fs::metadata(module.file_path().unwrap()).unwrap().len() > 0);
        }
        assert!(modules.all.len() <= mapped.len());
        for path in ["/dev/null", "/proc/self", "/nowhere"] {
            assert!(open_file(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn without_descriptors_modules_keep_their_names() {
        let mut modules = Modules { descriptors: 0, ..Modules::default() };
        let contents = b"400000-401000 r-xp 0 08:01 7 /bin/gone (deleted)";
        let mapping = maps::parse(contents).next().unwrap();
        let number = modules.add(std::process::id(), &mapping).unwrap();
        let module = modules.get(number).unwrap();
        assert_eq!((module.path.as_str(), module.file_path()), ("/bin/gone", None));
    }
}
