//! An event that is written down: a flat JSON object of field names, for tests and `rules eval`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value as Json};

use crate::fields::operand::Operand;
use crate::fields::source::Source;
use crate::fields::{Argument, Type, Value, event_types};

/// An event as an object of field names. A field that is not in it is absent.
#[derive(Debug, Default)]
pub struct ObjectEvent {
    event_type: String,
    values: HashMap<Box<str>, Vec<Datum>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Datum {
    Text(String),
    Number(i128),
    Double(f64),
    Bool(bool),
    Ip(IpAddr),
}

/// A key of the object that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event key `{key}`: {message}")]
pub struct BadKey {
    pub key: String,
    pub message: String,
}

impl ObjectEvent {
    /// Checks names and types; every wrong key is reported.
    pub fn from_json(object: &Map<String, Json>) -> Result<Self, Vec<BadKey>> {
        let mut event = Self::default();
        let mut bad = Vec::new();
        for (key, json) in object {
            match read(key, json) {
                Ok((name, Some(values))) => {
                    event.values.insert(name, values);
                }
                Ok((_, None)) => {}
                Err(message) => bad.push(BadKey { key: key.clone(), message }),
            }
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        if let Some(Datum::Text(name)) = event.first("evt.type").cloned() {
            event.event_type = name;
        }
        event.complete();
        Ok(event)
    }

    /// Adds the fields that follow from others.
    fn complete(&mut self) {
        let mut add = |name: &str, datum: Datum| {
            self.values.entry(name.into()).or_insert_with(|| vec![datum]);
        };
        add("evt.dir", Datum::Text("<".to_owned()));
        add("evt.source", Datum::Text("syscall".to_owned()));
        if event_types::is_syscall(&self.event_type) {
            add("syscall.type", Datum::Text(self.event_type.clone()));
        }
        for (net, ip) in [
            ("fd.cnet", "fd.cip"),
            ("fd.snet", "fd.sip"),
            ("fd.lnet", "fd.lip"),
            ("fd.rnet", "fd.rip"),
        ] {
            if let Some(address) = self.first(ip).cloned() {
                self.values.entry(net.into()).or_insert_with(|| vec![address]);
            }
        }
        self.complete_ends();
    }

    /// Either-end fields follow from the ends. A socket without a peer has unspecified ends.
    fn complete_ends(&mut self) {
        let unspecified = match self.first("fd.typechar") {
            Some(Datum::Text(char)) if char == "4" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Some(Datum::Text(char)) if char == "6" => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            _ => None,
        };
        let ips = self.ends(["fd.cip", "fd.sip"], ["fd.lip", "fd.rip"], unspecified.map(Datum::Ip));
        let no_port = unspecified.map(|_| Datum::Number(0));
        let ports = self.ends(["fd.cport", "fd.sport"], ["fd.lport", "fd.rport"], no_port);
        for (name, ends) in
            [("fd.ip", &ips), ("fd.net", &ips), ("fd.port", &ports), ("fd.proto", &ports)]
        {
            if !ends.is_empty() {
                self.values.entry(name.into()).or_insert_with(|| ends.clone());
            }
        }
    }

    fn ends(&self, roles: [&str; 2], sides: [&str; 2], none: Option<Datum>) -> Vec<Datum> {
        let of = |names: [&str; 2]| -> Vec<Datum> {
            names.into_iter().filter_map(|name| self.first(name).cloned()).collect()
        };
        let mut ends = of(roles);
        if ends.is_empty() {
            ends = of(sides);
        }
        if ends.is_empty() {
            ends.extend(none);
        }
        ends
    }

    fn first(&self, name: &str) -> Option<&Datum> {
        self.values.get(name).and_then(|values| values.first())
    }

    /// What the object holds for an operand with an argument under the field's own name.
    fn indexed(&self, operand: &Operand) -> Option<&Datum> {
        match operand.argument {
            Some(Argument::Index(index)) => {
                self.values.get(operand.field.name)?.get(usize::try_from(index).ok()?)
            }
            _ => None,
        }
    }
}

impl Source for ObjectEvent {
    fn event_type(&self) -> &str {
        &self.event_type
    }

    fn direct(&self, operand: &Operand) -> Option<Value<'_>> {
        if operand.field.name == "evt.type.is" {
            let Some(Argument::Key(name)) = &operand.argument else { return None };
            return Some(Value::Number((*self.event_type == **name).into()));
        }
        self.first(&operand.name).or_else(|| self.indexed(operand)).map(Datum::value)
    }

    fn held(&self, _operand: &Operand) -> Option<&[u8]> {
        None
    }

    fn compose(&self, operand: &Operand, text: &mut Vec<u8>) -> bool {
        if let Some(values) = self.values.get(&operand.name) {
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(b' ');
                }
                value.write(text);
            }
            return true;
        }
        if let Some(value) = self.indexed(operand) {
            value.write(text);
            return true;
        }
        let of_process = matches!(operand.field.name, "proc.args" | "proc.env");
        let Some(values) = self.values.get(operand.field.name).filter(|_| of_process) else {
            return false;
        };
        if let Some(Argument::Key(key)) = &operand.argument {
            let variable = values.iter().find_map(|value| match value {
                Datum::Text(entry) => entry.strip_prefix(&**key)?.strip_prefix('='),
                _ => None,
            });
            text.extend_from_slice(variable.unwrap_or_default().as_bytes());
        }
        true
    }

    fn each(&self, operand: &Operand, _: &mut Vec<u8>, visit: &mut dyn FnMut(Value<'_>) -> bool) {
        let Some(values) = self.values.get(operand.field.name) else { return };
        // The first of a lineage is the process itself, which is no ancestor of its own.
        let skipped = usize::from(operand.field.get.is_ancestor() && values.len() > 1);
        values.iter().skip(skipped).all(|value| visit(value.value()));
    }
}

impl Datum {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Bytes(text.as_bytes()),
            Self::Number(number) => Value::Number(*number),
            Self::Double(number) => Value::Double(*number),
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Ip(ip) => Value::Ip(*ip),
        }
    }

    fn write(&self, text: &mut Vec<u8>) {
        match self {
            Self::Text(own) => text.extend_from_slice(own.as_bytes()),
            Self::Number(number) => text.extend_from_slice(number.to_string().as_bytes()),
            Self::Double(number) => text.extend_from_slice(number.to_string().as_bytes()),
            Self::Bool(bool) => text.extend_from_slice(bool.to_string().as_bytes()),
            Self::Ip(ip) => text.extend_from_slice(ip.to_string().as_bytes()),
        }
    }
}

/// The operand's name and the values that one key gives; none for null.
fn read(key: &str, json: &Json) -> Result<(Box<str>, Option<Vec<Datum>>), String> {
    let (name, argument) = match key.split_once('[') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(']').ok_or("`]` is missing")?)),
        None => (key, None),
    };
    let (name, value_type) = match Operand::parse(name, argument) {
        Ok(operand) => (operand.name, operand.value_type),
        Err(unknown) => {
            return Err(unknown
                .hint
                .map_or(unknown.message.clone(), |hint| format!("{}; {hint}", unknown.message)));
        }
    };
    let values = match json {
        Json::Null => return Ok((name, None)),
        Json::Array(items) => {
            items.iter().map(|item| datum(value_type, item)).collect::<Result<_, _>>()?
        }
        one => vec![datum(value_type, one)?],
    };
    Ok((name, Some(values)))
}

fn datum(value_type: Type, json: &Json) -> Result<Datum, String> {
    let wrong = || format!("expected {}, found {json}", value_type.name());
    Ok(match (value_type, json) {
        (Type::Ip | Type::Net, Json::String(text)) => {
            Datum::Ip(text.parse().ok().ok_or_else(wrong)?)
        }
        (Type::Bool, Json::Bool(bool)) => Datum::Bool(*bool),
        (Type::Text | Type::Buffer, Json::String(text)) => Datum::Text(text.clone()),
        (Type::Text, Json::Number(number)) => Datum::Text(number.to_string()),
        (Type::Text, Json::Bool(bool)) => Datum::Text(bool.to_string()),
        (Type::Double, Json::Number(number)) => Datum::Double(number.as_f64().ok_or_else(wrong)?),
        (_, Json::Number(number)) => {
            let number = number.as_i128().ok_or_else(wrong)?;
            let (least, most) = value_type.range().ok_or_else(wrong)?;
            if !(least..=most).contains(&number) {
                return Err(format!("{number} is not within {least} to {most}"));
            }
            Datum::Number(number)
        }
        _ => return Err(wrong()),
    })
}
