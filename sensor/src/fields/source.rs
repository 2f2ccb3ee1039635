//! Where a compiled rule reads its fields: an event of the kernel, or an object of a test.

use crate::event::Event;
use crate::event::process::Process;
use crate::fields::operand::{Operand, Shape};
use crate::fields::{Argument, Get, Value};

/// Something that has fields. Each operand's [`Shape`] says which method reads it.
pub trait Source {
    /// The name that `evt.type` tests; empty where there is none.
    fn event_type(&self) -> &str;

    /// The value of an operand of shape [`Shape::Direct`].
    fn direct(&self, operand: &Operand) -> Option<Value<'_>>;

    /// The text of an operand of shape [`Shape::Composed`], where it need not be composed.
    fn held(&self, operand: &Operand) -> Option<&[u8]>;

    /// Writes the text of an operand of shape [`Shape::Composed`]; false when it is absent.
    fn compose(&self, operand: &Operand, text: &mut Vec<u8>) -> bool;

    /// Visits the values of an operand of shape [`Shape::Many`] until the visitor returns false.
    /// `text` is a buffer for those that must be composed.
    fn each(&self, operand: &Operand, text: &mut Vec<u8>, visit: &mut dyn FnMut(Value<'_>) -> bool);
}

impl Source for Event<'_> {
    fn event_type(&self) -> &str {
        self.detail.event_type()
    }

    fn direct(&self, operand: &Operand) -> Option<Value<'_>> {
        let number = |number: Option<i128>| number.map(Value::Number);
        match operand.field.get {
            Get::Str(get) | Get::Buffer(get) => get(self).map(Value::Bytes),
            Get::Bool(get) => get(self).map(Value::Bool),
            Get::Int16(get) => number(get(self).map(Into::into)),
            Get::Int32(get) => number(get(self).map(Into::into)),
            Get::Int64(get) => number(get(self).map(Into::into)),
            Get::Uint32(get) => number(get(self).map(Into::into)),
            Get::KeyedUint32(get) => {
                let argument = operand.argument.as_ref();
                number(argument.and_then(|argument| get(self, argument)).map(Into::into))
            }
            Get::Uint64(get) | Get::Duration(get) | Get::Time(get) => {
                number(get(self).map(Into::into))
            }
            Get::Port(get) => number(get(self).map(Into::into)),
            Get::Ip(get) | Get::Net(get) => get(self).map(Value::Ip),
            Get::AncestorStr(get) => ancestor(self, operand).and_then(get).map(Value::Bytes),
            Get::AncestorInt(get) => number(ancestor(self, operand).map(|one| get(one).into())),
            Get::Parameter(get) => operand.argument.as_ref().and_then(|name| get(self, name)),
            // Of other shapes, or without data.
            Get::Text(_)
            | Get::StrOrText(..)
            | Get::Keyed(_)
            | Get::Clock(_)
            | Get::AncestorText(_)
            | Get::Ips(_)
            | Get::Nets(_)
            | Get::Ports(_)
            | Get::Missing(_)
            | Get::MissingList(_) => None,
        }
    }

    fn held(&self, operand: &Operand) -> Option<&[u8]> {
        match operand.field.get {
            Get::StrOrText(get, _) => get(self),
            _ => None,
        }
    }

    fn compose(&self, operand: &Operand, text: &mut Vec<u8>) -> bool {
        match operand.field.get {
            Get::Text(get) | Get::StrOrText(_, get) | Get::Clock(get) => get(self, text),
            Get::Keyed(get) => get(self, operand.argument.as_ref(), text),
            Get::AncestorText(get) => match &operand.argument {
                Some(Argument::Key(key)) => self
                    .processes
                    .ancestors(self.process)
                    .any(|ancestor| get(ancestor, Some(key.as_bytes()), text)),
                _ => ancestor(self, operand).is_some_and(|ancestor| get(ancestor, None, text)),
            },
            _ => false,
        }
    }

    fn each(
        &self,
        operand: &Operand,
        text: &mut Vec<u8>,
        visit: &mut dyn FnMut(Value<'_>) -> bool,
    ) {
        match operand.field.get {
            Get::Ips(get) | Get::Nets(get) => {
                get(self).into_iter().flatten().all(|ip| visit(Value::Ip(ip)));
            }
            Get::Ports(get) => {
                get(self).into_iter().flatten().all(|port| visit(Value::Number(port.into())));
            }
            Get::AncestorStr(get) => {
                let mut ancestors = self.processes.ancestors(self.process);
                ancestors.all(|one| get(one).is_none_or(|value| visit(Value::Bytes(value))));
            }
            Get::AncestorInt(get) => {
                let mut ancestors = self.processes.ancestors(self.process);
                ancestors.all(|one| visit(Value::Number(get(one).into())));
            }
            Get::AncestorText(get) => {
                let mut ancestors = self.processes.ancestors(self.process);
                ancestors.all(|one| {
                    text.clear();
                    !get(one, None, text) || visit(Value::Bytes(text))
                });
            }
            _ => {}
        }
    }
}

/// The process itself at index 0, its parent at 1.
fn ancestor<'a>(event: &'a Event<'a>, operand: &Operand) -> Option<&'a Process> {
    let Some(Argument::Index(index)) = operand.argument else { return None };
    let index = usize::try_from(index).ok()?;
    match index.checked_sub(1) {
        None => Some(event.process),
        Some(above) => event.processes.ancestors(event.process).nth(above),
    }
}

impl Operand {
    /// Reads any operand whole, whatever its shape: for output and explanations, not for matching.
    pub fn read<S: Source>(&self, source: &S, visit: &mut dyn FnMut(Value<'_>)) {
        let mut text = Vec::new();
        match self.shape() {
            Shape::Direct => {
                if let Some(value) = source.direct(self) {
                    visit(value);
                }
            }
            Shape::Composed => {
                if source.compose(self, &mut text) {
                    visit(Value::Bytes(&text));
                }
            }
            Shape::Many(_) => source.each(self, &mut text, &mut |value| {
                visit(value);
                true
            }),
        }
    }
}
