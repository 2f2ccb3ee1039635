//! Servers for tests: a daemon on a Unix socket that does as the test says.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What the server does with a connection: it gets the request line.
pub(super) type Behaviour = dyn Fn(&str, UnixStream) + Send + Sync;

/// A listening socket; threads end with the test.
pub(super) struct Server {
    pub(super) connections: Arc<AtomicUsize>,
}

impl Server {
    /// Listens at a path of the host, which is below `root`.
    pub(super) fn start(
        root: &Path,
        path: &str,
        behaviour: impl Fn(&str, UnixStream) + Send + Sync + 'static,
    ) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, behaviour): (_, Arc<Behaviour>) =
            (Arc::clone(&connections), Arc::new(behaviour));
        let listener = listen(root, path);
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (stream, behaviour) = (stream.unwrap(), Arc::clone(&behaviour));
                thread::spawn(move || behaviour(&request_line(&stream), stream));
            }
        });
        Self { connections }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A socket in the place of whatever was there.
pub(super) fn listen(root: &Path, path: &str) -> UnixListener {
    let path: PathBuf = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    drop(fs::remove_file(&path));
    UnixListener::bind(path).unwrap()
}

/// Reads to the end of the head of a request, or to that of the connection.
fn request_line(mut stream: &UnixStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned()
}

/// Answers with JSON.
pub(super) fn answer(mut stream: &UnixStream, json: &serde_json::Value) {
    let body = json.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    // Who asked may be gone.
    drop(stream.write_all(format!("{head}{body}").as_bytes()));
}

/// Begins an answer that goes on.
pub(super) fn begin(mut stream: &UnixStream) {
    drop(stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

/// One piece of it.
pub(super) fn go_on(mut stream: &UnixStream, json: &serde_json::Value) -> bool {
    let text = format!("{json}\n");
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).is_ok()
}
