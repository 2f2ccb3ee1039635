//! Connections to Unix sockets whose other end is not trusted: how much it says is bounded, and so
//! is how long it may take. One question has one connection.

use std::error::Error;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// What the other end is allowed.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    pub(super) bytes: u64,
    /// None for a connection that is to last.
    pub(super) time: Option<Duration>,
    /// Set when the bytes are used up, for whoever gets to see nothing of the error but its text.
    pub(super) spent: Arc<AtomicBool>,
}

/// It said more than it may.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes")]
struct TooLong(u64);

/// An error, and what caused it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause_of(*cause))
}

fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        // Its source would be the inner error's source.
        Some(io) => io.get_ref().map(|inner| inner as _),
        None => error.source(),
    }
}

/// Whether an error is that there was more than is allowed.
pub(super) fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<TooLong>)
}

/// Whether the connection ended before the answer did.
pub(super) fn is_cut(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    causes(error).any(|cause| {
        let http = cause.downcast_ref::<hyper::Error>();
        let io = cause.downcast_ref().map(io::Error::kind);
        // A request that was still waiting when the connection went is called cancelled.
        let is_gone = |error: &hyper::Error| {
            error.is_closed() || error.is_incomplete_message() || error.is_canceled()
        };
        http.is_some_and(is_gone)
            || io.is_some_and(|kind| matches!(kind, BrokenPipe | ConnectionReset | UnexpectedEof))
    })
}

/// Sends a request on a connection of its own.
pub(super) async fn request<B>(
    path: &Path,
    allowance: Allowance,
    mut request: Request<B>,
) -> io::Result<Response<Incoming>>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let time = allowance.time;
    let stream = open(path, allowance).await?;
    let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
    drive(connection, time);
    // Of the address nothing but path and query belongs into the request.
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = target.parse::<Uri>().map_err(io::Error::other)?;
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    sender.send_request(request).await.map_err(io::Error::other)
}

/// A connection for one question in HTTP/2.
pub(super) async fn http2<B>(path: &Path, allowance: Allowance) -> io::Result<http2::SendRequest<B>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let time = allowance.time;
    let stream = open(path, allowance).await?;
    let handshake = http2::handshake(TokioExecutor::new(), stream);
    let (sender, connection) = handshake.await.map_err(io::Error::other)?;
    drive(connection, time);
    Ok(sender)
}

async fn open(path: &Path, allowance: Allowance) -> io::Result<TokioIo<Limited>> {
    let stream = UnixStream::connect(path).await?;
    let Allowance { bytes, spent, .. } = allowance;
    Ok(TokioIo::new(Limited { stream, bytes, left: bytes, spent }))
}

/// A connection ends with its question; at the latest when its time is long over, so that it is the question
/// that ends first and says why.
fn drive<E>(
    connection: impl Future<Output = Result<(), E>> + Send + 'static,
    time: Option<Duration>,
) where
    E: Send + 'static,
{
    tokio::spawn(async move {
        // Who asked is told of an error by its own end.
        match time {
            Some(time) => drop(timeout(time * 2, connection).await),
            None => drop(connection.await),
        }
    });
}

/// A stream that ends in an error when more comes than is allowed.
struct Limited {
    stream: UnixStream,
    bytes: u64,
    left: u64,
    spent: Arc<AtomicBool>,
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        let Some(left) = self.left.checked_sub(read) else {
            self.spent.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other(TooLong(self.bytes))));
        };
        self.left = left;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
