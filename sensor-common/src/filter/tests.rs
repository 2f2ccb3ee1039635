//! What a filter says of events.

extern crate std;

use std::vec::Vec;

use super::{
    Facts, Filter, Flags, Found, Look, Looked, Mask, Masks, NetworkKey, Number, PathKey, Step,
    Steps, TextKey,
};

/// A result, bits, and what is found for its path.
struct Event {
    result: Option<i64>,
    bits: Option<u64>,
    path: Option<Found>,
}

const EVENT: Event = Event { result: None, bits: None, path: None };

fn accepts(filter: &Filter, mut event: Event) -> bool {
    filter.accepts(&mut event)
}

impl Facts for Event {
    fn number(&mut self, number: Number) -> Option<i64> {
        self.result.filter(|_| number == Number::Result)
    }

    fn flags(&mut self, _flags: Flags) -> Option<u64> {
        self.bits
    }

    fn find(&mut self, look: Look, _lengths: u64) -> Option<Found> {
        assert_eq!(look, Look::Path, "nobody asks for it");
        self.path
    }
}

/// Term 0 asks for a result of at least 0, term 1 for a path.
fn filter() -> Filter {
    let mut filter = Filter { terms: 0b11, ..Filter::default() };
    let step = Step { from: 0, terms: 0b11 };
    filter.numbers[Number::Result as usize] =
        Steps { asking: 0b01, count: 1, first: 0b10, rest: [step; super::STEPS_MAX] };
    filter.looks[Look::Path as usize] = Looked { asking: 0b10, missed: 0b01, lengths: u64::MAX };
    filter
}

#[test]
fn any_term_and_all_of_its_tests() {
    let accepts = |result, path| accepts(&filter(), Event { result, path, ..EVENT });
    let (nothing, found) = (Some(Found::Nothing), Some(Found::Terms(0b11)));
    assert!(accepts(Some(3), nothing) && accepts(Some(0), nothing));
    assert!(!accepts(Some(-2), nothing) && accepts(Some(-2), found));
    assert!(!super::tests::accepts(&Filter::default(), EVENT), "no rule wants it");
    let everything = Filter { terms: 1, ..Filter::default() };
    assert!(super::tests::accepts(&everything, EVENT), "some rule wants all of it");
}

#[test]
fn what_is_not_known_is_not_refused() {
    let accepts = |result, path| accepts(&filter(), Event { result, path, ..EVENT });
    assert!(accepts(None, Some(Found::Nothing)));
    assert!(accepts(Some(-2), None));
}

#[test]
fn a_number_is_in_the_last_interval_that_begins_below_it() {
    let step = |from, terms| Step { from, terms };
    let mut steps = Steps { count: 3, first: 1, ..Steps::default() };
    steps.rest[..3].copy_from_slice(&[step(-5, 2), step(0, 4), step(7, 8)]);
    for (number, left) in
        [(i64::MIN, 1), (-6, 1), (-5, 2), (-1, 2), (0, 4), (6, 4), (7, 8), (i64::MAX, 8)]
    {
        assert_eq!(steps.leave(number), left, "{number}");
    }
}

#[test]
fn bits_are_any_of_them() {
    let mut filter = Filter { terms: 0b11, ..Filter::default() };
    let mut masks = Masks { asking: 0b11, count: 1, ..Masks::default() };
    // Term 0 asks for one of them, term 1 for none of them and for nothing else.
    masks.masks[0] = Mask { bits: 0b0101, any: 0b01, none: 0b10 };
    filter.flags[Flags::Open as usize] = masks;
    for (bits, left) in [(0b0001, 0b01), (0b1010, 0b10), (0b1111, 0b01), (0, 0b10)] {
        assert_eq!(filter.flags[0].leave(bits), left);
        assert!(accepts(&filter, Event { bits: Some(bits), ..EVENT }));
        filter.terms &= !left;
        assert!(!accepts(&filter, Event { bits: Some(bits), ..EVENT }));
        filter.terms = 0b11;
    }
}

#[test]
fn numbers_are_indexes() {
    assert!((0..).zip(Number::ALL).all(|(index, number)| number as usize == index));
    assert!((0..).zip(Flags::ALL).all(|(index, flags)| flags as usize == index));
    assert!((0..).zip(Look::ALL).all(|(index, look)| look as usize == index));
}

#[test]
fn keys_hold_what_fits() {
    let key = TextKey::new(3, Look::Leaf as u16, b"shadow").unwrap();
    assert_eq!((key.filter, key.look, &key.text[..7]), (3, 1, b"shadow\0".as_slice()));
    assert!(TextKey::new(0, Look::Leaf as u16, &[b'x'; super::TEXT_MAX + 1]).is_none());
    let key = PathKey::new(3, Look::Path, b"/etc/\0");
    assert_eq!((key.prefix_bits, PathKey::bits(6)), (80, 80));
    let long = PathKey::new(3, Look::Path, &[b'x'; super::PATH_MAX + 1]);
    assert_eq!(long.prefix_bits, PathKey::bits(5000));
    assert_eq!(NetworkKey::new(1, Look::Remote, 4, [0; 16], 8).prefix_bits, 40);
}

#[test]
fn types_of_events_have_an_index_each() {
    use crate::call::table::CALLS;
    use crate::open::Call;
    let opens = [Call::Open, Call::Openat, Call::Openat2, Call::Creat].map(super::of_open);
    let calls = (0..).zip(CALLS).map(|(row, _)| super::of_call(row));
    let all: Vec<u32> = opens.into_iter().chain([super::of_connect()]).chain(calls).collect();
    assert!(all.is_sorted_by(|one, other| one < other), "{all:?}");
    assert!(all.iter().all(|index| (1..super::EVENTS).contains(index)));
    assert!(all.iter().all(|index| super::name_of(*index).is_some()));
    assert_eq!((0..super::EVENTS).filter_map(super::name_of).count(), all.len());
    assert_eq!(super::name_of(super::of_open(Call::Openat2)), Some("openat2"));
}
