use super::{containerd, cri};
use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::{Command, Metadata};
use crate::metadata::host::Host;
use crate::metadata::places::Places;
use crate::metadata::socket::Limits;
use crate::metadata::sockets::Sockets;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::Path;
use tokio::net::UnixListener;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const SANDBOX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

type Reply = Response<Body>;

/// One method of a service.
struct Method<F>(F);

impl<Q, A, F> UnaryService<Q> for Method<F>
where
    F: Fn(tonic::Request<Q>) -> Result<A, Status>,
{
    type Response = A;
    type Future = Ready<Result<tonic::Response<A>, Status>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        ready((self.0)(request).map(tonic::Response::new))
    }
}

async fn method<Q, A>(
    request: Request<Incoming>,
    answer: impl Fn(tonic::Request<Q>) -> Result<A, Status>,
) -> Reply
where
    Q: Message + Default + 'static,
    A: Message + 'static,
{
    Grpc::new(ProstCodec::<A, Q>::default()).unary(Method(answer), request).await
}

/// A server that speaks the protocol itself, on a socket below `root`.
fn serve<F>(root: &Path, path: &str, handle: fn(Request<Incoming>) -> F)
where
    F: Future<Output = Reply> + Send + 'static,
{
    let path = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service =
                service_fn(
                    move |request| async move { Ok::<_, Infallible>(handle(request).await) },
                );
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // Who asked hangs up when it has its answers.
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
}

fn unimplemented() -> Reply {
    Status::new(Code::Unimplemented, "no such service").into_http()
}

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A pod `checkout` of namespace `shop` with one container `app`.
async fn cri_endpoint(request: Request<Incoming>) -> Reply {
    match request.uri().path() {
        cri::LIST_CONTAINERS => method(request, |request| Ok(list(request.into_inner()))).await,
        cri::CONTAINER_STATUS => method(request, |request| status(&request.into_inner())).await,
        cri::SANDBOX_STATUS => method(request, |request| sandbox(&request.into_inner())).await,
        _ => unimplemented(),
    }
}

fn list(request: cri::ListContainersRequest) -> cri::ListContainersResponse {
    let id = request.filter.unwrap().id;
    let container = cri::Container { id: id.clone(), pod_sandbox_id: SANDBOX.into() };
    cri::ListContainersResponse {
        containers: (id == ID).then_some(container).into_iter().collect(),
    }
}

fn status(request: &cri::ContainerStatusRequest) -> Result<cri::ContainerStatusResponse, Status> {
    if request.container_id != ID {
        return Err(Status::not_found("no such container"));
    }
    let status = cri::ContainerStatus {
        id: ID.into(),
        metadata: Some(cri::ContainerMetadata { name: "app".into() }),
        started_at: 7,
        image: Some(cri::ImageSpec { image: "docker.io/shop/app:3".into() }),
        image_ref: "docker.io/shop/app@sha256:cc".into(),
        labels: map(&[("io.kubernetes.container.name", "app")]),
        mounts: vec![cri::ContainerMount {
            container_path: "/etc/hosts".into(),
            host_path: "/var/lib/kubelet/pods/u/etc-hosts".into(),
            readonly: true,
            propagation: 1,
        }],
    };
    Ok(cri::ContainerStatusResponse { status: Some(status) })
}

fn sandbox(
    request: &cri::PodSandboxStatusRequest,
) -> Result<cri::PodSandboxStatusResponse, Status> {
    if request.pod_sandbox_id != SANDBOX {
        return Err(Status::not_found("no such sandbox"));
    }
    let applied = json!({"spec": {"containers": [
        {"name": "other", "livenessProbe": {"exec": {"command": ["false"]}}},
        {"name": "app", "livenessProbe": {"exec": {"command": ["pg_isready", "-q"]}},
         "readinessProbe": {"httpGet": {"path": "/"}}},
    ]}});
    let options = cri::NamespaceOption { network: 0, pid: 1, ipc: 2 };
    let namespaces = Some(cri::Namespace { options: Some(options) });
    let status = cri::PodSandboxStatus {
        id: SANDBOX.into(),
        metadata: Some(cri::PodSandboxMetadata {
            name: "checkout".into(),
            uid: "u-1".into(),
            namespace: "shop".into(),
        }),
        network: Some(cri::PodSandboxNetworkStatus { ip: "10.1.0.9".into() }),
        linux: Some(cri::LinuxPodSandboxStatus { namespaces }),
        labels: map(&[("app", "checkout"), ("io.kubernetes.pod.uid", "u-1")]),
        annotations: map(&[(crate::metadata::pod::APPLIED, &applied.to_string())]),
    };
    let info = r#"{"cniResult":{"Interfaces":{"eth0":{}}},"config":{"envs":["A=secret"]}}"#;
    Ok(cri::PodSandboxStatusResponse { status: Some(status), info: map(&[("info", info)]) })
}

/// A container `c1` of containerd's namespace `default`; nothing is known of CRI.
async fn containerd_endpoint(request: Request<Incoming>) -> Reply {
    match request.uri().path() {
        containerd::LIST_NAMESPACES => {
            method(request, |_: tonic::Request<containerd::ListNamespacesRequest>| {
                let namespaces = ["moby", "buildkit", "default"]
                    .map(|name| containerd::Namespace { name: name.into() });
                Ok(containerd::ListNamespacesResponse { namespaces: namespaces.to_vec() })
            })
            .await
        }
        containerd::GET_CONTAINER => method(request, container).await,
        containerd::GET_IMAGE => {
            method(request, |request: tonic::Request<containerd::GetRequest>| {
                assert_eq!(request.into_inner().name, "docker.io/shop/app:3");
                let target = Some(containerd::Descriptor { digest: "sha256:dd".into() });
                let image = Some(containerd::StoredImage { target });
                Ok(containerd::GetImageResponse { image })
            })
            .await
        }
        _ => unimplemented(),
    }
}

fn container(
    request: tonic::Request<containerd::GetRequest>,
) -> Result<containerd::GetContainerResponse, Status> {
    let namespace = request.metadata().get("containerd-namespace").cloned().unwrap();
    let id = request.into_inner().name;
    if namespace != "default" || !(id == "c1" || id == "c2") {
        return Err(Status::not_found("no such container"));
    }
    let spec = json!({
        "process": {"user": {"uid": 5, "gid": 6}, "env": ["A=secret"]},
        "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}]},
    });
    let container = containerd::Container {
        // It lies about the second.
        id: "c1".into(),
        labels: map(&[("team", "x")]),
        image: "docker.io/shop/app:3".into(),
        runtime: Some(containerd::ContainerRuntime { name: "io.containerd.runsc.v1".into() }),
        spec: Some(containerd::Any { value: spec.to_string().into_bytes() }),
        created_at: Some(containerd::Timestamp { seconds: 7, nanos: 8 }),
    };
    Ok(containerd::GetContainerResponse { container: Some(container) })
}

async fn ask(root: &Path, runtime: Runtime, id: &str) -> (Option<Metadata>, String) {
    let sockets = Sockets::new(&Host::below(root), &Places::usual(), Limits::default(), None);
    let wanted = Wanted {
        cgroup_id: 7,
        cgroup_path: format!("/kubepods/burstable/podu-1/{id}"),
        container_id: id.to_owned(),
        runtime,
        bundle: None,
    };
    let found = sockets.find(&wanted, runtime).await;
    let failures = sockets.report().into_iter().flat_map(|report| report.failures);
    let failed: Vec<_> =
        failures.filter(|(_, count)| *count > 0).map(|(reason, _)| reason).collect();
    (found.metadata, failed.join(", "))
}

#[tokio::test]
async fn cri_o_is_asked_for_pod_and_container() {
    let root = tempfile::tempdir().unwrap();
    serve(root.path(), "/run/crio/crio.sock", cri_endpoint);
    let (found, failed) = ask(root.path(), Runtime::Crio, ID).await;
    let found = found.unwrap_or_else(|| panic!("{failed}"));
    assert!(!format!("{found:?}").contains("secret"));
    assert_eq!((found.runtime, found.name.as_deref()), (Some(Runtime::Crio), Some("app")));
    let image = found.image.unwrap();
    assert_eq!(
        (image.reference().as_str(), image.digest.as_deref()),
        ("docker.io/shop/app:3", Some("sha256:cc"))
    );
    let pod = found.pod.unwrap();
    assert_eq!(
        (pod.uid.as_str(), pod.name.as_deref(), pod.namespace.as_deref()),
        ("u-1", Some("checkout"), Some("shop"))
    );
    assert_eq!((pod.sandbox_id.as_deref(), pod.ip.as_deref()), (Some(SANDBOX), Some("10.1.0.9")));
    // Those that people gave it.
    assert_eq!(pod.labels.into_iter().collect::<Vec<_>>(), [("app".into(), "checkout".into())]);
    assert_eq!(pod.cni.as_deref(), Some(r#"{"Interfaces":{"eth0":{}}}"#));
    let details = found.details;
    let alive = Command(vec!["pg_isready".into(), "-q".into()]);
    assert_eq!((details.liveness_probe, details.readiness_probe), (Some(alive), None));
    assert_eq!(
        (details.host_network, details.host_pid, details.host_ipc),
        (Some(false), Some(false), Some(true))
    );
    assert_eq!((details.started_ns, details.mounts[0].writable), (Some(7), false));
    assert_eq!(details.mounts[0].propagation, "rslave");
}

#[tokio::test]
async fn a_sandbox_is_the_container_of_its_pod() {
    let root = tempfile::tempdir().unwrap();
    serve(root.path(), "/run/containerd/containerd.sock", cri_endpoint);
    let (found, failed) = ask(root.path(), Runtime::Containerd, SANDBOX).await;
    let found = found.unwrap_or_else(|| panic!("{failed}"));
    assert_eq!((found.runtime, found.name.as_deref()), (Some(Runtime::Containerd), Some("POD")));
    assert_eq!(found.pod.unwrap().name.as_deref(), Some("checkout"));
    let (found, failed) = ask(root.path(), Runtime::Containerd, &ID.replace('0', "1")).await;
    assert!(found.is_none() && failed.is_empty(), "{failed}");
}

#[tokio::test]
async fn containerd_is_asked_in_each_namespace_but_dockers() {
    let root = tempfile::tempdir().unwrap();
    serve(root.path(), "/run/containerd/containerd.sock", containerd_endpoint);
    let (found, failed) = ask(root.path(), Runtime::Containerd, "c1").await;
    let found = found.unwrap_or_else(|| panic!("{failed}"));
    assert!(!format!("{found:?}").contains("secret"));
    let image = found.image.unwrap();
    assert_eq!(
        (found.name.as_deref(), image.reference().as_str(), image.digest.as_deref()),
        (Some("c1"), "docker.io/shop/app:3", Some("sha256:dd"))
    );
    let details = found.details;
    assert_eq!(
        (details.labels["team"].as_str(), details.labels["containerd.namespace"].as_str()),
        ("x", "default")
    );
    assert_eq!((details.user.as_deref(), details.host_network), (Some("5:6"), Some(false)));
    assert_eq!(
        (details.started_ns, details.visibility.unwrap().name()),
        (Some(7_000_000_008), "sandbox")
    );
    // An answer about another is none.
    let (found, failed) = ask(root.path(), Runtime::Containerd, "c2").await;
    assert_eq!((found.is_none(), failed.as_str()), (true, "lie"));
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_before_it_is_read() {
    async fn endpoint(request: Request<Incoming>) -> Response<Body> {
        method(request, |_: tonic::Request<cri::ListContainersRequest>| {
            let container =
                cri::Container { id: "x".repeat(5 << 20), pod_sandbox_id: String::new() };
            Ok(cri::ListContainersResponse { containers: vec![container] })
        })
        .await
    }
    let root = tempfile::tempdir().unwrap();
    serve(root.path(), "/run/crio/crio.sock", endpoint);
    let (found, failed) = ask(root.path(), Runtime::Crio, ID).await;
    assert_eq!((found.is_none(), failed.as_str()), (true, "too_long"));
}
