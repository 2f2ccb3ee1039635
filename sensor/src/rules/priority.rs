//! How urgent a rule's matches are, in syslog's terms.

use serde::Serialize;

/// The most urgent first, so that `a <= b` means that `a` is at least as urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Priority {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Informational,
    Debug,
}
