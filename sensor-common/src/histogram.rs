//! Latency histograms that the kernel side fills: the bucket rule is used by both sides.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Upper bounds are 2^-20 s to 2^6 s, a power of two each; one more bucket for what is longer.
pub const BUCKETS: usize = 28;
/// Exponent of the first bucket's upper bound.
pub const MIN_EXPONENT: i32 = -20;

/// Waits of one cgroup.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Histogram {
    pub buckets: [u64; BUCKETS],
    pub sum_ns: u64,
}

impl Histogram {
    pub const EMPTY: Self = Self { buckets: [0; BUCKETS], sum_ns: 0 };
}

/// The bucket of a duration: the first whose upper bound is not below it.
///
/// Powers of two of a *second* and of nanoseconds do not line up, so the duration is first scaled
/// to units of 2^-30 s: ns × 2^30 / 10^9 = ns + ns × 0.073741824, as a 30-bit fixed-point factor.
/// Then the upper-inclusive logarithm is exact (`le` semantics; error of the scale < 4e-10).
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call costs more than the function in a BPF program")]
pub const fn bucket(ns: u64) -> usize {
    // Beyond 2^36 ns everything is in the last bucket; the clamp keeps the product in 64 bits.
    let ns = if ns > 1 << 37 { 1 << 37 } else { ns };
    let units = ns + ((ns * 79_179_681) >> 30);
    if units <= 1 << 10 {
        return 0;
    }
    let exponent = 64 - (units - 1).leading_zeros() as usize;
    let index = exponent - 10;
    if index >= BUCKETS { BUCKETS - 1 } else { index }
}

/// Upper bound of a bucket in seconds; infinite for the last.
pub fn upper_bound_seconds(index: usize) -> f64 {
    if index + 1 >= BUCKETS {
        return f64::INFINITY;
    }
    // 2^(MIN_EXPONENT + index), written without powi, which core lacks.
    #[expect(clippy::cast_precision_loss, reason = "a power of two below 2^53 is exact")]
    let scaled = (1_u64 << index) as f64;
    scaled / 1_048_576.0
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, bucket, upper_bound_seconds};

    #[test]
    fn bounds_include_their_upper_end() {
        for (ns, index) in [
            (0, 0),
            (953, 0),
            (955, 1),
            (1_907, 1),
            (1_909, 2),
            (1_000_000_000, 20),
            (1_000_000_003, 21),
            (63_999_999_900, 26),
            (64_000_000_100, 27),
            (u64::MAX, BUCKETS - 1),
        ] {
            assert_eq!(bucket(ns), index, "{ns} ns");
        }
        assert!((upper_bound_seconds(20) - 1.0).abs() < f64::EPSILON);
        assert!(upper_bound_seconds(BUCKETS - 1).is_infinite());
    }
}
