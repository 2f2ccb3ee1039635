//! Records ↔ a file, so that everything after the ring runs without a kernel.
//!
//! A capture is a line that says what it is, a line of JSON about where it was made, and then the
//! records exactly as they arrived. Each record begins with its own length.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sensor_common::call::Call;
use sensor_common::call::table::CALLS;
use sensor_common::cgroup::Cgroup;
use sensor_common::clock::Clock;
use sensor_common::connect::Connect;
use sensor_common::container::Container;
use sensor_common::credentials::Credentials;
use sensor_common::exec::Exec;
use sensor_common::exit::Exit;
use sensor_common::fork::Fork;
use sensor_common::header::RECORD_MAX;
use sensor_common::oom::Oom;
use sensor_common::open::Open;
use sensor_common::sample::Sample;
use sensor_common::users::Users;
use sensor_common::{Header, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use zerocopy::{FromBytes as _, FromZeros};

/// The first line.
const MAGIC: &str = "sensor capture 1";

/// Where a capture was made, as far as replaying it needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub hostname: String,
    pub kernel: String,
    /// Identifies the boot, so that ids derived from boot times are unique.
    pub boot_id: String,
}

/// The second line: where it was made, and how the fixed part of each kind of record is laid out.
#[derive(Serialize, Deserialize)]
struct Description {
    #[serde(flatten)]
    origin: Origin,
    /// As [`layout`] says it; of another version, whatever that wrote.
    #[serde(default)]
    records: BTreeMap<String, Json>,
}

fn layout() -> BTreeMap<String, Json> {
    // A call's record names its row by number.
    let rows: Vec<_> = CALLS.iter().map(|call| call.name).collect();
    let rows = ("calls".to_owned(), Json::from(fingerprint(CALLS.len(), &rows)));
    let kinds = Kind::ALL.iter().map(|kind| (kind.name().to_owned(), Json::from(of_kind(*kind))));
    kinds.chain([rows]).collect()
}

fn of_kind(kind: Kind) -> String {
    match kind {
        Kind::Fork => of_record::<Fork>(),
        Kind::Exec | Kind::Process => of_record::<Exec>(),
        Kind::Exit => of_record::<Exit>(),
        Kind::Open => of_record::<Open>(),
        Kind::Connect => of_record::<Connect>(),
        Kind::Oom => of_record::<Oom>(),
        Kind::Cgroup => of_record::<Cgroup>(),
        Kind::Sample => of_record::<Sample>(),
        Kind::Credentials => of_record::<Credentials>(),
        Kind::Call => of_record::<Call>(),
        Kind::Users => of_record::<Users>(),
        Kind::Clock => of_record::<Clock>(),
        Kind::Container => of_record::<Container>(),
    }
}

fn of_record<T: FromZeros + Debug>() -> String {
    fingerprint(size_of::<T>(), &T::new_zeroed())
}

/// `160-1f2e3d4c5b6a7988`: the length, and a hash of the names of the fields in their order, which is
/// what derived `Debug` prints. Two fields of one size that change places change the hash.
fn fingerprint(len: usize, named: &dyn Debug) -> String {
    // FNV-1a: stable over builds, which the standard library's hasher is not.
    let hash = format!("{named:?}").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{len}-{hash:016x}")
}

/// Why a file could not be written or read as a capture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{action} capture {path}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{0} is not a capture: its first line is not `{MAGIC}`")]
    Magic(PathBuf),
    #[error("capture {0} has no readable description in its second line")]
    Origin(PathBuf, #[source] serde_json::Error),
    #[error(
        "capture {0} was made by another version of the sensor, whose records of kind {1} are laid \
         out differently: replay it with that version, or record it again"
    )]
    Layout(PathBuf, String),
    #[error("capture {path} is damaged: a record of {len} bytes at offset {offset}")]
    Length { path: PathBuf, len: u32, offset: u64 },
    #[error("capture {path} ends within a record at offset {offset}")]
    Cut { path: PathBuf, offset: u64 },
}

/// Writes a capture.
pub struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Writer {
    /// Creates or truncates the file.
    pub fn create(path: &Path, origin: &Origin) -> Result<Self, Error> {
        let fail = |source| Error::Io { action: "create", path: path.into(), source };
        let mut file = BufWriter::new(File::create(path).map_err(fail)?);
        let description = Description { origin: origin.clone(), records: layout() };
        let description = serde_json::to_string(&description)
            .map_err(|error| Error::Origin(path.into(), error))?;
        writeln!(file, "{MAGIC}\n{description}").map_err(fail)?;
        Ok(Self { file, path: path.into() })
    }

    pub fn write(&mut self, record: &[u8]) -> Result<(), Error> {
        self.file.write_all(record).map_err(|source| self.failed(source))
    }

    /// Puts everything on its way to the disk.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { action: "write", path: self.path.clone(), source }
    }
}

/// Reads a capture.
#[derive(Debug)]
pub struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    pub origin: Origin,
    offset: u64,
    record: Vec<u8>,
}

impl Reader {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::Io { action: "open", path: path.into(), source };
        let mut file = BufReader::new(File::open(path).map_err(fail)?);
        let mut magic = Vec::new();
        file.by_ref().take(64).read_until(b'\n', &mut magic).map_err(fail)?;
        if magic.strip_suffix(b"\n") != Some(MAGIC.as_bytes()) {
            return Err(Error::Magic(path.into()));
        }
        let mut line = Vec::new();
        file.by_ref().take(64 * 1024).read_until(b'\n', &mut line).map_err(fail)?;
        let Description { origin, records } =
            serde_json::from_slice(&line).map_err(|error| Error::Origin(path.into(), error))?;
        let own = layout();
        // A kind that this version lacks is left to decoding, which counts what it does not know.
        let other =
            own.iter().find(|(kind, layout)| records.get(*kind).is_some_and(|old| old != *layout));
        if let Some((kind, _)) = other {
            return Err(Error::Layout(path.into(), kind.clone()));
        }
        let offset = (magic.len() + line.len()) as u64;
        Ok(Self { file, path: path.into(), origin, offset, record: Vec::new() })
    }

    /// The next record; `None` at the end.
    pub fn read(&mut self) -> Result<Option<&[u8]>, Error> {
        let mut header = [0; size_of::<Header>()];
        let got = read_full(&mut self.file, &mut header).map_err(|source| Error::Io {
            action: "read",
            path: self.path.clone(),
            source,
        })?;
        if got == 0 {
            return Ok(None);
        }
        let cut = || Error::Cut { path: self.path.clone(), offset: self.offset };
        let len = match Header::read_from_bytes(&header) {
            Ok(header) if got == size_of::<Header>() => header.len,
            _ => return Err(cut()),
        };
        if (len as usize) < header.len() || len as usize > RECORD_MAX {
            return Err(Error::Length { path: self.path.clone(), len, offset: self.offset });
        }
        self.record.clear();
        self.record.extend_from_slice(&header);
        self.record.resize(len as usize, 0);
        if self.file.read_exact(&mut self.record[header.len()..]).is_err() {
            return Err(cut());
        }
        self.offset += u64::from(len);
        Ok(Some(&self.record))
    }
}

/// Reads until the buffer is full or the file ends; the bytes read.
fn read_full(file: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(read) => got += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::{Origin, Reader, Writer, fingerprint, layout};
    use crate::probe::record;

    fn origin() -> Origin {
        Origin { hostname: "node".into(), kernel: "6.1".into(), boot_id: "0".into() }
    }

    #[test]
    fn gives_back_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rec");
        let records = [record::clock(5), record::cgroup(7, "/a/b")];
        let mut writer = Writer::create(&path, &origin()).unwrap();
        for record in &records {
            writer.write(record).unwrap();
        }
        writer.flush().unwrap();
        let mut reader = Reader::open(&path).unwrap();
        assert_eq!(reader.origin, origin());
        for record in &records {
            assert_eq!(reader.read().unwrap(), Some(record.as_slice()));
        }
        assert_eq!(reader.read().unwrap(), None);
    }

    #[test]
    fn fields_that_change_places_are_another_layout() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "only their order is looked at")]
        struct Record {
            uid: u32,
            gid: u32,
        }
        #[derive(Debug)]
        #[expect(dead_code, reason = "only their order is looked at")]
        struct Other {
            gid: u32,
            uid: u32,
        }
        let (one, other) = (Record { uid: 0, gid: 0 }, Other { uid: 0, gid: 0 });
        let of = |named: &dyn std::fmt::Debug| {
            // The name of the whole is no part of the layout.
            fingerprint(8, &format!("{named:?}").split_once('{').unwrap().1)
        };
        assert_ne!(of(&one), of(&other));
        assert_eq!(of(&one), of(&Record { ..one }));
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rec");
        let whole = {
            let mut writer = Writer::create(&path, &origin()).unwrap();
            writer.write(&record::clock(5)).unwrap();
            writer.flush().unwrap();
            std::fs::read(&path).unwrap()
        };
        for (bytes, expected) in [
            (b"#!/bin/sh\n".to_vec(), "is not a capture"),
            (whole[..20].to_vec(), "no readable description"),
            (
                String::from_utf8_lossy(&whole)
                    .replace(&layout()["clock"].to_string(), "72")
                    .into_bytes(),
                "records of kind clock are laid out differently",
            ),
            (whole[..whole.len() - 1].to_vec(), "ends within a record"),
            (
                {
                    let mut bytes = whole.clone();
                    let at = bytes.len() - record::clock(5).len();
                    bytes[at..at + 4].copy_from_slice(&3_u32.to_ne_bytes());
                    bytes
                },
                "a record of 3 bytes",
            ),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = match Reader::open(&path) {
                Err(error) => error,
                Ok(mut reader) => reader.read().unwrap_err(),
            };
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
