//! Conditions over cheap facts as any of some terms, each all of some tests. What is dropped on the
//! way only lets more through.

use std::collections::BTreeSet;

use sensor_common::filter::{Flags, Look, Number, TERMS_MAX};

use crate::rules::network::Network;
use crate::rules::pushdown::intervals::Intervals;

/// One test of one fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    pub of: Of,
    /// What it is where the event has no such thing.
    pub absent: bool,
}

/// The fact, and what of it passes; all but what is named where it is inverted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    Number(Number, Intervals),
    /// Has one of them.
    Flags {
        flags: Flags,
        bits: u64,
        inverted: bool,
    },
    /// Is one of them; a path begins with one of them, where a NUL stands behind its end.
    Texts {
        look: Look,
        texts: BTreeSet<Box<[u8]>>,
        inverted: bool,
    },
    Networks {
        look: Look,
        networks: BTreeSet<Network>,
        inverted: bool,
    },
}

/// What a test is about, without what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Number(Number),
    Flags(Flags),
    Look(Look),
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
const WORKING_MAX: usize = TERMS_MAX;

impl Test {
    pub fn fact(&self) -> Fact {
        match &self.of {
            Of::Number(number, _) => Fact::Number(*number),
            Of::Flags { flags, .. } => Fact::Flags(*flags),
            Of::Texts { look, .. } | Of::Networks { look, .. } => Fact::Look(*look),
        }
    }

    #[must_use]
    pub fn negated(&self) -> Self {
        let mut negated = Self { absent: !self.absent, ..self.clone() };
        match &mut negated.of {
            Of::Number(_, numbers) => *numbers = numbers.complement(),
            Of::Flags { inverted, .. }
            | Of::Texts { inverted, .. }
            | Of::Networks { inverted, .. } => *inverted = !*inverted,
        }
        negated
    }

    fn is_always(&self) -> bool {
        self.absent && matches!(&self.of, Of::Number(_, numbers) if numbers.is_everything())
    }

    fn is_never(&self) -> bool {
        let has_none = match &self.of {
            Of::Number(_, numbers) => numbers.is_empty(),
            Of::Texts { texts, inverted: false, .. } => texts.is_empty(),
            Of::Networks { networks, inverted: false, .. } => networks.is_empty(),
            _ => false,
        };
        has_none && !self.absent
    }

    /// One test for both, where there is one that says exactly that.
    fn and(&self, other: &Self) -> Option<Self> {
        let of = self.joined(other, Join::And)?;
        Some(Self { of, absent: self.absent && other.absent })
    }

    /// One test for either, where there is one that says exactly that.
    fn or(&self, other: &Self) -> Option<Self> {
        let of = self.joined(other, Join::Or)?;
        Some(Self { of, absent: self.absent || other.absent })
    }

    fn joined(&self, other: &Self, join: Join) -> Option<Of> {
        if self.fact() != other.fact() {
            return None;
        }
        match (&self.of, &other.of) {
            (Of::Number(number, one), Of::Number(_, other)) => Some(match join {
                Join::And => Of::Number(*number, one.intersection(other)),
                Join::Or => Of::Number(*number, one.union(other)),
            }),
            (
                Of::Texts { look, texts, inverted },
                Of::Texts { texts: texts2, inverted: inverted2, .. },
            ) if inverted == inverted2 => {
                let texts = sets(texts, texts2, join, *inverted, !look.is_partial())?;
                Some(Of::Texts { look: *look, texts, inverted: *inverted })
            }
            (
                Of::Networks { look, networks, inverted },
                Of::Networks { networks: networks2, inverted: inverted2, .. },
            ) if inverted == inverted2 => {
                let networks = sets(networks, networks2, join, *inverted, false)?;
                Some(Of::Networks { look: *look, networks, inverted: *inverted })
            }
            (
                Of::Flags { flags, bits, inverted },
                Of::Flags { bits: bits2, inverted: inverted2, .. },
            ) if inverted == inverted2 && *inverted == (join == Join::And) => {
                Some(Of::Flags { flags: *flags, bits: bits | bits2, inverted: *inverted })
            }
            _ => None,
        }
    }

    /// True when whatever passes this test passes the other.
    fn implies(&self, other: &Self) -> bool {
        self.or(other).is_some_and(|either| either == *other)
    }

    /// The share of events that is guessed to pass: for choices between terms, and for people.
    fn share(&self) -> f64 {
        match &self.of {
            Of::Texts { inverted: true, .. } | Of::Networks { inverted: true, .. } => 0.95,
            Of::Texts { .. } => 0.02,
            Of::Networks { .. } => 0.3,
            Of::Flags { inverted: true, .. } => 0.8,
            Of::Flags { .. } | Of::Number(Number::OpenWrite | Number::OpenExec, _) => 0.2,
            Of::Number(Number::Result | Number::Descriptor, _) => 0.7,
            Of::Number(Number::OpenRead | Number::FileType, _) => 0.9,
            Of::Number(..) => 0.5,
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
            let known = all.iter().enumerate().find_map(|(at, own)| Some((at, own.and(&test)?)));
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
        let either = here.or(there)?;
        let rest = self.0.iter().filter(|test| *test != here).cloned();
        Self::of(rest.chain([either]))
    }

    /// A term that both imply: what they have in common.
    fn hull(&self, other: &Self) -> Self {
        let common = self.0.iter().filter_map(|own| other.0.iter().find_map(|test| own.or(test)));
        Self::of(common).unwrap_or_default()
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
