//! A report → a gzipped pprof profile (`profile.proto`), as `go tool pprof`, Pyroscope and Parca read it.

use std::collections::HashMap;
use std::io::{self, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::profile::report::{Kind, Report, Stack};

/// Writes the profile with two values a sample: how many there were, and the CPU time that they
/// stand for. The process and what it belongs to are labels.
pub fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    // Without a time or a name in the header, the same report gives the same bytes.
    let mut gzip: GzEncoder<_> = GzBuilder::new().write(to, Compression::default());
    gzip.write_all(&encode(report))?;
    gzip.finish()?;
    Ok(())
}

fn encode(report: &Report) -> Vec<u8> {
    let mut strings = Strings::default();
    strings.number("");
    let mut profile = Message::default();
    for (kind, unit) in [("samples", "count"), ("cpu", "nanoseconds")] {
        profile.message(profile::SAMPLE_TYPE, &value_type(&mut strings, kind, unit));
    }
    for stack in &report.stacks {
        profile.message(profile::SAMPLE, &sample(&mut strings, report, stack));
    }
    let modules = modules(report);
    for (number, module) in (1..).zip(&modules) {
        let mut mapping = Message::default();
        mapping.number(mapping::ID, number);
        mapping.number(mapping::FILENAME, strings.number(module));
        // Nobody needs to look for names once more.
        mapping.number(mapping::HAS_FUNCTIONS, 1);
        profile.message(profile::MAPPING, &mapping);
    }
    for (number, frame) in (1..).zip(&report.frames).filter(|(_, frame)| frame.kind.is_code()) {
        let mut line = Message::default();
        line.number(line::FUNCTION_ID, number);
        let mut location = Message::default();
        location.number(location::ID, number);
        let module = modules.binary_search(&&*frame.module).map_or(0, |at| at as u64 + 1);
        location.number(location::MAPPING_ID, module);
        location.message(location::LINE, &line);
        profile.message(profile::LOCATION, &location);

        let mut function = Message::default();
        let name = strings.number(&frame.function);
        function.number(function::ID, number);
        function.number(function::NAME, name);
        function.number(function::SYSTEM_NAME, name);
        profile.message(profile::FUNCTION, &function);
    }
    profile.number(profile::TIME_NANOS, report.start_ns.cast_unsigned());
    let duration_ns = u64::try_from(report.duration.as_nanos()).unwrap_or(u64::MAX);
    profile.number(profile::DURATION_NANOS, duration_ns);
    profile.message(profile::PERIOD_TYPE, &value_type(&mut strings, "cpu", "nanoseconds"));
    profile.number(profile::PERIOD, report.period_ns());
    let comments = [format!("CPU profile of {}", report.target), report.quality.to_string()];
    let comments: Vec<u64> = comments.iter().map(|comment| strings.number(comment)).collect();
    profile.packed(profile::COMMENT, &comments);
    profile.number(profile::DEFAULT_SAMPLE_TYPE, strings.number("cpu"));
    for string in &strings.all {
        profile.bytes(profile::STRING_TABLE, string.as_bytes());
    }
    profile.0
}

fn value_type(strings: &mut Strings, kind: &str, unit: &str) -> Message {
    let mut message = Message::default();
    message.number(value_type::TYPE, strings.number(kind));
    message.number(value_type::UNIT, strings.number(unit));
    message
}

fn sample(strings: &mut Strings, report: &Report, stack: &Stack) -> Message {
    let mut locations = Vec::with_capacity(stack.frames.len());
    let mut labels = Vec::new();
    for (number, frame) in stack.frames.iter().filter_map(|n| Some((*n, report.frames.get(*n)?))) {
        let key = match frame.kind {
            Kind::Group => "container",
            Kind::Process => "process",
            Kind::User | Kind::Inlined | Kind::Kernel => {
                locations.push(number as u64 + 1);
                continue;
            }
        };
        let mut label = Message::default();
        label.number(label::KEY, strings.number(key));
        label.number(label::STR, strings.number(&frame.function));
        labels.push(label);
    }
    let mut pid = Message::default();
    pid.number(label::KEY, strings.number("pid"));
    pid.number(label::NUM, stack.pid.into());
    labels.push(pid);

    let mut message = Message::default();
    locations.reverse();
    message.packed(sample::LOCATION_ID, &locations);
    let cpu_ns = stack.count.saturating_mul(report.period_ns());
    message.packed(sample::VALUE, &[stack.count, cpu_ns]);
    for label in &labels {
        message.message(sample::LABEL, label);
    }
    message
}

/// The files of all frames, sorted.
fn modules(report: &Report) -> Vec<&str> {
    let mut modules: Vec<&str> = report
        .frames
        .iter()
        .map(|frame| frame.module.as_str())
        .filter(|module| !module.is_empty())
        .collect();
    modules.sort_unstable();
    modules.dedup();
    modules
}

/// Strings are stored once; the first is empty.
#[derive(Default)]
struct Strings {
    all: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Strings {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.all.len() as u64;
        self.all.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

/// The field numbers of `profile.proto`.
mod profile {
    pub(super) const SAMPLE_TYPE: u32 = 1;
    pub(super) const SAMPLE: u32 = 2;
    pub(super) const MAPPING: u32 = 3;
    pub(super) const LOCATION: u32 = 4;
    pub(super) const FUNCTION: u32 = 5;
    pub(super) const STRING_TABLE: u32 = 6;
    pub(super) const TIME_NANOS: u32 = 9;
    pub(super) const DURATION_NANOS: u32 = 10;
    pub(super) const PERIOD_TYPE: u32 = 11;
    pub(super) const PERIOD: u32 = 12;
    pub(super) const COMMENT: u32 = 13;
    pub(super) const DEFAULT_SAMPLE_TYPE: u32 = 14;
}
mod value_type {
    pub(super) const TYPE: u32 = 1;
    pub(super) const UNIT: u32 = 2;
}
mod sample {
    pub(super) const LOCATION_ID: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    pub(super) const LABEL: u32 = 3;
}
mod label {
    pub(super) const KEY: u32 = 1;
    pub(super) const STR: u32 = 2;
    pub(super) const NUM: u32 = 3;
}
mod mapping {
    pub(super) const ID: u32 = 1;
    pub(super) const FILENAME: u32 = 5;
    pub(super) const HAS_FUNCTIONS: u32 = 7;
}
mod location {
    pub(super) const ID: u32 = 1;
    pub(super) const MAPPING_ID: u32 = 2;
    pub(super) const LINE: u32 = 4;
}
mod line {
    pub(super) const FUNCTION_ID: u32 = 1;
}
mod function {
    pub(super) const ID: u32 = 1;
    pub(super) const NAME: u32 = 2;
    pub(super) const SYSTEM_NAME: u32 = 3;
}

/// A protobuf message on its way out.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    const VARINT: u32 = 0;
    const LENGTH_DELIMITED: u32 = 2;

    /// An integer field; 0 is the default and left out.
    fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.tag(field, Self::VARINT);
            self.varint(value);
        }
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, Self::LENGTH_DELIMITED);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u32, message: &Self) {
        self.bytes(field, &message.0);
    }

    /// A repeated integer field.
    fn packed(&mut self, field: u32, values: &[u64]) {
        let mut packed = Self::default();
        for value in values {
            packed.varint(*value);
        }
        self.message(field, &packed);
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests;
