//! Sets of whole numbers as sorted intervals.

/// Intervals that neither touch nor overlap, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Intervals(Vec<(i64, i64)>);

impl Intervals {
    pub fn of(intervals: impl IntoIterator<Item = (i128, i128)>) -> Self {
        let clamp = |number: i128| {
            i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
        };
        let is_within = |(low, high): &(i128, i128)| {
            low <= high && *low <= i64::MAX.into() && *high >= i64::MIN.into()
        };
        let intervals = intervals.into_iter().filter(is_within);
        Self::joined(intervals.map(|(low, high)| (clamp(low), clamp(high))).collect())
    }

    pub fn values(values: impl IntoIterator<Item = i128>) -> Self {
        Self::of(values.into_iter().map(|value| (value, value)))
    }

    fn joined(mut intervals: Vec<(i64, i64)>) -> Self {
        intervals.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(intervals.len());
        for (low, high) in intervals {
            match joined.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => joined.push((low, high)),
            }
        }
        Self(joined)
    }

    /// The numbers that are not in it.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut rest = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(i64::MIN);
        for (low, high) in &self.0 {
            if let Some(start) = next.filter(|start| start < low) {
                rest.push((start, low - 1));
            }
            next = high.checked_add(1);
        }
        rest.extend(next.map(|start| (start, i64::MAX)));
        Self(rest)
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::joined([&*self.0, &*other.0].concat())
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.complement().union(&other.complement()).complement()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn is_everything(&self) -> bool {
        *self.0 == [(i64::MIN, i64::MAX)]
    }

    pub fn has(&self, number: i64) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&number))
    }

    /// Both ends of each.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn intervals() -> impl Strategy<Value = Intervals> {
        let ends = (-8_i128..8, -8_i128..8);
        prop::collection::vec(ends, 0..5).prop_map(Intervals::of)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn they_are_sets(one in intervals(), other in intervals(), number in -10_i64..10) {
            let (in_one, in_other) = (one.has(number), other.has(number));
            prop_assert_eq!(one.complement().has(number), !in_one);
            prop_assert_eq!(one.union(&other).has(number), in_one || in_other);
            prop_assert_eq!(one.intersection(&other).has(number), in_one && in_other);
            prop_assert_eq!(one.complement().complement(), one.clone());
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_no_edge() {
        let all = Intervals::of([(i128::MIN, i128::MAX)]);
        assert!(all.is_everything() && all.complement().is_empty());
        assert!(Intervals::default().complement().is_everything());
        assert!(Intervals::values([i128::MAX]).is_empty());
    }
}
