use super::*;
use crate::metadata::socket::State;
use crate::metadata::testing::{Server, answer, begin, listen};
use serde_json::json;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const DOCKER: &str = "/run/docker.sock";
const CONTAINERD: &str = "/run/containerd/containerd.sock";
const PODMAN: &str = "/run/podman/podman.sock";

/// A question has as much time as a busy machine may need; a test that is about time has less.
fn limits() -> Limits {
    Limits {
        question: Duration::from_secs(20),
        first_pause: Duration::from_millis(200),
        longest_pause: Duration::from_secs(2),
        ..Limits::default()
    }
}

fn impatient() -> Limits {
    Limits { question: Duration::from_millis(300), ..limits() }
}

fn sockets(root: &Path) -> Sockets {
    sockets_with(root, limits())
}

fn sockets_with(root: &Path, limits: Limits) -> Sockets {
    Sockets::new(&Host::below(root), &Places::usual(), limits, None)
}

fn wanted(cgroup_path: &str, runtime: Runtime) -> Wanted {
    let (cgroup_path, container_id) = (cgroup_path.to_owned(), ID.to_owned());
    Wanted { cgroup_id: 7, cgroup_path, container_id, runtime, bundle: None }
}

fn of_docker() -> Wanted {
    wanted(&format!("/docker/{ID}"), Runtime::Docker)
}

fn report(sockets: &Sockets, path: &str) -> Report {
    sockets.report().into_iter().find(|report| report.path == path).unwrap()
}

/// `reason count` of what failed.
fn failures(report: &Report) -> String {
    let failed = report.failures.iter().filter(|(_, count)| *count > 0);
    failed.map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}

fn inspected(id: &str) -> serde_json::Value {
    json!({"Id": id, "Name": "/web", "Image": "sha256:aa", "Config": {"Image": "shop/web:2"}})
}

/// 100 MiB, as far as somebody reads them; how many bytes were written.
fn flood(head: &[u8], mut stream: &UnixStream) -> u64 {
    let piece = vec![b' '; 1 << 16];
    drop(stream.write_all(head));
    let pieces = (0..(100 << 20) / piece.len()).map_while(|_| stream.write(&piece).ok());
    pieces.map(|count| count as u64).sum()
}

/// Until the other end hangs up.
fn wait_for_end(mut stream: &UnixStream) {
    while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
}

/// A daemon that is broken, how, and by what it is called.
type Broken = (&'static str, fn(&UnixStream));

const OF_HTTP: [Broken; 8] = [
    ("timeout", wait_for_end),
    ("too_long", |stream| {
        flood(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", stream);
    }),
    ("malformed", |mut stream| drop(stream.write_all(b"\x00\xff\xfe garbage \r\n\r\n"))),
    ("malformed", |stream| answer(stream, &json!({"Id": [1, 2, {"x": "y"}]}))),
    ("cut", |stream| drop(stream.shutdown(Shutdown::Both))),
    ("lie", |stream| answer(stream, &inspected(&ID.replace('0', "1")))),
    ("cut", |mut stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"));
    }),
    ("refused", |mut stream| {
        drop(stream.write_all(b"HTTP/1.1 500 Oh no\r\nContent-Length: 2\r\n\r\n{}"));
    }),
];

const OF_GRPC: [Broken; 4] = [
    ("timeout", wait_for_end),
    ("malformed", |stream| {
        flood(b"HTTP/1.1 200 OK\r\n\r\n", stream);
    }),
    ("malformed", |mut stream| {
        drop(stream.write_all(&[0xff; 4096]));
        // Who hangs up at once may be found gone before he is read.
        wait_for_end(stream);
    }),
    ("cut", |stream| drop(stream.shutdown(Shutdown::Both))),
];

async fn check_broken(path: &'static str, wanted: Wanted, (reason, behaviour): Broken) {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), path, move |_, stream| behaviour(&stream));
    let limits = if reason == "timeout" { impatient() } else { limits() };
    let sockets = sockets_with(root.path(), limits);
    let found = sockets.find(&wanted, wanted.runtime).await;
    assert!(found.metadata.is_none() && found.is_down, "{reason}: {found:?}");
    let told = report(&sockets, path);
    assert_eq!(failures(&told), format!("{reason} 1"), "{:?}", told.last_error);
    assert!(matches!(told.state, State::BackingOff { .. }), "{told:?}");
    assert!(told.last_error.is_some());
    assert_eq!((told.questions, told.answers), (1, 0));
    // Left alone for now.
    let connections = server.connections();
    let found = sockets.find(&wanted, wanted.runtime).await;
    assert!(found.is_down && server.connections() == connections, "{reason}");
}

#[tokio::test]
async fn broken_engines_are_told_apart_and_left_alone() {
    for broken in OF_HTTP {
        check_broken(DOCKER, of_docker(), broken).await;
    }
}

#[tokio::test]
async fn broken_grpc_is_told_apart_and_left_alone() {
    for broken in OF_GRPC {
        let wanted = wanted(&format!("/k8s.io/{ID}"), Runtime::Containerd);
        check_broken(CONTAINERD, wanted, broken).await;
    }
}

#[tokio::test]
async fn of_an_endless_answer_little_is_read() {
    let root = tempfile::tempdir().unwrap();
    let written = Arc::new(AtomicU64::new(u64::MAX));
    let counted = Arc::clone(&written);
    let _server = Server::start(root.path(), DOCKER, move |_, stream| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
        counted.store(flood(head, &stream), Ordering::SeqCst);
    });
    assert!(sockets(root.path()).find(&of_docker(), Runtime::Docker).await.is_down);
    let until = Instant::now() + Duration::from_secs(10);
    // The server has ended when it cannot write any more.
    while written.load(Ordering::SeqCst) == u64::MAX && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    let written = written.load(Ordering::SeqCst);
    assert!((1..8 << 20).contains(&written), "{written}");
}

#[tokio::test]
async fn a_socket_that_comes_up_late_is_used() {
    let root = tempfile::tempdir().unwrap();
    let sockets = sockets(root.path());
    let found = sockets.find(&of_docker(), Runtime::Docker).await;
    // That there is none is no failure.
    assert!(!found.is_down);
    assert_eq!(report(&sockets, DOCKER).state, State::Absent);
    // A daemon that ended and left its socket.
    drop(listen(root.path(), DOCKER));
    assert!(sockets.find(&of_docker(), Runtime::Docker).await.is_down);
    assert_eq!(failures(&report(&sockets, DOCKER)), "connect 1");
    let _server = Server::start(root.path(), DOCKER, |line, stream| {
        // No version of the API: one that is newer than the daemon's would be refused.
        if line == format!("GET /containers/{ID}/json HTTP/1.1") {
            answer(&stream, &inspected(ID));
        }
    });
    let until = Instant::now() + Duration::from_secs(10);
    let metadata = loop {
        assert!(Instant::now() < until, "{:?}", report(&sockets, DOCKER));
        if let Some(metadata) = sockets.find(&of_docker(), Runtime::Docker).await.metadata {
            break metadata;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(metadata.name.as_deref(), Some("web"));
    assert_eq!(metadata.image.unwrap().reference(), "shop/web:2");
    let told = report(&sockets, DOCKER);
    assert_eq!((told.state, told.questions, told.answers), (State::Up, 2, 1));
}

#[tokio::test]
async fn a_container_that_the_engine_does_not_know_is_no_failure() {
    let root = tempfile::tempdir().unwrap();
    let _server = Server::start(root.path(), DOCKER, |_, mut stream| {
        let body = r#"{"message": "No such container"}"#;
        let head = format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    let sockets = sockets(root.path());
    let found = sockets.find(&of_docker(), Runtime::Docker).await;
    assert!(found.metadata.is_none() && !found.is_down);
    let told = report(&sockets, DOCKER);
    assert_eq!((told.state, told.unknown, failures(&told)), (State::Up, 1, String::new()));
}

#[tokio::test]
async fn what_an_engine_says_is_taken_over_without_the_environment() {
    let root = tempfile::tempdir().unwrap();
    let _server = Server::start(root.path(), PODMAN, |line, stream| {
        if line.starts_with("GET /images/sha256:aa/json ") {
            let digests = ["other/web@sha256:cc", "docker.io/shop/web@sha256:bb"];
            return answer(&stream, &json!({"Id": "sha256:aa", "RepoDigests": digests}));
        }
        let json = json!({
            "Id": ID, "Name": "/web", "Created": "2026-11-24T20:00:00Z", "Image": "sha256:aa",
            "State": {"Status": "running", "StartedAt": "2026-11-24T20:00:01Z"},
            "Config": {
                "Image": "shop/web:2", "User": "app", "Env": ["TOKEN=secret"],
                "Labels": {"team": "x"}, "ExposedPorts": {"80/tcp": {}}, "Volumes": null,
                "Healthcheck": {"Test": ["CMD", "true"]},
            },
            "HostConfig": {"Privileged": true, "NetworkMode": "host", "PidMode": "", "Runtime": "runsc"},
            "Mounts": [{"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": true, "Mode": "z"}],
            "NetworkSettings": {"Networks": {"b": {"IPAddress": "10.0.0.2"}, "a": {"IPAddress": ""}}},
        });
        answer(&stream, &json);
    });
    let wanted = wanted(&format!("/libpod_parent/libpod-{ID}"), Runtime::Podman);
    let found = sockets(root.path()).find(&wanted, Runtime::Podman).await.metadata.unwrap();
    assert!(!format!("{found:?}").contains("secret"));
    assert_eq!(found.runtime, Some(Runtime::Podman));
    let image = found.image.unwrap();
    assert_eq!((image.tag.as_deref(), image.digest.as_deref()), (Some("2"), Some("sha256:bb")));
    let details = found.details;
    assert_eq!(
        (details.privileged, details.host_network, details.host_pid),
        (Some(true), Some(true), Some(false))
    );
    assert_eq!((details.user.as_deref(), details.ip.as_deref()), (Some("app"), Some("10.0.0.2")));
    assert_eq!(details.started_ns, Some(1_795_550_401_000_000_000));
    assert_eq!(
        (details.healthcheck.unwrap().0, &*details.labels["team"]),
        (vec!["true".to_owned()], "x")
    );
    assert_eq!((details.mounts[0].writable, details.visibility.unwrap().name()), (true, "sandbox"));
    assert_eq!(details.sources, ["podman-socket"]);
}

#[tokio::test]
async fn a_users_engine_is_asked_about_that_users_containers_alone() {
    let root = tempfile::tempdir().unwrap();
    let user = rustix::process::getuid().as_raw();
    let path = format!("/run/user/{user}/podman/podman.sock");
    let server = Server::start(root.path(), &path, |_, stream| answer(&stream, &inspected(ID)));
    let sockets = sockets(root.path());
    let of = |slice: &str| wanted(&format!("{slice}libpod-{ID}.scope"), Runtime::Podman);
    for slice in ["/machine.slice/", &format!("/user.slice/user-{}.slice/", user + 1)] {
        let found = sockets.find(&of(slice), Runtime::Podman).await;
        assert!(found.metadata.is_none() && server.connections() == 0, "{slice}");
    }
    let own = of(&format!("/user.slice/user-{user}.slice/user@{user}.service/"));
    assert!(sockets.find(&own, Runtime::Podman).await.metadata.is_some());
    // A link could lead anywhere.
    let place = root.path().join(path.trim_start_matches('/'));
    fs::rename(&place, place.with_extension("real")).unwrap();
    std::os::unix::fs::symlink(place.with_extension("real"), &place).unwrap();
    assert!(sockets.find(&own, Runtime::Podman).await.is_down);
    assert_eq!(failures(&report(&sockets, &path)), "refused 1");
}

#[tokio::test]
async fn an_engine_that_does_not_tell_of_changes_is_asked_less_and_less() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), DOCKER, |_, stream| drop(stream));
    let sockets = sockets(root.path());
    let socket = sockets.of(&of_docker(), Runtime::Docker).remove(0);
    let (changes, mut told) = tokio::sync::mpsc::channel(1);
    let following = tokio::spawn(crate::metadata::watch::follow(socket, changes));
    let begin = Instant::now();
    let until = begin + Duration::from_secs(30);
    while server.connections() < 4 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // 200, 400 and 800 ms.
    assert!(begin.elapsed() >= Duration::from_millis(1400), "{:?}", begin.elapsed());
    assert!(told.try_recv().is_err());
    following.abort();
}

#[tokio::test]
async fn an_engine_that_floods_with_events_is_left_alone() {
    let piece = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    // Events about nothing, and one that does not end.
    for (reason, piece) in [
        ("too_long", piece("{}\n")),
        ("too_long", piece(&" ".repeat(4096))),
        ("malformed", piece("[")),
    ] {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(root.path(), DOCKER, move |_, mut stream| {
            begin(&stream);
            while stream.write_all(piece.as_bytes()).is_ok() {}
        });
        // Looking for an event's end in what has none takes the longer the more of it there is.
        let limits = Limits { events_bytes: 64 << 10, ..limits() };
        let sockets = sockets_with(root.path(), limits);
        let socket = sockets.of(&of_docker(), Runtime::Docker).remove(0);
        let (changes, _told) = tokio::sync::mpsc::channel(10);
        let following = tokio::spawn(crate::metadata::watch::follow(socket, changes));
        let begin = Instant::now();
        while server.connections() < 4 && begin.elapsed() < Duration::from_mins(1) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // 200, 400 and 800 ms, though each stream begins well.
        assert!(begin.elapsed() >= Duration::from_millis(1400), "{:?}", begin.elapsed());
        let told = report(&sockets, DOCKER);
        assert!(failures(&told).starts_with(reason), "{told:?}");
        following.abort();
    }
}

#[test]
fn users_beyond_the_limit_are_counted() {
    let root = tempfile::tempdir().unwrap();
    let sockets = sockets(root.path());
    let of = |user: u32| {
        let path = format!("/user.slice/user-{user}.slice/libpod-{ID}.scope");
        sockets.of(&wanted(&path, Runtime::Podman), Runtime::Podman).len()
    };
    let most = u32::try_from(USERS_MAX).unwrap();
    // Their own and the system's.
    assert!((0..most).all(|user| of(user) == 2));
    assert_eq!((of(most), of(0), sockets.left_out()), (1, 2, 1));
}

#[tokio::test]
async fn questions_at_a_time_are_bounded() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path(), DOCKER, |_, stream| wait_for_end(&stream));
    let sockets = Arc::new(sockets_with(root.path(), impatient()));
    let mut questions = JoinSet::new();
    for _ in 0..50 {
        let sockets = Arc::clone(&sockets);
        questions.spawn(async move { sockets.find(&of_docker(), Runtime::Docker).await.is_down });
    }
    assert_eq!(questions.join_all().await, [true; 50]);
    // Who waited for a place gave up or found the socket left alone, and what was asked together
    // is one failure.
    assert!(server.connections() <= limits().at_a_time, "{}", server.connections());
    let told = report(&sockets, DOCKER);
    assert!(failures(&told).starts_with("timeout 4"), "{told:?}");
    let State::BackingOff { until } = told.state else { panic!("{told:?}") };
    assert!(until <= Instant::now() + limits().first_pause);
}
