//! Wire types as map keys and values.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A wire type as a map key or value.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Wire<T>(pub(super) T);

// SAFETY: `FromBytes` is zerocopy's proof that every byte pattern is a `T`, `IntoBytes` that it
// has no padding.
unsafe impl<T: FromBytes + IntoBytes + Immutable + Copy + 'static> aya::Pod for Wire<T> {}
