//! Fields and transformer calls → columns of a [`Program`]; equal ones exist once.

use std::collections::{HashMap, HashSet};

use crate::fields::operand::{Operand, Several, Shape};
use crate::fields::{Get, Type};
use crate::rules::ast::{Argument, Function, Span, Term, TermKind};
use crate::rules::error::{Code, Fault};
use crate::rules::program::{Access, Column, ColumnId, ColumnKind, Program};
use crate::rules::text::Place;
use crate::rules::transform::{self, Call, Input};

/// The columns that are known by name.
#[derive(Debug, Default)]
pub struct Columns {
    known: HashMap<String, ColumnId>,
    /// Fields without data that were warned of.
    missing: HashSet<&'static str>,
}

type Outcome<T> = Result<T, Vec<Fault>>;

impl Columns {
    pub fn compile(
        &mut self,
        term: &Term,
        program: &mut Program,
        notes: &mut Vec<Fault>,
    ) -> Outcome<ColumnId> {
        match &term.kind {
            TermKind::Field { name, argument } => {
                let operand = operand(name, argument.as_deref(), &term.span)?;
                self.note_missing(&operand, term.span.place(), notes);
                Ok(self.field(operand, program))
            }
            TermKind::Call { function, arguments, index } => {
                let mut inputs = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    inputs.push(self.input(argument, program, notes)?);
                }
                let call = Call {
                    function: *function,
                    columns: transform::columns(&inputs).into(),
                    inputs: inputs.into(),
                    index: index.as_deref().map(Into::into),
                };
                let column = typed(call, program).map_err(|message| {
                    vec![Fault::new(Code::CompileCondition, term.span.place(), message)]
                })?;
                let key = format!("{:?}", column.kind);
                Ok(self.intern(key, column, program))
            }
        }
    }

    /// The column of a field that was checked already.
    pub fn field(&mut self, operand: Operand, program: &mut Program) -> ColumnId {
        let key = operand.name.to_string();
        let access = match operand.shape() {
            Shape::Direct => Access::Direct,
            Shape::Composed if matches!(operand.field.get, Get::StrOrText(..)) => Access::Held,
            Shape::Composed => Access::Slot,
            Shape::Many(_) => Access::Each,
        };
        let column = Column {
            value_type: operand.value_type,
            is_list: operand.shape() == Shape::Many(Several::List),
            access,
            kind: ColumnKind::Field(operand),
        };
        self.intern(key, column, program)
    }

    fn intern(&mut self, key: String, column: Column, program: &mut Program) -> ColumnId {
        *self.known.entry(key).or_insert_with(|| {
            program.columns.push(column);
            program.columns.len() - 1
        })
    }

    /// Warns once of a field without data.
    pub fn note_missing(&mut self, operand: &Operand, place: Place, notes: &mut Vec<Fault>) {
        let name = operand.field.name;
        if operand.field.is_delivered() || !self.missing.insert(name) {
            return;
        }
        let message = format!("`{name}` is absent from every event: its data is not collected");
        let fault = Fault::new(Code::FieldNotDelivered, place, message);
        notes.push(fault);
    }

    fn input(
        &mut self,
        argument: &Argument,
        program: &mut Program,
        notes: &mut Vec<Fault>,
    ) -> Outcome<Input> {
        Ok(match argument {
            Argument::Term(term) => {
                let id = self.compile(term, program, notes)?;
                if program.columns[id].is_transformable() {
                    return Ok(Input::Column(id));
                }
                let message = format!("`{}` cannot be given to a transformer", term.span.as_str());
                let fault = Fault::new(Code::CompileCondition, term.span.place(), message);
                return Err(vec![fault]);
            }
            Argument::Constant(constant) => Input::Constant(constant.value.clone().into()),
            Argument::List(items) => {
                let items = items.iter().map(|item| self.input(item, program, notes));
                Input::List(items.collect::<Result<_, _>>()?)
            }
        })
    }
}

impl Column {
    /// What several values of it mean; `None` for one value.
    pub fn several(&self) -> Option<Several> {
        match &self.kind {
            ColumnKind::Field(operand) => match operand.shape() {
                Shape::Many(several) => Some(several),
                Shape::Direct | Shape::Composed => None,
            },
            ColumnKind::Call(_) => self.is_list.then_some(Several::List),
        }
    }

    /// True for columns that may not stand to the right of an operator.
    pub fn is_filter_only(&self) -> bool {
        match &self.kind {
            ColumnKind::Field(operand) => operand.is_filter_only(),
            ColumnKind::Call(_) => false,
        }
    }

    fn is_transformable(&self) -> bool {
        match &self.kind {
            ColumnKind::Field(operand) => self.is_list || !operand.is_filter_only(),
            ColumnKind::Call(_) => true,
        }
    }
}

/// The operand of a field's name, or the error at its place.
pub fn operand(name: &str, argument: Option<&str>, span: &Span) -> Outcome<Operand> {
    Operand::parse(name, argument).map_err(|unknown| {
        let code = if unknown.no_such_field { Code::UnknownFilter } else { Code::CompileCondition };
        vec![Fault::new(code, span.place(), unknown.message).maybe_hint(unknown.hint)]
    })
}

/// Checks a call's arguments and finds the type of its result.
fn typed(call: Call, program: &Program) -> Result<Column, String> {
    let name = call.function.name();
    let texts = |inputs: &[Input]| inputs.iter().all(|input| is_text(input, program));
    let is_list = |input: &Input| match input {
        Input::Column(column) => program.columns[*column].is_list,
        Input::List(_) => true,
        Input::Constant(_) => false,
    };
    if call.index.is_some() && call.function != Function::Getopt {
        return Err(format!("`{name}()` takes no `[…]`"));
    }
    let (value_type, is_list) = match (call.function, &*call.inputs) {
        (
            Function::Lower | Function::Upper | Function::Basename | Function::Base64,
            [input @ Input::Column(_)],
        ) => {
            if !texts(&call.inputs) {
                return Err(format!("`{name}()` takes text"));
            }
            (Type::Text, is_list(input))
        }
        (Function::Length, [Input::Column(column)]) => {
            let column = &program.columns[*column];
            if !column.is_list && !matches!(column.value_type, Type::Text | Type::Buffer) {
                return Err("`len()` takes text, bytes or a list".to_owned());
            }
            (Type::Uint64, false)
        }
        (Function::Concat, inputs @ [_, _, ..]) if texts(inputs) && !inputs.iter().any(is_list) => {
            (Type::Text, false)
        }
        (Function::Concat, _) => return Err("`concat()` takes two or more texts".to_owned()),
        (Function::Join, inputs @ [separator, items])
            if texts(inputs) && !is_list(separator) && is_list(items) =>
        {
            (Type::Text, false)
        }
        (Function::Join, _) => {
            return Err(
                "`join()` takes a separator and a list: `join(\",\", (proc.name, proc.pname))`"
                    .to_owned(),
            );
        }
        (Function::Getopt, inputs @ [arguments, options])
            if texts(inputs) && is_list(arguments) && !is_list(options) && call.index.is_some() =>
        {
            (Type::Text, false)
        }
        (Function::Getopt, _) => {
            return Err("`getopt()` takes a list and a text of options: `getopt((proc.args[0], proc.args[1]), \"ab:\")[b]`".to_owned());
        }
        _ => return Err(format!("`{name}()` takes one field")),
    };
    Ok(Column { kind: ColumnKind::Call(call), value_type, is_list, access: Access::Slot })
}

fn is_text(input: &Input, program: &Program) -> bool {
    match input {
        Input::Column(column) => {
            matches!(program.columns[*column].value_type, Type::Text | Type::Buffer)
        }
        Input::Constant(_) => true,
        Input::List(items) => items.iter().all(|item| is_text(item, program)),
    }
}
