//! What the kernel programs say for debugging, among the agent's own messages.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Level, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Error;

/// How long a message may wait, and the reader may outlive the programs.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A thread that reads the messages as long as this value lives.
pub(super) struct Log {
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    pub(super) fn start(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let logger = EbpfLogger::init_with_logger(ebpf, Forward)
            .map_err(|error| Error::Load(format!("the log of the programs: {error}")))?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let reader = std::thread::Builder::new()
            .name("sensor-bpf-log".into())
            .spawn(move || read(logger, &told))
            .map_err(|error| Error::Io("start the reader of the programs' log".into(), error))?;
        Ok(Self { stop, reader: Some(reader) })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.reader.take().is_some_and(|reader| reader.join().is_err()) {
            tracing::warn!("the reader of the programs' log panicked");
        }
    }
}

fn read(mut logger: EbpfLogger<Forward>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [PollFd::from_borrowed_fd(logger.as_fd(), PollFlags::IN)];
        if let Err(error) = poll(&mut fds, Some(&WAIT)) {
            tracing::debug!(%error, "wait for the programs' log");
        }
        logger.flush();
    }
    logger.flush();
}

/// Hands the messages on.
struct Forward;

impl log::Log for Forward {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let (module, message) = (record.module_path().unwrap_or_default(), record.args());
        match record.level() {
            Level::Error => tracing::error!(module, "{message}"),
            Level::Warn => tracing::warn!(module, "{message}"),
            Level::Info => tracing::info!(module, "{message}"),
            Level::Debug => tracing::debug!(module, "{message}"),
            Level::Trace => tracing::trace!(module, "{message}"),
        }
    }

    fn flush(&self) {}
}
