//! Servers of Debian's packages as child processes on loopback, and what tests ask them.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A server that ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

impl Server {
    /// Starts `program` of the Debian package `package` with a config file, and waits until it is
    /// ready. `arguments` gets the address, the directory and the config file.
    pub(crate) fn start(
        (program, package): (&str, &str),
        address: SocketAddr,
        config: &str,
        arguments: impl Fn(SocketAddr, &Path, &Path) -> Vec<String>,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let config_file = directory.path().join("config.yml");
        std::fs::write(&config_file, config).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(arguments(address, directory.path(), &config_file))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; install Debian's package {package}")
            });
        let mut server = Self { child, address, directory };
        wait_for(&format!("{program} is ready"), || {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{program} ended:\n{}", server.log());
            let (status, _) = get(address, "/-/ready")?;
            (status == 200).then_some(())
        });
        server
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The JSON that a path answers with.
    pub(crate) fn json(&self, path: &str) -> Option<Value> {
        let (status, body) = get(self.address, path)?;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address on loopback that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Asks until there is an answer. The deadline only ends a test that has failed.
pub(crate) fn wait_for<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Status and body of a GET; nothing when nobody answers.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    get_accepting(address, path, "*/*").map(|(status, _, body)| (status, body))
}

/// Status, head and body of a GET.
pub(crate) fn get_accepting(
    address: SocketAddr,
    path: &str,
    accept: &str,
) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_owned(), body.to_owned()))
}
