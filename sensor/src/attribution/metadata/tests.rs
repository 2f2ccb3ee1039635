use super::{Announcement, Command, Details, Image, Metadata, Mount, Pod, Visibility};
use crate::attribution::{Container, Runtime};
use std::collections::BTreeMap;

#[test]
fn parses_references_of_images() {
    for (text, repository, tag, digest) in [
        ("nginx", "nginx", None, None),
        ("docker.io/library/nginx:1.29", "docker.io/library/nginx", Some("1.29"), None),
        ("localhost:5000/shop", "localhost:5000/shop", None, None),
        ("localhost:5000/shop:2", "localhost:5000/shop", Some("2"), None),
        ("shop@sha256:0f", "shop", None, Some("sha256:0f")),
        ("a.b/shop:2@sha256:0f", "a.b/shop", Some("2"), Some("sha256:0f")),
        ("", "", None, None),
    ] {
        let image = Image::parse(text);
        assert_eq!(
            (image.repository.as_str(), image.tag.as_deref(), image.digest.as_deref()),
            (repository, tag, digest),
            "{text}"
        );
    }
    assert_eq!(Image::parse("a:1").with_id("sha256:0f").id.as_deref(), Some("0f"));
    assert_eq!(Image::parse("a:1").with_id("").id, None);
}

#[test]
fn knows_what_the_host_sees_of_a_runtime() {
    for (name, expected) in [
        ("io.containerd.runc.v2", Visibility::Full),
        ("/usr/bin/crun", Visibility::Full),
        ("io.containerd.kata-qemu.v2", Visibility::Machine),
        ("kata-runtime", Visibility::Machine),
        ("aws.firecracker", Visibility::Machine),
        ("io.containerd.runsc.v1", Visibility::Sandbox),
        ("/usr/local/bin/runsc", Visibility::Sandbox),
        ("/usr/local/bin/containerd-shim-wasmedge-v1", Visibility::Interpreted),
        ("wasm", Visibility::Interpreted),
        ("swasmer", Visibility::Full),
    ] {
        assert_eq!(Visibility::of_runtime(name), expected, "{name}");
    }
}

fn all_that_there_is() -> Metadata {
    Metadata {
        runtime: Some(Runtime::Crio),
        name: Some("web".into()),
        image: Some(Image::parse("a/b:1@sha256:2").with_id("3")),
        pod: Some(Pod {
            uid: "4".into(),
            name: Some("p".into()),
            namespace: Some("n".into()),
            sandbox_id: Some("5".into()),
            labels: BTreeMap::from([("k".into(), "v".into())]),
            ip: Some("10.0.0.1".into()),
            cni: Some("{}".into()),
        }),
        details: Details {
            labels: BTreeMap::from([("a".into(), "b".into())]),
            mounts: vec![Mount {
                source: "/s".into(),
                destination: "/d".into(),
                ..Mount::default()
            }],
            privileged: Some(true),
            host_pid: Some(false),
            user: Some("0:0".into()),
            started_ns: Some(7),
            healthcheck: Some(Command(vec!["/bin/true".into()])),
            visibility: Some(Visibility::Sandbox),
            ..Details::default()
        },
    }
}

#[test]
fn travels_as_json() {
    let announcement = Announcement {
        id: "0f".into(),
        cgroup_path: "/docker/0f".into(),
        runtime: Runtime::Docker,
        metadata: all_that_there_is(),
    };
    let json = announcement.to_json();
    assert_eq!(Announcement::from_json(&json), Some(announcement));
    for bad in [b"".as_slice(), b"{}", b"[]", b"{\"id\":\"\"}", b"{\"id\":7}", b"\xff"] {
        assert_eq!(Announcement::from_json(bad), None, "{bad:?}");
    }
    // What another version does not know is left out, and what it does not say is not there.
    let little = Announcement::from_json(b"{\"id\":\"x\",\"hat\":1}").unwrap();
    assert_eq!((little.metadata, little.runtime), (Metadata::default(), Runtime::Oci));
}

#[test]
fn later_answers_add_to_earlier_ones() {
    let mut known = all_that_there_is();
    let later = Metadata {
        image: Some(Image { digest: Some("sha256:9".into()), ..Image::default() }),
        details: Details { ip: Some("10.0.0.2".into()), ..Details::default() },
        ..Metadata::default()
    };
    known.adopt(&later);
    let image = known.image.as_ref().unwrap();
    assert_eq!((image.repository.as_str(), image.digest.as_deref()), ("a/b", Some("sha256:9")));
    assert_eq!(
        (known.details.privileged, known.details.ip.as_deref()),
        (Some(true), Some("10.0.0.2"))
    );
    assert_eq!(known.name.as_deref(), Some("web"));
}

#[test]
fn a_path_that_names_the_engine_is_surer_than_a_source() {
    for (of_path, expected) in [(Runtime::Docker, Runtime::Docker), (Runtime::Oci, Runtime::Crio)] {
        let mut container = Container { runtime: of_path, ..Container::default() };
        all_that_there_is().fill(&mut container);
        assert_eq!(container.runtime, expected);
    }
}

#[test]
fn what_lies_is_cut() {
    let long = "x".repeat(1 << 20);
    let mut metadata = all_that_there_is();
    metadata.name = Some(long.clone());
    for number in 0..2_000 {
        metadata.details.labels.insert(format!("{number:06}"), "\u{1}".repeat(1000));
        metadata.details.mounts.push(Mount { source: "/s".repeat(100), ..Mount::default() });
    }
    metadata.details.mounts.push(Mount { source: long, ..Mount::default() });
    let limited = metadata.limited();
    assert_eq!(limited.name, None);
    assert!(limited.details.labels.len() <= 256, "{}", limited.details.labels.len());
    assert!(limited.details.mounts.len() <= 256);
    let announcement =
        Announcement { id: "a".into(), metadata: limited, ..Announcement::default() };
    let json = announcement.to_json();
    assert!(json.len() < sensor_common::header::RECORD_MAX, "{}", json.len());
    assert!(Announcement::from_json(&json).is_some());
}

#[test]
fn what_was_taken_away_is_gone_with_the_next_answer() {
    let mut container = Container { id: "0f".into(), ..Container::default() };
    let mut metadata = all_that_there_is();
    metadata.details.ip = Some("10.0.0.2".into());
    metadata.fill(&mut container);
    metadata.details.ip = None;
    metadata.details.labels = BTreeMap::from([("c".into(), "d".into())]);
    metadata.pod.as_mut().unwrap().labels.clear();
    metadata.fill(&mut container);
    assert_eq!((container.details.ip.as_ref(), container.details.labels.len()), (None, 1));
    let pod = container.pod.unwrap();
    assert_eq!((pod.labels.len(), pod.ip.as_deref()), (0, Some("10.0.0.1")));
}

#[test]
fn an_answer_of_the_network_that_is_too_long_does_not_cost_the_pod() {
    let mut metadata = all_that_there_is();
    metadata.pod.as_mut().unwrap().cni = Some("x".repeat(5000));
    let pod = metadata.limited().pod.unwrap();
    assert_eq!((pod.name.as_deref(), pod.cni), (Some("p"), None));
}
