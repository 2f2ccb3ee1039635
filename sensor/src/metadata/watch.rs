//! Follows what an engine tells of its containers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::metadata::asked::Change;
use crate::metadata::engine;
use crate::metadata::socket::{Failure, Socket};
use crate::metadata::sockets::is_of_its_user;

/// Between two looks for a socket that is not there.
const ABSENT_PAUSE: Duration = Duration::from_secs(5);

/// A stream that uses up its bytes in less time than this is no stream of what people do.
const STEADY: Duration = Duration::from_secs(10);

/// Until nobody listens any more, or the engine refuses to tell.
pub(super) async fn follow(socket: Arc<Socket>, changes: mpsc::Sender<Change>) {
    while !changes.is_closed() {
        while let Some(at) = socket.opens_at().filter(|at| Instant::from_std(*at) > Instant::now())
        {
            sleep_until(Instant::from_std(at)).await;
        }
        let began = Instant::now();
        match listen(&socket, &changes).await {
            Ok(()) => return,
            Err(Failure::TooLong) if began.elapsed() >= STEADY => {}
            Err(Failure::Refused(why)) => {
                tracing::info!(socket = socket.name, why, "its events are not told");
                return;
            }
            Err(failure) => {
                socket.settle::<()>(Err(failure));
            }
        }
        if socket.is_absent() {
            sleep(ABSENT_PAUSE).await;
        }
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
