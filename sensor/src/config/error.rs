//! What is wrong with the settings, all of it, each in one sentence that says where.

use std::fmt;
use std::path::Path;

use crate::config::keys::KEYS;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// `file:line:column`, a variable's name, or the command line.
    origin: String,
    message: String,
}

impl Error {
    pub(crate) fn new(origin: impl Into<String>, message: impl Into<String>) -> Self {
        Self { origin: origin.into(), message: message.into() }
    }

    pub(crate) fn unreadable(path: &Path, why: &dyn fmt::Display) -> Self {
        Self::new(path.display().to_string(), format!("cannot read the config file: {why}"))
    }

    pub(crate) fn unknown_override(name: &str) -> Self {
        let candidates = KEYS.iter().map(|key| key.name);
        Self::new("the command line", unknown(name, candidates))
    }
}

/// The sentence about a key that does not exist, with the nearest that does.
pub(crate) fn unknown(name: &str, candidates: impl Iterator<Item = &'static str>) -> String {
    /// Further away than this a name is not a slip of it.
    const SIMILARITY_MIN: f64 = 0.7;
    let nearest = candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    match nearest {
        Some((_, candidate)) => format!("unknown key `{name}`; did you mean `{candidate}`?"),
        None => format!("unknown key `{name}`; docs/config.md lists the keys"),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.origin, self.message)
    }
}

impl std::error::Error for Error {}

/// All mistakes, one a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    pub(crate) fn extend(&mut self, errors: impl IntoIterator<Item = Error>) {
        self.0.extend(errors);
    }

    pub(crate) fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
