//! A registry of one image: to an engine only what it pulled has a digest for certain.

use std::fs;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;

use super::place::{Daemon, MAIN, Place, digest};

/// What engines take without TLS, in the network that it is served in.
pub(super) const IMAGE: &str = "127.0.0.1:5000/shop:2";
pub(super) const REPOSITORY: &str = "127.0.0.1:5000/shop";
const PORT: u16 = 5000;
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const BLOB: &str = "application/octet-stream";

/// What is served: the last part of a path, what it is, and its bytes.
type Content = Vec<(String, &'static str, Vec<u8>)>;

/// Serves the image in a network of its own, as long as `pull` runs.
pub(super) fn serve(place: &Place, network: &Daemon, pull: impl FnOnce()) {
    let content = &content(place);
    let is_over = AtomicBool::new(false);
    let path = network.network_path();
    let listener = thread::spawn(move || listen(&path).unwrap()).join().expect("it listens");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A client may open more connections than it uses.
                    Ok((stream, _)) => drop(scope.spawn(move || answer(&stream, content).ok())),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
                }
                thread::park_timeout(Duration::from_millis(5));
            }
        });
        pull();
        is_over.store(true, Ordering::Relaxed);
    });
}

/// The digest under which the image is pulled.
pub(super) fn image_digest(place: &Place) -> String {
    digest(&place.path("registry/manifest"))
}

/// A thread that is in that network has a socket there, wherever it is used afterwards.
fn listen(network: &str) -> io::Result<TcpListener> {
    let network = fs::File::open(network)?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn content(place: &Place) -> Content {
    const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    place.image(IMAGE, &[MAIN]);
    let blobs = [("config.json", CONFIG), ("root.tar", LAYER)].map(|(name, media_type)| {
        let path = place.path(name);
        let bytes = fs::read(&path).unwrap();
        (json!({"mediaType": media_type, "size": bytes.len(), "digest": digest(&path)}), bytes)
    });
    let [(config, _), (layer, _)] = &blobs;
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let manifest = manifest.to_string();
    place.file("registry/manifest", &manifest);
    let names = ["2".to_owned(), image_digest(place)];
    let manifests = names.map(|name| (name, MANIFEST, manifest.clone().into_bytes()));
    let blobs =
        blobs.map(|(blob, bytes)| (blob["digest"].as_str().expect("text").to_owned(), BLOB, bytes));
    manifests.into_iter().chain(blobs).chain([("v2".to_owned(), BLOB, Vec::new())]).collect()
}

/// Answers one request.
fn answer(stream: &TcpStream, content: &Content) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let found = content.iter().find(|(known, ..)| known == name);
    let (status, media_type, bytes) = match found {
        Some((_, media_type, bytes)) => ("200 OK", *media_type, bytes.as_slice()),
        None => ("404 Not Found", BLOB, [].as_slice()),
    };
    let length = bytes.len();
    write!(
        { stream },
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n"
    )?;
    if method == "GET" { { stream }.write_all(bytes) } else { Ok(()) }
}
