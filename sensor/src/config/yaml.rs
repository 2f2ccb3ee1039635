//! The config file: YAML text → settings with their positions.

use std::borrow::Cow;
use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use serde_json::Value as Json;

use crate::config::error::{Error, unknown};
use crate::config::keys::{KEYS, Key, find};

/// A value as it was written, before its key's type reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Scalar(String),
    List(Vec<String>),
    Map(Vec<(String, String)>),
    /// Of keys whose values are structures.
    Nested(Json),
}

impl Node {
    pub(crate) fn text(text: &str) -> Self {
        Self::Scalar(text.to_owned())
    }
}

/// A known key with what the file gives it.
pub(crate) struct Setting {
    pub(crate) key: &'static Key,
    pub(crate) node: Node,
    pub(crate) at: Position,
}

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    line: usize,
    column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

impl From<Marker> for Position {
    fn from(marker: Marker) -> Self {
        // The parser counts columns from 0.
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

impl From<Span> for Position {
    fn from(span: Span) -> Self {
        span.start.into()
    }
}

/// Every setting of the text, and everything that is wrong with its shape.
pub(crate) fn settings(text: &str, file: &str) -> (Vec<Setting>, Vec<Error>) {
    let mut reader = Reader { file, settings: Vec::new(), errors: Vec::new() };
    match parse(text) {
        Ok(Some(tree)) => reader.section("", tree),
        Ok(None) => {}
        Err(ParseError { at, message }) => reader.error(at, message),
    }
    (reader.settings, reader.errors)
}

/// A parsed document. `None` is an empty value, which means the default.
struct Tree {
    at: Position,
    value: Option<Value>,
}

enum Value {
    Scalar(String),
    List(Vec<Tree>),
    Map(Vec<(String, Position, Tree)>),
}

struct Reader<'a> {
    file: &'a str,
    settings: Vec<Setting>,
    errors: Vec<Error>,
}

impl Reader<'_> {
    fn error(&mut self, at: Position, message: impl Into<String>) {
        self.errors.push(Error::new(format!("{}:{at}", self.file), message));
    }

    /// A map whose keys continue `prefix`, which is empty or ends with a dot.
    fn section(&mut self, prefix: &str, tree: Tree) {
        let entries = match tree.value {
            None => return,
            Some(Value::Map(entries)) => entries,
            Some(_) => {
                let name = prefix.trim_end_matches('.');
                let of = if name.is_empty() { "the file".to_owned() } else { format!("`{name}`") };
                return self.error(tree.at, format!("expected keys and values in {of}"));
            }
        };
        let mut seen = Vec::new();
        for (name, at, value) in entries {
            if seen.contains(&name) {
                self.error(at, format!("`{prefix}{name}` is there twice"));
            } else {
                self.entry(prefix, &name, (at, value));
                seen.push(name);
            }
        }
    }

    fn entry(&mut self, prefix: &str, name: &str, (at, tree): (Position, Tree)) {
        let path = format!("{prefix}{name}");
        let below = format!("{path}.");
        if let Some(key) = find(&path) {
            let value_at = tree.at;
            let read = if key.is_nested() { Ok(nested(tree)) } else { node(tree) };
            match read {
                Ok(None) => {}
                Ok(Some(node)) => self.settings.push(Setting { key, node, at: value_at }),
                Err(at) => self.error(at, format!("too deep for the value of `{path}`")),
            }
        } else if KEYS.iter().any(|key| key.name.starts_with(&below)) {
            self.section(&below, tree);
        } else {
            self.error(at, unknown(name, siblings(prefix)));
        }
    }
}

/// The names that may follow `prefix`.
fn siblings(prefix: &str) -> impl Iterator<Item = &'static str> + '_ {
    KEYS.iter()
        .filter_map(move |key| key.name.strip_prefix(prefix))
        .filter_map(|rest| rest.split('.').next())
}

/// A value of scalars; the error is where it nests deeper.
fn node(tree: Tree) -> Result<Option<Node>, Position> {
    let Some(value) = tree.value else { return Ok(None) };
    let node = match value {
        Value::Scalar(text) => Node::Scalar(text),
        Value::List(items) => Node::List(items.into_iter().map(text).collect::<Result<_, _>>()?),
        Value::Map(entries) => Node::Map(
            entries
                .into_iter()
                .map(|(name, _, value)| Ok((name, text(value)?)))
                .collect::<Result<_, Position>>()?,
        ),
    };
    Ok(Some(node))
}

fn nested(tree: Tree) -> Option<Node> {
    tree.value.is_some().then(|| Node::Nested(json(tree)))
}

/// The words for the two truths are no texts there.
fn json(tree: Tree) -> Json {
    match tree.value {
        None => Json::Null,
        Some(Value::Scalar(text)) => text.parse::<bool>().map_or(Json::String(text), Json::Bool),
        Some(Value::List(items)) => items.into_iter().map(json).collect(),
        Some(Value::Map(entries)) => {
            entries.into_iter().map(|(name, _, value)| (name, json(value))).collect()
        }
    }
}

fn text(tree: Tree) -> Result<String, Position> {
    match tree.value {
        None => Ok(String::new()),
        Some(Value::Scalar(text)) => Ok(text),
        Some(_) => Err(tree.at),
    }
}

struct ParseError {
    at: Position,
    message: String,
}

impl From<ScanError> for ParseError {
    fn from(error: ScanError) -> Self {
        Self { at: (*error.marker()).into(), message: error.info().to_owned() }
    }
}

/// Deeper than any key; it bounds the recursion.
const DEPTH_MAX: usize = 8;

fn parse(text: &str) -> Result<Option<Tree>, ParseError> {
    let mut parser = Parser::new_from_str(text);
    let mut root = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = event?;
        match event {
            Event::DocumentStart(_) if root.is_some() => {
                let message = "a second document; a config file holds one".to_owned();
                return Err(ParseError { at: span.into(), message });
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::Nothing => {}
            event => root = Some(tree(&mut parser, event, span.into(), 0)?),
        }
    }
    Ok(root)
}

fn tree(
    parser: &mut Parser<'_, saphyr_parser::StrInput<'_>>,
    event: Event<'_>,
    at: Position,
    depth: usize,
) -> Result<Tree, ParseError> {
    if depth > DEPTH_MAX {
        return Err(ParseError { at, message: "too deep for a config file".to_owned() });
    }
    let value = match event {
        Event::Scalar(text, style, ..) => scalar(text, style).map(Value::Scalar),
        Event::SequenceStart(..) => Some(Value::List(sequence(parser, depth)?)),
        Event::MappingStart(..) => Some(Value::Map(mapping(parser, depth)?)),
        _ => {
            let message = "an alias; write the value out".to_owned();
            return Err(ParseError { at, message });
        }
    };
    Ok(Tree { at, value })
}

/// Nothing and the words for it are no value, unless they are quoted.
fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Option<String> {
    let absent = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null");
    (!absent).then(|| text.into_owned())
}

fn sequence(
    parser: &mut Parser<'_, saphyr_parser::StrInput<'_>>,
    depth: usize,
) -> Result<Vec<Tree>, ParseError> {
    let mut items = Vec::new();
    while let Some(event) = parser.next_event() {
        match event? {
            (Event::SequenceEnd, _) => break,
            (event, span) => items.push(tree(parser, event, span.into(), depth + 1)?),
        }
    }
    Ok(items)
}

fn mapping(
    parser: &mut Parser<'_, saphyr_parser::StrInput<'_>>,
    depth: usize,
) -> Result<Vec<(String, Position, Tree)>, ParseError> {
    let mut entries = Vec::new();
    while let Some(event) = parser.next_event() {
        let (name, at) = match event? {
            (Event::MappingEnd, _) => break,
            (Event::Scalar(name, ..), span) => (name.into_owned(), Position::from(span)),
            (_, span) => {
                let message = "a key is a word".to_owned();
                return Err(ParseError { at: span.into(), message });
            }
        };
        let Some(event) = parser.next_event() else { break };
        let (event, span) = event?;
        entries.push((name, at, tree(parser, event, span.into(), depth + 1)?));
    }
    Ok(entries)
}
