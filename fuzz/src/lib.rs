//! What each fuzz target does with its bytes. Nothing here may panic, whatever they are.
//!
//! `tests/offline/fuzz.rs` includes this file and gives the same functions bytes of its own, so that
//! every run of the tests fuzzes a little, without cargo-fuzz.

use std::cell::RefCell;
use std::sync::Arc;

use sensor::attribution::cache::Cache;
use sensor::detect::Detector;
use sensor::event::decode;
use sensor::fields::json;
use sensor::fields::object::ObjectEvent;
use sensor::pipeline::Pipeline;
use sensor::profile::stack;
use sensor::rules::column::Columns;
use sensor::rules::error::Finding;
use sensor::rules::options::Options;
use sensor::rules::template::Template;
use sensor::rules::text::{File, Text};
use sensor::rules::{Ruleset, load, shipped};

/// What all events of one thread pass.
struct Stages {
    pipeline: Pipeline,
    detector: Detector,
}

thread_local! {
    static STAGES: RefCell<Stages> = RefCell::new(Stages::new());
}

impl Stages {
    fn new() -> Self {
        let shipped = Ruleset::load(shipped::files(), &Options::default());
        Self {
            pipeline: Pipeline::new(Cache::default()),
            detector: Detector::new(shipped.ruleset.expect("the shipped rules load"), "fuzz"),
        }
    }

    /// A record through all that follows the ring: decoding, tables, fields, rules; and as a sample.
    fn take(&mut self, bytes: &[u8]) {
        let Self { pipeline, detector } = self;
        pipeline.tally.receive(bytes);
        pipeline.take(bytes, &mut |event| {
            drop(json::object(event));
            detector.detect(event, drop);
        });
        stack::decode(bytes).ok();
    }
}

/// Records from the kernel, as they are, and once more with their own length in them, which gets
/// further.
pub fn decode(bytes: &[u8]) {
    decode::decode(bytes).ok();
    let mut honest = bytes.to_vec();
    if let (Some(len), Ok(own)) = (honest.get_mut(..4), u32::try_from(bytes.len())) {
        len.copy_from_slice(&own.to_ne_bytes());
    }
    STAGES.with_borrow_mut(|stages| {
        stages.take(bytes);
        stages.take(&honest);
    });
}

/// A rules file: YAML, its items, and all that they hold.
pub fn rules(bytes: &[u8]) {
    let content = String::from_utf8_lossy(bytes).into_owned();
    let file = File { name: "fuzz.yaml".into(), content };
    let loaded = Ruleset::load(vec![file], &Options::default());
    say(&loaded.findings, &loaded.files);
}

/// A condition, and what it says of an event.
pub fn condition(bytes: &[u8]) {
    let (ruleset, findings, files) = load::condition(&String::from_utf8_lossy(bytes), Vec::new());
    say(&findings, &files);
    if let Some(ruleset) = ruleset {
        ruleset.evaluate(&event(), &mut ruleset.scratch(), |rule| drop(rule.render(&event())));
    }
}

/// The output text of a rule.
pub fn output(bytes: &[u8]) {
    let text = Arc::new(Text::verbatim(&String::from_utf8_lossy(bytes), 0, 0));
    if let Ok(template) = Template::parse(&text, &mut Columns::default(), &mut Vec::new()) {
        drop(template.render(&event()));
    }
}

/// Errors are shown with the line that they are on, which must be there.
fn say(findings: &[Finding], files: &[File]) {
    for finding in findings {
        assert!(!finding.render(files).is_empty());
    }
}

fn event() -> ObjectEvent {
    let text =
        r#"{"evt.type":"openat","proc.name":"x","fd.name":"/etc/shadow","fd.sip":"10.0.0.1"}"#;
    let object = serde_json::from_str(text).expect("it is JSON");
    ObjectEvent::from_json(&object).expect("its fields are known")
}
