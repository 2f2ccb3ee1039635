//! Whatever a file holds, it is read or refused: never a panic.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::rules::column::Columns;
use crate::rules::glob::Glob;
use crate::rules::posix;
use crate::rules::template::Template;
use crate::rules::text::Text;

/// Pieces of conditions, so that random text comes near to what is right.
fn condition_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("proc.name"),
        Just("fd.ip"),
        Just("evt.type"),
        Just("proc.aname[2]"),
        Just("evt.arg.flags"),
        Just(" = "),
        Just(" in "),
        Just("!="),
        Just(" startswith "),
        Just(" exists"),
        Just("(("),
        Just("("),
        Just(")"),
        Just(","),
        Just(" and "),
        Just(" or "),
        Just("not "),
        Just("anyof"),
        Just("\""),
        Just("'"),
        Just("\\x4"),
        Just("tolower("),
        Just("val("),
        Just("getopt(("),
        Just("["),
        Just("]"),
        Just("10.0.0.0/8"),
        Just("openat"),
        Just("ü"),
        Just("%"),
        Just("\n"),
        Just(" regex "),
        Just(" glob "),
        Just("[a-"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions(text in prop_oneof![condition_text(), any::<String>()]) {
        let (ruleset, findings, files) = condition(&text, Vec::new());
        for finding in findings {
            prop_assert!(!finding.render(&files).is_empty());
        }
        if let Some(ruleset) = ruleset {
            let event = event(r#"{"evt.type":"openat","proc.name":"x","fd.sip":"10.0.0.1"}"#);
            ruleset.evaluate(&event, &mut ruleset.scratch(), |_| ());
        }
    }

    #[test]
    fn files(text in prop_oneof![
        any::<String>(),
        "(- (rule|macro|list|override|append|condition|items|exceptions): ?[a-z\\[\\]{}>|&*, \"']{0,12}\n( {2}[a-z]{1,9}: [a-z\\[\\],'\"]{0,9}\n){0,4}){1,4}",
    ]) {
        let loaded = load(&text);
        for finding in &loaded.findings {
            prop_assert!(!finding.render(&loaded.files).is_empty());
        }
    }

    #[test]
    fn outputs(text in prop_oneof![any::<String>(), "(%|%%|proc|\\.name|\\[|\\]|[0-9]|tolower|\\(|\\)|\"|,| ){0,16}"]) {
        let text = Arc::new(Text::verbatim(&text, 0, 0));
        if let Ok(template) = Template::parse(&text, &mut Columns::default(), &mut Vec::new()) {
            template.render(&event(r#"{"proc.name":"x"}"#));
        }
    }

    #[test]
    fn patterns(pattern in "[a*?\\[\\]!\\-\\\\:|(){}+^$.0-9]{0,16}", text in any::<Vec<u8>>()) {
        Glob::new(pattern.as_bytes(), true).matches(&text);
        if let Ok(regex) = posix::compile(&pattern) {
            regex.is_match(&text);
        }
    }
}
