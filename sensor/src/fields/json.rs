//! Field values as text and JSON, for alerts: always valid UTF-8, without control characters.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use crate::fields;
use crate::fields::operand::Operand;
use crate::fields::source::Source;
use crate::fields::{Get, Value};

/// How an absent field is written in output text.
pub const ABSENT: &str = "<NA>";

/// A field's value as Falco prints it in `output_fields`; null where it is absent.
pub fn json<S: Source>(operand: &Operand, source: &S) -> Json {
    let mut values = Vec::new();
    operand.read(source, &mut |value| values.push(to_json(value)));
    if matches!(operand.field.get, Get::Clock(_)) {
        return values.pop().unwrap_or_default();
    }
    match values.len() {
        0 => Json::Null,
        1 => values.pop().unwrap_or_default(),
        _ => Json::Array(values),
    }
}

/// Every field without an argument that has a value: a whole event.
pub fn object<S: Source>(source: &S) -> Map<String, Json> {
    static BARE: LazyLock<Vec<Operand>> = LazyLock::new(|| {
        fields::all()
            .filter(|field| field.is_delivered())
            .filter_map(|field| Operand::parse(field.name, None).ok())
            .filter(|operand| !operand.is_filter_only())
            .collect()
    });
    BARE.iter()
        .map(|operand| (operand.field.name.to_owned(), json(operand, source)))
        .filter(|(_, value)| !value.is_null())
        .collect()
}

/// Appends a field's value to output text.
pub fn write<S: Source>(operand: &Operand, source: &S, out: &mut String) {
    let mut first = true;
    operand.read(source, &mut |value| {
        if !first {
            out.push(',');
        }
        first = false;
        write_value(value, out);
    });
    if first {
        out.push_str(ABSENT);
    }
}

pub fn to_json(value: Value<'_>) -> Json {
    match value {
        Value::Bytes(bytes) => Json::String(sanitized(bytes)),
        // Numbers beyond both 64-bit types do not occur: no field's type holds them.
        Value::Number(number) => i64::try_from(number)
            .map(Json::from)
            .or_else(|_| u64::try_from(number).map(Json::from))
            .unwrap_or_default(),
        Value::Double(number) => Json::from(number),
        Value::Bool(bool) => Json::Bool(bool),
        Value::Ip(ip) => Json::String(ip.to_string()),
    }
}

pub fn write_value(value: Value<'_>, out: &mut String) {
    // Writing to a string cannot fail.
    match value {
        Value::Bytes(bytes) => out.write_str(&sanitized(bytes)),
        Value::Number(number) => write!(out, "{number}"),
        Value::Double(number) => write!(out, "{number}"),
        Value::Bool(bool) => write!(out, "{bool}"),
        Value::Ip(ip) => write!(out, "{ip}"),
    }
    .ok();
}

/// Text that is safe on a terminal and in a log: what is not UTF-8 becomes U+FFFD, and control
/// characters become escapes, so that a file name cannot forge a line.
pub fn sanitized(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Also U+2028 and the direction marks that reorder what a reader sees.
            _ if char.is_control()
                || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                write!(out, "\\u{{{:x}}}", u32::from(char)).ok();
            }
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_forge_a_line() {
        assert_eq!(sanitized(b"a\nb\x1b[31m\xff"), "a\\nb\\u{1b}[31m\u{fffd}");
        assert_eq!(sanitized("ein Übel".as_bytes()), "ein Übel");
    }
}
