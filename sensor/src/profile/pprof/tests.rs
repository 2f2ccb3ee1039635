use super::{Message, write};
use crate::profile::testing::{check_golden, report};
use std::fmt::Write as _;
use std::io::Read as _;

/// A field of a message: its number, and an integer or bytes.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = varint(&mut bytes);
        fields.push(match tag & 7 {
            0 => (tag >> 3, Value::Number(value)),
            2 => {
                let (content, rest) = bytes.split_at(usize::try_from(value).unwrap());
                bytes = rest;
                (tag >> 3, Value::Bytes(content))
            }
            other => panic!("wire type {other}"),
        });
    }
    fields
}

fn messages<'a>(message: &'a [u8], number: u64) -> Vec<&'a [u8]> {
    let of_number = |(field, value): (u64, Value<'a>)| match value {
        Value::Bytes(bytes) if field == number => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(of_number).collect()
}

fn number(message: &[u8], number: u64) -> u64 {
    let of_number = |(field, value)| match value {
        Value::Number(value) if field == number => Some(value),
        _ => None,
    };
    fields(message).into_iter().find_map(of_number).unwrap_or(0)
}

fn packed(message: &[u8], number: u64) -> Vec<u64> {
    let mut bytes = messages(message, number)[0];
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(varint(&mut bytes));
    }
    values
}

fn encoded() -> Vec<u8> {
    let mut compressed = Vec::new();
    write(&report(), &mut compressed).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(compressed.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The profile as text, every number replaced by what it stands for.
#[test]
fn says_what_the_report_says() {
    let profile = encoded();
    let strings: Vec<&str> =
        messages(&profile, 6).into_iter().map(|text| std::str::from_utf8(text).unwrap()).collect();
    let string = |message: &[u8], field| strings[usize::try_from(number(message, field)).unwrap()];
    let by_id = |field: u64, id: u64| {
        let found = messages(&profile, field).into_iter().find(|message| number(message, 1) == id);
        found.unwrap_or_else(|| panic!("field {field} has no {id}"))
    };
    let mut text = String::new();
    for kind in messages(&profile, 1) {
        writeln!(text, "type {} {}", string(kind, 1), string(kind, 2)).unwrap();
    }
    for sample in messages(&profile, 2) {
        let labels: Vec<String> = messages(sample, 3)
            .into_iter()
            .map(|label| match number(label, 2) {
                0 => format!("{}={}", string(label, 1), number(label, 3)),
                _ => format!("{}={}", string(label, 1), string(label, 2)),
            })
            .collect();
        writeln!(text, "sample {:?} {}", packed(sample, 2), labels.join(" ")).unwrap();
        for location in packed(sample, 1) {
            let location = by_id(4, location);
            let function = by_id(5, number(messages(location, 4)[0], 1));
            let mapping = by_id(3, number(location, 2));
            writeln!(text, "  {} {}", string(function, 2), string(mapping, 5)).unwrap();
        }
    }
    for comment in packed(&profile, 13) {
        writeln!(text, "comment {}", strings[usize::try_from(comment).unwrap()]).unwrap();
    }
    for (name, field) in [("time", 9), ("duration", 10), ("period", 12)] {
        writeln!(text, "{name} {}", number(&profile, field)).unwrap();
    }
    let period = messages(&profile, 11)[0];
    writeln!(text, "period type {} {}", string(period, 1), string(period, 2)).unwrap();
    writeln!(text, "default {}", string(&profile, 14)).unwrap();
    assert_eq!(strings[0], "");
    check_golden("pprof.txt", text.as_bytes());
}

#[test]
fn the_sums_are_those_of_the_report() {
    let report = report();
    let profile = encoded();
    let samples = messages(&profile, 2);
    let sum = |at: usize| samples.iter().map(|sample| packed(sample, 2)[at]).sum::<u64>();
    assert_eq!(sum(0), report.samples());
    assert_eq!(sum(1), report.samples() * report.period_ns());
}

#[test]
fn encodes_integers_as_protobuf_does() {
    for (value, expected) in [
        (1, &[1][..]),
        (127, &[127]),
        (128, &[0x80, 1]),
        (300, &[0xac, 2]),
        (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ] {
        let mut message = Message::default();
        message.varint(value);
        assert_eq!(message.0, expected);
    }
}
