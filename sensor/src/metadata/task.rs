//! The look-ups: one task a question, a bounded number at a time, each with its deadline.

use std::collections::HashSet;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::metadata::asked::{Asked, Change, Finding};
use crate::metadata::socket::Kind;
use crate::metadata::sockets;
use crate::metadata::sources::{Sources, is_whole, lacks_address, merge};
use crate::metadata::status::Miss;
use crate::metadata::watch::follow;
use crate::metadata::{Answer, wake};

/// Containers that are looked for at a time. Most wait: for an engine to write, for a socket to answer.
const AT_A_TIME: usize = 1024;

/// Of these, the ones whose files are being read.
const READS: usize = 32;

/// Findings and changes on their way to the one who keeps the list.
const QUEUE: usize = 256;

/// How long a container is looked for: its engine may still be writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at first: what runc says of a container ends with it.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// How many such looks there are; then the pause is doubled each time, up to the longest.
const FIRST_LOOKS: u32 = 100;
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Files have this long before sockets are asked, and between two questions the pause is doubled.
const FIRST_QUESTION: Duration = Duration::from_millis(3);

/// The way back to the event path.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) answer: mpsc::Sender<Answer>,
    pub(super) wake: Arc<UnixStream>,
}

impl Reply {
    pub(super) async fn send(&self, answer: Answer) {
        // A closed channel means that the event path has ended.
        if self.answer.send(answer).await.is_ok() {
            wake(&self.wake);
        }
    }
}

/// What the loop below has under way.
struct Work {
    sources: Arc<Sources>,
    places: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    found: mpsc::Sender<Finding>,
    changes: mpsc::Sender<Change>,
    asked: Asked,
    followed: HashSet<String>,
    followers: JoinSet<()>,
}

/// Works on questions until the event path is gone.
pub(super) async fn serve(
    mut questions: mpsc::Receiver<Wanted>,
    reply: Reply,
    sources: Arc<Sources>,
) {
    let (found, mut findings) = mpsc::channel(QUEUE);
    let (changes, mut told_changes) = mpsc::channel(QUEUE);
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let reads = Arc::new(Semaphore::new(READS));
    let (asked, followed) = Default::default();
    let mut followers = JoinSet::new();
    if let Some(pods) = &sources.sockets.pods {
        followers.spawn(Arc::clone(pods).follow(changes.clone()));
    }
    let mut work = Work { sources, places, reads, found, changes, asked, followed, followers };
    loop {
        // A look that ends sends what it found, and this is looked at again.
        let has_place = work.places.available_permits() > 0;
        let due = work.asked.next_due();
        tokio::select! {
            wanted = questions.recv(), if has_place => {
                let Some(wanted) = wanted else { return };
                let forgotten = work.asked.insert(wanted.clone());
                work.sources.status.count_forgotten(forgotten);
                work.look(wanted, false);
            }
            Some(change) = told_changes.recv() => work.asked.changed(&change, Instant::now()),
            Some(found) = findings.recv() => {
                work.follow(&found);
                if let Some(answer) = work.asked.take(found, Instant::now()) {
                    reply.send(answer).await;
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if has_place && due.is_some() => {
                if let Some(wanted) = work.asked.take_due(Instant::now()) {
                    work.look(wanted, true);
                }
            }
        }
    }
}

impl Work {
    fn look(&self, wanted: Wanted, is_again: bool) {
        // Nobody else takes a place.
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
        let (sources, reads) = (Arc::clone(&self.sources), Arc::clone(&self.reads));
        let found = self.found.clone();
        tokio::spawn(async move {
            let look = Look { wanted, is_again, sources, reads, found };
            let last = look.answer().await;
            drop(place);
            look.send(last).await;
        });
    }

    /// Whoever tells of changes is listened to from its first container on.
    fn follow(&mut self, found: &Finding) {
        let Ok(metadata) = &found.found else { return };
        let Some(runtime) = metadata.runtime else { return };
        for socket in self.sources.sockets.of(&found.wanted, runtime) {
            if matches!(socket.kind, Kind::Docker | Kind::Podman)
                && self.followed.insert(socket.name.clone())
            {
                self.followers.spawn(follow(socket, self.changes.clone()));
            }
        }
    }
}

/// A look at one container.
struct Look {
    wanted: Wanted,
    is_again: bool,
    sources: Arc<Sources>,
    reads: Arc<Semaphore>,
    found: mpsc::Sender<Finding>,
}

/// What is said at its end.
struct Last {
    found: Result<Metadata, Miss>,
    is_owed: bool,
}

impl Look {
    /// Says what there is to say on the way; what is returned comes last.
    async fn answer(&self) -> Last {
        let deadline = Instant::now() + if self.is_again { Duration::ZERO } else { PATIENCE };
        let mut pauses = Pauses::new(Instant::now());
        let mut asking: Option<Pin<Box<dyn Future<Output = sockets::Answer> + Send + '_>>> = None;
        let mut is_owed = false;
        loop {
            let miss = match self.read().await {
                Ok(files) => return self.complete(files).await,
                Err(miss) => miss,
            };
            if asking.is_none() && pauses.asks_at(Instant::now(), self.is_again) {
                let find = self.sources.sockets.find(&self.wanted, self.wanted.runtime);
                asking = Some(Box::pin(find));
            }
            if let Some(find) = &mut asking
                && let Ok(answer) = timeout(pauses.next(self.is_again), find).await
            {
                (asking, is_owed) = (None, answer.is_down);
                if let Some(metadata) = answer.metadata {
                    return told(self.sources.with_pod(metadata, &self.wanted));
                }
            } else if asking.is_none() {
                sleep(pauses.next(false)).await;
            }
            if asking.is_none() && Instant::now() >= deadline {
                let miss = if is_owed { Miss::SourceDown } else { miss };
                return Last { found: Err(miss), is_owed };
            }
        }
    }

    /// Files know it: they are asked first, and believed. Sockets know what files do not have.
    async fn complete(&self, files: Metadata) -> Last {
        let files = self.sources.with_pod(files, &self.wanted);
        let Some(runtime) = files.runtime else { return told(files) };
        let is_whole = is_whole(&files);
        if is_whole && !lacks_address(&files) {
            return told(files);
        }
        let mut asking = pin!(self.sources.sockets.find(&self.wanted, runtime));
        // Rules may ask for what is missing, so it is waited for, but not to the end.
        let early = if is_whole || self.is_again {
            None
        } else {
            timeout(self.sources.wait / 2, &mut asking).await.ok()
        };
        let answer = if let Some(answer) = early {
            answer
        } else {
            if !self.is_again {
                let found = Ok(files.clone());
                self.say(Last { found, is_owed: false }, false).await;
            }
            asking.await
        };
        let Some(told) = answer.metadata else {
            // Docker writes the address down when the container has begun.
            let is_owed = answer.is_down || (runtime == Runtime::Docker && lacks_address(&files));
            return Last { found: Ok(files), is_owed };
        };
        // Of the pod's labels the API server knows the newest.
        let found = self.sources.with_pod(merge(&files, told), &self.wanted);
        Last { found: Ok(found), is_owed: answer.is_down }
    }

    async fn send(&self, last: Last) {
        if last.found.is_ok() && !self.is_again {
            self.sources.status.count_answer();
        }
        self.say(last, true).await;
    }

    async fn say(&self, said: Last, is_last: bool) {
        let Last { found, is_owed } = said;
        let (wanted, is_again) = (self.wanted.clone(), self.is_again);
        // Nobody is there any more when the sensor stops.
        self.found.send(Finding { wanted, found, is_again, is_last, is_owed }).await.ok();
    }

    async fn read(&self) -> Result<Metadata, Miss> {
        let (wanted, sources) = (self.wanted.clone(), Arc::clone(&self.sources));
        // It is never closed.
        let _place = self.reads.acquire().await.ok();
        let reading = tokio::task::spawn_blocking(move || sources.read(&wanted));
        match timeout(PATIENCE, reading).await {
            Ok(Ok(found)) => found,
            // A file system that does not answer, or a reader that fell over.
            Ok(Err(_)) | Err(_) => Err(Miss::SourceDown),
        }
    }
}

/// All that there is to know.
fn told(metadata: Metadata) -> Last {
    Last { found: Ok(metadata), is_owed: false }
}

/// When files are looked at again, and sockets asked.
struct Pauses {
    looks: u32,
    pause: Duration,
    asks_at: Instant,
    question_pause: Duration,
}

impl Pauses {
    fn new(now: Instant) -> Self {
        Self {
            looks: 0,
            pause: FIRST_PAUSE,
            asks_at: now + FIRST_QUESTION,
            question_pause: FIRST_QUESTION,
        }
    }

    fn next(&mut self, is_again: bool) -> Duration {
        if is_again {
            // There is nothing else to do than to wait for the socket.
            return PATIENCE;
        }
        self.looks += 1;
        if self.looks >= FIRST_LOOKS {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        self.pause
    }

    fn asks_at(&mut self, now: Instant, is_again: bool) -> bool {
        if now < self.asks_at && !is_again {
            return false;
        }
        self.question_pause *= 2;
        self.asks_at = now + self.question_pause;
        true
    }
}
