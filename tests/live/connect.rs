//! Connects: address and result.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

use sensor_common::Kind;

use crate::harness::Cgroup;
use crate::observer::{Observer, What};

const ECONNREFUSED: i64 = -111;
const ENOENT: i64 = -2;

/// A port where nobody listens any more.
fn closed_port(address: impl Into<std::net::IpAddr>) -> u16 {
    let listener = TcpListener::bind(SocketAddr::new(address.into(), 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

fn connects(arguments: &[&str], peer: &str, result: i64) {
    let cgroup = Cgroup::new("connect");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Connect]);
    cgroup.run(arguments);
    let seen = observer.wait_for(|seen| matches!(seen.what, What::Connect { .. }));
    assert_eq!(seen.what, What::Connect { peer: peer.into(), result, io_uring: false });
    observer.stop();
}

#[test]
fn a_refused_connection_carries_its_errno() {
    let port = closed_port(Ipv4Addr::LOCALHOST).to_string();
    connects(
        &["busybox", "nc", "127.0.0.1", &port],
        &format!("Inet(127.0.0.1, {port})"),
        ECONNREFUSED,
    );
}

#[test]
fn version_six_addresses_are_whole() {
    let port = closed_port(Ipv6Addr::LOCALHOST).to_string();
    connects(&["busybox", "nc", "::1", &port], &format!("Inet(::1, {port})"), ECONNREFUSED);
}

#[test]
fn unix_sockets_have_their_path() {
    // Whether somebody listens there is the host's affair.
    let result = if Path::new("/dev/log").exists() { 0 } else { ENOENT };
    let peer = format!("Unix({:?})", b"/dev/log");
    connects(&["busybox", "logger", "sensor test"], &peer, result);
}
