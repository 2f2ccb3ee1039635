//! `output`: text with `%fields` → pieces, and the pieces → text and JSON for one event.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::fields::Type;
use crate::fields::json;
use crate::fields::near::did_you_mean;
use crate::fields::operand::Operand;
use crate::fields::source::Source;
use crate::rules::added::{Added, AddedField};
use crate::rules::ast::{Function, TermKind};
use crate::rules::column::Columns;
use crate::rules::error::{Code, Fault};
use crate::rules::parser;
use crate::rules::program::{ColumnId, Program, Scratch};
use crate::rules::text::Text;

/// A compiled output text.
#[derive(Debug, Default)]
pub struct Template {
    pieces: Vec<Piece>,
    /// Fields that are not in the text.
    fields: Vec<AddedField>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Field { operand: Operand, width: Option<usize> },
    Call { call: Box<Call>, width: Option<usize> },
}

/// A transformer call, with a program of its own: outputs are rendered far more seldom than
/// conditions are evaluated.
#[derive(Debug)]
struct Call {
    name: String,
    program: Program,
    column: ColumnId,
}

/// Wider columns are an accident.
const WIDTH_MAX: usize = 4096;

impl Template {
    /// Compiles an output text; every error in it is reported.
    pub fn parse(
        text: &Arc<Text>,
        columns: &mut Columns,
        notes: &mut Vec<Fault>,
    ) -> Result<Self, Vec<Fault>> {
        let mut template = Self::default();
        let mut faults = Vec::new();
        let whole = &text.text;
        let mut reader = Reader { text, columns, notes };
        // Falco's "print even when values are missing": it is always so.
        let mut at = usize::from(whole.starts_with('*'));
        while let Some(percent) = whole[at..].find('%') {
            template.push_text(&whole[at..at + percent]);
            at += percent + 1;
            if whole[at..].starts_with('%') {
                template.push_text("%");
                at += 1;
                continue;
            }
            match reader.token(at) {
                Ok((piece, length)) => {
                    template.pieces.push(piece);
                    at += length;
                }
                Err(mut found) => faults.append(&mut found),
            }
        }
        template.push_text(&whole[at..]);
        if faults.is_empty() { Ok(template) } else { Err(faults) }
    }

    /// Adds what the configuration says.
    pub fn add(&mut self, added: Added) {
        for mut text in added.texts {
            self.pieces.append(&mut text.pieces);
        }
        self.fields.extend(added.fields);
    }

    /// True for a field or a call and nothing else.
    pub fn is_one_field(&self) -> bool {
        matches!(*self.pieces, [Piece::Field { .. } | Piece::Call { .. }])
    }

    fn push_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// The text with its fields filled in, and the fields.
    pub fn render<S: Source>(&self, source: &S) -> (String, Map<String, Json>) {
        let mut text = String::new();
        let mut fields = Map::new();
        for piece in &self.pieces {
            let (name, value, shown, width) = match piece {
                Piece::Text(piece) => {
                    text.push_str(piece);
                    continue;
                }
                Piece::Field { operand, width } => {
                    let mut shown = String::new();
                    json::write(operand, source, &mut shown);
                    (&*operand.name, json::json(operand, source), shown, width)
                }
                Piece::Call { call, width } => {
                    let value = call.value(source);
                    let shown = match &value {
                        Json::Null => json::ABSENT.to_owned(),
                        Json::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    (&*call.name, value, shown, width)
                }
            };
            match width {
                Some(width) => text.push_str(&fitted(&shown, *width)),
                None => text.push_str(&shown),
            }
            fields.insert(name.to_owned(), value);
        }
        for added in &self.fields {
            let (text, mut own) = added.template.render(source);
            let raw = own.values_mut().next().map(Json::take).filter(|_| added.is_raw);
            fields.insert(added.name.to_string(), raw.unwrap_or(Json::String(text)));
        }
        (text, fields)
    }

    /// The fields that the text names.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field { operand, .. } => Some(operand),
            Piece::Text(_) | Piece::Call { .. } => None,
        })
    }
}

impl Call {
    fn value<S: Source>(&self, source: &S) -> Json {
        let mut scratch = Scratch::new(&self.program);
        scratch.next_event();
        self.program.fill(self.column, source, &mut scratch);
        let mut values = Vec::new();
        scratch.slot(self.column).any(|value| {
            values.push(json::to_json(value));
            false
        });
        if values.len() > 1 { Json::Array(values) } else { values.pop().unwrap_or_default() }
    }
}

/// Exactly so many characters: cut, or filled with blanks.
fn fitted(text: &str, width: usize) -> String {
    format!("{text:<width$.width$}")
}

/// Reads the tokens of an output text.
struct Reader<'a> {
    text: &'a Arc<Text>,
    columns: &'a mut Columns,
    notes: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    /// What follows a percent sign, and how long it is.
    fn token(&mut self, start: usize) -> Result<(Piece, usize), Vec<Fault>> {
        let rest = &self.text.text[start..];
        let digits = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let width = match &rest[..digits] {
            "" => None,
            digits => {
                if let Some(width) = digits.parse().ok().filter(|width| *width <= WIDTH_MAX) {
                    Some(width)
                } else {
                    let place = self.text.place(start..start + digits.len());
                    let message = format!(
                        "a column of {digits} characters: at most {WIDTH_MAX} are possible"
                    );
                    return Err(vec![Fault::new(Code::CompileOutput, place, message)]);
                }
            }
        };
        let rest = &rest[digits..];
        let is_call = Function::ALL.iter().any(|function| {
            rest.strip_prefix(function.name()).is_some_and(|after| after.starts_with('('))
        });
        let start = start + digits;
        let (piece, length) =
            if is_call { self.call(start, width)? } else { self.field(start, width)? };
        Ok((piece, digits + length))
    }

    fn call(&mut self, start: usize, width: Option<usize>) -> Result<(Piece, usize), Vec<Fault>> {
        let rest = Arc::new(self.text.part(start..self.text.text.len()));
        let (term, length) = parser::parse_term(&rest).map_err(|fault| vec![fault])?;
        let mut program = Program::default();
        let column = Columns::default().compile(&term, &mut program, self.notes)?;
        let name = term.span.as_str().to_owned();
        Ok((Piece::Call { call: Box::new(Call { name, program, column }), width }, length))
    }

    /// The longest field that the text begins with: `%proc.names` is `proc.name` and an `s`.
    fn field(&mut self, start: usize, width: Option<usize>) -> Result<(Piece, usize), Vec<Fault>> {
        let rest = &self.text.text[start..];
        let word_end = rest.find(|char| !is_field_char(char)).unwrap_or(rest.len());
        let word = &rest[..word_end];
        let (operand, length) = match with_argument(self.text, start) {
            Some(found) => found,
            None => (1..=word.len().min(NAME_MAX))
                .rev()
                .find_map(|length| Some((Operand::parse(word.get(..length)?, None).ok()?, length)))
                .ok_or_else(|| vec![unknown(self.text, start, word)])?,
        };
        let place = self.text.place(start..start + length);
        self.columns.note_missing(&operand, place, self.notes);
        let is_buffer = operand.value_type == Type::Buffer;
        let width = width.or(is_buffer.then_some(BUFFER_WIDTH));
        Ok((Piece::Field { operand, width }, length))
    }
}

/// Labels after a dot may hold more than a field's name does.
fn is_field_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-' | '/')
}

/// No field's name is longer, and a label's is 316 at most.
const NAME_MAX: usize = 512;

/// Buffers are shown in part.
const BUFFER_WIDTH: usize = 80;

/// A field with `[…]`, if the text has one and the field takes it.
fn with_argument(text: &Arc<Text>, start: usize) -> Option<(Operand, usize)> {
    let rest = Arc::new(text.part(start..text.text.len()));
    let (term, length) = parser::parse_term(&rest).ok()?;
    let TermKind::Field { name, argument: Some(argument) } = term.kind else { return None };
    Some((Operand::parse(&name, Some(&argument)).ok()?, length))
}

fn unknown(text: &Arc<Text>, start: usize, word: &str) -> Fault {
    let place = text.place(start - 1..start + word.len());
    let message = match word {
        "" => "`%` without a field".to_owned(),
        word => format!("`%{word}` is not a field"),
    };
    let hint = did_you_mean(word, crate::fields::all().map(|field| field.name));
    let hint = hint.or_else(|| word.is_empty().then(|| "write `%%` for a percent sign".to_owned()));
    let code = if word.contains('.') { Code::UnknownFilter } else { Code::CompileOutput };
    Fault::new(code, place, message).maybe_hint(hint)
}
