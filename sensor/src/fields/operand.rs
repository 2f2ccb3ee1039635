//! A field with its argument, as conditions and outputs name it: `proc.aname[2]`, `evt.arg.flags`.

use crate::fields::near::{did_you_mean, nearest};
use crate::fields::{Argument, ArgumentForm, Field, Get, Type, all, named, parameters};

/// A field and its argument, checked against the table.
#[derive(Clone, Debug)]
pub struct Operand {
    pub field: &'static Field,
    pub argument: Option<Argument>,
    /// As it was written, without quotes around the argument.
    pub name: Box<str>,
    pub value_type: Type,
}

/// How an operand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value that the event holds.
    Direct,
    /// One text that is put together.
    Composed,
    /// Several values.
    Many(Several),
}

/// What several values mean to a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Several {
    /// Any ancestor.
    Ancestors,
    /// Either end of a connection; `!=` holds when it does for both.
    Ends,
    /// All that the field lists.
    List,
}

/// Why a name is no operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    pub message: String,
    pub hint: Option<String>,
    /// The name is not known at all, which `skip-if-unknown-filter` forgives.
    pub no_such_field: bool,
}

impl Operand {
    /// Finds the field and checks the argument.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, Unknown> {
        let (field, dotted) = find(name).ok_or_else(|| unknown(name))?;
        let key = match (dotted, argument) {
            (Some(_), Some(_)) => return Err(refused(format!("`{name}` takes no `[…]` here"))),
            (Some(key), None) | (None, Some(key)) => Some(key),
            (None, None) => None,
        };
        let argument = parse_argument(field, key, dotted.is_some())?;
        let value_type = match (field.get.value_type(), &argument) {
            (Some(value_type), _) => value_type,
            (None, Some(Argument::Key(key))) => parameters::raw_type(key),
            (None, _) => Type::Uint64,
        };
        let name = match (dotted, key) {
            (None, Some(key)) => format!("{}[{key}]", field.name),
            _ => name.to_owned(),
        };
        Ok(Self { field, argument, name: name.into(), value_type })
    }

    pub fn shape(&self) -> Shape {
        match self.field.get {
            Get::Text(_) | Get::StrOrText(..) | Get::Keyed(_) | Get::Clock(_) => Shape::Composed,
            get if get.is_either_end() => Shape::Many(Several::Ends),
            get if get.is_ancestor() && self.argument.is_none() => Shape::Many(Several::Ancestors),
            Get::MissingList(_) if self.argument.is_none() => Shape::Many(Several::List),
            // Objects give fields without data as text that must be joined from an array.
            Get::AncestorText(_) | Get::Missing(Type::Text) => Shape::Composed,
            _ => Shape::Direct,
        }
    }

    /// True when it may not be compared with, or given to a transformer.
    pub fn is_filter_only(&self) -> bool {
        let get = self.field.get;
        self.value_type == Type::Net
            || matches!(get, Get::Parameter(_))
            || matches!(self.shape(), Shape::Many(_))
            || ["evt.around", "fd.types"].contains(&self.field.name)
            || self.field.name.ends_with("ip.name")
    }
}

/// The field of this name, or the one that takes the last parts of the name as its argument.
fn find(name: &str) -> Option<(&'static Field, Option<&str>)> {
    if let Some(field) = named(name) {
        return Some((field, None));
    }
    all()
        .filter(|field| matches!(field.argument, ArgumentForm::Parameter | ArgumentForm::Dotted))
        .filter_map(|field| {
            let key = name.strip_prefix(field.name)?.strip_prefix('.')?;
            Some((field, Some(key)))
        })
        .max_by_key(|(field, _)| field.name.len())
}

fn parse_argument(
    field: &'static Field,
    key: Option<&str>,
    dotted: bool,
) -> Result<Option<Argument>, Unknown> {
    let index = key.and_then(|key| key.parse::<u32>().ok()).map(Argument::Index);
    let name = field.name;
    match (field.argument, key) {
        (ArgumentForm::None | ArgumentForm::OptionalIndex | ArgumentForm::OptionalKey, None) => {
            Ok(None)
        }
        (ArgumentForm::None, Some(_)) => Err(refused(format!("`{name}` takes no argument"))),
        (ArgumentForm::OptionalIndex, Some(key)) => match index {
            Some(index) => Ok(Some(index)),
            None => Err(refused(format!("`{name}[{key}]`: the argument must be a number"))),
        },
        (ArgumentForm::RequiredKey | ArgumentForm::Dotted | ArgumentForm::Parameter, None) => {
            Err(refused(format!("`{name}` needs an argument")))
        }
        (ArgumentForm::Parameter, Some(key)) => parameter(field, key, index, dotted).map(Some),
        (_, Some(key)) => Ok(Some(index.unwrap_or_else(|| Argument::Key(key.into())))),
    }
}

fn parameter(
    field: &'static Field,
    key: &str,
    index: Option<Argument>,
    dotted: bool,
) -> Result<Argument, Unknown> {
    if let Some(index) = index.filter(|_| !dotted) {
        return Ok(index);
    }
    if parameters::is_known(key) {
        return Ok(Argument::Key(key.into()));
    }
    Err(Unknown {
        message: format!("no event has an argument `{key}` for `{}`", field.name),
        hint: did_you_mean(key, parameters::names()),
        no_such_field: true,
    })
}

fn refused(message: String) -> Unknown {
    Unknown { message, hint: None, no_such_field: false }
}

fn unknown(name: &str) -> Unknown {
    let hint = nearest(name, all().map(|field| field.name));
    Unknown {
        message: format!("`{name}` is not a field"),
        hint: hint.map(|near| format!("did you mean `{near}`?")),
        no_such_field: true,
    }
}
