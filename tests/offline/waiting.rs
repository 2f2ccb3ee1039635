//! Events of a container wait for what is looked up about it, those of others do not; critical
//! alerts are sent at once, and again; where nothing waits, all of them are.

use sensor::attribution::Runtime;
use sensor::attribution::cache::Cache;
use sensor::attribution::metadata::{Announcement, Image, Metadata};
use sensor::detect::Detector;
use sensor::pipeline::Pipeline;
use sensor::probe::record::{self, ExecParts};
use sensor::rules::Ruleset;
use sensor::rules::options::Options;
use sensor::rules::text::File;
use sensor_common::Kind;
use sensor_common::container::Stage;
use sensor_common::exec::Exec;
use zerocopy::FromZeros as _;

const A: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const B: &str = "1111111111111111222222222222222233333333333333334444444444444444";

const RULES: &str = "
- rule: by name
  desc: of a test
  condition: evt.type = execve and container.name = web
  output: \"%container.name %proc.pid\"
  priority: WARNING
- rule: by process
  desc: of a test
  condition: evt.type = execve and proc.pid > 0
  output: \"%container.name %proc.pid\"
  priority: WARNING
- rule: critical
  desc: of a test
  condition: evt.type = execve and proc.pid = 10
  output: \"%container.name %proc.pid\"
  priority: CRITICAL
";

fn exec(pid: u32, cgroup_id: u64) -> Vec<u8> {
    let mut exec = Exec::new_zeroed();
    exec.header.tgid = pid;
    exec.header.cgroup_id = cgroup_id;
    exec.header.start_boot_ns = u64::from(pid) * 1_000_000_000;
    let parts = ExecParts { filename: b"/x", exe: b"x\0", cwd: b"", argv: b"x\0", env: b"" };
    let mut bytes = record::process(exec, &parts);
    // What runs already is laid out as what is executed.
    bytes[4..8].copy_from_slice(&(Kind::Exec as u32).to_ne_bytes());
    bytes
}

fn says(cgroup_id: u64, id: &str, stage: Stage, name: Option<&str>) -> Vec<u8> {
    let metadata = Metadata {
        name: name.map(str::to_owned),
        image: name.map(|_| Image::parse("shop/web:2")),
        ..Metadata::default()
    };
    let cgroup_path = format!("/docker/{id}");
    let told = Announcement { id: id.into(), cgroup_path, runtime: Runtime::Docker, metadata };
    record::container(cgroup_id, stage, &told.to_json())
}

/// A pipeline with two containers, of which the first (cgroup 5) is being asked about.
struct Scene {
    pipeline: Pipeline,
    detector: Detector,
}

impl Scene {
    fn new() -> Self {
        let file = File { name: "rules".into(), content: RULES.into() };
        let options =
            Options { matching: sensor::rules::options::Matching::All, ..Options::default() };
        let ruleset = Ruleset::load(vec![file], &options).ruleset.unwrap();
        let pipeline = Pipeline::new(Cache::default());
        let mut scene = Self { pipeline, detector: Detector::new(ruleset, "node") };
        scene.take(&record::cgroup(5, &format!("/docker/{A}")));
        scene.take(&record::cgroup(6, &format!("/docker/{B}")));
        scene.take(&says(5, A, Stage::Asked, None));
        scene
    }

    /// The alerts that a record raises: `rule: output`, an update with a star, and their uuids.
    fn alerts(&mut self, record: &[u8]) -> Vec<(String, String)> {
        let Self { pipeline, detector } = self;
        let mut alerts = Vec::new();
        pipeline.take(record, &mut |event| {
            detector.detect(event, |alert| {
                let update = if alert.update_of.is_some() { "*" } else { "" };
                // The fields that every output ends with are beside the point.
                let output = alert.output.split(" container_id=").next().unwrap_or_default();
                let text = format!("{update}{}: {output}", alert.rule);
                alerts.push((text, alert.uuid.to_string()));
            });
        });
        alerts
    }

    fn take(&mut self, record: &[u8]) -> Vec<String> {
        self.alerts(record).into_iter().map(|(text, _)| text).collect()
    }
}

#[test]
fn events_wait_in_order_and_only_their_container_s() {
    let mut scene = Scene::new();
    assert_eq!(scene.take(&exec(11, 5)), Vec::<String>::new());
    // Another container, and the host, are not held up.
    assert_eq!(scene.take(&exec(20, 6)), ["by process: <NA> 20"]);
    assert_eq!(scene.take(&exec(21, 1)), ["by process: host 21"]);
    assert_eq!(scene.take(&exec(12, 5)), Vec::<String>::new());
    let released = scene.take(&says(5, A, Stage::Known, Some("web")));
    let expected =
        ["by name: web 11", "by process: web 11", "by name: web 12", "by process: web 12"];
    assert_eq!(released, expected);
    assert_eq!(scene.take(&exec(13, 5)), ["by name: web 13", "by process: web 13"]);
}

#[test]
fn what_nobody_answers_goes_on_without() {
    let mut scene = Scene::new();
    assert_eq!(scene.take(&exec(11, 5)), Vec::<String>::new());
    assert_eq!(scene.take(&says(5, A, Stage::GivenUp, None)), ["by process: <NA> 11"]);
    assert_eq!(scene.take(&exec(12, 5)), ["by process: <NA> 12"]);
    // An answer that comes late holds for what comes later.
    assert_eq!(scene.take(&says(5, A, Stage::Known, Some("web"))), Vec::<String>::new());
    assert_eq!(scene.take(&exec(13, 5)), ["by name: web 13", "by process: web 13"]);
}

#[test]
fn a_critical_alert_does_not_wait_and_is_updated_under_its_uuid() {
    let mut scene = Scene::new();
    let early = scene.alerts(&exec(10, 5));
    let [(text, uuid)] = early.as_slice() else { panic!("{early:?}") };
    assert_eq!(text, "critical: <NA> 10");
    let late = scene.alerts(&says(5, A, Stage::Known, Some("web")));
    let texts: Vec<&str> = late.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["by name: web 10", "by process: web 10", "*critical: web 10"]);
    assert_eq!(&late[2].1, uuid);
}

#[test]
fn where_nothing_waits_all_are_updated_but_what_cannot_be_decided_before() {
    let mut scene = Scene::new();
    scene.detector = scene.detector.at_once();
    let early = scene.alerts(&exec(10, 5));
    let texts: Vec<&str> = early.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["by process: <NA> 10", "critical: <NA> 10"]);
    let late = scene.alerts(&says(5, A, Stage::Known, Some("web")));
    let texts: Vec<&str> = late.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["by name: web 10", "*by process: web 10", "*critical: web 10"]);
    let uuids = |alerts: &[(String, String)]| -> Vec<String> {
        alerts.iter().map(|(_, uuid)| uuid.clone()).collect()
    };
    assert_eq!(uuids(&late[1..]), uuids(&early));
    // What nobody answers is not said to have changed more than once.
    let mut scene = Scene::new();
    scene.detector = scene.detector.at_once();
    assert_eq!(scene.take(&exec(11, 5)), ["by process: <NA> 11"]);
    assert_eq!(scene.take(&says(5, A, Stage::GivenUp, None)), ["*by process: <NA> 11"]);
    assert_eq!(scene.take(&exec(12, 5)), ["by process: <NA> 12"]);
}

#[test]
fn a_container_that_does_too_much_waits_no_longer() {
    let mut scene = Scene::new();
    let mut raised = Vec::new();
    for pid in 100..100 + 4096 {
        raised.extend(scene.take(&exec(pid, 5)));
    }
    assert_eq!(raised.len(), 0);
    // One too many: those before it go before it.
    let all = scene.take(&exec(5000, 5));
    assert_eq!((all.len(), all[0].as_str()), (4097, "by process: <NA> 100"));
    assert_eq!(all[4096], "by process: <NA> 5000");
    assert_eq!((scene.pipeline.hold.counts.held, scene.pipeline.hold.counts.overflowed), (4096, 1));
}
