//! The known name that a mistyped one was probably meant to be.

/// A hint that names the nearest of the known names, when one is near.
pub fn did_you_mean(name: &str, known: impl IntoIterator<Item: AsRef<str>>) -> Option<String> {
    nearest(name, known).map(|known| format!("did you mean `{}`?", known.as_ref()))
}

/// The known name that a mistyped one was probably meant to be.
pub fn nearest<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    const SIMILARITY_MIN: f64 = 0.7;
    /// Longer ones are no mistyped names, and comparing takes time by the square of the length.
    const LENGTH_MAX: usize = 64;
    if name.len() > LENGTH_MAX {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    // Whatever else they have in common, such lengths are too far apart.
    let is_comparable = |known: &T| {
        let (least, most) =
            (known.as_ref().len().min(name.len()), known.as_ref().len().max(name.len()));
        least * 10 >= most * 7
    };
    known
        .into_iter()
        .filter(|known| known.as_ref() != name && is_comparable(known))
        .map(|known| (strsim::normalized_damerau_levenshtein(&lower, known.as_ref()), known))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}
