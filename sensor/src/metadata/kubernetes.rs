//! The pods of this node as the API server has them: listed once, then watched.
//!
//! The types are declared here, with what is read of a pod: the client library for Kubernetes would
//! be two and a half minutes of processor time in every profile, most of it for what is not used.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Client, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::metadata::asked::{Change, pod_in};
use crate::metadata::pod::PodSpec;
use crate::metadata::socket::{Failure, Kind, Limits, Socket};
use crate::metadata::watch::until_open;

/// Pods of a node that are remembered. The kubelet runs 110 unless it is told otherwise.
const PODS_MAX: usize = 1024;
/// Pods on one page of the list, and bytes of such a page.
const PAGE: &str = "100";
const PAGE_BYTES: usize = 16 << 20;
/// The API server stores no object that is longer.
const LINE_BYTES: usize = 2 << 20;

/// For a page of the list, and the beginning of a watch.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the server is to let a watch last, and how much longer it is waited for.
const WATCH_SECONDS: u64 = 300;
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS + 30);

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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    metadata: PageMetadata,
    items: Vec<Object>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    r#continue: String,
}

/// A `Pod`; of a bookmark it has the version alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: ObjectMetadata,
    spec: PodSpec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectMetadata {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(rename = "podIP")]
    pod_ip: String,
}

/// One line of a watch.
#[derive(Debug, Deserialize)]
struct Event {
    r#type: String,
    object: serde_json::Value,
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
    pub(super) server: Socket,
    // The watch writes when a pod changes, look-ups read one entry.
    known: Mutex<HashMap<String, Arc<Known>>>,
    /// How often a pod was left out because there were too many.
    left_out: AtomicU64,
}

impl Pods {
    pub(super) fn new(access: Access, limits: Limits) -> Self {
        let name = access.api.as_str().trim_end_matches('/').to_owned();
        let server = Socket::new(Kind::Kubernetes, name, PathBuf::new(), limits);
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
        let client = match client(&self.access).await {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!("the Kubernetes API is not asked: {error:#}");
                return;
            }
        };
        let mut version = None;
        while !changes.is_closed() {
            until_open(&self.server).await;
            let followed = match version.take() {
                None => self.list(&client, &changes).await,
                Some(version) => self.watch(&client, version, &changes).await,
            };
            match followed {
                Ok(next) => version = next,
                Err(failure) => {
                    self.server.settle::<()>(Err(failure));
                }
            }
        }
    }

    /// Asks for the list once, to see whether the server answers.
    pub(super) async fn examine(&self) {
        let (changes, _nobody) = mpsc::channel(PODS_MAX);
        let listed = match client(&self.access).await {
            Ok(client) => self.list(&client, &changes).await,
            Err(error) => Err(Failure::Refused(format!("{error:#}"))),
        };
        if let Err(failure) = listed {
            self.server.settle::<()>(Err(failure));
        }
    }

    /// The version of the list.
    async fn list(
        &self,
        client: &Client,
        changes: &mpsc::Sender<Change>,
    ) -> Result<Option<String>, Failure> {
        let mut all = HashMap::new();
        let mut page = PageMetadata::default();
        loop {
            let mut query = vec![("limit", PAGE)];
            if !page.r#continue.is_empty() {
                query.push(("continue", &page.r#continue));
            }
            let page_of = async {
                let response = self.request(client, &query).await?;
                let text = body(response).await?;
                serde_json::from_slice::<Page>(&text)
                    .map_err(|error| Failure::Malformed(error.to_string()))
            };
            let next = timeout(PATIENCE, page_of).await.unwrap_or(Err(Failure::Late))?;
            self.server.settle(Ok(Some(())));
            for object in next.items {
                all.extend(object.known());
            }
            page = next.metadata;
            if page.r#continue.is_empty() {
                break;
            }
            if all.len() >= PODS_MAX {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        let news = self.replace(all);
        for uid in news {
            // Nobody is there any more when the sensor stops.
            changes.send(Change::Pod(uid)).await.ok();
        }
        Ok(Some(page.resource_version))
    }

    /// The version to go on from; none when that is too old.
    async fn watch(
        &self,
        client: &Client,
        mut version: String,
        changes: &mpsc::Sender<Change>,
    ) -> Result<Option<String>, Failure> {
        let seconds = WATCH_SECONDS.to_string();
        let from = version.clone();
        let query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", &seconds),
            ("resourceVersion", &from),
        ];
        let response = timeout(PATIENCE, self.request(client, &query)).await;
        let mut response = match response.unwrap_or(Err(Failure::Late)) {
            Err(Failure::Refused(why)) if why == GONE => return Ok(None),
            response => response?,
        };
        self.server.settle(Ok(Some(())));
        let mut lines = Vec::new();
        loop {
            let chunk = timeout(SILENCE, response.chunk()).await.map_err(late)?;
            let Some(chunk) = chunk.map_err(failure)? else { return Ok(Some(version)) };
            for byte in chunk {
                if byte != b'\n' {
                    lines.push(byte);
                    continue;
                }
                let Some(next) = self.take(&lines, changes).await? else { return Ok(None) };
                version = next;
                lines.clear();
            }
            if lines.len() > LINE_BYTES {
                return Err(Failure::TooLong);
            }
        }
    }

    /// Takes an event in; the version that it has, none of an error.
    async fn take(
        &self,
        line: &[u8],
        changes: &mpsc::Sender<Change>,
    ) -> Result<Option<String>, Failure> {
        let malformed = |error: serde_json::Error| Failure::Malformed(error.to_string());
        let event: Event = serde_json::from_slice(line).map_err(malformed)?;
        if event.r#type == "ERROR" {
            return Ok(None);
        }
        let object: Object = serde_json::from_value(event.object).map_err(malformed)?;
        let version = object.metadata.resource_version.clone();
        let is_deleted = event.r#type == "DELETED";
        if event.r#type == "BOOKMARK" {
            return Ok(Some(version));
        }
        for (uid, known) in object.known() {
            if self.set(&uid, (!is_deleted).then_some(known)) && !is_deleted {
                changes.send(Change::Pod(uid)).await.ok();
            }
        }
        Ok(Some(version))
    }

    async fn request(&self, client: &Client, query: &[(&str, &str)]) -> Result<Response, Failure> {
        let mut url = self.access.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "pods"]);
        }
        url.query_pairs_mut()
            .append_pair("fieldSelector", &format!("spec.nodeName={}", self.access.node))
            .extend_pairs(query);
        let mut request = client.get(url);
        if let Some(path) = &self.access.token_file {
            // Anew each time: Kubernetes replaces it.
            let token = tokio::fs::read_to_string(path).await.map_err(Failure::Unreachable)?;
            let mut token = HeaderValue::try_from(format!("Bearer {}", token.trim_end()))
                .map_err(|error| Failure::Malformed(format!("the token: {error}")))?;
            token.set_sensitive(true);
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().await.map_err(failure)?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::GONE => Err(Failure::Refused(GONE.to_owned())),
            status => Err(Failure::Refused(status.to_string())),
        }
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

/// What a version that is too old is refused with.
const GONE: &str = "410 Gone";

impl Object {
    /// By its uid, and by the name that the kubelet has for one from a file.
    fn known(self) -> impl Iterator<Item = (String, Known)> {
        let ObjectMetadata { name, namespace, uid, labels, annotations, .. } = self.metadata;
        let of_file = annotations.and_then(|mut annotations| annotations.remove(OF_FILE));
        let labels = labels.unwrap_or_default();
        let known = Known { name, namespace, labels, ip: self.status.pod_ip, spec: self.spec };
        let names = [Some(uid), of_file].into_iter().flatten().filter(|name| !name.is_empty());
        names.map(move |name| (name, known.clone()))
    }
}

async fn client(access: &Access) -> anyhow::Result<Client> {
    // Another part of the process may have installed it already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .user_agent(concat!("sensor/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none());
    let builder = match &access.ca_file {
        Some(path) => {
            let pem = tokio::fs::read(path).await?;
            builder.tls_certs_only(Certificate::from_pem_bundle(&pem)?)
        }
        None if access.api.scheme() == "https" => builder,
        // An image without certificates is enough for plain HTTP.
        None => builder.tls_certs_only([]),
    };
    Ok(builder.build()?)
}

async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > PAGE_BYTES {
            return Err(Failure::TooLong);
        }
    }
    Ok(bytes)
}

fn late(_: tokio::time::error::Elapsed) -> Failure {
    Failure::Late
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` has it")]
fn failure(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Late;
    }
    // The innermost cause is the one that says what to do.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_connect() {
        return Failure::Unreachable(io::Error::other(cause.to_string()));
    }
    if error.is_body() || error.is_decode() {
        Failure::Cut
    } else {
        Failure::Malformed(cause.to_string())
    }
}

#[cfg(test)]
mod tests;
