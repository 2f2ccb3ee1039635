//! What no rule can match, decided before a string is copied: the same code in the kernel and on the
//! host.
//!
//! A [`Filter`] is any of its terms, a [`Term`] all of its tests, a [`Test`] about one fact. A fact
//! that is not known never refuses an event. Sets and text are behind [`Facts`], which in the kernel
//! asks maps.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Terms of one filter.
pub const TERMS_MAX: usize = 16;
/// Tests of one term.
pub const TESTS_MAX: usize = 6;
/// Intervals of numbers in one test.
pub const INTERVALS_MAX: usize = 4;

/// What a probe knows of an event at little cost. Each is what rules see as one field: the same
/// value, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fact {
    /// `evt.rawres`.
    Result,
    /// `evt.is_open_read`, `evt.is_open_write`, `evt.is_open_exec`: 0 or 1.
    OpenRead,
    OpenWrite,
    OpenExec,
    /// The bits behind `evt.arg.flags`.
    Flags,
    /// `fd.num`.
    Descriptor,
    /// `fd.typechar`, as the byte.
    FileType,
    /// 1 where `container.id` is not `host`, else 0.
    InContainer,
    /// `user.uid`.
    User,
    /// `group.gid`.
    Group,
    /// `user.loginuid`.
    LoginUser,
    /// `proc.vpid`.
    NamespacePid,
    /// The bits behind `thread.cap_effective` and `thread.cap_permitted`.
    Effective,
    Permitted,
    /// `fd.rport` and `fd.lport`.
    RemotePort,
    LocalPort,
    /// `fd.rip` and `fd.lip`.
    Remote,
    Local,
    /// `fd.name` of an opened file.
    Path,
    /// `proc.name`.
    Name,
    /// `proc.exepath`.
    Executable,
}

impl Fact {
    pub const ALL: [Self; 21] = [
        Self::Result,
        Self::OpenRead,
        Self::OpenWrite,
        Self::OpenExec,
        Self::Flags,
        Self::Descriptor,
        Self::FileType,
        Self::InContainer,
        Self::User,
        Self::Group,
        Self::LoginUser,
        Self::NamespacePid,
        Self::Effective,
        Self::Permitted,
        Self::RemotePort,
        Self::LocalPort,
        Self::Remote,
        Self::Local,
        Self::Path,
        Self::Name,
        Self::Executable,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// How a test looks at its fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum How {
    /// The number is in one of the intervals.
    Intervals,
    /// The number has one of the bits.
    Bits,
    /// The set has the text, a part of it, or a network around the address.
    Whole,
    Directory,
    LastComponent,
    Prefix,
    Suffix,
    Network,
}

impl How {
    pub const ALL: [Self; 8] = [
        Self::Intervals,
        Self::Bits,
        Self::Whole,
        Self::Directory,
        Self::LastComponent,
        Self::Prefix,
        Self::Suffix,
        Self::Network,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// What a probe has to say about a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// It cannot say: the event may be anything.
    No,
    /// The event has no such thing: rules see null.
    Absent,
    Is(T),
}

/// What the evaluator asks.
pub trait Facts {
    fn number(&self, fact: Fact) -> Known<i64>;

    /// Whether the set has what the fact's text is looked at as.
    fn in_set(&self, fact: Fact, how: How, set: u32) -> Known<bool>;
}

/// Both ends belong to it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Interval {
    pub low: i64,
    pub high: i64,
}

/// One look at one fact.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Test {
    /// A [`Fact`] and a [`How`]; numbers that name none are never refused.
    pub fact: u8,
    pub how: u8,
    /// 1: the set must not have it, the bits must all be missing.
    pub inverted: u8,
    /// What the test is where the event has no such thing: 0 or 1.
    pub absent: u8,
    /// The set, or how many intervals there are.
    pub argument: u32,
    pub intervals: [Interval; INTERVALS_MAX],
    pub bits: u64,
}

/// All of these.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Term {
    pub count: u64,
    pub tests: [Test; TESTS_MAX],
}

/// Any of these; none accepts nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Filter {
    pub count: u64,
    pub terms: [Term; TERMS_MAX],
}

impl Filter {
    /// False only for events that no rule can match.
    pub fn accepts(&self, facts: &impl Facts) -> bool {
        self.terms.iter().zip(0..self.count).any(|(term, _)| term.accepts(facts))
    }
}

impl Term {
    fn accepts(&self, facts: &impl Facts) -> bool {
        self.tests.iter().zip(0..self.count).all(|(test, _)| test.accepts(facts))
    }
}

impl Test {
    fn accepts(&self, facts: &impl Facts) -> bool {
        let (Some(fact), Some(how)) = (Fact::from_number(self.fact), How::from_number(self.how))
        else {
            return true;
        };
        let found = match how {
            How::Intervals => map(facts.number(fact), |number| self.has(number)),
            How::Bits => map(facts.number(fact), |number| number.cast_unsigned() & self.bits != 0),
            _ => facts.in_set(fact, how, self.argument),
        };
        match found {
            Known::No => true,
            Known::Absent => self.absent != 0,
            Known::Is(found) => found != (self.inverted != 0),
        }
    }

    fn has(&self, number: i64) -> bool {
        let is_in = |interval: &Interval| interval.low <= number && number <= interval.high;
        self.intervals.iter().zip(0..self.argument).any(|(interval, _)| is_in(interval))
    }
}

fn map<T>(known: Known<i64>, look: impl FnOnce(i64) -> T) -> Known<T> {
    match known {
        Known::No => Known::No,
        Known::Absent => Known::Absent,
        Known::Is(number) => Known::Is(look(number)),
    }
}

const _: () = assert!(size_of::<Test>() == 80);
const _: () = assert!(size_of::<Filter>() == 8 + TERMS_MAX * (8 + TESTS_MAX * 80));

#[cfg(test)]
mod tests {
    use super::*;

    /// A result, and a path that is in set 1.
    struct Event(Known<i64>);

    impl Facts for Event {
        fn number(&self, fact: Fact) -> Known<i64> {
            if fact == Fact::Result { self.0 } else { Known::No }
        }

        fn in_set(&self, fact: Fact, _how: How, set: u32) -> Known<bool> {
            if fact == Fact::Path { Known::Is(set == 1) } else { Known::Absent }
        }
    }

    fn result(low: i64, high: i64) -> Test {
        let mut test = Test { how: How::Intervals as u8, argument: 1, ..Test::default() };
        test.intervals[0] = Interval { low, high };
        test
    }

    fn path(set: u32, inverted: u8) -> Test {
        let (fact, how) = (Fact::Path as u8, How::Whole as u8);
        Test { fact, how, inverted, argument: set, ..Test::default() }
    }

    fn filter(terms: &[&[Test]]) -> Filter {
        let mut filter = Filter { count: terms.len() as u64, ..Filter::default() };
        for (own, tests) in filter.terms.iter_mut().zip(terms) {
            own.count = tests.len() as u64;
            own.tests[..tests.len()].copy_from_slice(tests);
        }
        filter
    }

    #[test]
    fn any_term_and_all_of_its_tests() {
        let (ok, failed) = (Event(Known::Is(3)), Event(Known::Is(-2)));
        let both = filter(&[&[result(0, i64::MAX), path(1, 0)], &[path(2, 0)]]);
        assert!(both.accepts(&ok) && !both.accepts(&failed));
        assert!(filter(&[&[path(2, 0)], &[path(2, 1)]]).accepts(&ok));
        assert!(!filter(&[]).accepts(&ok), "no rule wants it");
        assert!(filter(&[&[]]).accepts(&failed), "some rule wants all of it");
    }

    #[test]
    fn what_is_not_known_is_not_refused() {
        let never = filter(&[&[result(1, 0)]]);
        assert!(!never.accepts(&Event(Known::Is(0))));
        assert!(never.accepts(&Event(Known::No)));
        assert!(!never.accepts(&Event(Known::Absent)));
        let or_absent = filter(&[&[Test { absent: 1, ..result(1, 0) }]]);
        assert!(or_absent.accepts(&Event(Known::Absent)));
        assert!(filter(&[&[Test { fact: 99, ..result(1, 0) }]]).accepts(&Event(Known::Is(0))));
        assert!(filter(&[&[Test { how: 99, ..result(1, 0) }]]).accepts(&Event(Known::Is(0))));
    }

    #[test]
    fn bits_are_any_of_them() {
        let bits =
            |bits, inverted| Test { how: How::Bits as u8, bits, inverted, ..Test::default() };
        let event = Event(Known::Is(0b0110));
        assert!(filter(&[&[bits(0b0101, 0)]]).accepts(&event));
        assert!(!filter(&[&[bits(0b1001, 0)]]).accepts(&event));
        assert!(filter(&[&[bits(0b1001, 1)]]).accepts(&event));
    }

    #[test]
    fn numbers_and_names_agree() {
        for (number, fact) in (0..).zip(Fact::ALL) {
            assert_eq!((fact as u8, Fact::from_number(number)), (number, Some(fact)));
        }
        for (number, how) in (0..).zip(How::ALL) {
            assert_eq!((how as u8, How::from_number(number)), (number, Some(how)));
        }
    }
}
