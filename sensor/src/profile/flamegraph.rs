//! A report → folded stacks, and the flame graph that is drawn of them.

use std::io::{self, Write};

use inferno::flamegraph::color::MultiPalette;
use inferno::flamegraph::{Options, Palette, from_lines};

use crate::profile::report::{Frame, Kind, Report};

/// Folded stacks, one a line: frames from the root, `;` between, then the count. Kernel frames end
/// in `_[k]` and inlined ones in `_[i]`, as in the field's other tools. Equal stacks are one line.
pub fn folded(report: &Report) -> Vec<String> {
    let mut lines: Vec<(String, u64)> = report
        .stacks
        .iter()
        .map(|stack| {
            let frames: Vec<String> = report.frames_of(stack).map(frame_text).collect();
            (frames.join(";"), stack.count)
        })
        .collect();
    lines.sort_unstable();
    lines.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0 };
        same
    });
    lines.into_iter().map(|(frames, count)| format!("{frames} {count}")).collect()
}

pub fn write_folded(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    folded(report).iter().try_for_each(|line| writeln!(to, "{line}"))
}

/// The flame graph as SVG. The same report gives the same bytes.
pub fn write_svg(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let lines = folded(report);
    let mut options = Options::default();
    options.title = format!("CPU profile of {}", report.target);
    options.subtitle = Some(format!(
        "{:.1} s at {} Hz, {}",
        report.duration.as_secs_f64(),
        report.frequency_hz,
        report.quality
    ));
    options.colors = Palette::Multi(MultiPalette::Java);
    options.deterministic = true;
    from_lines(&mut options, lines.iter().map(String::as_str), to)
}

fn frame_text(frame: &Frame) -> String {
    let annotation = match frame.kind {
        Kind::Kernel => "_[k]",
        Kind::Inlined => "_[i]",
        Kind::Group | Kind::Process | Kind::User => "",
    };
    // What the format itself uses, and what would break a line.
    let replace = |c: char| match c {
        ';' => ':',
        c if c.is_control() => '?',
        c => c,
    };
    let name: String = frame.function.chars().map(replace).collect();
    format!("{}{annotation}", if name.is_empty() { "?" } else { &name })
}

#[cfg(test)]
mod tests {
    use super::{folded, write_folded, write_svg};
    use crate::profile::testing::{check_golden, report};

    #[test]
    fn folds_to_the_fields_format() {
        let mut text = Vec::new();
        write_folded(&report(), &mut text).unwrap();
        check_golden("flame.folded", &text);
    }

    #[test]
    fn draws_the_same_graph_each_time() {
        let mut svg = Vec::new();
        write_svg(&report(), &mut svg).unwrap();
        check_golden("flame.svg", &svg);
    }

    #[test]
    fn the_lines_hold_every_sample() {
        let report = report();
        let count = |line: &String| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        assert_eq!(folded(&report).iter().map(count).sum::<u64>(), report.samples());
    }
}
