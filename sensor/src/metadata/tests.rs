use super::host::Host;
use super::socket::Limits;
use super::sources::Sources;
use super::status::{Miss, Status};
use super::testing::{Server, answer, begin, go_on};
use super::{Lookup, Settings};
use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use sensor_common::container::Stage;
use serde_json::json;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn write(root: &Path, path: &str, json: &serde_json::Value) {
    let path = root.join(path.replace("<ID>", ID));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, json.to_string()).unwrap();
}

fn wanted(runtime: Runtime, id: &str) -> Wanted {
    let cgroup_path = format!("/x/{id}");
    Wanted { cgroup_id: 7, cgroup_path, container_id: id.into(), runtime, bundle: None }
}

fn settings(root: &Path) -> Settings {
    let wait = Duration::from_millis(200);
    Settings { host: Host::below(root), wait, ..Settings::default() }
}

fn read(root: &Path, runtime: Runtime, id: &str) -> Result<Metadata, Miss> {
    Sources::new(settings(root), Arc::new(Status::default())).read(&wanted(runtime, id))
}

/// `name repository:tag@digest`.
fn summary(found: &Metadata) -> String {
    let image = found.image.clone().unwrap_or_default();
    let digest = image.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("{} {}{digest}", found.name.as_deref().unwrap_or("-"), image.reference())
}

#[test]
fn reads_what_docker_keeps() {
    let root = tempfile::tempdir().unwrap();
    let directory = "var/lib/docker/containers/<ID>";
    write(
        root.path(),
        &format!("{directory}/config.v2.json"),
        &json!({
            "ID": ID, "Name": "/web", "Image": "sha256:aa", "Created": "2026-11-24T20:00:00.5Z",
            "Config": {
                "Image": "shop/web:2", "Labels": {"team": "x"}, "User": "app", "Env": ["TOKEN=1"],
                "Healthcheck": {"Test": ["CMD-SHELL", "true"]},
            },
            "State": {"StartedAt": "0001-01-01T00:00:00Z"},
            "MountPoints": {"/data": {
                "Source": "/srv", "Destination": "/data", "RW": true, "Relabel": "z", "Propagation": "rprivate",
            }},
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}, "none": null}},
        }),
    );
    let host_config = json!({"Privileged": true, "PidMode": "host", "NetworkMode": "default", "Runtime": "runsc"});
    write(root.path(), &format!("{directory}/hostconfig.json"), &host_config);
    write(
        root.path(),
        "var/lib/docker/image/overlay2/repositories.json",
        &json!({"Repositories": {"shop/web": {"shop/web:2": "sha256:aa", "shop/web@sha256:bb": "sha256:aa"}}}),
    );
    let found = read(root.path(), Runtime::Docker, ID).unwrap();
    assert_eq!(summary(&found), "web shop/web:2@sha256:bb");
    assert_eq!(found.image.unwrap().id.as_deref(), Some("aa"));
    let details = found.details;
    assert_eq!(details.labels["team"], "x");
    assert_eq!(
        (details.privileged, details.host_pid, details.host_network),
        (Some(true), Some(true), Some(false))
    );
    assert_eq!((details.user.as_deref(), details.ip.as_deref()), (Some("app"), Some("172.17.0.2")));
    assert_eq!(details.started_ns, Some(1_795_550_400_500_000_000));
    assert_eq!(details.healthcheck.unwrap().0, ["/bin/sh", "-c", "true"]);
    assert_eq!(details.visibility.unwrap().name(), "sandbox");
    assert_eq!((details.mounts.len(), details.mounts[0].writable), (1, true));
    assert_eq!(details.mounts[0].mode, "z");
    assert_eq!(read(root.path(), Runtime::Docker, &ID.replace('f', "e")), Err(Miss::NotFound));
}

#[test]
fn reads_what_podman_keeps() {
    let root = tempfile::tempdir().unwrap();
    // Of a user, in the directory of his own.
    let store = "home/ann/.local/share/containers/storage";
    let metadata =
        json!({"image-name": "localhost/bb:1", "image-id": "aa", "name": "web"}).to_string();
    let stored = json!([{"id": ID, "names": ["web"], "image": "aa", "metadata": metadata, "created": "2026-11-24T20:00:00Z"}]);
    write(root.path(), &format!("{store}/overlay-containers/containers.json"), &stored);
    write(
        root.path(),
        &format!("{store}/overlay-images/images.json"),
        &json!([{"id": "aa", "digest": "sha256:cc"}]),
    );
    let found = read(root.path(), Runtime::Podman, ID).unwrap();
    assert_eq!(summary(&found), "web localhost/bb:1@sha256:cc");
    assert_eq!(found.runtime, Some(Runtime::Podman));
    let spec = json!({
        "process": {"user": {"uid": 5, "gid": 6}},
        "mounts": [
            {"source": "proc", "destination": "/proc", "type": "proc"},
            {"source": "/srv", "destination": "/data", "type": "bind", "options": ["rbind", "ro", "rslave"]},
            {"source": format!("/run/{ID}/userdata/hosts"), "destination": "/etc/hosts", "type": "bind"},
        ],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
    });
    write(root.path(), &format!("{store}/overlay-containers/<ID>/userdata/config.json"), &spec);
    let details = read(root.path(), Runtime::Podman, ID).unwrap().details;
    assert_eq!((details.host_pid, details.host_network), (Some(false), Some(true)));
    assert_eq!((details.user.as_deref(), details.privileged), (Some("5:6"), Some(false)));
    let mount = &details.mounts[0];
    assert_eq!((mount.writable, mount.propagation.as_str()), (false, "rslave"));
    assert_eq!(details.mounts.len(), 1);
}

#[test]
fn reads_the_pod_from_annotations() {
    let root = tempfile::tempdir().unwrap();
    let spec = json!({"annotations": {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.container-name": "app",
        "io.kubernetes.cri.image-name": "shop/app:3",
        "io.kubernetes.cri.sandbox-id": "ab",
        "io.kubernetes.cri.sandbox-name": "checkout",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.sandbox-uid": "u-1",
    }});
    let bundle = "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/<ID>";
    write(root.path(), &format!("{bundle}/config.json"), &spec);
    // It joins the sandbox's namespaces, of which the network is the host's.
    let namespaces = json!([{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}]);
    let joined = json!({"annotations": spec["annotations"], "linux": {"namespaces": namespaces}});
    write(root.path(), &format!("{bundle}/config.json"), &joined);
    let sandbox = json!({"linux": {"namespaces": [{"type": "pid"}]}});
    write(root.path(), &bundle.replace("<ID>", "ab/config.json"), &sandbox);
    let details = read(root.path(), Runtime::Containerd, ID).unwrap().details;
    assert_eq!((details.host_pid, details.host_network), (Some(false), Some(true)));
    let crio = json!({"annotations": {
        "io.kubernetes.cri-o.SandboxID": "ab",
        "io.kubernetes.cri-o.ImageName": "shop/app:3",
        "io.kubernetes.cri-o.Labels": "{\"app\":\"shop\"}",
        "io.kubernetes.container.name": "app",
        "io.kubernetes.pod.uid": "u-1",
        "io.kubernetes.pod.name": "checkout",
        "io.kubernetes.pod.namespace": "shop",
    }});
    let storage = "run/containers/storage/overlay-containers/<ID>/userdata/config.json";
    write(root.path(), storage, &crio);
    for runtime in [Runtime::Containerd, Runtime::Crio] {
        let found = read(root.path(), runtime, ID).unwrap();
        assert_eq!(summary(&found), "app shop/app:3");
        assert_eq!(found.runtime, Some(runtime));
        let pod = found.pod.unwrap();
        assert_eq!(
            (
                pod.uid.as_str(),
                pod.name.as_deref(),
                pod.namespace.as_deref(),
                pod.sandbox_id.as_deref()
            ),
            ("u-1", Some("checkout"), Some("shop"), Some("ab"))
        );
    }
}

#[test]
fn reads_the_state_of_oci_runtimes() {
    let root = tempfile::tempdir().unwrap();
    let spec = json!({"annotations": {"org.opencontainers.image.ref.name": "bb:1", "team": "x"}});
    write(root.path(), "bundle/config.json", &spec);
    let state = json!({"created": "2026-11-24T20:00:00Z", "config": {"labels": ["team=x", "bundle=/bundle"]}});
    write(root.path(), "run/runc/web/state.json", &state);
    // crun writes its status after the first exec.
    write(root.path(), "run/crun/job/config.json", &spec);
    for (id, started) in [("web", Some(1_795_550_400_000_000_000)), ("job", None)] {
        let found = read(root.path(), Runtime::Oci, id).unwrap();
        assert_eq!(summary(&found), format!("{id} bb:1"));
        assert_eq!(
            (found.details.labels["team"].as_str(), found.details.started_ns),
            ("x", started)
        );
    }
    // Gone again, but who made it was seen.
    let sources = Sources::new(settings(root.path()), Arc::new(Status::default()));
    let gone = Wanted { bundle: Some("/bundle".into()), ..wanted(Runtime::Oci, "gone") };
    assert_eq!(summary(&sources.read(&gone).unwrap()), "gone bb:1");
    assert!(sources.read(&wanted(Runtime::Oci, "gone")).is_err());
}

#[test]
fn machines_are_called_what_their_path_says() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("var/lib/lxc/web")).unwrap();
    let config = "lxc.rootfs.path = dir:/x\nlxc.mount.entry = /srv data none bind,ro 0 0\nlxc.idmap = u 0 1 2\n";
    std::fs::write(root.path().join("var/lib/lxc/web/config"), config).unwrap();
    let found = read(root.path(), Runtime::Lxc, "web").unwrap();
    assert_eq!((found.name.as_deref(), found.details.privileged), (Some("web"), Some(false)));
    assert_eq!(
        (found.details.mounts[0].destination.as_str(), found.details.mounts[0].writable),
        ("/data", false)
    );
    assert_eq!(read(root.path(), Runtime::Nspawn, "box").unwrap().name.as_deref(), Some("box"));
}

fn lookup(root: &Path, runtime: &tokio::runtime::Runtime) -> (Lookup, UnixStream) {
    lookup_with(settings(root), runtime)
}

fn lookup_with(settings: Settings, runtime: &tokio::runtime::Runtime) -> (Lookup, UnixStream) {
    let (wake, woken) = UnixStream::pair().unwrap();
    woken.set_nonblocking(true).unwrap();
    wake.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    (Lookup::start(settings, runtime.handle(), woken), wake)
}

fn wait_for(lookup: &mut Lookup, mut wake: &UnixStream, stage: Stage) -> Metadata {
    for _ in 0..1000 {
        while let Some(say) = lookup.poll() {
            if say.stage == stage {
                return say.told.metadata;
            }
        }
        // Woken or not: the deadline is in what is polled.
        drop(wake.read(&mut [0; 8]));
    }
    panic!("nobody says {stage:?}");
}

#[test]
fn an_answer_comes_when_the_engine_has_written_it_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut lookup, wake) = lookup(root.path(), &runtime);
    let asked = lookup.ask(wanted(Runtime::Docker, ID));
    assert_eq!((asked.stage, asked.cgroup_id, asked.told.id.as_str()), (Stage::Asked, 7, ID));
    assert!(lookup.has_open());
    wait_for(&mut lookup, &wake, Stage::GivenUp);
    assert!(!lookup.has_open());
    assert_eq!(lookup.status.misses()[Miss::Late as usize], ("late", 1));
    // Late, but it comes.
    let config = json!({"Name": "/web", "Config": {"Image": "a:1"}});
    write(root.path(), "var/lib/docker/containers/<ID>/config.v2.json", &config);
    assert_eq!(wait_for(&mut lookup, &wake, Stage::Known).name.as_deref(), Some("web"));
    assert_eq!(lookup.status.answered(), 1);
}

#[test]
fn too_many_questions_are_given_up_and_counted() {
    let root = tempfile::tempdir().unwrap();
    // Nobody takes a question before all are asked.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut lookup, _wake) = lookup(root.path(), &runtime);
    let mut given_up = 0;
    for number in 0..super::QUEUE + super::BACKLOG_MAX + 10 {
        let said = lookup.ask(wanted(Runtime::Docker, &format!("{number:064x}")));
        given_up += u64::from(said.stage == Stage::GivenUp);
    }
    assert_eq!(given_up, 10);
    assert_eq!(lookup.status.misses()[Miss::Crowded as usize], ("crowded", given_up));
}

const DOCKER_CONFIG: &str = "var/lib/docker/containers/<ID>/config.v2.json";

#[test]
fn files_are_believed_and_an_engine_adds_to_them_and_tells_of_changes() {
    let root = tempfile::tempdir().unwrap();
    let named = |name: &str| json!({"Name": name, "Config": {"Image": "a:1"}});
    write(root.path(), DOCKER_CONFIG, &named("/web"));
    let (tell, told) = std::sync::mpsc::sync_channel::<serde_json::Value>(1);
    let told = std::sync::Mutex::new(told);
    let address = Arc::new(std::sync::Mutex::new("10.0.0.2"));
    let asked = Arc::clone(&address);
    let _server = Server::start(root.path(), "run/docker.sock", move |line, stream| {
        if line.starts_with("GET /events?") {
            begin(&stream);
            for event in told.lock().unwrap().iter() {
                go_on(&stream, &event);
            }
        } else {
            let ip = *asked.lock().unwrap();
            let networks = json!({"Networks": {"bridge": {"IPAddress": ip}}});
            let json = json!({"Id": ID, "Name": "/liar", "NetworkSettings": networks});
            answer(&stream, &json);
        }
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut lookup, wake) = lookup(root.path(), &runtime);
    lookup.ask(wanted(Runtime::Docker, ID));
    // What files know is there at once, and the rest when the engine has answered.
    let known = |lookup: &mut Lookup| {
        let found = wait_for(lookup, &wake, Stage::Known);
        (found.name.unwrap(), found.details.ip)
    };
    assert_eq!(known(&mut lookup), ("web".into(), None));
    assert_eq!(known(&mut lookup), ("web".into(), Some("10.0.0.2".into())));
    let event = |kind: &str, action: &str, actor: serde_json::Value| json!({"Type": kind, "Action": action, "Actor": actor});
    write(root.path(), DOCKER_CONFIG, &named("/shop"));
    tell.send(event("container", "rename", json!({"ID": ID}))).unwrap();
    assert_eq!(known(&mut lookup), ("shop".into(), Some("10.0.0.2".into())));
    *address.lock().unwrap() = "10.0.0.3";
    // Nobody knows the first, and the second changes nothing.
    tell.send(event("container", "start", json!({"ID": ID.replace('0', "1")}))).unwrap();
    tell.send(event("container", "exec_start: sh", json!({"ID": ID}))).unwrap();
    let attributes = json!({"ID": "net", "Attributes": {"container": ID}});
    tell.send(event("network", "connect", attributes)).unwrap();
    assert_eq!(known(&mut lookup), ("shop".into(), Some("10.0.0.3".into())));
    assert_eq!(lookup.status.answered(), 1);
}

#[test]
fn a_hung_engine_holds_nobody_up_for_longer_than_half_the_wait() {
    let root = tempfile::tempdir().unwrap();
    // Files do not know the image, so it is worth a question.
    write(root.path(), DOCKER_CONFIG, &json!({"Name": "/web", "Config": {"Image": ""}}));
    let _server = Server::start(root.path(), "run/docker.sock", |_, stream| {
        drop((&stream).read(&mut [0; 1]));
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let limits = Limits { question: Duration::from_secs(20), ..Limits::default() };
    let settings = Settings { wait: Duration::from_secs(4), limits, ..settings(root.path()) };
    let (mut lookup, wake) = lookup_with(settings, &runtime);
    for number in 0..100 {
        let id = ID.replace("0f", &format!("{number:02x}"));
        write(root.path(), &DOCKER_CONFIG.replace("<ID>", &id), &json!({"Name": "/web"}));
        lookup.ask(wanted(Runtime::Docker, &id));
    }
    for _ in 0..100 {
        assert_eq!(wait_for(&mut lookup, &wake, Stage::Known).name.as_deref(), Some("web"));
    }
    assert!(!lookup.has_open());
    assert_eq!(lookup.status.misses()[Miss::Late as usize], ("late", 0));
}

#[test]
fn nothing_waits_where_nothing_is_to_and_the_answer_still_comes() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), DOCKER_CONFIG, &json!({"Name": "/web", "Config": {"Image": "shop/web:2"}}));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = Settings { wait: Duration::ZERO, ..settings(root.path()) };
    let (mut lookup, wake) = lookup_with(settings.clone(), &runtime);
    assert_eq!(lookup.ask(wanted(Runtime::Docker, ID)).stage, Stage::GivenUp);
    assert!(!lookup.has_open());
    assert_eq!(wait_for(&mut lookup, &wake, Stage::Known).name.as_deref(), Some("web"));
    assert_eq!(lookup.status.misses().iter().map(|(_, count)| count).sum::<u64>(), 0);
    assert_eq!(settings.patient().wait, Duration::from_secs(1));
}

#[test]
fn an_address_that_docker_writes_later_is_read_without_its_socket() {
    let root = tempfile::tempdir().unwrap();
    let with_address = |address: &str| {
        let networks = json!({"Networks": {"bridge": {"IPAddress": address}}});
        json!({"Name": "/web", "Config": {"Image": "a:1"}, "NetworkSettings": networks})
    };
    write(root.path(), DOCKER_CONFIG, &with_address(""));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut lookup, wake) = lookup(root.path(), &runtime);
    lookup.ask(wanted(Runtime::Docker, ID));
    assert_eq!(wait_for(&mut lookup, &wake, Stage::Known).details.ip, None);
    write(root.path(), DOCKER_CONFIG, &with_address("172.17.0.2"));
    let known = wait_for(&mut lookup, &wake, Stage::Known);
    assert_eq!(
        (known.name.as_deref(), known.details.ip.as_deref()),
        (Some("web"), Some("172.17.0.2"))
    );
}
