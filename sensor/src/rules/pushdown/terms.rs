//! Conditions over cheap facts as any of some terms, each all of some tests. What is dropped on the
//! way only lets more through.

use std::collections::BTreeSet;

use sensor_common::filter::{Fact, How, TERMS_MAX, TESTS_MAX};

use crate::rules::network::Network;
use crate::rules::pushdown::intervals::Intervals;

/// One test of one fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    pub fact: Fact,
    pub look: Look,
    /// What it is where the event has no such thing.
    pub absent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    Numbers(Intervals),
    Bits { bits: u64, inverted: bool },
    Texts { how: How, texts: BTreeSet<Box<[u8]>>, inverted: bool },
    Networks { networks: BTreeSet<Network>, inverted: bool },
}

/// All of its tests, sorted; none is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub Vec<Test>);

/// Any of its terms; none is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub any: Vec<Term>,
    /// A limit made it let more through than its condition asks for.
    pub widened: bool,
}

/// Terms while a rule's condition is taken apart; more are joined at once.
const WORKING_MAX: usize = 4 * TERMS_MAX;

impl Test {
    #[must_use]
    pub fn negated(&self) -> Self {
        let mut negated = Self { absent: !self.absent, ..self.clone() };
        match &mut negated.look {
            Look::Numbers(numbers) => *numbers = numbers.complement(),
            Look::Bits { inverted, .. }
            | Look::Texts { inverted, .. }
            | Look::Networks { inverted, .. } => *inverted = !*inverted,
        }
        negated
    }

    fn is_always(&self) -> bool {
        self.absent && matches!(&self.look, Look::Numbers(numbers) if numbers.is_everything())
    }

    fn is_never(&self) -> bool {
        let has_none = match &self.look {
            Look::Numbers(numbers) => numbers.is_empty(),
            Look::Texts { texts, inverted: false, .. } => texts.is_empty(),
            Look::Networks { networks, inverted: false } => networks.is_empty(),
            _ => false,
        };
        has_none && !self.absent
    }

    /// One test for both, where there is one that says exactly that.
    fn and(&self, other: &Self) -> Option<Self> {
        let look = match (&self.look, &other.look) {
            (Look::Numbers(one), Look::Numbers(other)) => Look::Numbers(one.intersection(other)),
            _ => self.combined(other, Join::And)?,
        };
        Some(Self { fact: self.fact, look, absent: self.absent && other.absent })
    }

    /// One test for either, where there is one that says exactly that.
    fn or(&self, other: &Self) -> Option<Self> {
        let look = match (&self.look, &other.look) {
            (Look::Numbers(one), Look::Numbers(other)) => Look::Numbers(one.union(other)),
            _ => self.combined(other, Join::Or)?,
        };
        Some(Self { fact: self.fact, look, absent: self.absent || other.absent })
    }

    fn combined(&self, other: &Self, join: Join) -> Option<Look> {
        match (&self.look, &other.look) {
            (
                Look::Texts { how, texts, inverted },
                Look::Texts { how: how2, texts: texts2, inverted: inverted2 },
            ) if (how, inverted) == (how2, inverted2) => {
                let is_function = !matches!(how, How::Prefix | How::Suffix);
                let texts = sets(texts, texts2, join, *inverted, is_function)?;
                Some(Look::Texts { how: *how, texts, inverted: *inverted })
            }
            (
                Look::Networks { networks, inverted },
                Look::Networks { networks: networks2, inverted: inverted2 },
            ) if inverted == inverted2 => {
                let networks = sets(networks, networks2, join, *inverted, false)?;
                Some(Look::Networks { networks, inverted: *inverted })
            }
            (Look::Bits { bits, inverted }, Look::Bits { bits: bits2, inverted: inverted2 })
                if inverted == inverted2 && *inverted == (join == Join::And) =>
            {
                Some(Look::Bits { bits: bits | bits2, inverted: *inverted })
            }
            _ => None,
        }
    }

    /// True when whatever passes this test passes the other.
    fn implies(&self, other: &Self) -> bool {
        self.fact == other.fact && self.or(other).is_some_and(|either| either == *other)
    }

    /// The share of events that is guessed to pass: for choices between terms, and for people.
    fn share(&self) -> f64 {
        match (&self.look, self.fact) {
            (Look::Texts { inverted: true, .. } | Look::Networks { inverted: true, .. }, _) => 0.95,
            (Look::Texts { how: How::Prefix | How::Suffix, .. }, _) => 0.05,
            (Look::Texts { .. }, _) => 0.02,
            (Look::Networks { .. }, _) => 0.3,
            (Look::Bits { inverted, .. }, _) => {
                if *inverted {
                    0.8
                } else {
                    0.2
                }
            }
            (Look::Numbers(_), Fact::OpenWrite | Fact::OpenExec) => 0.2,
            (Look::Numbers(_), Fact::Result | Fact::Descriptor) => 0.7,
            (Look::Numbers(_), Fact::OpenRead | Fact::FileType) => 0.9,
            (Look::Numbers(_), _) => 0.5,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    And,
    Or,
}

/// The set of a joined test. Sets of things that a value has one of can be cut, others only united.
fn sets<T: Ord + Clone>(
    one: &BTreeSet<T>,
    other: &BTreeSet<T>,
    join: Join,
    inverted: bool,
    is_function: bool,
) -> Option<BTreeSet<T>> {
    if (join == Join::Or) != inverted {
        return Some(one | other);
    }
    is_function.then(|| one & other)
}

impl Term {
    /// The share of events that is guessed to pass.
    pub fn share(&self) -> f64 {
        self.0.iter().map(Test::share).product()
    }

    fn of(tests: impl IntoIterator<Item = Test>) -> Option<Self> {
        let mut all: Vec<Test> = Vec::new();
        for test in tests {
            let known = all.iter().enumerate().find_map(|(at, own)| {
                let both = (own.fact == test.fact).then(|| own.and(&test)).flatten()?;
                Some((at, both))
            });
            match known {
                Some((at, both)) => all[at] = both,
                None => all.push(test),
            }
        }
        all.retain(|test| !test.is_always());
        all.sort_unstable();
        all.dedup();
        (!all.iter().any(Test::is_never)).then_some(Self(all))
    }

    /// True when whatever passes this term passes the other.
    fn implies(&self, other: &Self) -> bool {
        other.0.iter().all(|wanted| self.0.iter().any(|own| own.implies(wanted)))
    }

    /// One term for either, where they differ in one test that can be joined.
    fn or(&self, other: &Self) -> Option<Self> {
        if self.0.len() != other.0.len() {
            return None;
        }
        let only_here = |one: &Self, other: &Self| -> Vec<Test> {
            one.0.iter().filter(|test| !other.0.contains(test)).cloned().collect()
        };
        let (here, there) = (only_here(self, other), only_here(other, self));
        let ([here], [there]) = (&*here, &*there) else { return None };
        let either = (here.fact == there.fact).then(|| here.or(there)).flatten()?;
        let rest = self.0.iter().filter(|test| *test != here).cloned();
        Self::of(rest.chain([either]))
    }

    /// A term that both imply: what they have in common.
    fn hull(&self, other: &Self) -> Self {
        let common = self.0.iter().filter_map(|own| {
            let mut matching = other.0.iter().filter(|test| test.fact == own.fact);
            matching.find_map(|test| own.or(test))
        });
        Self::of(common).unwrap_or_default()
    }

    /// Drops the tests that refuse least, until so many are left.
    fn shorten(&mut self) -> bool {
        let is_long = self.0.len() > TESTS_MAX;
        while self.0.len() > TESTS_MAX {
            let widest = (0..self.0.len())
                .max_by(|one, other| self.0[*one].share().total_cmp(&self.0[*other].share()));
            let Some(widest) = widest else { break };
            self.0.remove(widest);
        }
        is_long
    }
}

impl Terms {
    pub fn everything() -> Self {
        Self { any: vec![Term::default()], widened: false }
    }

    pub fn nothing() -> Self {
        Self { any: Vec::new(), widened: false }
    }

    pub fn test(test: Test) -> Self {
        Self { any: Term::of([test]).into_iter().collect(), widened: false }
    }

    pub fn is_everything(&self) -> bool {
        self.any.iter().any(|term| term.0.is_empty())
    }

    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.widened |= other.widened;
        for term in other.any {
            self.add(term);
        }
        self.limit(WORKING_MAX);
        self
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let widened = self.widened || other.widened;
        if self.any.len() * other.any.len() > WORKING_MAX * 4 {
            // To ask for one of both lets more through than to ask for both.
            let kept = if self.share() <= other.share() { self } else { other };
            return Self { widened: true, ..kept };
        }
        let mut both = Self { any: Vec::new(), widened };
        for one in &self.any {
            for other in &other.any {
                let tests = one.0.iter().chain(&other.0).cloned();
                if let Some(term) = Term::of(tests) {
                    both.add(term);
                }
            }
        }
        both.limit(WORKING_MAX);
        both
    }

    /// Brings it into the kernel's limits.
    pub fn fit(&mut self) {
        for term in &mut self.any {
            self.widened |= term.shorten();
        }
        let terms = std::mem::take(&mut self.any);
        for term in terms {
            self.add(term);
        }
        self.limit(TERMS_MAX);
        for term in &mut self.any {
            self.widened |= term.shorten();
        }
    }

    /// The share of events that is guessed to pass.
    pub fn share(&self) -> f64 {
        1.0 - self.any.iter().map(|term| 1.0 - term.share()).product::<f64>()
    }

    fn add(&mut self, mut term: Term) {
        loop {
            if self.any.iter().any(|own| term.implies(own)) {
                return;
            }
            self.any.retain(|own| !own.implies(&term));
            let joined =
                self.any.iter().enumerate().find_map(|(at, own)| Some((at, own.or(&term)?)));
            let Some((at, either)) = joined else { break };
            self.any.remove(at);
            term = either;
        }
        self.any.push(term);
    }

    /// At most so many terms: those that lose least by it become one.
    fn limit(&mut self, most: usize) {
        while self.any.len() > most {
            let mut best: Option<(f64, usize, usize, Term)> = None;
            for one in 0..self.any.len() {
                for other in one + 1..self.any.len() {
                    let hull = self.any[one].hull(&self.any[other]);
                    let loss = hull.share() - self.any[one].share() - self.any[other].share();
                    if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
                        best = Some((loss, one, other, hull));
                    }
                }
            }
            let Some((_, one, other, hull)) = best else { return };
            self.any.remove(other);
            self.any.remove(one);
            self.widened = true;
            self.add(hull);
        }
    }
}
