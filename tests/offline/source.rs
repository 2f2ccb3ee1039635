//! Source files as the tidy tests read them: comments and literals blanked, so that words in them do not count.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust source file of the workspace.
pub(crate) struct Source {
    /// From the workspace's directory, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The text without comments, strings and character literals; lines stay where they are.
    pub(crate) fn code(&self) -> String {
        code(&self.text)
    }

    /// The code before the unit tests, which are a file's last module.
    pub(crate) fn code_without_tests(&self) -> String {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return String::new();
        }
        let code = self.code();
        let end = code.find("#[cfg(test)]\nmod tests").unwrap_or(code.len());
        code[..end].to_owned()
    }
}

/// Every Rust file under `directories` of the workspace, in order of path.
pub(crate) fn sources(directories: &[&str]) -> Vec<Source> {
    let root = sensor_tests::root();
    let mut paths = Vec::new();
    for directory in directories {
        collect(&root.join(directory), &mut paths);
    }
    paths.sort();
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(source).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let literal = literal_length(rest);
        // A literal's prefix (`b`, `r`, `c`) must not be the end of a name.
        if literal > 0 && !(first.is_alphabetic() && code.ends_with(is_word)) {
            code.extend(rest[..literal].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[literal..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// Letters, digits and `_`: what names are made of.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many bytes the comment, string or character literal at the start of `text` has; 0 if there is none.
fn literal_length(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    let prefix = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    let body = &text[prefix..];
    if prefix <= 2 && text[..prefix].contains('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        if body[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = &body[hashes + 1..];
            let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
            return prefix + hashes + 1 + length;
        }
        return 0;
    }
    match body.chars().next() {
        Some('"') if prefix <= 1 => prefix + quoted_length(body, '"'),
        Some('\'') if prefix <= 1 && is_character(body) => prefix + quoted_length(body, '\''),
        _ => 0,
    }
}

/// `'x'` and `'\n'` are characters, `'a` in `&'a str` is a lifetime.
fn is_character(text: &str) -> bool {
    let mut characters = text.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

#[test]
fn literals_and_comments_are_not_code() {
    let cases = [
        ("let a = \"unsafe\";", "let a =         ;"),
        ("a // unsafe\nb", "a          \nb"),
        ("a /* x\n */ b", "a     \n    b"),
        ("r#\"a\"b\"# c", "         c"),
        ("b'\\'' c '\"' d", "      c     d"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("\"a\\\"b\" c", "       c"),
        ("for r in super", "for r in super"),
    ];
    for (text, expected) in cases {
        assert_eq!(code(text), expected, "{text}");
    }
}
