//! Which file a profile becomes, by the file's name.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::profile::report::Report;
use crate::profile::{flamegraph, pprof, speedscope};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Flame graph.
    Svg,
    /// Folded stacks.
    Folded,
    /// Gzipped pprof.
    Pprof,
    Speedscope,
}

/// Why a profile has not become a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} ends in none of {}", path.display(), Endings)]
    Ending { path: PathBuf },
    #[error("no samples: {target} used no CPU in {seconds:.1} s")]
    Empty { target: String, seconds: f64 },
    #[error(transparent)]
    Io(#[from] io::Error),
}

const ENDINGS: &[(&str, Format)] = &[
    (".svg", Format::Svg),
    (".folded", Format::Folded),
    (".pb.gz", Format::Pprof),
    (".json", Format::Speedscope),
];

/// `.svg (flame graph), …`.
struct Endings;

impl fmt::Display for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endings: Vec<String> = ENDINGS
            .iter()
            .map(|(ending, format)| format!("{ending} ({})", format.description()))
            .collect();
        f.write_str(&endings.join(", "))
    }
}

impl Format {
    const fn description(self) -> &'static str {
        match self {
            Self::Svg => "flame graph",
            Self::Folded => "folded stacks",
            Self::Pprof => "pprof",
            Self::Speedscope => "speedscope",
        }
    }

    /// The format that a file's name asks for.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
        let name = name.unwrap_or_default();
        let found = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
        found.map(|(_, format)| *format).ok_or_else(|| Error::Ending { path: path.to_owned() })
    }

    /// Writes a profile. One without samples is an error, and nothing is written.
    pub fn write(self, report: &Report, to: &mut dyn Write) -> Result<(), Error> {
        if report.samples() == 0 {
            let seconds = report.duration.as_secs_f64();
            return Err(Error::Empty { target: report.target.clone(), seconds });
        }
        match self {
            Self::Svg => flamegraph::write_svg(report, to)?,
            Self::Folded => flamegraph::write_folded(report, to)?,
            Self::Pprof => pprof::write(report, to)?,
            Self::Speedscope => speedscope::write(report, to)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ENDINGS, Format};
    use crate::profile::report::Report;
    use crate::profile::testing::report;
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn the_ending_decides() {
        for (path, expected) in [
            ("a.svg", Some(Format::Svg)),
            ("/x/A.FOLDED", Some(Format::Folded)),
            ("a.pb.gz", Some(Format::Pprof)),
            ("a.gz", None),
            ("a.json", Some(Format::Speedscope)),
            ("svg", None),
        ] {
            assert_eq!(Format::of(Path::new(path)).ok(), expected, "{path}");
        }
        let error = Format::of(Path::new("out/flame.png")).unwrap_err().to_string();
        assert!(error.starts_with("out/flame.png ends in none of .svg (flame graph), .folded"));
    }

    #[test]
    fn every_format_writes_something_but_not_of_nothing() {
        let duration = Duration::from_secs(2);
        let empty = Report { target: "container web".into(), duration, ..Report::default() };
        for (ending, format) in ENDINGS {
            let mut bytes = Vec::new();
            format.write(&report(), &mut bytes).unwrap();
            assert!(!bytes.is_empty(), "{ending}");
            bytes.clear();
            let error = format.write(&empty, &mut bytes).unwrap_err();
            assert_eq!(error.to_string(), "no samples: container web used no CPU in 2.0 s");
            assert!(bytes.is_empty());
        }
    }
}
