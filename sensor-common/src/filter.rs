//! What no rule can match, decided before a string is copied: the same code in the kernel and on the
//! host.
//!
//! A [`Filter`] is any of its terms, each all of some tests. It is kept by fact, not by term: for
//! every value of a fact it says which terms that value leaves. An event that no term is left for
//! is refused. What is not known of an event leaves every term.
#![expect(
    clippy::inline_always,
    reason = "in the kernel a call costs more than its body, and only what is inlined is left out where a probe \
              has no such fact"
)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::call::table::CALLS;
use crate::open;

/// Terms of one filter: a bit each.
pub const TERMS_MAX: usize = 64;
/// Intervals of numbers that one filter tells apart in one fact.
pub const STEPS_MAX: usize = 10;
/// Sets of bits that one filter asks for in one fact.
pub const MASKS_MAX: usize = 4;
/// The longest text of a [`TextKey`] and of a [`PathKey`].
pub const TEXT_MAX: usize = 60;
pub const PATH_MAX: usize = PATH_LEN as usize;
const PATH_LEN: u32 = 120;
/// How much of a name's end an [`Look::Ending`] is about.
pub const ENDING_MAX: usize = 32;
/// Filters of one ruleset; there is room for two rulesets, one of which is on its way in or out.
pub const FILTERS_MAX: u32 = 32;
/// Numbers of filters; 0 is none.
pub const SLOTS: u32 = 1 + 2 * FILTERS_MAX;
/// Rows of the tables that texts, paths and networks of all filters are looked up in.
pub const TEXTS_MAX: u32 = 8192;
pub const PATHS_MAX: u32 = 4096;
pub const NETWORKS_MAX: u32 = 4096;

/// A number that a probe knows of an event at little cost. Each is what rules see as one field: the
/// same value, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Number {
    /// `evt.rawres`.
    Result,
    /// `evt.is_open_read`, `evt.is_open_write`, `evt.is_open_exec`: 0 or 1.
    OpenRead,
    OpenWrite,
    OpenExec,
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
    /// `proc.vpid`.
    NamespacePid,
    /// `fd.rport` and `fd.lport`.
    RemotePort,
    LocalPort,
    /// How often a dot follows a dot in `fd.nameraw` of an open.
    Climbs,
}

impl Number {
    pub const COUNT: usize = 13;
    pub const ALL: [Self; Self::COUNT] = [
        Self::Result,
        Self::OpenRead,
        Self::OpenWrite,
        Self::OpenExec,
        Self::Descriptor,
        Self::FileType,
        Self::InContainer,
        Self::User,
        Self::Group,
        Self::NamespacePid,
        Self::RemotePort,
        Self::LocalPort,
        Self::Climbs,
    ];
}

/// Bits that a probe knows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Flags {
    /// Those behind `evt.arg.flags` of an open.
    Open,
    /// Those behind `thread.cap_effective` and `thread.cap_permitted`.
    Effective,
    Permitted,
}

impl Flags {
    pub const COUNT: usize = 3;
    pub const ALL: [Self; Self::COUNT] = [Self::Open, Self::Effective, Self::Permitted];
}

/// A text or an address that a probe looks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Look {
    /// `proc.name`.
    Name,
    /// `fd.filename` and `fd.directory` of an opened file.
    Leaf,
    /// The name of the directory that it is in, which says less and costs less than the next.
    Parent,
    Directory,
    /// `fd.name` of an opened file, from its beginning, with a NUL behind its end.
    Path,
    /// `fd.rip` and `fd.lip`.
    Remote,
    Local,
    /// `fd.filename` of an opened file from its end, which is the end of `fd.name` as well.
    Ending,
}

impl Look {
    pub const COUNT: usize = 8;
    pub const ALL: [Self; Self::COUNT] = [
        Self::Name,
        Self::Leaf,
        Self::Parent,
        Self::Directory,
        Self::Path,
        Self::Remote,
        Self::Local,
        Self::Ending,
    ];

    /// Whether a row is about a part of the text, so that one text can have several rows.
    pub const fn is_partial(self) -> bool {
        matches!(self, Self::Path | Self::Ending)
    }
}

/// What the evaluator asks. `None` is not known, or that the event has no such thing.
pub trait Facts {
    fn number(&mut self, number: Number) -> Option<i64>;
    fn flags(&mut self, flags: Flags) -> Option<u64>;
    /// Called once, before directories and paths are looked up.
    fn walk(&mut self) {}

    /// The terms that the row of the tables leaves which the text or address has.
    fn find(&mut self, look: Look, lengths: u64) -> Option<Found>;
}

/// Whether a row has a text of this length.
#[inline(always)]
pub const fn has_length(lengths: u64, len: u32) -> bool {
    len < u64::BITS && lengths >> len & 1 != 0
}

/// What was found in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Terms(u64),
}

/// Which terms are left by a number, by the interval that it is in.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Steps {
    /// Terms that ask for it.
    pub asking: u64,
    /// Intervals behind the first.
    pub count: u64,
    /// By numbers below all of `from`.
    pub first: u64,
    pub rest: [Step; STEPS_MAX],
}

/// In order; each reaches to the next.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Step {
    pub from: i64,
    pub terms: u64,
}

/// Which terms are left by some bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Masks {
    /// Terms that ask for them.
    pub asking: u64,
    pub count: u64,
    pub masks: [Mask; MASKS_MAX],
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Mask {
    pub bits: u64,
    /// Left where one of the bits is set, and where none is.
    pub any: u64,
    pub none: u64,
}

/// What is asked of the events of one type.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Filter {
    /// A bit for each term; none refuses everything.
    pub terms: u64,
    pub numbers: [Steps; Number::COUNT],
    pub flags: [Masks; Flags::COUNT],
    pub looks: [Looked; Look::COUNT],
}

/// One kind of look.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Looked {
    /// Terms that ask for it.
    pub asking: u64,
    /// Terms that are left where the tables have no such row.
    pub missed: u64,
    /// A bit for each length that a row's text has: what has another is not looked up.
    pub lengths: u64,
}

impl Filter {
    /// False only for events that no rule can match. What costs least to know is asked first.
    #[inline(always)]
    pub fn accepts(&self, facts: &mut impl Facts) -> bool {
        // No loops: in the kernel each of these is what it takes to know one fact, or nothing at all.
        let left = self.after_arguments(self.terms, facts);
        let left = self.after(Look::Leaf, left, facts);
        let left = self.after(Look::Parent, left, facts);
        let left = self.after(Look::Name, left, facts);
        let left = self.after_task(left, facts);
        let left = self.after(Look::Ending, left, facts);
        let walking = |look: Look| self.looks[look as usize].asking;
        if left & (walking(Look::Directory) | walking(Look::Path)) != 0 {
            facts.walk();
        }
        let left = self.after(Look::Directory, left, facts);
        let left = self.after(Look::Path, left, facts);
        let left = self.after(Look::Remote, left, facts);
        self.after(Look::Local, left, facts) != 0
    }

    /// What was passed and returned.
    #[inline(always)]
    fn after_arguments(&self, left: u64, facts: &mut impl Facts) -> u64 {
        let left = self.after_number(Number::OpenWrite, left, facts);
        let left = self.after_number(Number::OpenRead, left, facts);
        let left = self.after_number(Number::Result, left, facts);
        let left = self.after_number(Number::Descriptor, left, facts);
        let left = self.after_number(Number::RemotePort, left, facts);
        let left = self.after_number(Number::LocalPort, left, facts);
        let left = self.after_flags(Flags::Open, left, facts);
        self.after_number(Number::OpenExec, left, facts)
    }

    /// What the file is, and who it was.
    #[inline(always)]
    fn after_task(&self, left: u64, facts: &mut impl Facts) -> u64 {
        let left = self.after_number(Number::InContainer, left, facts);
        let left = self.after_number(Number::FileType, left, facts);
        let left = self.after_number(Number::Climbs, left, facts);
        let left = self.after_number(Number::User, left, facts);
        let left = self.after_number(Number::Group, left, facts);
        let left = self.after_number(Number::NamespacePid, left, facts);
        let left = self.after_flags(Flags::Effective, left, facts);
        self.after_flags(Flags::Permitted, left, facts)
    }

    #[inline(always)]
    fn after_number(&self, number: Number, left: u64, facts: &mut impl Facts) -> u64 {
        let steps = &self.numbers[number as usize];
        if left & steps.asking == 0 {
            return left;
        }
        facts.number(number).map_or(left, |number| left & steps.leave(number))
    }

    #[inline(always)]
    fn after_flags(&self, flags: Flags, left: u64, facts: &mut impl Facts) -> u64 {
        let masks = &self.flags[flags as usize];
        if left & masks.asking == 0 {
            return left;
        }
        facts.flags(flags).map_or(left, |bits| left & masks.leave(bits))
    }

    #[inline(always)]
    fn after(&self, look: Look, left: u64, facts: &mut impl Facts) -> u64 {
        let looked = &self.looks[look as usize];
        if left & looked.asking == 0 {
            return left;
        }
        match facts.find(look, looked.lengths) {
            None => left,
            Some(Found::Nothing) => left & looked.missed,
            Some(Found::Terms(terms)) => left & terms,
        }
    }
}

impl Steps {
    #[inline(always)]
    fn leave(&self, number: i64) -> u64 {
        let mut left = self.first;
        for (step, _) in self.rest.iter().zip(0..self.count) {
            if step.from <= number {
                left = step.terms;
            }
        }
        left
    }
}

impl Masks {
    #[inline(always)]
    fn leave(&self, bits: u64) -> u64 {
        let mut left = u64::MAX;
        for (mask, _) in self.masks.iter().zip(0..self.count) {
            left &= if bits & mask.bits != 0 { mask.any } else { mask.none };
        }
        left
    }
}

/// Row of a text in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TextKey {
    pub filter: u16,
    /// A [`Look`], or [`BEGINNING`].
    pub look: u16,
    /// NULs behind its end.
    pub text: [u8; TEXT_MAX],
}

/// Row of a path's beginning in the tables, or of a name's end, turned round: a longest prefix match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PathKey {
    /// Bits of all that follows that count.
    pub prefix_bits: u32,
    pub filter: u16,
    /// A [`Look`].
    pub look: u16,
    pub text: [u8; PATH_MAX],
}

/// Row of a network in the tables: a longest prefix match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NetworkKey {
    pub prefix_bits: u32,
    pub filter: u16,
    /// A [`Look`].
    pub look: u8,
    /// 4 or 6.
    pub version: u8,
    /// IPv4 in the first four bytes, network byte order.
    pub address: [u8; 16],
}

impl TextKey {
    /// `None`: no row has a text like this.
    pub fn new(filter: u16, look: u16, text: &[u8]) -> Option<Self> {
        let mut key = Self { filter, look, text: [0; TEXT_MAX] };
        key.text.get_mut(..text.len())?.copy_from_slice(text);
        Some(key)
    }
}

/// In [`TextKey::look`]: a directory from the top, below which some row of a path or directory lies.
/// Where there is no such row, nothing below needs to be looked at.
pub const BEGINNING: u16 = 255;

impl PathKey {
    /// Bits of a key whose text has so many bytes that count.
    #[inline(always)]
    pub const fn bits(text_len: u32) -> u32 {
        let len = if text_len < PATH_LEN { text_len } else { PATH_LEN };
        u32::BITS + len * u8::BITS
    }

    /// The beginning of the text.
    pub fn new(filter: u16, look: Look, text: &[u8]) -> Self {
        let mut key =
            Self { prefix_bits: u32::BITS, filter, look: look as u16, text: [0; PATH_MAX] };
        for (to, from) in key.text.iter_mut().zip(text) {
            *to = *from;
            key.prefix_bits += u8::BITS;
        }
        key
    }
}

impl NetworkKey {
    /// `bits` of the address count.
    #[inline(always)]
    pub const fn new(filter: u16, look: Look, version: u8, address: [u8; 16], bits: u32) -> Self {
        Self { prefix_bits: 32 + bits, filter, look: look as u8, version, address }
    }
}

const _: () = assert!(size_of::<TextKey>() == 64);
const _: () = assert!(size_of::<PathKey>() == 128);
const _: () = assert!(size_of::<NetworkKey>() == 24);

/// Types of events that have a filter of their own: an index of the tables by type.
pub const EVENTS: u32 = FIRST_CALL + 256;
const CONNECT: u32 = 5;
const FIRST_CALL: u32 = 8;
const _: () = assert!(CALLS.len() <= 256);

/// The index of an open call.
#[inline(always)]
pub const fn of_open(call: open::Call) -> u32 {
    call as u32
}

/// The index of connect.
#[inline(always)]
pub const fn of_connect() -> u32 {
    CONNECT
}

/// The index of the row of [`CALLS`] with this number.
#[inline(always)]
pub const fn of_call(row: u16) -> u32 {
    FIRST_CALL + row as u32
}

/// The event type with this index.
pub fn name_of(event: u32) -> Option<&'static str> {
    const OPENS: [open::Call; 4] =
        [open::Call::Open, open::Call::Openat, open::Call::Openat2, open::Call::Creat];
    if event == CONNECT {
        return Some("connect");
    }
    if let Some(call) = OPENS.into_iter().find(|call| of_open(*call) == event) {
        return Some(call.name());
    }
    Some(CALLS.get(event.checked_sub(FIRST_CALL)? as usize)?.name)
}

#[cfg(test)]
mod tests;
