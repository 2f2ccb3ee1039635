//! `regex`: POSIX extended syntax, matched against the whole value.

use regex::bytes::{Regex, RegexBuilder};

/// Compiles a pattern; the error says what is wrong with it.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let translated =
        Translator { rest: pattern, out: String::new(), repeated: true }.translate()?;
    RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
        .multi_line(true)
        .size_limit(SIZE_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("the pattern needs more than {limit} bytes when compiled")
            }
            other => last_line(&other.to_string()),
        })
}

const CLASSES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// What a pattern may take in memory.
const SIZE_MAX: usize = 1 << 20;

/// The regex crate shows the pattern first and says what is wrong last.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

/// From the syntax of Falco's patterns to that of the regex crate, which knows more.
struct Translator<'a> {
    rest: &'a str,
    out: String,
    /// Nothing precedes that a repetition could repeat: the start, `(`, `|`, or a repetition.
    repeated: bool,
}

impl Translator<'_> {
    fn translate(mut self) -> Result<String, String> {
        while let Some(char) = self.next() {
            match char {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' if self.rest.starts_with('?') => {
                    return Err("`(?` is not POSIX syntax".to_owned());
                }
                '(' | '|' => self.emit(char, true),
                '*' | '+' | '?' => self.repetition(char)?,
                '{' if self.rest.starts_with(|char: char| char.is_ascii_digit()) => {
                    let end = self.rest.find('}').ok_or("`{` without `}`")?;
                    if self.repeated {
                        return Err("nothing to repeat before `{`".to_owned());
                    }
                    self.out.push('{');
                    self.out.push_str(&self.rest[..=end]);
                    self.rest = &self.rest[end + 1..];
                    self.repeated = true;
                }
                '{' => {
                    self.out.push('\\');
                    self.emit('{', false);
                }
                '}' => {
                    self.out.push('\\');
                    self.emit('}', false);
                }
                _ => self.emit(char, false),
            }
        }
        Ok(self.out)
    }

    fn next(&mut self) -> Option<char> {
        let char = self.rest.chars().next()?;
        self.rest = &self.rest[char.len_utf8()..];
        Some(char)
    }

    fn emit(&mut self, char: char, repeated: bool) {
        self.out.push(char);
        self.repeated = repeated;
    }

    fn repetition(&mut self, char: char) -> Result<(), String> {
        if self.repeated {
            return Err(format!("nothing to repeat before `{char}`"));
        }
        self.emit(char, true);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let char = self.next().ok_or("a backslash at the end")?;
        if char.is_ascii_alphanumeric() && !matches!(char, 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x')
        {
            return Err(format!(
                "invalid escape sequence: \\{char}; write `[[:digit:]]` and the like"
            ));
        }
        if char.is_ascii() {
            self.out.push('\\');
        }
        self.emit(char, false);
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.emit('[', false);
        if self.rest.starts_with('^') {
            self.next();
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.next().ok_or("`[` without `]`")? {
                ']' if !first => break,
                '[' if self.rest.starts_with(':') => {
                    let end = self.rest.find(":]").ok_or("`[:` without `:]`")?;
                    let name = &self.rest[1..end];
                    if !CLASSES.contains(&name) {
                        return Err(format!("`[:{name}:]` is not a character class"));
                    }
                    self.out.push('[');
                    self.out.push_str(&self.rest[..end + 2]);
                    self.rest = &self.rest[end + 2..];
                }
                '\\' => self.escape()?,
                // Plain in POSIX, special to the regex crate.
                char @ (']' | '[' | '&' | '~') => {
                    self.out.push('\\');
                    self.out.push(char);
                }
                char => self.out.push(char),
            }
            first = false;
        }
        self.emit(']', false);
        Ok(())
    }
}

/// True when a simpler operator would do: nothing but text and `.*` at the ends.
pub fn is_simple(pattern: &str) -> bool {
    let core = pattern.strip_prefix(".*").unwrap_or(pattern);
    let core = core.strip_suffix(".*").unwrap_or(core);
    !core.contains(['^', '$', '.', '[', '(', '*', '+', '?', '{', '|', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_whole_value() {
        let cases: &[(&str, &str, bool)] = &[
            ("c[a-z]t", "cat", true),
            ("c[a-z]t", "cats", false),
            ("^cat$", "cat", true),
            ("[[:alpha:]]+", "cat", true),
            ("c.t|dog", "dog", true),
            ("[[]x[]]", "[x]", true),
            ("[a&&b]", "&", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
            ("a{2}", "aa", true),
            ("a{x}", "a{x}", true),
            ("x*", "", true),
        ];
        for (pattern, text, expected) in cases {
            let regex = compile(pattern).unwrap();
            assert_eq!(regex.is_match(text.as_bytes()), *expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn refuses_what_is_not_posix() {
        for pattern in [
            "(",
            "(?i)CAT",
            r"\d+",
            r"\w",
            "*a",
            "a**",
            "a*?",
            "[a",
            "a\\",
            "a{2}{3}",
            "[[:nope:]]",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
