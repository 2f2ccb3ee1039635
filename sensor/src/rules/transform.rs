//! Transformers: functions of values that conditions and outputs may call.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::fields::Value;
use crate::fields::source::Source;
use crate::rules::ast::{Function, Operator};
use crate::rules::glob::Glob;
use crate::rules::program::{ColumnId, Evaluation, Scratch, Slot};
use crate::rules::test::contains_folded;

/// A compiled call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub function: Function,
    pub inputs: Box<[Input]>,
    /// The columns that the inputs name, at any depth.
    pub columns: Box<[ColumnId]>,
    /// What stands in brackets after `getopt(…)`.
    pub index: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    Column(ColumnId),
    Constant(Box<[u8]>),
    List(Box<[Input]>),
}

/// Applies the call; the slot stays absent when an input is absent.
pub fn apply<S: Source>(call: &Call, evaluation: &mut Evaluation<'_, S>, slot: &mut Slot) {
    for column in &call.columns {
        evaluation.fill(*column);
        if !evaluation.scratch.slot(*column).present {
            return;
        }
    }
    let scratch = &*evaluation.scratch;
    match (call.function, &*call.inputs) {
        (Function::Concat, inputs) => {
            slot.present = true;
            for input in inputs {
                each(input, scratch, &mut |item| slot.bytes.extend_from_slice(item));
            }
        }
        (Function::Join, [separator, items]) => join(separator, items, scratch, slot),
        (Function::Getopt, [arguments, options]) => {
            getopt(arguments, options, call.index.as_deref(), scratch, slot);
        }
        (Function::Length, [Input::Column(column)]) => length(scratch.slot(*column), slot),
        (_, [input]) => map(call.function, input, scratch, slot),
        _ => {}
    }
}

/// The columns that inputs name, at any depth.
pub fn columns(inputs: &[Input]) -> Vec<ColumnId> {
    inputs
        .iter()
        .flat_map(|input| match input {
            Input::Column(column) => vec![*column],
            Input::Constant(_) => Vec::new(),
            Input::List(items) => columns(items),
        })
        .collect()
}

/// A number as text, without an allocation.
struct Digits {
    bytes: [u8; 40],
    length: usize,
}

impl Digits {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Visits the texts of an input.
fn each(input: &Input, scratch: &Scratch, visit: &mut dyn FnMut(&[u8])) {
    match input {
        Input::Constant(text) => visit(text),
        Input::List(items) => items.iter().for_each(|item| each(item, scratch, visit)),
        Input::Column(column) => {
            scratch.slot(*column).any(|value| {
                match value {
                    Value::Bytes(bytes) => visit(bytes),
                    Value::Number(number) => {
                        let mut digits = Digits { bytes: [0; 40], length: 0 };
                        // No number has more digits than there is room for.
                        write!(digits, "{number}").ok();
                        visit(digits.as_bytes());
                    }
                    Value::Bool(_) | Value::Double(_) | Value::Ip(_) => {}
                }
                false
            });
        }
    }
}

fn join(separator: &Input, items: &Input, scratch: &Scratch, slot: &mut Slot) {
    let mut first = true;
    slot.present = true;
    each(items, scratch, &mut |item| {
        if !first {
            each(separator, scratch, &mut |text| slot.bytes.extend_from_slice(text));
        }
        first = false;
        slot.bytes.extend_from_slice(item);
    });
}

fn length(input: &Slot, slot: &mut Slot) {
    let length = if input.ends.is_empty() { input.bytes.len() } else { input.ends.len() };
    slot.present = true;
    slot.numbers.push(length as i128);
}

/// The functions of one text, applied to each value.
fn map(function: Function, input: &Input, scratch: &Scratch, slot: &mut Slot) {
    let Input::Column(column) = input else { return };
    let input = scratch.slot(*column);
    let mut complete = true;
    input.any(|value| {
        let Value::Bytes(bytes) = value else { return false };
        match function {
            Function::Lower => slot.bytes.extend(bytes.iter().map(u8::to_ascii_lowercase)),
            Function::Upper => slot.bytes.extend(bytes.iter().map(u8::to_ascii_uppercase)),
            Function::Basename => slot.bytes.extend_from_slice(basename(bytes)),
            Function::Base64 => complete &= base64(bytes, &mut slot.bytes),
            Function::Length | Function::Join | Function::Concat | Function::Getopt => {}
        }
        if !input.ends.is_empty() {
            slot.ends.push(slot.bytes.len());
        }
        false
    });
    slot.present = complete;
}

fn basename(path: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', path) {
        Some(slash) => &path[slash + 1..],
        None => path,
    }
}

/// Decodes base64, with or without padding; false for what is none.
fn base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    let unpadded = text.len() - text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    if unpadded % 4 == 1 {
        return false;
    }
    let (mut bits, mut count) = (0_u32, 0);
    for byte in &text[..unpadded] {
        let Some(digit) = base64_digit(*byte) else { return false };
        bits = (bits << 6 | digit) & 0xf_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff).to_le_bytes()[0]);
        }
    }
    true
}

fn base64_digit(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// The value of an option of a command line; empty for one that takes none.
fn getopt(
    arguments: &Input,
    options: &Input,
    wanted: Option<&str>,
    scratch: &Scratch,
    slot: &mut Slot,
) {
    let known = match options {
        Input::Constant(text) => Cow::Borrowed(&**text),
        other => {
            let mut known = Vec::new();
            each(other, scratch, &mut |text| known.extend_from_slice(text));
            Cow::Owned(known)
        }
    };
    let Some(wanted) = wanted.and_then(|wanted| wanted.bytes().next()) else { return };
    // An option whose value is the next argument.
    let mut pending = None;
    let mut ended = false;
    each(arguments, scratch, &mut |argument| {
        if let Some(option) = pending.take() {
            found(option == wanted, argument, slot);
            return;
        }
        ended |= argument == b"--" || !argument.starts_with(b"-") || argument.len() < 2;
        if ended {
            return;
        }
        for at in 1..argument.len() {
            let option = argument[at];
            let Some(place) = known.iter().position(|one| *one == option && option != b':') else {
                continue;
            };
            if known.get(place + 1) != Some(&b':') {
                found(option == wanted, b"", slot);
                continue;
            }
            match &argument[at + 1..] {
                [] => pending = Some(option),
                value => found(option == wanted, value, slot),
            }
            return;
        }
    });
}

fn found(is_wanted: bool, value: &[u8], slot: &mut Slot) {
    if is_wanted {
        slot.present = true;
        slot.bytes.clear();
        slot.bytes.extend_from_slice(value);
    }
}

/// The text operators with a value on the right that is known only now.
pub fn compare_text(operator: Operator, left: &[u8], right: &[u8]) -> bool {
    match operator {
        Operator::StartsWith => left.starts_with(right),
        Operator::EndsWith => left.ends_with(right),
        Operator::Contains => memchr::memmem::find(left, right).is_some(),
        Operator::IContains => contains_folded(left, right, 0),
        Operator::Glob => Glob::new(right, false).matches(left),
        Operator::IGlob => Glob::new(right, true).matches(left),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_base64() {
        let decode = |text: &str| {
            let mut out = Vec::new();
            base64(text.as_bytes(), &mut out).then_some(out)
        };
        assert_eq!(decode("Y2F0"), Some(b"cat".to_vec()));
        assert_eq!(decode("Y2E="), Some(b"ca".to_vec()));
        assert_eq!(decode("Yw=="), Some(b"c".to_vec()));
        assert_eq!(decode(""), Some(Vec::new()));
        assert_eq!(decode("Y"), None);
        assert_eq!(decode("Y2F*"), None);
    }
}
