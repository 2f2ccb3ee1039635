//! What the API of Docker says, which Podman serves as well: inspections by id, and events as they
//! come.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::{EventsOptionsBuilder, InspectContainerOptions};
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::attribution::Runtime;
use crate::attribution::metadata::{Details, Image, Metadata, Mount, Visibility};
use crate::metadata::connect::{self, Allowance};
use crate::metadata::docker::{command, of_kubelet};
use crate::metadata::socket::{Failure, Kind, Socket};
use crate::metadata::time_ns;

/// Of a request that lasts; the first answer of it has to come in the usual time all the same.
const SECONDS: u64 = 3600;

/// What is called like that changes something about a container that is known.
const CHANGES: [&str; 4] = ["start", "rename", "update", "restart"];
const NETWORK_CHANGES: [&str; 2] = ["connect", "disconnect"];

/// `opened` is told when an answer begins, which has to be in the time of a question.
fn client(
    socket: &Arc<Socket>,
    allowance: Allowance,
    opened: Option<Arc<Notify>>,
) -> Result<Docker, Error> {
    let asked = Arc::clone(socket);
    let transport = move |request: BollardRequest| {
        let (socket, opened, allowance) = (Arc::clone(&asked), opened.clone(), allowance.clone());
        async move {
            let answer = connect::request(&socket.path, allowance, request);
            let answer = timeout(socket.limits.question, answer).await;
            let answer = answer.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
            if let Some(opened) = opened {
                opened.notify_one();
            }
            Ok(answer)
        }
    };
    // Its requests do not name a version of the API, so every server answers in its own newest.
    Docker::connect_with_custom_transport(
        transport,
        Some("unix://localhost"),
        SECONDS,
        API_DEFAULT_VERSION,
    )
}

/// What a daemon says about a container.
pub(super) async fn inspect(socket: &Arc<Socket>, id: &str) -> Result<Option<Metadata>, Failure> {
    let docker = client(socket, socket.allowance(), None).map_err(failure)?;
    let inspected = docker.inspect_container(id, None::<InspectContainerOptions>).await;
    let container = match inspected {
        Ok(container) => container,
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
        Err(error) => return Err(failure(error)),
    };
    let answered = container.id.clone().unwrap_or_default();
    if answered != id {
        return Err(Failure::Lie { asked: id.to_owned(), answered });
    }
    let image = container.image.clone().unwrap_or_default();
    let mut metadata = metadata(container, socket.kind);
    if let Some(known) = &mut metadata.image
        && known.digest.is_none()
        && !image.is_empty()
    {
        // An image that is gone by now has none, and neither has one that was built here.
        let image = docker.inspect_image(&image).await.unwrap_or_default();
        known.digest = digest(&image.repo_digests.unwrap_or_default(), &known.repository);
    }
    Ok(Some(metadata))
}

/// The digest under which an image was pulled, from this repository if it came from several.
fn digest(references: &[String], repository: &str) -> Option<String> {
    let mut known = references.iter().filter_map(|reference| reference.split_once('@'));
    // Repositories are named in full here and shortened there: `docker.io/library/nginx`, `nginx`.
    let is_same = |(name, _): &(&str, &str)| name.ends_with(repository);
    let found = known.clone().find(is_same).or_else(|| known.next());
    found.map(|(_, digest)| digest.to_owned())
}

fn metadata(container: ContainerInspectResponse, kind: Kind) -> Metadata {
    let config = container.config.unwrap_or_default();
    let host = container.host_config.unwrap_or_default();
    let state = container.state.unwrap_or_default();
    let networks = container.network_settings.unwrap_or_default().networks.unwrap_or_default();
    // By name, so that of several networks it is always the same.
    let networks: BTreeMap<_, _> = networks.into_iter().collect();
    let mut addresses = networks.into_values().filter_map(|network| network.ip_address);
    let labels: BTreeMap<_, _> = config.labels.unwrap_or_default().into_iter().collect();
    let (pod, pod_container) = of_kubelet(&labels);
    let name = container.name.unwrap_or_default();
    let visibility = Visibility::of_runtime(&host.runtime.unwrap_or_default());
    let image = Image::parse(&config.image.unwrap_or_default());
    let started = state.started_at.as_deref().and_then(time_ns);
    let is_host = |mode: Option<String>| mode.map(|mode| mode == "host");
    let runtime = if kind == Kind::Podman { Runtime::Podman } else { Runtime::Docker };
    Metadata {
        runtime: Some(runtime),
        name: pod_container.or(Some(name.trim_start_matches('/').to_owned())),
        image: Some(image.with_id(&container.image.unwrap_or_default())),
        pod,
        details: Details {
            labels,
            mounts: container.mounts.unwrap_or_default().into_iter().map(mount).collect(),
            privileged: host.privileged,
            host_pid: is_host(host.pid_mode),
            host_network: is_host(host.network_mode),
            host_ipc: is_host(host.ipc_mode),
            user: config.user.filter(|user| !user.is_empty()),
            ip: addresses.find(|address| !address.is_empty()),
            started_ns: started.or_else(|| container.created.as_deref().and_then(time_ns)),
            healthcheck: config.healthcheck.and_then(|check| command(&check.test?)),
            visibility: (visibility != Visibility::Full).then_some(visibility),
            sources: vec![format!("{}-socket", kind.name())],
            ..Details::default()
        },
    }
}

fn mount(point: bollard::models::MountPoint) -> Mount {
    Mount {
        source: point.source.or(point.name).unwrap_or_default(),
        destination: point.destination.unwrap_or_default(),
        mode: point.mode.unwrap_or_default(),
        writable: point.rw.unwrap_or_default(),
        propagation: point.propagation.unwrap_or_default(),
    }
}

/// The ids of containers about which something has changed, as the daemon tells of them. It ends
/// with an error, or after so many bytes; then it is to be asked for anew. `opened` is told when
/// the daemon has begun to tell.
pub(super) fn changes(
    socket: &Arc<Socket>,
    opened: &Arc<Notify>,
) -> Result<impl Stream<Item = Result<Option<String>, Failure>> + use<>, Failure> {
    let spent = Arc::new(AtomicBool::new(false));
    let allowance =
        Allowance { bytes: socket.limits.events_bytes, time: None, spent: Arc::clone(&spent) };
    let docker = client(socket, allowance, Some(Arc::clone(opened))).map_err(failure)?;
    let actions = CHANGES.iter().chain(&NETWORK_CHANGES).map(|name| (*name).to_owned());
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned(), "network".to_owned()]),
        ("event".to_owned(), actions.collect()),
    ]);
    let options = EventsOptionsBuilder::new().filters(&filters).build();
    let events = docker.events(Some(options));
    let failure = move |error| match error {
        _ if spent.load(Ordering::Relaxed) => Failure::TooLong,
        // Of an error of the connection it keeps the text alone.
        Error::IOError { err } if err.kind() == io::ErrorKind::Other => Failure::Cut,
        error => failure(error),
    };
    Ok(events.map(move |event| event.map(changed).map_err(&failure)))
}

/// The container that an event is about, if it changes what is known of it.
fn changed(event: EventMessage) -> Option<String> {
    let action = event.action?;
    let actor = event.actor?;
    match event.typ? {
        EventMessageTypeEnum::CONTAINER if CHANGES.contains(&&*action) => actor.id,
        EventMessageTypeEnum::NETWORK if NETWORK_CHANGES.contains(&&*action) => {
            actor.attributes?.remove("container")
        }
        _ => None,
    }
}

fn failure(error: Error) -> Failure {
    // Its own sources leave out what these two hold.
    let cause: &(dyn std::error::Error + 'static) = match &error {
        Error::IOError { err } => err,
        Error::HyperResponseError { err } => err,
        error => error,
    };
    if connect::is_too_long(cause) {
        return Failure::TooLong;
    }
    if connect::is_cut(cause) {
        return Failure::Cut;
    }
    match error {
        Error::IOError { err } if err.kind() == io::ErrorKind::TimedOut => Failure::Late,
        Error::IOError { err } if err.get_ref().is_none() => Failure::of_connect(err),
        Error::DockerResponseServerError { status_code, .. } => {
            Failure::Refused(format!("status {status_code}"))
        }
        error => Failure::Malformed(error.to_string()),
    }
}
