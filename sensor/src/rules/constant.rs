//! Constants of a condition → a typed [`Test`], or the reason why they do not fit the field.

use memchr::memmem::Finder;

use crate::fields::{Type, services};
use crate::rules::ast::{Constant, Operator};
use crate::rules::error::{Code, Fault};
use crate::rules::glob::Glob;
use crate::rules::network::Network;
use crate::rules::pmatch::PathTrie;
use crate::rules::posix;
use crate::rules::test::{Bytes, Folded, Ordering, Test};

/// Falco's limit on a constant, in bytes.
const CONSTANT_MAX: usize = 255;

type Compiled<T> = Result<T, Fault>;

/// True when the operator applies to the type at all, whatever stands to its right.
pub const fn applies(operator: Operator, value_type: Type) -> bool {
    match operator {
        Operator::Exists
        | Operator::Equal
        | Operator::NotEqual
        | Operator::In
        | Operator::Intersects => true,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            !matches!(value_type, Type::Bool | Type::Ip | Type::Net | Type::Buffer)
        }
        Operator::Contains | Operator::StartsWith => {
            matches!(value_type, Type::Text | Type::Buffer)
        }
        Operator::BContains | Operator::BStartsWith => matches!(value_type, Type::Buffer),
        Operator::Glob
        | Operator::IGlob
        | Operator::IContains
        | Operator::EndsWith
        | Operator::Regex
        | Operator::PMatch => matches!(value_type, Type::Text),
    }
}

/// A comparison with one constant.
pub fn one(value_type: Type, operator: Operator, constant: &Constant) -> Compiled<Test> {
    checked_length(value_type, constant)?;
    let ordering = Ordering::of(operator);
    let equal = operator == Operator::Equal;
    Ok(match (value_type, ordering) {
        (Type::Text | Type::Buffer, _) => Test::Bytes(bytes(operator, constant)?),
        (Type::Bool, _) => Test::Bool { value: boolean(constant)?, equal },
        (Type::Ip, _) => Test::Ip { ip: ip(constant)?, equal },
        (Type::Net, _) => Test::Networks { networks: [network(constant)?].into(), inside: equal },
        (Type::Double, Some(ordering)) => Test::Double(ordering, double(constant)?),
        (_, Some(ordering)) => Test::Number(ordering, number(value_type, constant)?),
        (_, None) => {
            return Err(fault(constant, format!("`{}` is not for numbers", operator.name())));
        }
    })
}

/// Membership in a list, for `in`, `intersects` and `pmatch`; every constant that is wrong is
/// reported.
pub fn any_of(
    value_type: Type,
    operator: Operator,
    constants: &[Constant],
) -> Result<Test, Vec<Fault>> {
    each(constants, |constant| checked_length(value_type, constant))?;
    if operator == Operator::PMatch {
        let paths = constants.iter().map(|constant| &*constant.value);
        return Ok(Test::Bytes(Bytes::Path(Box::new(PathTrie::new(paths)))));
    }
    Ok(match value_type {
        Type::Text | Type::Buffer => {
            let set = constants.iter().map(|constant| constant.value.clone().into());
            Test::Bytes(Bytes::OneOf(set.collect()))
        }
        Type::Bool => booleans(&each(constants, boolean)?),
        Type::Ip => Test::Ips(each(constants, ip)?.into_iter().collect()),
        Type::Net => Test::Networks { networks: each(constants, network)?.into(), inside: true },
        _ => Test::Numbers(
            each(constants, |constant| number(value_type, constant))?.into_iter().collect(),
        ),
    })
}

/// What each constant is, or what is wrong with each that is nothing.
fn each<T>(
    constants: &[Constant],
    read: impl Fn(&Constant) -> Compiled<T>,
) -> Result<Vec<T>, Vec<Fault>> {
    let (mut values, mut faults) = (Vec::with_capacity(constants.len()), Vec::new());
    for constant in constants {
        match read(constant) {
            Ok(value) => values.push(value),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}

fn bytes(operator: Operator, constant: &Constant) -> Compiled<Bytes> {
    let value = &constant.value;
    let own = || value.clone().into_boxed_slice();
    Ok(match operator {
        Operator::Equal => Bytes::Equal(own()),
        Operator::NotEqual => Bytes::NotEqual(own()),
        Operator::Contains => Bytes::Contains(Box::new(Finder::new(value).into_owned())),
        Operator::IContains => Bytes::ContainsFolded(Folded::new(value)),
        Operator::StartsWith => Bytes::StartsWith(own()),
        Operator::EndsWith => Bytes::EndsWith(own()),
        Operator::Glob => Bytes::Glob(Glob::new(value, false)),
        Operator::IGlob => Bytes::Glob(Glob::new(value, true)),
        Operator::BContains => {
            Bytes::Contains(Box::new(Finder::new(&hexadecimal(constant)?).into_owned()))
        }
        Operator::BStartsWith => Bytes::StartsWith(hexadecimal(constant)?.into()),
        Operator::Regex => {
            let pattern = String::from_utf8_lossy(value);
            Bytes::Regex(posix::compile(&pattern).map_err(|message| {
                fault(constant, format!("invalid regular expression: {message}"))
            })?)
        }
        other => match Ordering::of(other) {
            Some(ordering) => Bytes::Ordered(ordering, own()),
            None => return Err(fault(constant, format!("`{}` takes a list", other.name()))),
        },
    })
}

fn hexadecimal(constant: &Constant) -> Compiled<Vec<u8>> {
    let digits = str::from_utf8(&constant.value).unwrap_or_default();
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [_, _] => u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok(),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
        fault(constant, "expected hexadecimal digits in pairs, such as cafebabe".to_owned())
    })
}

fn boolean(constant: &Constant) -> Compiled<bool> {
    let meant = match &*constant.value {
        b"true" => return Ok(true),
        b"false" => return Ok(false),
        b"yes" | b"True" | b"TRUE" | b"1" | b"on" => Some("true"),
        b"no" | b"False" | b"FALSE" | b"0" | b"off" => Some("false"),
        _ => None,
    };
    let fault = fault(constant, format!("{} is not `true` or `false`", shown(constant)));
    Err(fault.maybe_hint(meant.map(|meant| format!("write `{meant}`"))))
}

fn booleans(values: &[bool]) -> Test {
    match (values.contains(&true), values.contains(&false)) {
        (true, true) => Test::AnyBool,
        (true, false) => Test::Bool { value: true, equal: true },
        (false, true) => Test::Bool { value: false, equal: true },
        (false, false) => Test::Never,
    }
}

fn ip(constant: &Constant) -> Compiled<std::net::IpAddr> {
    let text = String::from_utf8_lossy(&constant.value);
    text.parse().ok().ok_or_else(|| {
        let fault = fault(constant, format!("`{text}` is not an IP address"));
        let is_network = text.contains('/');
        fault.maybe_hint(is_network.then(|| {
            "networks are tested with `fd.net`, `fd.cnet`, `fd.snet`, `fd.lnet` and `fd.rnet`"
                .to_owned()
        }))
    })
}

fn network(constant: &Constant) -> Compiled<Network> {
    let text = String::from_utf8_lossy(&constant.value);
    Network::parse(&text).map_err(|message| fault(constant, message))
}

fn double(constant: &Constant) -> Compiled<f64> {
    let text = String::from_utf8_lossy(&constant.value);
    let number: Option<f64> = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| fault(constant, format!("{} is not a number", shown(constant))))
}

fn number(value_type: Type, constant: &Constant) -> Compiled<i128> {
    let text = String::from_utf8_lossy(&constant.value);
    if value_type == Type::Port
        && let Some(port) = services::port(&text)
    {
        return Ok(port.into());
    }
    let number: Option<i128> = text.parse().ok();
    let Some(number) = number else {
        let fault = fault(constant, format!("{} is not a valid number", shown(constant)));
        return Err(fault.maybe_hint(meant_number(value_type, &text)));
    };
    let (least, most) = value_type.range().unwrap_or((i128::MIN, i128::MAX));
    if !(least..=most).contains(&number) {
        return Err(fault(constant, format!("{number} is not within {least} to {most}")));
    }
    Ok(number)
}

/// What to write instead of a text that is no number here.
fn meant_number(value_type: Type, text: &str) -> Option<String> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if let Some(digits) = hexadecimal {
        let number = i128::from_str_radix(digits, 16).ok();
        return Some(number.map_or_else(
            || "write it in decimal".to_owned(),
            |number| format!("write it in decimal: {number}"),
        ));
    }
    match value_type {
        Type::Port => Some("neither a port nor the name of a service".to_owned()),
        Type::Duration | Type::Time => {
            let nanoseconds = nanoseconds(text).map(|number| format!(": {number}"));
            Some(format!("write whole nanoseconds{}", nanoseconds.unwrap_or_default()))
        }
        _ => {
            text.parse::<f64>().is_ok().then(|| "write a whole number without exponent".to_owned())
        }
    }
}

/// The nanoseconds of `5s` and the like.
fn nanoseconds(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 6] = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (number, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn checked_length(value_type: Type, constant: &Constant) -> Compiled<()> {
    let length = constant.value.len();
    if length > CONSTANT_MAX {
        let message =
            format!("the value is {length} bytes long: at most {CONSTANT_MAX} are possible");
        return Err(fault(constant, message));
    }
    if value_type != Type::Buffer && constant.value.contains(&0) {
        return Err(fault(
            constant,
            "the value contains a NUL byte, which no text does".to_owned(),
        ));
    }
    Ok(())
}

fn shown(constant: &Constant) -> String {
    format!("`{}`", constant.span.as_str())
}

fn fault(constant: &Constant, message: String) -> Fault {
    Fault::new(Code::CompileCondition, constant.span.place(), message)
}
