//! The way to the API server, below the client for Kubernetes: the token, and an end to whatever the
//! server sends.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use hyper::http::request::Parts;
use hyper::http::{Request, Response};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Client, StatusCode, Url};
use tokio::time::{Instant, sleep_until, timeout};

use crate::metadata::kubernetes::{Access, PAGES_MAX};
use crate::metadata::socket::{Failure, Socket};

/// Bytes of a page of the list.
const PAGE_BYTES: usize = 16 << 20;
/// The API server stores no object that is longer.
const LINE_BYTES: usize = 2 << 20;

/// For a page of the list, and the beginning of a watch.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a version that is too old is refused with.
pub(super) const GONE: &str = "410 Gone";

/// What the client's requests go through.
struct Way {
    http: Client,
    access: Access,
    server: Arc<Socket>,
    /// Pages of the list that is being read.
    pages: AtomicUsize,
    // Requests come one after the other; the client asks for them to be shared.
    next_watch: Mutex<Instant>,
}

/// A client that asks this server within the limits.
pub(super) async fn client(access: &Access, server: &Arc<Socket>) -> anyhow::Result<kube::Client> {
    let way = Arc::new(Way {
        http: http(access).await?,
        access: access.clone(),
        server: Arc::clone(server),
        pages: AtomicUsize::new(0),
        next_watch: Mutex::new(Instant::now()),
    });
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (way, (asked, _)) = (Arc::clone(&way), request.into_parts());
        async move { way.answer(&asked).await }
    });
    Ok(kube::Client::new(service, "default"))
}

async fn http(access: &Access) -> anyhow::Result<Client> {
    // Another part of the process may have installed it already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .user_agent(concat!("sensor/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none());
    let builder = match &access.ca_file {
        Some(path) => {
            let pem = tokio::fs::read(path).await?;
            builder.tls_certs_only(Certificate::from_pem_bundle(&pem)?)
        }
        None if access.api.scheme() == "https" => builder,
        // An image without certificates is enough for plain HTTP.
        None => builder.tls_certs_only([]),
    };
    Ok(builder.build()?)
}

impl Way {
    async fn answer(&self, asked: &Parts) -> Result<Response<Limited>, Failure> {
        let query = asked.uri.query().unwrap_or_default();
        let has = |key: &str| query.split('&').any(|pair| pair.starts_with(key));
        let is_watch = has("watch=");
        if !has("continue=") {
            self.pages.store(0, Ordering::Relaxed);
        }
        if self.pages.fetch_add(1, Ordering::Relaxed) >= PAGES_MAX {
            return Err(Failure::TooLong);
        }
        if is_watch {
            sleep_until(self.turn()).await;
        }
        let answer = async {
            let response = self.request(asked).await?;
            if is_watch {
                return Ok(Limited { body: response.into(), line: 0, line_max: LINE_BYTES });
            }
            // All of it, since the client itself would wait and take without end.
            let page = page(response).await?;
            Ok(Limited { body: page.into(), line: 0, line_max: PAGE_BYTES })
        };
        let body = timeout(PATIENCE, answer).await.unwrap_or(Err(Failure::Late))?;
        if is_watch {
            self.server.settle(Ok(Some(())));
        }
        Ok(Response::new(body))
    }

    /// When it is time for the next watch.
    fn turn(&self) -> Instant {
        let mut next = self.next_watch.lock().unwrap_or_else(PoisonError::into_inner);
        turn(&mut next, Instant::now(), self.server.limits.first_pause)
    }

    async fn request(&self, asked: &Parts) -> Result<reqwest::Response, Failure> {
        let mut request =
            self.http.get(url(&self.access.api, &asked.uri)).headers(asked.headers.clone());
        if let Some(path) = &self.access.token_file {
            // Anew each time: Kubernetes replaces it.
            let token = tokio::fs::read_to_string(path).await.map_err(Failure::Unreachable)?;
            let mut token = HeaderValue::try_from(format!("Bearer {}", token.trim_end()))
                .map_err(|error| Failure::Malformed(format!("the token: {error}")))?;
            token.set_sensitive(true);
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().await.map_err(|error| failure(&error))?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::GONE => Err(Failure::Refused(GONE.to_owned())),
            status => Err(Failure::Refused(status.to_string())),
        }
    }
}

/// A server that ends each watch at once is not asked again at once.
fn turn(next: &mut Instant, now: Instant, pause: Duration) -> Instant {
    let at = now.max(*next);
    *next = at + pause;
    at
}

/// Below the path that the server is at.
fn url(api: &Url, asked: &hyper::Uri) -> Url {
    let mut url = api.clone();
    url.set_path(&format!("{}{}", api.path().trim_end_matches('/'), asked.path()));
    url.set_query(asked.query().map(|query| query.trim_start_matches('&')));
    url
}

/// A body whose lines have an end.
pub(super) struct Limited {
    body: reqwest::Body,
    line: usize,
    line_max: usize,
}

impl Body for Limited {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(|error| failure(&error))?;
        if let Some(bytes) = frame.data_ref() {
            self.line = match memchr::memrchr(b'\n', bytes) {
                Some(end) => bytes.len() - end - 1,
                None => self.line + bytes.len(),
            };
        }
        let is_too_long = self.line > self.line_max;
        Poll::Ready(Some(if is_too_long { Err(Failure::TooLong) } else { Ok(frame) }))
    }
}

async fn page(mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > PAGE_BYTES {
            return Err(Failure::TooLong);
        }
    }
    Ok(bytes)
}

fn failure(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Late;
    }
    // The innermost cause is the one that says what to do.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_connect() {
        return Failure::Unreachable(io::Error::other(cause.to_string()));
    }
    if error.is_body() || error.is_decode() {
        Failure::Cut
    } else {
        Failure::Malformed(cause.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_that_end_at_once_are_apart() {
        let began = Instant::now();
        let after = |milliseconds| began + Duration::from_millis(milliseconds);
        let mut next = began;
        for (asked, expected) in
            [(0, 0), (1, 100), (150, 200), (290_000, 290_000), (290_001, 290_100)]
        {
            let at = turn(&mut next, after(asked), Duration::from_millis(100));
            assert_eq!(at, after(expected), "{asked}");
        }
    }

    #[test]
    fn requests_go_below_the_path_that_the_server_is_at() {
        for (api, asked, expected) in [
            ("https://a:6443", "/api/v1/pods?&limit=1", "https://a:6443/api/v1/pods?limit=1"),
            ("http://a/k8s/", "/api/v1/pods", "http://a/k8s/api/v1/pods"),
            ("http://a/k8s?x=y", "/api/v1/pods?watch=true", "http://a/k8s/api/v1/pods?watch=true"),
        ] {
            let url = url(&Url::parse(api).unwrap(), &asked.parse().unwrap());
            assert_eq!(url.as_str(), expected);
        }
    }
}
