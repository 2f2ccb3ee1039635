//! An alert as text: Falco's JSON line, and a form for a person at a terminal.

use std::fmt::Write as _;

use crate::alert::{Alert, priority_name, timestamp};
use crate::rules::priority::Priority;

/// Appends the alert as one line of JSON.
pub fn json_line(alert: &Alert, line: &mut String) {
    // An alert holds nothing that JSON cannot say.
    if let Ok(json) = serde_json::to_string(alert) {
        line.push_str(&json);
        line.push('\n');
    }
}

/// Appends the alert as a headline and, below it, the rule's output. Text that came from the
/// observed processes cannot move the cursor or colour the screen.
pub fn pretty(alert: &Alert, colour: bool, text: &mut String) {
    let paint = |style: &str, text: &str| {
        if colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    };
    let time = timestamp(alert.time_ns).strftime("%H:%M:%S.%3f").to_string();
    let priority = format!("{:<13}", priority_name(alert.priority));
    // Writing to a string cannot fail.
    let _written = writeln!(
        text,
        "{} {} {}  {}",
        paint("2", &time),
        paint(style(alert.priority), &priority),
        paint("1", &visible(&alert.rule)),
        paint("36", &visible(&place(alert))),
    );
    let _written = writeln!(text, "             {}", visible(&known(&alert.output, &alert.rule)));
}

/// The output without what a person has read in the headline or cannot use: the rule's name in
/// front, and pairs of which nothing is known.
fn known(output: &str, rule: &str) -> String {
    let rest = output.strip_prefix(rule).and_then(|rest| rest.strip_prefix(" | "));
    rest.unwrap_or(output).split(' ').filter_map(known_part).collect::<Vec<_>>().join(" ")
}

/// What is known of `key=value` or `key=value,value`; nothing where every value is absent. Only
/// words that begin like a key of an output are looked at: others may be somebody's command line.
fn known_part(word: &str) -> Option<&str> {
    const ABSENT: &str = "<NA>";
    let is_key = |key: &str| {
        !key.is_empty()
            && key.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte)
            })
    };
    let Some((_, values)) = word.split_once('=').filter(|(key, _)| is_key(key)) else {
        return Some(word);
    };
    if values.split(',').all(|value| value == ABSENT) {
        return None;
    }
    // A list whose end is unknown: ancestors beyond the first process.
    let mut known = word;
    while let Some(before) = known.strip_suffix(ABSENT).and_then(|rest| rest.strip_suffix(',')) {
        known = before;
    }
    Some(known)
}

/// `namespace/pod/container`, as far as it is known.
fn place(alert: &Alert) -> String {
    let origin = &alert.origin;
    [&origin.namespace, &origin.pod, &origin.container]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("/")
}

const fn style(priority: Priority) -> &'static str {
    match priority {
        Priority::Emergency | Priority::Alert | Priority::Critical => "1;97;41",
        Priority::Error => "1;31",
        Priority::Warning => "1;33",
        Priority::Notice => "34",
        Priority::Informational | Priority::Debug => "2",
    }
}

/// Control characters, and those that reorder text, in their escaped form.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || reorders {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::known;
    use super::*;
    use crate::alert::tests::sample;

    #[test]
    fn a_terminal_shows_two_lines() {
        let mut text = String::new();
        pretty(&sample("Shell in a container", "api", 3_661), false, &mut text);
        assert_eq!(
            text,
            "01:01:01.000 Warning       Shell in a container  shop/api-0/api\n             \
             Shell in a container happened (command=sh -i)\n"
        );
    }

    #[test]
    fn colours_only_on_request() {
        let (mut plain, mut coloured) = (String::new(), String::new());
        let alert = sample("r", "c", 0);
        pretty(&alert, false, &mut plain);
        pretty(&alert, true, &mut coloured);
        assert!(!plain.contains('\x1b') && coloured.contains("\x1b[1;33mWarning"));
    }

    #[test]
    fn observed_text_cannot_act_on_the_terminal() {
        let mut alert = sample("r", "c\x1b[2J", 0);
        alert.output = "a\x1b]0;x\x07b\nfake line\u{202e}\u{9b}31m \t é".to_owned();
        let mut text = String::new();
        pretty(&alert, false, &mut text);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains(r"a\u{1b}]0;x\u{7}b\nfake line\u{202e}\u{9b}31m \t é"), "{text:?}");
    }

    #[test]
    fn json_is_one_line_whatever_is_in_it() {
        let mut alert = sample("r", "c", 0);
        alert.output = "a\nb\u{2028}\"".to_owned();
        let mut line = String::new();
        json_line(&alert, &mut line);
        assert_eq!(line.matches('\n').count(), 1);
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["output"], "00:00:00.000000000: Warning a\nb\u{2028}\"");
    }

    #[test]
    fn leaves_out_what_says_nothing() {
        for (output, shown) in [
            ("Rule | file=/a  b name=<NA> image=<NA> id=1", "file=/a  b id=1"),
            ("Somebody did <NA> | x=1", "Somebody did <NA> | x=1"),
            ("Rule happened", "Rule happened"),
            ("Rule | parent=sh ancestors=<NA>,<NA> user=a k8s_ns=<NA>", "parent=sh user=a"),
            ("Rule | ancestors=sshd,<NA> user=a", "ancestors=sshd user=a"),
            ("Rule | ancestors=<NA>,sshd", "ancestors=<NA>,sshd"),
            // Not the keys of an output, but what a process was started with.
            (
                "Rule | command=sh -c X=<NA> /a/b=<NA> --c=<NA>",
                "command=sh -c X=<NA> /a/b=<NA> --c=<NA>",
            ),
        ] {
            assert_eq!(known(output, "Rule"), shown);
        }
    }
}
