//! Shell patterns as `fnmatch` without flags has them: `*` and `?` match `/` too.

/// A pattern, ready to match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    parts: Box<[Part]>,
    fold_case: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Byte(u8),
    One,
    Any,
    Class { negated: bool, ranges: Box<[(u8, u8)]> },
}

impl Glob {
    pub fn new(pattern: &[u8], fold_case: bool) -> Self {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                b'*' if parts.last() == Some(&Part::Any) => {}
                b'*' => parts.push(Part::Any),
                b'?' => parts.push(Part::One),
                b'[' => match class(after, fold_case) {
                    Some((class, after)) => {
                        parts.push(class);
                        rest = after;
                    }
                    // Without its end, a bracket is a bracket.
                    None => parts.push(Part::Byte(b'[')),
                },
                b'\\' if !after.is_empty() => {
                    parts.push(Part::Byte(fold(after[0], fold_case)));
                    rest = &after[1..];
                }
                byte => parts.push(Part::Byte(fold(byte, fold_case))),
            }
        }
        Self { parts: parts.into(), fold_case }
    }

    /// True when the pattern is a plain text.
    pub fn is_literal(pattern: &[u8]) -> bool {
        !pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
    }

    /// What every match begins with; `None` where case does not count.
    pub fn literal_prefix(&self) -> Option<Vec<u8>> {
        let literals = self.parts.iter().map_while(|part| match part {
            Part::Byte(byte) => Some(*byte),
            Part::One | Part::Any | Part::Class { .. } => None,
        });
        (!self.fold_case).then(|| literals.collect())
    }

    /// Texts that every match has in it, one behind the other; where case does not count, in lower case.
    pub fn literals(&self) -> impl Iterator<Item = Vec<u8>> {
        let byte = |part: &Part| match part {
            Part::Byte(byte) => Some(*byte),
            Part::One | Part::Any | Part::Class { .. } => None,
        };
        let runs = self.parts.split(move |part| byte(part).is_none());
        runs.map(move |run| run.iter().filter_map(byte).collect())
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        let classes = self.parts.iter().map(|part| match part {
            Part::Class { ranges, .. } => size_of_val(&**ranges),
            Part::Byte(_) | Part::One | Part::Any => 0,
        });
        size_of_val(&*self.parts) + classes.sum::<usize>()
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut part, mut byte) = (0, 0);
        // Where to go on when the match after the last `*` fails: one byte further.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    part += 1;
                    if part == self.parts.len() {
                        return true;
                    }
                    retry = Some((part, byte));
                    continue;
                }
                Some(one) if text.get(byte).is_some_and(|byte| self.part_matches(one, *byte)) => {
                    (part, byte) = (part + 1, byte + 1);
                    continue;
                }
                None if byte == text.len() => return true,
                _ => {}
            }
            match retry {
                Some((after_star, from)) if from < text.len() => {
                    retry = Some((after_star, from + 1));
                    (part, byte) = (after_star, from + 1);
                }
                _ => return false,
            }
        }
    }

    fn part_matches(&self, part: &Part, byte: u8) -> bool {
        let byte = fold(byte, self.fold_case);
        match part {
            Part::Byte(own) => *own == byte,
            Part::One => true,
            Part::Any => false,
            Part::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte)) != *negated
            }
        }
    }
}

/// What follows `[`: the class and the rest after its `]`.
fn class(pattern: &[u8], fold_case: bool) -> Option<(Part, &[u8])> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let mut rest = if negated { &pattern[1..] } else { pattern };
    let mut ranges = Vec::new();
    let mut first = true;
    loop {
        match *rest.first()? {
            b']' if !first => {
                return Some((Part::Class { negated, ranges: ranges.into() }, &rest[1..]));
            }
            b'[' if rest.get(1) == Some(&b':') => {
                let end = memchr::memmem::find(rest, b":]")?;
                ranges.extend_from_slice(named(rest.get(2..end)?)?);
                rest = &rest[end + 2..];
            }
            low => {
                let (low, after) = if low == b'\\' && rest.len() > 1 {
                    (rest[1], &rest[2..])
                } else {
                    (low, &rest[1..])
                };
                match *after {
                    [b'-', high, ..] if high != b']' => {
                        ranges.push((fold(low, fold_case), fold(high, fold_case)));
                        rest = &after[2..];
                    }
                    _ => {
                        ranges.push((fold(low, fold_case), fold(low, fold_case)));
                        rest = after;
                    }
                }
            }
        }
        first = false;
    }
}

fn named(name: &[u8]) -> Option<&'static [(u8, u8)]> {
    Some(match name {
        b"alpha" => &[(b'a', b'z'), (b'A', b'Z')],
        b"digit" => &[(b'0', b'9')],
        b"alnum" => &[(b'a', b'z'), (b'A', b'Z'), (b'0', b'9')],
        b"upper" => &[(b'A', b'Z')],
        b"lower" => &[(b'a', b'z')],
        b"space" => &[(b'\t', b'\r'), (b' ', b' ')],
        b"blank" => &[(b' ', b' '), (b'\t', b'\t')],
        b"punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        b"xdigit" => &[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')],
        b"print" => &[(b' ', b'~')],
        b"graph" => &[(b'!', b'~')],
        b"cntrl" => &[(0, 31), (127, 127)],
        _ => return None,
    })
}

const fn fold(byte: u8, fold_case: bool) -> u8 {
    if fold_case { byte.to_ascii_lowercase() } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_fnmatch() {
        let cases: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*b", "a/x/b", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "abb", false),
            ("?", "/", true),
            ("?", "", false),
            ("[!d]at", "cat", true),
            ("[!d]at", "dat", false),
            ("[^d]at", "cat", true),
            ("[a-c]", "b", true),
            ("[a-c]", "d", false),
            ("[]x]", "]", true),
            ("[a", "[a", true),
            ("[[:digit:]]*", "7x", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("{a,b}", "a", false),
            ("*../*../*", "/opt/../x/../y", true),
            ("C*", "cat", false),
        ];
        for (pattern, text, expected) in cases {
            let glob = Glob::new(pattern.as_bytes(), false);
            assert_eq!(glob.matches(text.as_bytes()), *expected, "{pattern} on {text}");
        }
        assert!(Glob::new(b"C[A-B]T", true).matches(b"cat"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let glob = Glob::new(&b"*a".repeat(50), false);
        assert!(!glob.matches(&b"a".repeat(49)));
        assert!(glob.matches(&b"a".repeat(50_000)));
    }
}
