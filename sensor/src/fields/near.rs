//! The known name that a mistyped one was probably meant to be.

/// A hint that names the nearest of the known names, when one is near.
pub fn did_you_mean(name: &str, known: impl IntoIterator<Item: AsRef<str>>) -> Option<String> {
    nearest(name, known).map(|known| format!("did you mean `{}`?", known.as_ref()))
}

/// The known name that a mistyped one was probably meant to be.
pub fn nearest<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    const SIMILARITY_MIN: f64 = 0.7;
    let lower = name.to_ascii_lowercase();
    known
        .into_iter()
        .filter(|known| known.as_ref() != name)
        .map(|known| (strsim::normalized_damerau_levenshtein(&lower, known.as_ref()), known))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}
