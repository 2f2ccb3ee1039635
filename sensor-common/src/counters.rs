//! What the kernel side counts, for each kind and processor: the left side of
//! produced = delivered + lost + dropped.

/// What became of an occurrence that passed the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// Every occurrence, before anything can go wrong with it.
    Produced = 0,
    /// The ring was full.
    LostRing = 1,
    /// Every scratch slot of the processor was in use by programs that this one interrupted.
    DroppedScratch = 2,
}

impl Outcome {
    /// The ways to be lost or dropped; everything but [`Outcome::Produced`].
    pub const LOSSES: [Self; 2] = [Self::LostRing, Self::DroppedScratch];
    pub const COUNT: u32 = 3;

    /// The `reason` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Produced => "produced",
            Self::LostRing => "ring_full",
            Self::DroppedScratch => "scratch_busy",
        }
    }
}

/// Entries of the counter map.
pub const SLOTS: u32 = crate::Kind::SLOTS * Outcome::COUNT;

/// Index of a counter in the map.
pub const fn slot(kind: crate::Kind, outcome: Outcome) -> u32 {
    kind as u32 * Outcome::COUNT + outcome as u32
}
