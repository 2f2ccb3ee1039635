//! Follows what an engine tells of its containers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::metadata::asked::Change;
use crate::metadata::engine;
use crate::metadata::socket::{Failure, Limits, Socket};
use crate::metadata::sockets::is_of_its_user;

/// Between two looks for a socket that is not there.
const ABSENT_PAUSE: Duration = Duration::from_secs(5);

/// A stream that uses up its bytes in less time than this is no stream of what people do.
const STEADY: Duration = Duration::from_secs(10);

/// Until nobody listens any more. A stream that ends soon is asked for less and less often, whatever
/// else the socket answers.
pub(super) async fn follow(socket: Arc<Socket>, changes: mpsc::Sender<Change>) {
    let Limits { first_pause, longest_pause, .. } = socket.limits;
    let mut pause = first_pause;
    loop {
        until_open(&socket).await;
        let began = Instant::now();
        let Err(failure) = listen(&socket, &changes).await else { return };
        let is_steady = began.elapsed() >= STEADY;
        match failure {
            // It may answer questions all the same.
            Failure::Refused(why) => {
                tracing::info!(socket = socket.name, why, "its events are not told");
            }
            Failure::TooLong if is_steady => {}
            failure => {
                socket.settle::<()>(Err(failure));
            }
        }
        if is_steady {
            pause = first_pause;
        } else {
            sleep(if socket.is_absent() { ABSENT_PAUSE } else { pause }).await;
            pause = (pause * 2).min(longest_pause);
        }
    }
}

/// Until a socket may be asked; whoever waits for that is the one to ask then.
pub(super) async fn until_open(socket: &Socket) {
    while let Err(at) = socket.admits() {
        sleep_until(Instant::from_std(at)).await;
    }
}

/// Ends well when nobody listens any more.
async fn listen(socket: &Arc<Socket>, changes: &mpsc::Sender<Change>) -> Result<(), Failure> {
    is_of_its_user(socket)?;
    let opened = Arc::new(Notify::new());
    let mut events = pin!(engine::changes(socket, &opened)?);
    loop {
        let change = tokio::select! {
            () = opened.notified() => {
                socket.settle(Ok(Some(())));
                Some(Change::Engine { by: Arc::clone(socket) })
            }
            event = events.next() => {
                let id = event.unwrap_or(Err(Failure::Cut))?;
                id.map(|id| Change::Container { id, by: Arc::clone(socket) })
            }
        };
        if let Some(change) = change
            && changes.send(change).await.is_err()
        {
            return Ok(());
        }
    }
}
