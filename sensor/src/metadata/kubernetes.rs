//! The pods of this node as the API server has them: listed once, then watched.

mod server;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt as _};
use kube::api::{Api, ListParams, ObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event, watcher};
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::metadata::asked::{Change, pod_in};
use crate::metadata::kubernetes::server::{GONE, client};
use crate::metadata::pod::PodSpec;
use crate::metadata::socket::{Failure, Kind, Limits, Socket};
use crate::metadata::watch::until_open;

/// Pods of a node that are remembered. The kubelet runs 110 unless it is told otherwise.
const PODS_MAX: usize = 1024;
/// Pods on one page of the list, and pages of a list.
const PAGE: u32 = 100;
const PAGES_MAX: usize = 64;

/// Among those who told of a container.
const SOURCE: &str = "kubernetes-api";

/// Where Kubernetes puts what a pod needs for the API.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The kubelet's own name for a pod that it has from a file, under which its cgroup is called.
const OF_FILE: &str = "kubernetes.io/config.hash";

/// How to get to an API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub api: Url,
    pub token_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    /// As Kubernetes calls this node.
    pub node: String,
}

impl Access {
    /// That of a pod which has a service account.
    pub fn of_pod(node: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let account = PathBuf::from(ACCOUNT);
        let (token, ca) = (account.join("token"), account.join("ca.crt"));
        let api = Url::parse(&format!("https://{host}:{port}")).ok().filter(|_| token.exists())?;
        Some(Self { api, token_file: Some(token), ca_file: Some(ca), node: node.to_owned() })
    }
}

/// A `Pod`, with what is read of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: ObjectMeta,
    spec: PodSpec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(rename = "podIP")]
    pod_ip: String,
}

impl kube::Resource for Object {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What is kept of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
    ip: String,
    spec: PodSpec,
}

/// The pods of this node.
#[derive(Debug)]
pub(super) struct Pods {
    access: Access,
    /// Not a socket, but asked and left alone like one.
    pub(super) server: Arc<Socket>,
    // The watch writes when a pod changes, look-ups read one entry.
    known: Mutex<HashMap<String, Arc<Known>>>,
    /// How often a pod was left out because there were too many.
    left_out: AtomicU64,
}

impl Pods {
    pub(super) fn new(access: Access, limits: Limits) -> Self {
        let name = access.api.as_str().trim_end_matches('/').to_owned();
        let server = Arc::new(Socket::new(Kind::Kubernetes, name, PathBuf::new(), limits));
        Self { access, server, known: Mutex::default(), left_out: AtomicU64::new(0) }
    }

    /// Adds what is known of a container's pod. Of labels the API server knows the newest; for the
    /// rest whoever runs the pod is believed.
    pub(super) fn fill(&self, metadata: &mut Metadata, wanted: &Wanted) {
        let uid = match &metadata.pod {
            Some(pod) if !pod.uid.is_empty() => pod.uid.clone(),
            _ => pod_in(&wanted.cgroup_path).unwrap_or_default(),
        };
        let Some(known) = self.get(&uid) else { return };
        let container =
            known.spec.containers.iter().find(|spec| Some(&spec.name) == metadata.name.as_ref());
        if let Some(container) = container {
            container.probes(&mut metadata.details);
        }
        let pod = metadata.pod.get_or_insert_default();
        pod.uid = uid;
        pod.name.get_or_insert_with(|| known.name.clone());
        pod.namespace.get_or_insert_with(|| known.namespace.clone());
        pod.labels.clone_from(&known.labels);
        let details = &mut metadata.details;
        if !known.ip.is_empty() {
            pod.ip.get_or_insert_with(|| known.ip.clone());
            details.ip.get_or_insert_with(|| known.ip.clone());
        }
        details.host_network.get_or_insert(known.spec.host_network);
        if !details.sources.iter().any(|source| source == SOURCE) {
            details.sources.push(SOURCE.to_owned());
        }
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Follows the node's pods until nobody listens any more.
    pub(super) async fn follow(self: Arc<Self>, changes: mpsc::Sender<Change>) {
        let api = match client(&self.access, &self.server).await {
            Ok(client) => Api::all(client),
            Err(error) => {
                tracing::warn!("the Kubernetes API is not asked: {error:#}");
                return;
            }
        };
        tokio::select! {
            () = self.follow_with(&api, &changes) => {}
            () = changes.closed() => {}
        }
    }

    /// What fails is listed anew.
    async fn follow_with(&self, api: &Api<Object>, changes: &mpsc::Sender<Change>) {
        let config = watcher::Config::default().fields(&self.selector()).page_size(PAGE);
        loop {
            until_open(&self.server).await;
            let events = pin!(watcher(api.clone(), config.clone()));
            match self.take(events, changes).await {
                // The server has forgotten that version, as it may.
                Failure::Refused(why) if why == GONE => sleep(self.server.limits.first_pause).await,
                failure => drop(self.server.settle::<()>(Err(failure))),
            }
        }
    }

    /// Takes in what is told, up to the failure.
    async fn take(
        &self,
        mut events: Pin<&mut impl Stream<Item = watcher::Result<Event<Object>>>>,
        changes: &mpsc::Sender<Change>,
    ) -> Failure {
        let mut listed = HashMap::new();
        while let Some(event) = events.next().await {
            let news = match event {
                Ok(Event::Init) => Vec::new(),
                Ok(Event::InitApply(object)) => {
                    // More is only counted.
                    if listed.len() <= PODS_MAX {
                        listed.extend(object.known());
                    } else {
                        self.left_out.fetch_add(1, Ordering::Relaxed);
                    }
                    Vec::new()
                }
                Ok(Event::InitDone) => {
                    self.server.settle(Ok(Some(())));
                    self.replace(std::mem::take(&mut listed))
                }
                Ok(Event::Apply(object)) => {
                    let is_news =
                        |(uid, known): (String, Known)| self.set(&uid, Some(known)).then_some(uid);
                    object.known().filter_map(is_news).collect()
                }
                Ok(Event::Delete(object)) => {
                    for (uid, _) in object.known() {
                        self.set(&uid, None);
                    }
                    Vec::new()
                }
                Err(error) => return failure_of(error),
            };
            for uid in news {
                // Nobody is there any more when the sensor stops.
                changes.send(Change::Pod(uid)).await.ok();
            }
        }
        Failure::Cut
    }

    fn selector(&self) -> String {
        format!("spec.nodeName={}", self.access.node)
    }

    /// Asks for the first page, to see whether the server answers.
    pub(super) async fn examine(&self) {
        let page = ListParams::default().fields(&self.selector()).limit(PAGE);
        let listed = match client(&self.access, &self.server).await {
            Ok(client) => Api::<Object>::all(client).list(&page).await.map_err(failure),
            Err(error) => Err(Failure::Refused(format!("{error:#}"))),
        };
        self.server.settle(listed.map(|_| Some(())));
    }

    fn get(&self, uid: &str) -> Option<Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(uid).map(Arc::clone)
    }

    /// Whether that is news.
    fn set(&self, uid: &str, pod: Option<Known>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pod) = pod else { return known.remove(uid).is_some() };
        let is_known = known.contains_key(uid);
        if known.len() >= PODS_MAX && !is_known {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let before = known.insert(uid.to_owned(), Arc::new(pod));
        before.as_ref() != known.get(uid)
    }

    /// Those of which something is news.
    fn replace(&self, all: HashMap<String, Known>) -> Vec<String> {
        let left_out = all.len().saturating_sub(PODS_MAX) as u64;
        self.left_out.fetch_add(left_out, Ordering::Relaxed);
        let all: HashMap<_, _> =
            all.into_iter().take(PODS_MAX).map(|(uid, pod)| (uid, Arc::new(pod))).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = |(uid, pod): &(&String, &Arc<Known>)| known.get(*uid) != Some(*pod);
        let changed = all.iter().filter(is_news).map(|(uid, _)| uid.clone()).collect();
        *known = all;
        changed
    }
}

impl Object {
    /// By its uid, and by the name that the kubelet has for one from a file.
    fn known(self) -> impl Iterator<Item = (String, Known)> {
        let ObjectMeta { name, namespace, uid, labels, annotations, .. } = self.metadata;
        let of_file = annotations.and_then(|mut annotations| annotations.remove(OF_FILE));
        let labels = labels.unwrap_or_default();
        let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
        let known = Known { name, namespace, labels, ip: self.status.pod_ip, spec: self.spec };
        let names = [uid, of_file].into_iter().flatten().filter(|name| !name.is_empty());
        names.map(move |name| (name, known.clone()))
    }
}

fn failure_of(error: watcher::Error) -> Failure {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => failure(error),
        watcher::Error::WatchError(status) if status.code == 410 => {
            Failure::Refused(GONE.to_owned())
        }
        watcher::Error::WatchError(status) => Failure::Refused(status.to_string()),
        watcher::Error::NoResourceVersion => Failure::Malformed(error.to_string()),
    }
}

/// What [`server`] said, below what the client made of it.
fn failure(error: kube::Error) -> Failure {
    match error {
        kube::Error::Service(inner) => match inner.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(other) => Failure::Malformed(other.to_string()),
        },
        kube::Error::ReadEvents(error) => {
            let inner = error.into_inner().and_then(|inner| inner.downcast::<kube::Error>().ok());
            inner.map_or(Failure::Cut, |inner| failure(*inner))
        }
        kube::Error::Api(status) => Failure::Refused(status.to_string()),
        other => Failure::Malformed(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
