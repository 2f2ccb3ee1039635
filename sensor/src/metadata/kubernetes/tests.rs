use super::*;
use crate::attribution::Runtime;
use crate::metadata::socket::State;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const UID: &str = "5b2f71f8-3ec3-4b1e-8f9a-0d5c7f8a9b1c";

/// An API server: it answers lists with a page, and watches with what the test sends.
struct Server {
    access: Access,
    /// Targets of requests.
    requests: Receiver<String>,
    lines: SyncSender<String>,
}

fn pod(labels: &Value, version: &str) -> Value {
    json!({
        "metadata": {
            "name": "checkout", "namespace": "shop", "uid": UID, "resourceVersion": version,
            "labels": labels, "managedFields": [{"manager": "kubelet"}],
        },
        "spec": {"nodeName": "n1", "containers": [
            {"name": "app", "env": [{"name": "TOKEN", "value": "secret"}],
             "readinessProbe": {"exec": {"command": ["ready"]}}},
        ]},
        "status": {"phase": "Running", "podIP": "10.1.0.9"},
    })
}

impl Server {
    fn start(page: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = Url::parse(&format!("http://{}/prefix", listener.local_addr().unwrap())).unwrap();
        let (request, requests) = sync_channel(100);
        let (lines, to_send) = sync_channel::<String>(10);
        let to_send = Arc::new(Mutex::new(to_send));
        let page = page.to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (page, request, to_send) =
                    (page.clone(), request.clone(), Arc::clone(&to_send));
                std::thread::spawn(move || answer(stream.unwrap(), &page, &request, &to_send));
            }
        });
        let access = Access { api, token_file: None, ca_file: None, node: "n1".into() };
        Self { access, requests, lines }
    }

    fn requested(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

fn answer(
    mut stream: TcpStream,
    page: &str,
    request: &SyncSender<String>,
    lines: &Mutex<Receiver<String>>,
) {
    let head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
    let Some(target) = head.first().and_then(|line| line.split(' ').nth(1)) else { return };
    // The test may have ended.
    drop(request.send(target.to_owned()));
    let is_watch = target.contains("watch=true");
    let end = if is_watch { String::new() } else { format!("Content-Length: {}\r\n", page.len()) };
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{end}\r\n");
    drop(stream.write_all(head.as_bytes()));
    if !is_watch {
        drop(stream.write_all(page.as_bytes()));
        return;
    }
    let lines = lines.lock().unwrap();
    for line in lines.iter() {
        // An empty one is the end of the watch.
        if line.is_empty() || stream.write_all(format!("{line}\n").as_bytes()).is_err() {
            return;
        }
    }
}

fn limits() -> Limits {
    Limits { first_pause: Duration::from_millis(20), ..Limits::default() }
}

fn wanted() -> Wanted {
    let cgroup_path = format!("/kubepods/burstable/pod{UID}/{}", "a".repeat(64));
    let (container_id, runtime) = ("a".repeat(64), Runtime::Oci);
    Wanted { cgroup_id: 7, cgroup_path, container_id, runtime, bundle: None }
}

/// `labels ip` of the pod, as far as is known.
fn filled(pods: &Pods) -> (Metadata, String) {
    let mut metadata = Metadata { name: Some("app".into()), ..Metadata::default() };
    pods.fill(&mut metadata, &wanted());
    let pod = metadata.pod.clone().unwrap_or_default();
    let text = format!("{:?} {}", pod.labels, pod.ip.unwrap_or_default());
    (metadata, text)
}

async fn changed(changes: &mut mpsc::Receiver<Change>) -> String {
    match timeout(Duration::from_secs(10), changes.recv()).await {
        Ok(Some(Change::Pod(uid))) => uid,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nodes_pods_are_listed_and_watched() {
    let list = json!({
        "metadata": {"resourceVersion": "10"},
        "items": [pod(&json!({"app": "shop"}), "9")],
    });
    let server = Server::start(&list);
    let pods = Arc::new(Pods::new(server.access.clone(), limits()));
    let (sender, mut changes) = mpsc::channel(10);
    tokio::spawn(Arc::clone(&pods).follow(sender));
    assert_eq!(changed(&mut changes).await, UID);
    let (metadata, text) = filled(&pods);
    assert_eq!(text, r#"{"app": "shop"} 10.1.0.9"#);
    let known = metadata.pod.unwrap();
    assert_eq!(
        (known.uid.as_str(), known.name.as_deref(), known.namespace.as_deref()),
        (UID, Some("checkout"), Some("shop"))
    );
    assert_eq!(metadata.details.readiness_probe.unwrap().0, ["ready"]);
    assert_eq!(metadata.details.host_network, Some(false));
    // This node alone, and from the list's version on.
    let of_node = "/prefix/api/v1/pods?fieldSelector=spec.nodeName%3Dn1";
    assert_eq!(server.requested(), format!("{of_node}&limit=100"));
    let watch = "/prefix/api/v1/pods?watch=true&timeoutSeconds=290&fieldSelector=spec.nodeName%3Dn1\
                 &allowWatchBookmarks=true";
    assert_eq!(server.requested(), format!("{watch}&resourceVersion=10"));
    let say = |kind: &str, object: Value| {
        server.lines.send(json!({"type": kind, "object": object}).to_string()).unwrap();
    };
    let bookmark =
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "11"}});
    say("BOOKMARK", bookmark);
    say("MODIFIED", pod(&json!({"app": "cart"}), "12"));
    assert_eq!(changed(&mut changes).await, UID);
    assert_eq!(filled(&pods).1, r#"{"app": "cart"} 10.1.0.9"#);
    // The watch ends and goes on where it was.
    server.lines.send(String::new()).unwrap();
    assert_eq!(server.requested(), format!("{watch}&resourceVersion=12"));
    say("DELETED", pod(&json!({}), "13"));
    // Too old: everything is listed anew.
    say("ERROR", json!({"kind": "Status", "status": "Failure", "code": 410}));
    assert_eq!(server.requested(), format!("{of_node}&limit=100"));
    assert_eq!(changed(&mut changes).await, UID);
    assert_eq!(filled(&pods).1, r#"{"app": "shop"} 10.1.0.9"#);
    let report = pods.server.report();
    assert_eq!((report.state, report.kind, report.last_error), (State::Up, "kubernetes", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_floods_is_left_alone() {
    let server = Server::start(&json!({"metadata": {"resourceVersion": "1"}, "items": []}));
    let pods = Arc::new(Pods::new(server.access.clone(), limits()));
    let (sender, _changes) = mpsc::channel(10);
    tokio::spawn(Arc::clone(&pods).follow(sender));
    server.requested();
    server.requested();
    server.lines.send("x".repeat(3 << 20)).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !pods.server.report().failures.contains(&("too_long", 1)) {
        assert!(Instant::now() < until, "{:?}", pods.server.report());
        tokio::task::yield_now().await;
    }
    // Then it is listed anew.
    assert!(server.requested().ends_with("limit=100"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_may_not_say_is_a_failure() {
    let endless = json!({"metadata": {"resourceVersion": "1", "continue": "x"}, "items": []});
    let malformed = json!({"metadata": {"resourceVersion": "1"}, "items": 1});
    let no_version = json!({"metadata": {}, "items": []});
    let long =
        json!({"metadata": {"resourceVersion": "1"}, "items": [], "x": "x".repeat(17 << 20)});
    for (page, reason, requests) in [
        (endless, "too_long", PAGES_MAX),
        (malformed, "malformed", 1),
        (no_version, "malformed", 1),
        (long, "too_long", 1),
    ] {
        let server = Server::start(&page);
        let limits = Limits { first_pause: Duration::from_mins(1), ..limits() };
        let pods = Arc::new(Pods::new(server.access.clone(), limits));
        let (sender, _changes) = mpsc::channel(10);
        tokio::spawn(Arc::clone(&pods).follow(sender));
        let until = Instant::now() + Duration::from_secs(10);
        while !matches!(pods.server.report().state, State::BackingOff { .. }) {
            assert!(Instant::now() < until, "{reason}: {:?}", pods.server.report());
            tokio::task::yield_now().await;
        }
        let failures = pods.server.report().failures;
        assert!(failures.contains(&(reason, 1)), "{reason}: {failures:?}");
        assert_eq!(server.requests.try_iter().count(), requests, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_examined_with_one_question_and_the_newest_token() {
    let server = Server::start(&json!({"metadata": {"resourceVersion": "1"}, "items": []}));
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    let access = Access { token_file: Some(token.clone()), ..server.access.clone() };
    let pods = Pods::new(access, limits());
    pods.examine().await;
    assert!(pods.server.report().failures.contains(&("connect", 1)), "there is no token yet");
    std::fs::write(&token, "secret\n").unwrap();
    pods.examine().await;
    let report = pods.server.report();
    assert_eq!((report.state, report.answers), (State::Up, 1));
    assert_eq!(server.requests.try_iter().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_asked_again_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let access = Access { api, token_file: None, ca_file: None, node: "n1".into() };
    let pods = Arc::new(Pods::new(access, limits()));
    let (sender, changes) = mpsc::channel(10);
    let following = tokio::spawn(Arc::clone(&pods).follow(sender));
    let until = Instant::now() + Duration::from_secs(10);
    while !pods.server.report().failures.contains(&("connect", 3)) {
        assert!(Instant::now() < until, "{:?}", pods.server.report());
        sleep(Duration::from_millis(5)).await;
    }
    // Twice the pause each time.
    let State::BackingOff { until } = pods.server.report().state else { panic!("it is not there") };
    assert!(until > Instant::now() + limits().first_pause);
    drop(changes);
    timeout(Duration::from_secs(10), following).await.unwrap().unwrap();
}

#[test]
fn pods_beyond_the_limit_are_counted() {
    let api = Url::parse("http://localhost").unwrap();
    let access = Access { api, token_file: None, ca_file: None, node: "n1".into() };
    let pods = Pods::new(access, limits());
    let named = |number: usize| (number.to_string(), Known::default());
    assert_eq!(pods.replace((0..PODS_MAX + 3).map(named).collect()).len(), PODS_MAX);
    let is_news = |name: &str| pods.set(name, Some(Known::default()));
    assert_eq!((is_news("x"), pods.left_out()), (false, 4));
    // One that is known may change, and one that has ended makes room.
    let known = pods.known.lock().unwrap().keys().next().unwrap().clone();
    assert!(pods.set(&known, Some(Known { ip: "10.0.0.1".into(), ..Known::default() })));
    assert!(pods.set(&known, None) && is_news("x"));
    assert_eq!(pods.left_out(), 4);
}

#[test]
fn a_pod_has_its_server_where_kubernetes_says() {
    // There is no service account here.
    let variable = |name: &str| Some(format!("{name}.example"));
    assert_eq!(Access::of_pod("n1", variable), None);
    assert_eq!(Access::of_pod("n1", |_| None), None);
}
