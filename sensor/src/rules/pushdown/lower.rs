//! Terms → the plain filters and tables of `sensor_common::filter`.

use std::collections::{BTreeMap, BTreeSet};

use sensor_common::call::Filter as Reported;
use sensor_common::call::table::CALLS;
use sensor_common::filter::{
    self, BEGINNING, ENDING_MAX, FILTERS_MAX, Filter, Flags, Look, Looked, MASKS_MAX, Mask, Masks,
    NETWORKS_MAX, NetworkKey, Number, PATH_MAX, PATHS_MAX, PathKey, STEPS_MAX, Step, Steps,
    TEXT_MAX, TEXTS_MAX, TextKey,
};
use sensor_common::header::COMM_LEN;

use crate::rules::network::Network;
use crate::rules::pushdown::Pushdown;
use crate::rules::pushdown::intervals::Intervals;
use crate::rules::pushdown::terms::{Fact, Of, Term, Terms, Test};

/// The filters of all event types, and what they look up.
#[derive(Debug, Default)]
pub struct Tables {
    /// By number.
    pub filters: Vec<Filter>,
    /// Number of the filter by event type; events of other types all pass.
    pub events: Vec<(&'static str, u16)>,
    /// Rows, and the terms that each leaves.
    pub texts: BTreeMap<Row<Box<[u8]>>, u64>,
    pub paths: BTreeMap<Row<Box<[u8]>>, u64>,
    /// By filter, the directories below which a row lies.
    pub beginnings: BTreeSet<(u16, Box<[u8]>)>,
    pub networks: BTreeMap<Row<Network>, u64>,
    /// Event types whose filters let more through than they might, for want of room.
    pub widened: BTreeSet<&'static str>,
}

/// What a row of a table is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row<T> {
    pub filter: u16,
    pub look: Look,
    pub value: T,
}

/// Rows of the kernel's tables that one ruleset may have: while it replaces another, both are there.
const fn share(rows: u32) -> usize {
    rows as usize / 2
}

impl Tables {
    pub fn of(pushdowns: &[Pushdown]) -> Self {
        let mut tables = Self::default();
        let mut known: Vec<(Terms, u16, bool)> = Vec::new();
        let wanted = pushdowns.iter().map(|one| (one.event_type, one.terms.clone()));
        let is_wanted = |event_type: &str| pushdowns.iter().any(|own| own.event_type == event_type);
        // Some come along with others, though no rule is about them.
        let unwanted =
            (0..filter::EVENTS).filter_map(filter::name_of).filter(|own| !is_wanted(own));
        let all = wanted.chain(unwanted.map(|event_type| (event_type, Terms::nothing())));
        for (event_type, terms) in all.filter(|(_, terms)| !terms.is_everything()) {
            let same = known.iter().find(|(own, ..)| own.any == terms.any);
            let (number, is_wide) = match same {
                Some((_, number, is_wide)) => (*number, *is_wide),
                None if tables.filters.len() >= FILTERS_MAX as usize => {
                    tables.widened.insert(event_type);
                    continue;
                }
                None => {
                    let (number, is_wide) = tables.add(&terms);
                    known.push((terms.clone(), number, is_wide));
                    (number, is_wide)
                }
            };
            tables.events.push((event_type, number));
            if is_wide || terms.widened {
                tables.widened.insert(event_type);
            }
        }
        tables
    }

    /// The filter of an event type; none refuses nothing.
    pub fn number_of(&self, event_type: &str) -> Option<u16> {
        self.events.iter().find(|(own, _)| *own == event_type).map(|(_, number)| *number)
    }

    /// The rows as the kernel has them, of filters that are numbered from `first`.
    pub fn text_keys(&self, first: u16) -> impl Iterator<Item = (TextKey, u64)> {
        self.texts.iter().filter_map(move |(row, terms)| {
            Some((TextKey::new(first + row.filter, row.look as u16, &row.value)?, *terms))
        })
    }

    pub fn beginning_keys(&self, first: u16) -> impl Iterator<Item = (TextKey, u64)> {
        self.beginnings.iter().filter_map(move |(filter, text)| {
            Some((TextKey::new(first + filter, BEGINNING, text)?, u64::MAX))
        })
    }

    pub fn path_keys(&self, first: u16) -> impl Iterator<Item = (PathKey, u64)> {
        let key =
            move |row: &Row<Box<[u8]>>| PathKey::new(first + row.filter, row.look, &row.value);
        self.paths.iter().map(move |(row, terms)| (key(row), *terms))
    }

    pub fn network_keys(&self, first: u16) -> impl Iterator<Item = (NetworkKey, u64)> {
        self.networks.iter().map(move |(row, terms)| {
            let (version, address, bits) = row.value.plain();
            (NetworkKey::new(first + row.filter, row.look, version, address, bits), *terms)
        })
    }

    /// The filter's number, and whether a limit made it let more through.
    fn add(&mut self, terms: &Terms) -> (u16, bool) {
        let number = u16::try_from(self.filters.len()).unwrap_or(u16::MAX);
        let mut terms: Vec<Term> = terms.any.clone();
        terms.iter_mut().for_each(hint);
        let mut is_wide = fit(&mut terms);
        let mut filter = Filter { terms: every(terms.len()), ..Filter::default() };
        for number in Number::ALL {
            is_wide |= steps(number, &terms, &mut filter.numbers[number as usize]);
        }
        for flags in Flags::ALL {
            is_wide |= masks(flags, &terms, &mut filter.flags[flags as usize]);
        }
        for look in Look::ALL {
            let tests = Tests::about(Fact::Look(look), &terms);
            if tests.is_empty() {
                continue;
            }
            let looked = &mut filter.looks[look as usize];
            match self.look_up(number, look, &tests) {
                Some(found) => *looked = found,
                None => is_wide = true,
            }
        }
        self.filters.push(filter);
        (number, is_wide)
    }

    /// The directories that lead to a row, as far as a key of them reaches.
    fn lead_to(&mut self, filter: u16, row: &[u8], is_directory: bool) {
        let slashes = row.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
        // What ends with its slash is found without going further.
        let leading = slashes.filter(|(at, _)| is_directory || at + 1 < row.len());
        let mut all: Vec<&[u8]> = leading.map(|(at, _)| &row[..at]).collect();
        all.extend(is_directory.then_some(row));
        let own = all.into_iter().filter(|text| text.len() <= TEXT_MAX && *text != b"/");
        self.beginnings.extend(own.map(|text| (filter, text.into())));
    }

    /// Adds the rows of one look; none if there is no room for them, and it is not asked for.
    fn look_up(&mut self, filter: u16, look: Look, asked: &Tests<'_>) -> Option<Looked> {
        let row = |value| Row { filter, look, value };
        match look {
            Look::Remote | Look::Local => {
                let networks: BTreeSet<Network> = asked.networks().copied().collect();
                if self.networks.len() + networks.len() > share(NETWORKS_MAX) {
                    return None;
                }
                for network in networks {
                    self.networks.insert(
                        row_of(filter, look, network),
                        asked.left(|test| test.has_network(&network)),
                    );
                }
            }
            Look::Path | Look::Ending => {
                let texts: BTreeSet<&Box<[u8]>> = asked.texts().collect();
                if self.paths.len() + texts.len() > share(PATHS_MAX) {
                    return None;
                }
                for text in texts {
                    let left = asked.left(|test| test.has_beginning_of(text));
                    if look == Look::Path {
                        self.lead_to(filter, text, false);
                    }
                    self.paths.insert(row(text.clone()), left);
                }
            }
            Look::Name | Look::Leaf | Look::Parent | Look::Directory => {
                let texts: BTreeSet<&Box<[u8]>> = asked.texts().collect();
                if self.texts.len() + texts.len() > share(TEXTS_MAX) {
                    return None;
                }
                for text in texts {
                    let left = asked.left(|test| test.has_text(text));
                    if look == Look::Directory {
                        self.lead_to(filter, text, true);
                    }
                    self.texts.insert(row(text.clone()), left);
                }
            }
        }
        // Of addresses nobody asks how long they are.
        let lengths = asked.texts().fold(0, |all, text| all | 1 << text.len().min(63));
        Some(Looked { asking: asked.asking(), missed: asked.left(|_| false), lengths })
    }
}

fn row_of<T>(filter: u16, look: Look, value: T) -> Row<T> {
    Row { filter, look, value }
}

/// A bit for each of so many terms.
fn every(terms: usize) -> u64 {
    (0..terms).fold(0, |all, term| all | 1 << term)
}

/// Adds what follows from tests of whole paths and directories, and costs less to find out.
fn hint(term: &mut Term) {
    let last = |text: &[u8]| text.rsplit(|byte| *byte == b'/').next().map(Box::from);
    let hints: Vec<Test> = term
        .0
        .iter()
        .filter_map(|test| {
            let Of::Texts { look, texts, inverted: false } = &test.of else { return None };
            let (look, texts) = match look {
                Look::Path => {
                    let whole = texts.iter().map(|text| last(text.strip_suffix(b"\0")?));
                    (Look::Leaf, whole.collect::<Option<BTreeSet<_>>>()?)
                }
                // The name of the directory at the top is not known.
                Look::Directory if !texts.iter().any(|text| **text == *b"/") => {
                    (Look::Parent, texts.iter().filter_map(|text| last(text)).collect())
                }
                _ => return None,
            };
            let of = Of::Texts { look, texts, inverted: false };
            Some(Test { of, absent: test.absent })
        })
        .collect();
    term.0.extend(hints);
}

/// Takes out what has no place in a table; whether that lets more through.
fn fit(terms: &mut [Term]) -> bool {
    let mut is_wide = false;
    for term in terms {
        term.0.retain_mut(|test| {
            let Of::Texts { look, texts, inverted } = &mut test.of else { return true };
            let most = match look {
                Look::Path => PATH_MAX,
                Look::Ending => ENDING_MAX,
                _ => TEXT_MAX,
            };
            // The kernel cuts names, so that nothing is called anything longer.
            let is_name = *look == Look::Name;
            texts.retain(|text| !(is_name && text.len() >= COMM_LEN));
            let is_long = |text: &[u8]| text.len() > most;
            let has_long = texts.iter().any(|text| is_long(text));
            is_wide |= has_long;
            if *inverted {
                texts.retain(|text| !is_long(text));
            }
            *inverted || !has_long
        });
    }
    is_wide
}

/// The tests of one fact, with the number of the term that each belongs to.
struct Tests<'a> {
    terms: usize,
    tests: Vec<(usize, &'a Test)>,
}

impl<'a> Tests<'a> {
    fn about(fact: Fact, terms: &'a [Term]) -> Self {
        let each = terms.iter().enumerate();
        let tests = each.flat_map(|(term, own)| own.0.iter().map(move |test| (term, test)));
        Self { terms: terms.len(), tests: tests.filter(|(_, test)| test.fact() == fact).collect() }
    }

    fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// The terms that have a test.
    fn asking(&self) -> u64 {
        self.tests.iter().fold(0, |all, (term, _)| all | 1 << term)
    }

    /// The terms whose tests all pass.
    fn left(&self, has: impl Fn(&Test) -> bool) -> u64 {
        let passes = |test: &Test| has(test) != test.is_inverted();
        let failed = self.tests.iter().filter(|(_, test)| !passes(test));
        failed.fold(every(self.terms), |left, (term, _)| left & !(1 << term))
    }

    fn texts(&self) -> impl Iterator<Item = &'a Box<[u8]>> {
        self.tests
            .iter()
            .filter_map(|(_, test)| match &test.of {
                Of::Texts { texts, .. } => Some(texts),
                _ => None,
            })
            .flatten()
    }

    fn networks(&self) -> impl Iterator<Item = &'a Network> {
        self.tests
            .iter()
            .filter_map(|(_, test)| match &test.of {
                Of::Networks { networks, .. } => Some(networks),
                _ => None,
            })
            .flatten()
    }

    fn intervals(&self) -> impl Iterator<Item = &'a Intervals> {
        self.tests.iter().filter_map(|(_, test)| match &test.of {
            Of::Number(_, numbers) => Some(numbers),
            _ => None,
        })
    }
}

impl Test {
    fn is_inverted(&self) -> bool {
        match self.of {
            Of::Number(..) => false,
            Of::Flags { inverted, .. }
            | Of::Texts { inverted, .. }
            | Of::Networks { inverted, .. } => inverted,
        }
    }

    fn has_text(&self, text: &[u8]) -> bool {
        matches!(&self.of, Of::Texts { texts, .. } if texts.contains(text))
    }

    /// Whether one of its texts is the beginning of this one.
    fn has_beginning_of(&self, text: &[u8]) -> bool {
        let Of::Texts { texts, .. } = &self.of else { return false };
        texts.iter().any(|own| text.starts_with(own))
    }

    fn has_network(&self, network: &Network) -> bool {
        let Of::Networks { networks, .. } = &self.of else { return false };
        networks.iter().any(|own| own.has(network))
    }
}

/// Which terms each number leaves; true when intervals had to be joined.
fn steps(number: Number, terms: &[Term], to: &mut Steps) -> bool {
    let tests = Tests::about(Fact::Number(number), terms);
    if tests.is_empty() {
        return false;
    }
    let edges = tests
        .intervals()
        .flat_map(Intervals::iter)
        .flat_map(|(low, high)| [Some(low), high.checked_add(1)].into_iter().flatten());
    let left = |number: i64| {
        tests.left(|test| matches!(&test.of, Of::Number(_, numbers) if numbers.has(number)))
    };
    let edges: BTreeSet<i64> = edges.filter(|edge| *edge != i64::MIN).collect();
    let mut pieces: Vec<Step> = vec![Step { from: i64::MIN, terms: left(i64::MIN) }];
    pieces.extend(edges.into_iter().map(|from| Step { from, terms: left(from) }));
    pieces.dedup_by(|next, piece| next.terms == piece.terms);
    let is_wide = pieces.len() - 1 > STEPS_MAX;
    while pieces.len() - 1 > STEPS_MAX {
        let gain = |at: &usize| (pieces[*at].terms ^ pieces[at + 1].terms).count_ones();
        let Some(at) = (0..pieces.len() - 1).min_by_key(gain) else { break };
        pieces[at].terms |= pieces[at + 1].terms;
        pieces.remove(at + 1);
    }
    to.asking = tests.asking();
    to.first = pieces[0].terms;
    for (slot, piece) in to.rest.iter_mut().zip(&pieces[1..]) {
        to.count += 1;
        *slot = *piece;
    }
    is_wide
}

/// Which terms bits leave; true when there is no room for all that is asked.
fn masks(flags: Flags, terms: &[Term], to: &mut Masks) -> bool {
    let tests = Tests::about(Fact::Flags(flags), terms);
    let asked = |test: &Test| match test.of {
        Of::Flags { bits, .. } => bits,
        _ => 0,
    };
    to.asking = tests.asking();
    let bits: BTreeSet<u64> = tests.tests.iter().map(|(_, test)| asked(test)).collect();
    for (slot, bits) in to.masks.iter_mut().zip(&bits) {
        to.count += 1;
        // A test of other bits passes here.
        let left = |is_set: bool| {
            tests.left(|test| if asked(test) == *bits { is_set } else { !test.is_inverted() })
        };
        *slot = Mask { bits: *bits, any: left(true), none: left(false) };
    }
    bits.len() > MASKS_MAX
}

/// The index of an event type in the kernel's tables; none where events of this type all pass, because
/// more than rules depend on them.
pub fn index_of(event_type: &str) -> Option<u32> {
    let event = (0..filter::EVENTS).find(|event| filter::name_of(*event) == Some(event_type))?;
    let row = CALLS.iter().find(|row| row.name == event_type);
    // Where a process is, and what hosts are called.
    let is_state = matches!(event_type, "chdir" | "fchdir")
        || row.is_some_and(|row| row.filter == Reported::FirstReceived);
    (!is_state).then_some(event)
}
