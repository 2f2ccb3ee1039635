//! `/metrics`, `/livez` and `/readyz` over HTTP.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::exporter::{Exporter, Exposition};
use crate::metrics::health::{Health, verbose};

/// What the requests are answered from.
#[derive(Clone)]
struct Answers {
    exporter: Arc<Exporter>,
    health: Arc<Health>,
    notes: Notes,
}

/// What `/readyz?verbose` says besides: it makes nobody unready.
pub type Notes = Arc<dyn Fn() -> String + Send + Sync>;

/// Takes the address. The error is one sentence that says what to do.
pub async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(listen).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(anyhow!(
            "cannot serve metrics on {listen}: the port is in use; choose another with `metrics.listen`, or set `metrics.enabled` to false"
        )),
        Err(error) => Err(error).with_context(|| format!("serve metrics on {listen}")),
    }
}

/// Answers requests until `shutdown` ends.
pub async fn serve(
    listener: TcpListener,
    exporter: Arc<Exporter>,
    health: Arc<Health>,
    notes: Notes,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(Answers { exporter, health, notes });
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

async fn index() -> &'static str {
    "sensor\n\n/metrics\n/livez\n/readyz\n/readyz?verbose\n"
}

async fn metrics(State(answers): State<Answers>, headers: HeaderMap) -> Response {
    let accept: Vec<&str> =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let exposition = Exposition::accepted(&accept.join(","));
    // It reads files of each container, which would hold up every sink on this thread.
    let exporter = answers.exporter;
    match tokio::task::spawn_blocking(move || exporter.render(exposition)).await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, exposition.content_type())], text).into_response(),
        Ok(Err(_)) | Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n")
                .into_response()
        }
    }
}

async fn livez(State(answers): State<Answers>) -> (StatusCode, &'static str) {
    if answers.health.alive(Instant::now()) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the ring is not read any more\n")
    }
}

async fn readyz(State(answers): State<Answers>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let report = answers.health.report(Instant::now());
    let ready = report.iter().all(|(_, verdict)| verdict.is_ok());
    let asked = query.is_some_and(|query| {
        query.split('&').any(|part| part == "verbose" || part.starts_with("verbose="))
    });
    // What fails is always named: it is what the reader wants to know next.
    let mut text = if asked || !ready { verbose(&report) } else { "ok\n".to_owned() };
    if asked {
        text.push_str(&(answers.notes)());
    }
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}
