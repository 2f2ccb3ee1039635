//! Constants of a condition → a typed [`Test`], or the reason why they do not fit the field.

use memchr::memmem::Finder;

use crate::fields::{Type, services};
use crate::rules::ast::{Constant, Operator};
use crate::rules::error::{Code, Fault};
use crate::rules::glob::Glob;
use crate::rules::network::Network;
use crate::rules::pmatch::PathTrie;
use crate::rules::posix;
use crate::rules::test::{Bytes, Ordering, Test};

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

/// Membership in a list, for `in`, `intersects` and `pmatch`.
pub fn any_of(value_type: Type, operator: Operator, constants: &[Constant]) -> Compiled<Test> {
    for constant in constants {
        checked_length(value_type, constant)?;
    }
    if operator == Operator::PMatch {
        let paths = constants.iter().map(|constant| &*constant.value);
        return Ok(Test::Bytes(Bytes::Path(Box::new(PathTrie::new(paths)))));
    }
    Ok(match value_type {
        Type::Text | Type::Buffer => {
            let set = constants.iter().map(|constant| constant.value.clone().into());
            Test::Bytes(Bytes::OneOf(set.collect()))
        }
        Type::Bool => return booleans(constants),
        Type::Ip => Test::Ips(constants.iter().map(ip).collect::<Result<_, _>>()?),
        Type::Net => {
            let networks = constants.iter().map(network).collect::<Result<_, _>>()?;
            Test::Networks { networks, inside: true }
        }
        _ => {
            let numbers = constants.iter().map(|constant| number(value_type, constant));
            Test::Numbers(numbers.collect::<Result<_, _>>()?)
        }
    })
}

fn bytes(operator: Operator, constant: &Constant) -> Compiled<Bytes> {
    let value = &constant.value;
    let own = || value.clone().into_boxed_slice();
    Ok(match operator {
        Operator::Equal => Bytes::Equal(own()),
        Operator::NotEqual => Bytes::NotEqual(own()),
        Operator::Contains => Bytes::Contains(Box::new(Finder::new(value).into_owned())),
        Operator::IContains => Bytes::ContainsFolded(value.to_ascii_lowercase().into()),
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
    match &*constant.value {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(fault(constant, format!("{} is not `true` or `false`", shown(constant)))),
    }
}

fn booleans(constants: &[Constant]) -> Compiled<Test> {
    let values = constants.iter().map(boolean).collect::<Result<Vec<_>, _>>()?;
    Ok(match (values.contains(&true), values.contains(&false)) {
        (true, true) => Test::AnyBool,
        (true, false) => Test::Bool { value: true, equal: true },
        (false, true) => Test::Bool { value: false, equal: true },
        (false, false) => Test::Never,
    })
}

fn ip(constant: &Constant) -> Compiled<std::net::IpAddr> {
    let text = String::from_utf8_lossy(&constant.value);
    text.parse().ok().ok_or_else(|| {
        let fault = fault(constant, format!("`{text}` is not an IP address"));
        let is_network = text.contains('/');
        fault.maybe_hint(
            is_network.then(|| "networks are compared with `fd.net` and the like".to_owned()),
        )
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
        return Err(match value_type {
            Type::Port => fault.hint("neither a port nor the name of a service"),
            Type::Duration | Type::Time => fault.hint("write nanoseconds as a whole number"),
            _ if text.starts_with("0x") => fault.hint("write it in decimal"),
            _ => fault,
        });
    };
    let (least, most) = value_type.range().unwrap_or((i128::MIN, i128::MAX));
    if !(least..=most).contains(&number) {
        return Err(fault(constant, format!("{number} is not within {least} to {most}")));
    }
    Ok(number)
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
