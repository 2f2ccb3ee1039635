//! The look-ups: one task a question, a bounded number at a time, each with its deadline.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::metadata::sources::Sources;
use crate::metadata::status::Miss;
use crate::metadata::{Answer, wake};

/// Questions that are worked on at a time.
const AT_A_TIME: usize = 32;

/// How long a container is looked for: its engine may still be writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at first: what runc says of a container ends with it.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// How many such looks there are; then the pause is doubled each time, up to the longest.
const FIRST_LOOKS: u32 = 100;
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

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

/// Works on questions until the event path is gone.
pub(super) async fn serve(
    mut questions: mpsc::Receiver<Wanted>,
    reply: Reply,
    sources: Arc<Sources>,
) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    while let Some(wanted) = questions.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (reply, sources) = (reply.clone(), Arc::clone(&sources));
        tokio::spawn(async move {
            answer(wanted, &reply, &sources).await;
            drop(place);
        });
    }
}

async fn answer(wanted: Wanted, reply: &Reply, sources: &Arc<Sources>) {
    let found = look(&wanted, sources).await;
    if found.is_ok() {
        sources.status.count_answer();
    }
    reply.send(Answer { wanted, found, is_last: true }).await;
}

async fn look(wanted: &Wanted, sources: &Arc<Sources>) -> Result<Metadata, Miss> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    let mut looks = 0;
    loop {
        let found = read(wanted, sources, deadline).await;
        let miss = match found {
            Ok(metadata) => return Ok(metadata),
            Err(miss) => miss,
        };
        if Instant::now() + pause >= deadline {
            return Err(miss);
        }
        sleep(pause).await;
        looks += 1;
        if looks >= FIRST_LOOKS {
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

async fn read(
    wanted: &Wanted,
    sources: &Arc<Sources>,
    deadline: Instant,
) -> Result<Metadata, Miss> {
    let (wanted, sources) = (wanted.clone(), Arc::clone(sources));
    let reading = tokio::task::spawn_blocking(move || sources.read(&wanted));
    match timeout_at(deadline, reading).await {
        Ok(Ok(found)) => found,
        // A file system that does not answer, or a reader that fell over.
        Ok(Err(_)) | Err(_) => Err(Miss::SourceDown),
    }
}
