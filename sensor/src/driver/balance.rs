//! The loss equation.

/// Both sides of the loss equation, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    pub produced: u64,
    pub delivered: u64,
    /// The ring was full.
    pub lost: u64,
    /// Given up in the kernel, for whatever other reason.
    pub dropped: u64,
    /// Occurrences of which no program knew, because it was preempted: not part of the equation.
    pub missed: u64,
    /// Occurrences that no rule can match, which stayed in the kernel: beside those produced.
    pub filtered: u64,
}

impl Balance {
    pub fn is_exact(&self) -> bool {
        self.produced == self.delivered + self.lost + self.dropped
    }
}

impl std::fmt::Display for Balance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { produced, delivered, lost, dropped, missed, filtered } = self;
        let sign = if self.is_exact() { "=" } else { "≠" };
        write!(f, "{produced} produced {sign} {delivered} delivered + {lost} lost")?;
        write!(f, " + {dropped} dropped")?;
        if *filtered > 0 {
            let seen = produced + filtered;
            write!(f, "; {seen} seen = {filtered} filtered in the kernel + {produced} produced")?;
        }
        if *missed > 0 {
            write!(f, "; {missed} missed by preempted programs")?;
        }
        Ok(())
    }
}
