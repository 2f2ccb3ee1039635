//! YAML text → nodes that know their place, byte by byte, also inside of folded scalars.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::rules::error::{Code, Fault};
use crate::rules::text::{Place, Text};

/// More nodes than this, with aliases written out, is an accident or an attack.
const NODES_MAX: usize = 5_000_000;
const DEPTH_MAX: usize = 64;

/// One node of a document.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    /// Keys in order; a file may repeat one.
    Mapping(Vec<(Node, Node)>),
}

#[derive(Clone, Debug)]
pub struct Scalar {
    pub text: Text,
    /// Without quotes and not a block: `~` and `true` mean more than text.
    pub plain: bool,
}

impl Scalar {
    pub fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

/// Parses all documents of a file.
pub fn parse(content: &str, file: usize) -> Result<Vec<Node>, Fault> {
    let mut reader =
        Reader { content, file, bytes: Bytes::of(content), anchors: HashMap::new(), nodes: 0 };
    let mut parser = Parser::new_from_str(content);
    let mut documents = Vec::new();
    loop {
        let Some(event) = parser.next_event() else { return Ok(documents) };
        let (event, span) = event.map_err(|error| reader.scan_fault(&error))?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            other => documents.push(reader.node(other, span, &mut parser, 0)?),
        }
    }
}

struct Reader<'a> {
    content: &'a str,
    file: usize,
    bytes: Bytes,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

type Source<'a> = Parser<'a, saphyr_parser::StrInput<'a>>;

impl Reader<'_> {
    fn node<'a>(
        &mut self,
        event: Event<'a>,
        span: Span,
        parser: &mut Source<'a>,
        depth: usize,
    ) -> Result<Node, Fault> {
        let place = self.place(span);
        if depth > DEPTH_MAX {
            return Err(fault(place, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.count(1, &place)?;
        let (anchor, kind) = match event {
            Event::Scalar(value, style, anchor, _) => {
                (anchor, Kind::Scalar(self.scalar(&value, style, place.bytes.clone())))
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next(parser, &place)?;
                    if event == Event::SequenceEnd {
                        break;
                    }
                    items.push(self.node(event, span, parser, depth + 1)?);
                }
                (anchor, Kind::Sequence(items))
            }
            Event::MappingStart(anchor, _) => {
                let mut entries = Vec::new();
                loop {
                    let (event, span) = self.next(parser, &place)?;
                    if event == Event::MappingEnd {
                        break;
                    }
                    let key = self.node(event, span, parser, depth + 1)?;
                    let (event, span) = self.next(parser, &place)?;
                    entries.push((key, self.node(event, span, parser, depth + 1)?));
                }
                (anchor, Kind::Mapping(entries))
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(fault(place, "an alias without its anchor".to_owned()));
                };
                self.count(size(&node), &place)?;
                return Ok(node);
            }
            _ => return Err(fault(place, "unexpected end of the document".to_owned())),
        };
        let node = Node { kind, place };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn next<'a>(
        &self,
        parser: &mut Source<'a>,
        within: &Place,
    ) -> Result<(Event<'a>, Span), Fault> {
        match parser.next_event() {
            Some(event) => event.map_err(|error| self.scan_fault(&error)),
            None => Err(fault(within.clone(), "the document ends too early".to_owned())),
        }
    }

    fn count(&mut self, nodes: usize, place: &Place) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(fault(place.clone(), format!("the file has more than {NODES_MAX} values")));
        }
        Ok(())
    }

    fn scalar(&self, value: &str, style: ScalarStyle, bytes: Range<usize>) -> Scalar {
        let raw = &self.content[bytes.clone()];
        let text = match style {
            ScalarStyle::Plain if raw == value => Text::verbatim(value, self.file, bytes.start),
            _ => {
                let offsets = offsets(value, raw, style).into_iter();
                let offsets = offsets.map(|(start, offset)| (start, bytes.start + offset));
                Text::mapped(value.to_owned(), self.file, offsets)
            }
        };
        Scalar { text, plain: style == ScalarStyle::Plain }
    }

    fn place(&self, span: Span) -> Place {
        let (start, end) = (self.bytes.at(span.start.index()), self.bytes.at(span.end.index()));
        let end = end.min(self.content.len()).max(start);
        Place { file: self.file, bytes: start.min(self.content.len())..end }
    }

    fn scan_fault(&self, error: &ScanError) -> Fault {
        let at = self.bytes.at(error.marker().index()).min(self.content.len());
        let (at, hint) = self.explain(at, error.info());
        let place = Place { file: self.file, bytes: at..at };
        Fault::new(Code::YamlParse, place, error.info().to_owned()).maybe_hint(hint)
    }

    /// Where the mistake is rather than where it was noticed, and what to do about it.
    fn explain(&self, at: usize, message: &str) -> (usize, Option<String>) {
        let hint = |text: &str| Some(text.to_owned());
        if message.contains("tab") {
            let tab = self.content[at..].find('\t').map_or(at, |tab| at + tab);
            return (tab, hint("YAML is indented with blanks, not with tabs"));
        }
        if message.contains("comment intercepting") {
            let text = "`#` begins a comment in YAML, and conditions hold none";
            return (at, hint(text));
        }
        if message.contains("mapping values are not allowed") {
            return (
                at,
                hint("a text with `: ` in it needs quotes, or the line is indented wrongly"),
            );
        }
        if message.contains("block mapping") || message.contains("block collection") {
            return (at, hint("keys of one item stand below each other, in one column"));
        }
        if message.contains("quoted scalar") || message.contains("end of stream") {
            return (at, hint("a quote or a bracket is not closed"));
        }
        (at, None)
    }
}

fn fault(place: Place, message: String) -> Fault {
    Fault::new(Code::YamlParse, place, message)
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(_) => 1,
        Kind::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Mapping(entries) => {
            1 + entries.iter().map(|(key, value)| size(key) + size(value)).sum::<usize>()
        }
    }
}

/// Where characters start, in bytes: the YAML parser counts characters.
struct Bytes(Option<Vec<usize>>);

impl Bytes {
    fn of(content: &str) -> Self {
        let starts = || content.char_indices().map(|(at, _)| at).chain([content.len()]).collect();
        Self((!content.is_ascii()).then(starts))
    }

    fn at(&self, char: usize) -> usize {
        match &self.0 {
            Some(starts) => starts.get(char).or(starts.last()).copied().unwrap_or(0),
            None => char,
        }
    }
}

/// Pairs each byte position where a character of `value` starts with its offset in `raw`.
///
/// Folding and indentation change white space only, so the other characters are the same in the
/// same order; escapes are one character each.
fn offsets(value: &str, raw: &str, style: ScalarStyle) -> Vec<(usize, usize)> {
    let mut units =
        Units { raw, at: 0, style }.filter(|(char, _)| !char.is_whitespace()).peekable();
    let mut pairs = Vec::with_capacity(value.len());
    let mut last = 0;
    for (start, char) in value.char_indices() {
        let offset =
            if char.is_whitespace() { last } else { units.next().map_or(last, |(_, at)| at) };
        pairs.push((start, offset));
        last = offset + if char.is_whitespace() { 1 } else { char.len_utf8() };
    }
    pairs
}

/// Characters of a scalar as it is written, with their offsets.
struct Units<'a> {
    raw: &'a str,
    at: usize,
    style: ScalarStyle,
}

impl Iterator for Units<'_> {
    type Item = (char, usize);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.at;
            let char = self.raw[start..].chars().next()?;
            self.at += char.len_utf8();
            let after = &self.raw[self.at..];
            match (self.style, char) {
                (ScalarStyle::SingleQuoted, '\'') if after.starts_with('\'') => {
                    self.at += 1;
                    return Some(('\'', start));
                }
                (ScalarStyle::SingleQuoted, '\'') | (ScalarStyle::DoubleQuoted, '"') => {}
                (ScalarStyle::DoubleQuoted, '\\') => {
                    let escape = after.chars().next()?;
                    let digits = match escape {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        _ => 0,
                    };
                    self.at += escape.len_utf8() + digits;
                    self.at = self.at.min(self.raw.len());
                    return Some((escaped(escape), start));
                }
                _ => return Some((char, start)),
            }
        }
    }
}

/// White space for escapes that mean white space, else any other character.
const fn escaped(escape: char) -> char {
    match escape {
        'n' | 't' | 'r' | ' ' | '\n' | 'v' | 'f' | 'N' | '_' | 'L' | 'P' | '\t' => ' ',
        _ => 'x',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::text::File;

    /// The condition's word must be found where the file has it.
    fn check(content: &str, word: &str) {
        let documents = parse(content, 0).unwrap();
        let Kind::Mapping(entries) = &documents[0].kind else { panic!("a mapping") };
        let Kind::Scalar(scalar) = &entries[0].1.kind else { panic!("a scalar") };
        let at = scalar.text.text.find(word).unwrap();
        let place = scalar.text.place(at..at + word.len());
        assert_eq!(&content[place.bytes], word, "in {content:?}");
    }

    #[test]
    fn words_are_found_in_every_style() {
        check("a: x and here", "here");
        check("a: x\n  and\n  here", "here");
        check("a: 'it''s here'", "here");
        check("a: \"a \\\"q\\\" \\x41 \\\n  here\"", "here");
        check("a: >\n  x and\n  y\n\n  here\n", "here");
        check("a: |-\n  x and\n    y\n  here\n", "here");
        check("a: >  # comment\n  ü and\n  here\n", "here");
        check("ü: ü and here", "here");
    }

    #[test]
    fn aliases_are_bounded() {
        let mut content = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            let aliases = vec![alias; 10].join(", ");
            content.push_str(&["- &a", &level.to_string(), " [", &aliases, "]\n"].concat());
        }
        assert_eq!(parse(&content, 0).unwrap_err().code, Code::YamlParse);
    }

    #[test]
    fn errors_have_places() {
        let fault = parse("a: [1,\nb: }", 0).unwrap_err();
        let file = File { name: String::new(), content: "a: [1,\nb: }".to_owned() };
        assert_eq!(file.position(fault.place.bytes.start).line, 2);
    }
}
