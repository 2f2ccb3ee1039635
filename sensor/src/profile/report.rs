//! A finished profile: stacks of named frames, the table of top functions, and how much of the
//! truth it holds.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// One function, or what stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame {
    pub kind: Kind,
    /// Demangled; `module+0xoffset` where no name is known.
    pub function: String,
    /// Path of the file, `[kernel]`, `[vdso]`, `[jit]`, or empty.
    pub module: String,
    pub is_named: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// What the processes below belong to.
    Group,
    Process,
    User,
    /// Inlined into the frame before it.
    Inlined,
    Kernel,
}

impl Kind {
    /// Whether the frame is code, and not what the code belongs to.
    pub fn is_code(self) -> bool {
        match self {
            Self::Group | Self::Process => false,
            Self::User | Self::Inlined | Self::Kernel => true,
        }
    }
}

/// Frames, the root first, and how often the clock ticked there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stack {
    /// Indices into [`Report::frames`].
    pub frames: Vec<usize>,
    pub pid: u32,
    pub count: u64,
}

/// Why samples are not in the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// The ring between kernel and agent was full.
    RingFull,
    /// The kernel side gave the sample up.
    Dropped,
    Malformed,
    /// Too many distinct stacks.
    TooManyStacks,
    TooManyProcesses,
}

impl Loss {
    pub const ALL: [Self; 5] = [
        Self::RingFull,
        Self::Dropped,
        Self::Malformed,
        Self::TooManyStacks,
        Self::TooManyProcesses,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring full",
            Self::Dropped => "dropped in the kernel",
            Self::Malformed => "malformed",
            Self::TooManyStacks => "too many stacks",
            Self::TooManyProcesses => "too many processes",
        }
    }
}

/// What became of every sample, and how good the rest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Samples that the clock took.
    pub taken: u64,
    /// Samples in the profile.
    pub kept: u64,
    /// The rest, by [`Loss::ALL`].
    pub lost: [u64; Loss::ALL.len()],
    /// Frames of all kept samples, by whether they have a name.
    pub named: u64,
    pub unnamed: u64,
    /// Samples with a user stack, and those of them whose stack reaches its thread's first function.
    pub user: u64,
    pub rooted: u64,
    /// Processes that had ended before their memory map could be read.
    pub unread_processes: u64,
}

impl Quality {
    pub fn lost(&self) -> u64 {
        self.lost.iter().sum()
    }

    pub fn count_lost(&mut self, loss: Loss, samples: u64) {
        self.lost[loss as usize] += samples;
    }

    /// Whether every sample that was taken is kept or accounted for.
    pub fn is_exact(&self) -> bool {
        self.taken == self.kept + self.lost()
    }
}

impl fmt::Display for Quality {
    /// The one line of honesty: `5823 samples taken, 5820 kept, 3 lost (ring full: 3); 98.2% of
    /// frames named; 97.0% of user stacks whole`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { taken, kept, named, unnamed, user, rooted, unread_processes, .. } = self;
        write!(f, "{taken} samples taken, {kept} kept, {} lost", self.lost())?;
        let causes = Loss::ALL.iter().zip(self.lost).filter(|(_, count)| *count > 0);
        let causes: Vec<String> =
            causes.map(|(loss, count)| format!("{}: {count}", loss.name())).collect();
        if !causes.is_empty() {
            write!(f, " ({})", causes.join(", "))?;
        }
        if let Some(share) = percent(*named, named + unnamed) {
            write!(f, "; {share:.1}% of frames named")?;
        }
        if let Some(share) = percent(*rooted, *user) {
            write!(f, "; {share:.1}% of user stacks whole")?;
        }
        if *unread_processes > 0 {
            write!(f, "; {unread_processes} processes ended unread")?;
        }
        Ok(())
    }
}

/// A finished profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was profiled, in words.
    pub target: String,
    pub frequency_hz: u64,
    pub duration: Duration,
    /// Nanoseconds since the epoch, at its start.
    pub start_ns: i64,
    pub frames: Vec<Frame>,
    /// Sorted by their frames' names, so that a profile has one form.
    pub stacks: Vec<Stack>,
    pub quality: Quality,
}

/// A row of the table of top functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub frame: usize,
    /// Samples in the function itself.
    pub own: u64,
    /// Samples in the function or in what it called.
    pub total: u64,
}

impl Report {
    /// All samples in the stacks.
    pub fn samples(&self) -> u64 {
        self.stacks.iter().map(|stack| stack.count).sum()
    }

    /// CPU time of one sample, nanoseconds.
    pub fn period_ns(&self) -> u64 {
        1_000_000_000 / self.frequency_hz.max(1)
    }

    /// The frames of a stack, the root first.
    pub fn frames_of<'a>(&'a self, stack: &'a Stack) -> impl DoubleEndedIterator<Item = &'a Frame> {
        stack.frames.iter().filter_map(|frame| self.frames.get(*frame))
    }

    /// The functions with the most samples of their own, then in all.
    pub fn top(&self, rows: usize) -> Vec<Row> {
        let mut counts: HashMap<usize, Row> = HashMap::new();
        let is_code = |frame: &usize| self.frames.get(*frame).is_some_and(|f| f.kind.is_code());
        for stack in &self.stacks {
            let mut frames: Vec<usize> = stack.frames.iter().copied().filter(is_code).collect();
            let leaf = frames.last().copied();
            frames.sort_unstable();
            // A recursive function counts once.
            frames.dedup();
            for frame in frames {
                let row = counts.entry(frame).or_insert(Row { frame, own: 0, total: 0 });
                row.total += stack.count;
                row.own += if leaf == Some(frame) { stack.count } else { 0 };
            }
        }
        let mut found: Vec<Row> = counts.into_values().collect();
        let key = |row: &Row| (row.own, row.total);
        found.sort_by(|a, b| {
            key(b).cmp(&key(a)).then_with(|| self.frames[a.frame].cmp(&self.frames[b.frame]))
        });
        found.truncate(rows);
        found
    }

    /// The table of top functions, for a terminal `width` columns wide.
    pub fn table(&self, rows: usize, width: usize) -> String {
        const NUMBERS: usize = "  SELF   TOTAL  ".len();
        /// The end of a path that still tells files apart.
        const MODULE_MIN: usize = 20;
        let top = self.top(rows);
        let all = self.samples();
        let room = width.saturating_sub(NUMBERS).max(2 * MODULE_MIN + 2);
        let longest =
            |of: &dyn Fn(&Frame) -> usize| top.iter().map(|row| of(&self.frames[row.frame])).max();
        let modules = longest(&|frame| frame.module.chars().count()).unwrap_or(0);
        let functions = longest(&|frame| frame.function.chars().count()).unwrap_or(0);
        let functions = functions.clamp(8, room - 2 - modules.min(MODULE_MIN));
        let modules = room - 2 - functions;
        let mut table =
            format!("{:>6} {:>7}  {:functions$}  MODULE\n", "SELF", "TOTAL", "FUNCTION");
        for row in &top {
            let frame = &self.frames[row.frame];
            let share = |count| percent(count, all).unwrap_or(0.0);
            let function = shorten(&frame.function, functions, End::Front);
            let module = shorten(&frame.module, modules, End::Back);
            // Writing to a string does not fail.
            let written = writeln!(
                table,
                "{:>5.1}% {:>6.1}%  {function:functions$}  {module}",
                share(row.own),
                share(row.total),
            );
            debug_assert!(written.is_ok());
        }
        table
    }
}

/// Which end of a text says most.
#[derive(Clone, Copy)]
enum End {
    Front,
    Back,
}

/// At most `width` characters, with `…` where some are left out.
fn shorten(text: &str, width: usize, keep: End) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    match keep {
        End::Front => text.chars().take(kept).chain(['…']).collect(),
        End::Back => ['…'].into_iter().chain(text.chars().skip(count - kept)).collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read, with one decimal")]
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::{Loss, Quality, Row};
    use crate::profile::testing::{check_golden, report};

    #[test]
    fn the_table_shows_what_is_hot() {
        check_golden("top.txt", report().table(10, 80).as_bytes());
    }

    #[test]
    fn a_narrow_table_keeps_the_telling_ends() {
        let table = report().table(10, 0);
        assert!(table.contains("  core::slice::sort::…  /usr/local/bin/app"), "{table}");
        assert!(table.contains("  …linux-gnu/libc.so.6"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 58), "{table}");
    }

    #[test]
    fn a_recursive_function_counts_once() {
        let report = report();
        let rows = report.top(100);
        let recurse = |row: &&Row| report.frames[row.frame].function == "recurse";
        let row = rows.iter().find(recurse).unwrap();
        assert_eq!((row.own, row.total), (10, 10));
        assert!(rows.iter().all(|row| report.frames[row.frame].kind.is_code()));
    }

    #[test]
    fn says_what_is_missing() {
        let mut quality = Quality { taken: 10, kept: 7, ..Quality::default() };
        assert!(!quality.is_exact());
        quality.count_lost(Loss::RingFull, 2);
        quality.count_lost(Loss::Malformed, 1);
        assert!(quality.is_exact());
        assert_eq!(
            quality.to_string(),
            "10 samples taken, 7 kept, 3 lost (ring full: 2, malformed: 1)"
        );
        (quality.named, quality.unnamed, quality.user, quality.rooted) = (99, 1, 4, 1);
        quality.unread_processes = 5;
        assert_eq!(
            quality.to_string(),
            "10 samples taken, 7 kept, 3 lost (ring full: 2, malformed: 1); 99.0% of frames named; \
             25.0% of user stacks whole; 5 processes ended unread"
        );
    }
}
