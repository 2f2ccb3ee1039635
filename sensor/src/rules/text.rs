//! Where a text came from: every byte of a condition or output knows its place in a file.

use std::ops::Range;

/// A rules file as it was given.
#[derive(Debug)]
pub struct File {
    pub name: String,
    pub content: String,
}

/// A text that was read from files: one YAML scalar, or several that `append` joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    runs: Vec<Run>,
}

/// Bytes of a text from `start` on that lie in a file side by side, in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: usize,
    file: usize,
    offset: usize,
}

/// A piece of one of the loaded files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    pub file: usize,
    pub bytes: Range<usize>,
}

/// A position as people count: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Text {
    /// A text that stands in a file as it is.
    pub fn verbatim(text: &str, file: usize, offset: usize) -> Self {
        Self { text: text.to_owned(), runs: vec![Run { start: 0, file, offset }] }
    }

    /// A text of no file: of the configuration, say.
    pub fn unplaced(text: &str) -> Self {
        Self { text: text.to_owned(), runs: Vec::new() }
    }

    /// A text whose bytes are found at `offsets` of the file, byte by byte.
    pub fn mapped(
        text: String,
        file: usize,
        offsets: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (start, offset) in offsets {
            match runs.last() {
                Some(last) if last.offset + (start - last.start) == offset => {}
                _ => runs.push(Run { start, file, offset }),
            }
        }
        Self { text, runs }
    }

    /// Adds a blank and `other`, as `append` does.
    pub fn append(&mut self, other: &Self) {
        self.text.push(' ');
        let shift = self.text.len();
        self.text.push_str(&other.text);
        self.runs.extend(other.runs.iter().map(|run| Run { start: run.start + shift, ..*run }));
    }

    /// The bytes of `range` as a text of their own.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let offsets = range.clone().map(|byte| self.locate(byte));
        let file = self.locate(range.start).0;
        let start = range.start;
        let pairs = offsets.enumerate().filter(|(_, (own, _))| *own == file);
        let pairs: Vec<_> = pairs.map(|(index, (_, offset))| (index, offset)).collect();
        Self::mapped(self.text[start..range.end].to_owned(), file, pairs)
    }

    /// Where the bytes of `range` stand. A range that crosses files ends with its first file.
    pub fn place(&self, range: Range<usize>) -> Place {
        let (file, start) = self.locate(range.start);
        let last = range.end.max(range.start + 1) - 1;
        let end = match self.locate(last) {
            (same, offset) if same == file && offset >= start => offset + 1,
            _ => start + 1,
        };
        Place { file, bytes: start..if range.is_empty() { start } else { end } }
    }

    fn locate(&self, byte: usize) -> (usize, usize) {
        let after = self.runs.partition_point(|run| run.start <= byte);
        match self.runs.get(after.saturating_sub(1)) {
            Some(run) => (run.file, run.offset + byte.saturating_sub(run.start)),
            None => (0, byte),
        }
    }
}

impl File {
    pub fn position(&self, byte: usize) -> Position {
        let before = self.before(byte);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Position { line, column }
    }

    /// The whole line around a byte, without its end.
    pub fn line(&self, byte: usize) -> &str {
        let start = self.before(byte).rfind('\n').map_or(0, |newline| newline + 1);
        self.content[start..].lines().next().unwrap_or_default()
    }

    fn before(&self, byte: usize) -> &str {
        let mut end = byte.min(self.content.len());
        while !self.content.is_char_boundary(end) {
            end -= 1;
        }
        &self.content[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appended_text_keeps_both_places() {
        let mut text = Text::verbatim("a or b", 0, 100);
        text.append(&Text::verbatim("and c", 1, 7));
        assert_eq!(text.text, "a or b and c");
        assert_eq!(text.place(5..6), Place { file: 0, bytes: 105..106 });
        assert_eq!(text.place(11..12), Place { file: 1, bytes: 11..12 });
    }

    #[test]
    fn positions_count_characters_from_one() {
        let file = File { name: String::new(), content: "a\nbäc\n".to_owned() };
        assert_eq!(file.position(5), Position { line: 2, column: 3 });
        assert_eq!(file.line(5), "bäc");
    }
}
