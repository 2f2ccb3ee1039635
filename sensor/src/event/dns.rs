//! Messages of the Domain Name System (RFC 1035), as far as an agent looks into them: what was
//! asked, and which addresses were the answer. Total: a message that lies is no message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What one message says.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The name in question, lower case, without the final dot.
    pub name: Vec<u8>,
    /// `QTYPE`: 1 for an IPv4 address, 28 for IPv6.
    pub question_type: u16,
    pub is_answer: bool,
    /// Addresses in the answer, whatever names lie between.
    pub addresses: Vec<IpAddr>,
}

pub const PORT: u16 = 53;

const HEADER_LEN: usize = 12;
/// Limits of RFC 1035, section 2.3.4.
const NAME_MAX: usize = 255;
const LABELS_MAX: usize = 128;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// Reads a message; `None` if it is none, or has no question. One that is cut short yields the
/// answers that are whole.
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let flags = number(bytes, 2)?;
    let (questions, answers) = (number(bytes, 4)?, number(bytes, 6)?);
    // Opcode 0 is a standard query.
    if questions != 1 || flags >> 11 & 0xf != 0 {
        return None;
    }
    let (name, mut at) = read_name(bytes, HEADER_LEN)?;
    let question_type = number(bytes, at)?;
    at += 4;
    let is_answer = flags >> 15 == 1;
    let mut addresses = Vec::new();
    for _ in 0..if is_answer { answers } else { 0 } {
        let Some((address, next)) = record(bytes, at) else { break };
        addresses.extend(address);
        at = next;
    }
    Some(Message { name, question_type, is_answer, addresses })
}

/// A resource record's address, if it has one, and where the next begins.
fn record(bytes: &[u8], at: usize) -> Option<(Option<IpAddr>, usize)> {
    let (_, at) = read_name(bytes, at)?;
    let record_type = number(bytes, at)?;
    let len = usize::from(number(bytes, at + 8)?);
    let data = bytes.get(at + 10..at + 10 + len)?;
    let address = match record_type {
        TYPE_A => <[u8; 4]>::try_from(data).ok().map(|ip| Ipv4Addr::from(ip).into()),
        TYPE_AAAA => <[u8; 16]>::try_from(data).ok().map(|ip| Ipv6Addr::from(ip).into()),
        _ => None,
    };
    Some((address, at + 10 + len))
}

/// A name, and where what follows it begins. Pointers lead backwards, and so do not go round.
fn read_name(bytes: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let (mut name, mut at, mut after) = (Vec::new(), start, None);
    for _ in 0..LABELS_MAX {
        let len = usize::from(*bytes.get(at)?);
        match len >> 6 {
            0 if len == 0 => return Some((name, after.unwrap_or(at + 1))),
            0 => {
                if !name.is_empty() {
                    name.push(b'.');
                }
                let label = bytes.get(at + 1..at + 1 + len)?;
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                if name.len() > NAME_MAX {
                    return None;
                }
                at += 1 + len;
            }
            3 => {
                let target = usize::from(number(bytes, at)? & 0x3fff);
                after.get_or_insert(at + 2);
                if target >= at {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
    None
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Message, parse};
    use proptest::prelude::*;

    const ANSWER: &[u8] =
        b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x03WWW\x07example\x03org\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03web\xc0\x10\
        \xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";

    #[test]
    fn reads_the_question_and_the_addresses() {
        let message = parse(ANSWER).unwrap();
        assert_eq!(
            message,
            Message {
                name: b"www.example.org".to_vec(),
                question_type: 1,
                is_answer: true,
                addresses: vec!["192.0.2.7".parse().unwrap()],
            }
        );
        // The second answer is cut off.
        assert!(parse(&ANSWER[..ANSWER.len() - 1]).unwrap().addresses.is_empty());
    }

    #[test]
    fn refuses_what_goes_round() {
        let mut round = ANSWER[..12].to_vec();
        round.extend_from_slice(b"\xc0\x0c\0\x01\0\x01");
        assert_eq!(parse(&round), None);
        assert_eq!(parse(b"question"), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, at in 0_usize..80, byte: u8) {
            drop(parse(&bytes));
            let mut changed = ANSWER.to_vec();
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
            drop(parse(&changed));
        }
    }
}
