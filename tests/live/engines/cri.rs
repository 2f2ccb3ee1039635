//! A pod of Kubernetes without Kubernetes: containerd does what a kubelet asks of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::place::{Container, Daemon, IMAGE, MAIN, PLUGINS, Place, USER, command, run};
use super::{Engine, SECRET, containerd};

pub(super) const CRI: Engine = Engine {
    name: "cri",
    programs: &["containerd", "ctr", "runc", "curl"],
    sources: &[("containerd-state", "containerd/state")],
    start: |place| start(place, Pod::OfHost),
    known,
    probes: &[],
    address: None,
};

const PAUSE_IMAGE: &str = "localhost/pause:1";
const POD_UID: &str = "c2e1a3a4-5b6c-4d7e-8f90-a1b2c3d4e5f6";
const POD_NAME: &str = "checkout";
const NAMESPACE: &str = "shop";
const CONTAINER: &str = "app";
/// What `kubectl apply` leaves of what it was given.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const LIVENESS: [&str; 2] = ["/bin/true", "alive"];
const READINESS: [&str; 2] = ["/bin/true", "ready"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pod {
    /// In the host's network.
    OfHost,
    /// Privileged, and in a network of its own.
    Privileged,
}

/// No scores that only a process with `CAP_SYS_RESOURCE` may set.
const PLUGIN: &str = r#"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
"#;

pub(super) fn start(place: &Place, kind: Pod) -> Container {
    let mut daemons = Vec::new();
    if kind == Pod::Privileged {
        daemons.push(Daemon::network(place));
    }
    let networks = format!(
        "[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"{PLUGINS}\"\nconf_dir = \"{}\"\n",
        place.bridge()
    );
    let plugin = format!("{PLUGIN}{networks}");
    let (daemon, socket) = containerd::daemon(place, &plugin, daemons.first());
    daemons.push(daemon);
    let pause: &[&str] = &["/bin/busybox", "sleep", "1000"];
    for (image, command) in [(PAUSE_IMAGE, pause), (IMAGE, &[MAIN])] {
        let archive = place.image(image, command);
        run(&mut containerd::ctr(&socket, "k8s.io", &["image", "import", &archive]));
    }
    let kubelet = Kubelet { socket, directory: place.directory("kubelet") };
    let pod = pod(place, kind);
    let mut request = Message::default();
    let sandbox = id(&kubelet.call("RunPodSandbox", request.message(1, &pod)));
    let mut request = Message::default();
    request.text(1, &sandbox).message(2, &app(place, kind)).message(3, &pod);
    let container = id(&kubelet.call("CreateContainer", &request));
    kubelet.call("StartContainer", Message::default().text(1, &container));
    // As the kubelet does it.
    for words in [LIVENESS, READINESS] {
        let mut probe = Message::default();
        probe.text(1, &container);
        for word in words {
            probe.text(2, word);
        }
        kubelet.call("ExecSync", &probe);
    }
    let remove = ["StopPodSandbox", "RemovePodSandbox"]
        .map(|method| kubelet.command(method, Message::default().text(1, &sandbox)));
    Container { id: container, remove: remove.into(), daemons }
}

/// A `PodSandboxConfig`.
fn pod(place: &Place, kind: Pod) -> Message {
    const NODE: u8 = 2;
    let mut metadata = Message::default();
    metadata.text(1, POD_NAME).text(2, POD_UID).text(3, NAMESPACE);
    let mut namespaces = Message::default();
    let mut security = Message::default();
    match kind {
        Pod::OfHost => security.message(1, namespaces.number(1, NODE)),
        Pod::Privileged => security.message(1, &namespaces).number(6, 1),
    };
    let mut linux = Message::default();
    let parent = place.parent(&format!("kubepods/burstable/pod{POD_UID}"));
    linux.text(1, &parent).message(2, &security);
    let mut pod = Message::default();
    pod.message(1, &metadata).text(3, &place.directory("kubelet/logs"));
    let probe = |words: [&str; 2]| json!({ "exec": { "command": words } });
    let probed = json!({
        "name": CONTAINER,
        "livenessProbe": probe(LIVENESS),
        "readinessProbe": probe(READINESS),
    });
    let applied = json!({ "spec": { "containers": [probed] } }).to_string();
    pod.entry(6, "app", "shop").entry(7, APPLIED, &applied).message(8, &linux);
    pod
}

/// A `ContainerConfig`.
fn app(place: &Place, kind: Pod) -> Message {
    let mut metadata = Message::default();
    metadata.text(1, CONTAINER);
    let mut image = Message::default();
    image.text(1, IMAGE);
    let mut token = Message::default();
    token.text(1, "TOKEN").text(2, SECRET);
    let mut data = Message::default();
    data.text(1, "/data").text(2, &place.path("data")).number(3, 1);
    let mut app = Message::default();
    app.message(1, &metadata).message(2, &image).message(6, &token).message(7, &data);
    app.entry(9, "team", "x").text(11, "app.log");
    if kind == Pod::Privileged {
        let (mut linux, mut security) = (Message::default(), Message::default());
        app.message(15, linux.message(2, security.number(2, 1)));
    }
    app
}

fn known(_: &Place, container: &Container) -> Value {
    json!({
        "container.full_id": container.id,
        "container.type": "containerd",
        "container.name": CONTAINER,
        "container.image": IMAGE,
        "container.image.repository": "localhost/shop",
        "container.image.tag": "2",
        "container.privileged": false,
        "container.user": USER,
        "container.host_network": true,
        "k8s.pod.uid": POD_UID,
        "k8s.pod.name": POD_NAME,
        "k8s.ns.name": NAMESPACE,
    })
}

/// Calls methods of `runtime.v1.RuntimeService`, each by a curl.
struct Kubelet {
    socket: String,
    directory: String,
}

impl Kubelet {
    fn command(&self, method: &str, request: &Message) -> Command {
        let path = Path::new(&self.directory).join(method);
        fs::write(&path, request.framed()).unwrap();
        let body = format!("@{}", path.display());
        let url = format!("http://localhost/runtime.v1.RuntimeService/{method}");
        command(&[
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--http2-prior-knowledge",
            "--unix-socket",
            &self.socket,
            "--header",
            "content-type: application/grpc",
            "--header",
            "te: trailers",
            "--data-binary",
            &body,
            "--dump-header",
            &format!("{}/{method}.status", self.directory),
            &url,
        ])
    }

    /// The answer's first field, which is a text where one is looked at.
    fn call(&self, method: &str, request: &Message) -> Vec<u8> {
        let output = self.command(method, request).output().unwrap();
        let status = fs::read_to_string(format!("{}/{method}.status", self.directory));
        let status = status.unwrap_or_default();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(status.contains("grpc-status: 0"), "{method}: {status}{message}");
        output.stdout
    }
}

/// The id that an answer consists of: a frame's head of five bytes, a tag, a length, and the id.
fn id(answer: &[u8]) -> String {
    const HEAD: usize = 7;
    let id = answer.get(HEAD..).unwrap_or_default();
    let id = String::from_utf8(id.to_vec()).expect("an id is text");
    assert!(sensor::attribution::runtime::is_full_id(&id), "{id}");
    id
}

/// A message of protocol buffers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn bytes(&mut self, field: u8, bytes: &[u8]) -> &mut Self {
        const LENGTH_DELIMITED: u8 = 2;
        self.0.push(field << 3 | LENGTH_DELIMITED);
        let mut length = bytes.len();
        while length > 0x7f {
            self.0.push(0x80 | u8::try_from(length & 0x7f).expect("seven bits"));
            length >>= 7;
        }
        self.0.push(u8::try_from(length).expect("seven bits"));
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, field: u8, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(&mut self, field: u8, message: &Self) -> &mut Self {
        self.bytes(field, &message.0)
    }

    /// One of a map.
    fn entry(&mut self, field: u8, key: &str, value: &str) -> &mut Self {
        let mut entry = Self::default();
        entry.text(1, key).text(2, value);
        self.message(field, &entry)
    }

    /// A small one: less than a byte's worth of variable length.
    fn number(&mut self, field: u8, number: u8) -> &mut Self {
        self.0.extend([field << 3, number]);
        self
    }

    /// As gRPC sends it: not compressed, and how long it is.
    fn framed(&self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("it is short").to_be_bytes();
        [&[0], length.as_slice(), &self.0].concat()
    }
}
