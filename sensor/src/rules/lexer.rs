//! Condition text → tokens. What a token is depends on what may follow, so the parser asks for one.

use std::sync::Arc;

use crate::rules::ast::{Constant, Operator, Span};
use crate::rules::error::{Code, Fault};
use crate::rules::text::Text;

pub struct Lexer {
    text: Arc<Text>,
    at: usize,
}

type Lexed<T> = Result<T, Fault>;

impl Lexer {
    pub fn new(text: Arc<Text>) -> Self {
        Self { text, at: 0 }
    }

    pub fn text(&self) -> &Text {
        &self.text
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn rest(&self) -> &str {
        &self.text.text[self.at..]
    }

    pub fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub fn span(&self, start: usize) -> Span {
        Span { text: Arc::clone(&self.text), start, end: self.at }
    }

    /// An error at what comes next: a whole word, so that the caret shows the offending token.
    pub fn expected(&self, what: &str) -> Fault {
        let rest = self.rest();
        let word = rest.len() - rest.trim_start_matches(is_bare).len();
        let width = word.max(rest.chars().next().map_or(0, char::len_utf8));
        let (place, found) = if width == 0 {
            let last = self.text.text.trim_end().len();
            (self.text.place(last.saturating_sub(1)..last), "the end".to_owned())
        } else {
            (self.text.place(self.at..self.at + width), format!("`{}`", &rest[..width]))
        };
        Fault::new(Code::CompileCondition, place, format!("expected {what}, found {found}"))
    }

    /// An error about what was read since `start`.
    pub fn fault(&self, start: usize, message: impl Into<String>) -> Fault {
        Fault::new(Code::CompileCondition, self.text.place(start..self.at), message)
    }

    /// Skips blanks; true when there were any.
    pub fn blanks(&mut self) -> bool {
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start_matches(is_blank).len();
        self.at += skipped;
        skipped > 0
    }

    pub fn take(&mut self, symbol: &str) -> bool {
        let taken = self.rest().starts_with(symbol);
        if taken {
            self.at += symbol.len();
        }
        taken
    }

    /// A word that must be followed by a blank or by `(`.
    pub fn keyword(&mut self, word: &str) -> bool {
        let taken = self.sees_keyword(word);
        if taken {
            self.at += word.len();
        }
        taken
    }

    /// Goes to the `and`, the `or` or the `)` that ends the operand that began at `start`.
    pub fn skip_operand(&mut self, start: usize) {
        self.at = start;
        let mut depth = 0_usize;
        while let Some(char) = self.rest().chars().next() {
            let is_word = self.at > start && self.text.text[..self.at].ends_with(is_blank);
            let ends = is_word && (self.sees_keyword("and") || self.sees_keyword("or"));
            match char {
                ')' if depth == 0 => return,
                _ if depth == 0 && ends => return,
                '(' => depth += 1,
                ')' => depth -= 1,
                '"' | '\'' => {
                    let after = &self.rest()[1..];
                    self.at += after.find(char).unwrap_or(after.len());
                }
                _ => {}
            }
            self.at = (self.at + char.len_utf8()).min(self.text.text.len());
        }
    }

    fn sees_keyword(&self, word: &str) -> bool {
        self.rest()
            .strip_prefix(word)
            .is_some_and(|after| after.starts_with(|char| is_blank(char) || char == '('))
    }

    /// A word that is followed by `(` at once.
    pub fn call(&mut self) -> Option<&str> {
        let word = self.identifier_len();
        let called = word > 0 && self.rest()[word..].starts_with('(');
        called.then(|| {
            let start = self.at;
            self.at += word + 1;
            &self.text.text[start..start + word]
        })
    }

    /// A field's name: identifiers joined by at least one dot.
    pub fn field(&mut self) -> Option<&str> {
        let rest = self.rest();
        let mut end = identifier_len(rest);
        let mut dotted = false;
        while end > 0 {
            let part = rest[end..].strip_prefix('.').map_or(0, identifier_len);
            if part == 0 {
                break;
            }
            dotted = true;
            end += part + 1;
        }
        dotted.then(|| {
            let start = self.at;
            self.at += end;
            &self.text.text[start..start + end]
        })
    }

    pub fn identifier(&mut self) -> Option<&str> {
        let length = self.identifier_len();
        let start = self.at;
        self.at += length;
        (length > 0).then(|| &self.text.text[start..start + length])
    }

    fn identifier_len(&self) -> usize {
        identifier_len(self.rest())
    }

    /// `[argument]` after a field.
    pub fn argument(&mut self) -> Lexed<Option<String>> {
        if !self.take("[") {
            return Ok(None);
        }
        let argument = if self.rest().starts_with(['"', '\'']) {
            let quoted = self.quoted()?;
            String::from_utf8_lossy(&quoted.value).into_owned()
        } else {
            let rest = self.rest();
            let end = rest
                .find(|char| is_blank(char) || matches!(char, '[' | ']' | '"' | '\''))
                .unwrap_or(rest.len());
            let bare = rest[..end].to_owned();
            self.at += end;
            bare
        };
        if argument.is_empty() {
            return Err(self.expected("a field's argument"));
        }
        if !self.take("]") {
            return Err(self.expected("`]` after the field's argument"));
        }
        Ok(Some(argument))
    }

    pub fn operator(&mut self) -> Lexed<Option<Operator>> {
        if self.take("==") {
            return Ok(Some(Operator::Equal));
        }
        for operator in Operator::ALL {
            let name = operator.name();
            if name.starts_with(|char: char| char.is_ascii_alphabetic()) {
                let Some(after) = self.rest().strip_prefix(name) else { continue };
                if after.starts_with(|char: char| char.is_ascii_alphanumeric() || char == '_') {
                    continue;
                }
                self.at += name.len();
                return Ok(Some(*operator));
            }
            if self.take(name) {
                return Ok(Some(*operator));
            }
        }
        Ok(None)
    }

    /// A quoted string, a number or a bare word.
    pub fn constant(&mut self) -> Lexed<Option<Constant>> {
        if self.rest().starts_with(['"', '\'']) {
            return self.quoted().map(Some);
        }
        let rest = self.rest();
        let length = rest.find(|char| !is_bare(char)).unwrap_or(rest.len());
        let start = self.at;
        self.at += length;
        let value = self.text.text.as_bytes()[start..self.at].to_vec();
        Ok((length > 0).then(|| Constant { value, quoted: false, span: self.span(start) }))
    }

    fn quoted(&mut self) -> Lexed<Constant> {
        let start = self.at;
        let Some(quote) = self.rest().chars().next() else { return Err(self.expected("a string")) };
        self.at += 1;
        let mut value = Vec::new();
        loop {
            let Some(char) = self.rest().chars().next() else {
                return Err(self
                    .fault(start, "unterminated string")
                    .hint(format!("it began with {quote} here")));
            };
            let escape = self.at;
            self.at += char.len_utf8();
            match char {
                '\\' => value.push(self.escape(escape, quote)?),
                _ if char == quote => break,
                _ => value.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(Constant { value, quoted: true, span: self.span(start) })
    }

    /// What follows a backslash inside quotes.
    fn escape(&mut self, start: usize, quote: char) -> Lexed<u8> {
        let Some(char) = self.rest().chars().next() else {
            return Err(self.fault(start, "unterminated string"));
        };
        self.at += char.len_utf8();
        Ok(match char {
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            '\\' => b'\\',
            '/' => b'/',
            ' ' => {
                // Falco keeps this one as the backslash and the blank, for old rules.
                self.at -= 1;
                b'\\'
            }
            'x' => {
                let digits = self.rest().get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                let Some(byte) = digits.filter(|_| self.rest().as_bytes()[0] != b'+') else {
                    return Err(self.fault(start, "`\\x` needs two hexadecimal digits"));
                };
                self.at += 2;
                byte
            }
            _ if char == quote => char as u8,
            _ => {
                return Err(self
                    .fault(start, format!("unsupported string escape sequence: \\{char}"))
                    .hint("write `\\\\` for a backslash"));
            }
        })
    }
}

fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\u{8}' | '\r' | '\n')
}

fn is_bare(char: char) -> bool {
    !is_blank(char) && !matches!(char, '(' | ')' | '"' | '\'' | '=' | ',')
}

fn identifier_len(text: &str) -> usize {
    if !text.starts_with(|char: char| char.is_ascii_alphabetic()) {
        return 0;
    }
    text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(text.len())
}
