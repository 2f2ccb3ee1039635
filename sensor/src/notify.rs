//! Tells systemd what the service does (`Type=notify`), by one datagram each.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// What systemd is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// Started, or reloaded, and at work.
    Ready,
    Reloading,
    Stopping,
    /// Still alive, where `WatchdogSec=` asks for it.
    Watchdog,
    /// One line that `systemctl status` shows.
    Status(&'a str),
}

/// Says it to the service manager that started the process; without one, nothing happens.
pub fn notify(state: State<'_>) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, &message(state)) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

fn message(state: State<'_>) -> String {
    match state {
        State::Ready => "READY=1\n".to_owned(),
        State::Reloading => {
            // systemd 253 and later tells by the time that this is not an old message.
            let now = clock_gettime(ClockId::Monotonic);
            format!(
                "RELOADING=1\nMONOTONIC_USEC={}\n",
                now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
            )
        }
        State::Stopping => "STOPPING=1\n".to_owned(),
        State::Watchdog => "WATCHDOG=1\n".to_owned(),
        State::Status(text) => format!("STATUS={}\n", text.replace('\n', " ")),
    }
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn datagrams_arrive_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), &message(State::Ready)).unwrap();
        assert_eq!(received(&by_path), "READY=1\n");

        let name = format!("sensor-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), &message(State::Status("a\nb"))).unwrap();
        assert_eq!(received(&by_name), "STATUS=a b\n");
    }

    #[test]
    fn a_reload_says_when() {
        let text = message(State::Reloading);
        let time = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.trim_end().parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn a_manager_that_is_gone_is_an_error_and_no_panic() {
        assert!(send(OsStr::new("/nonexistent/notify"), "READY=1\n").is_err());
    }
}
