//! HTTP requests with JSON, and what a failed one means: try again, or give up.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Certificate, RequestBuilder, StatusCode, Url, redirect};

use crate::config;
use crate::config::value::Endpoint;

/// A destination with its credentials.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    settings: config::Client,
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The destination cannot be reached, or asks for patience.
    #[error("{why}")]
    Retry { reason: &'static str, why: String, after: Option<Duration> },
    /// The destination understood and refused: the same again would be refused again.
    #[error("{why}")]
    Refused { status: StatusCode, why: String },
}

impl Failure {
    /// The `reason` label.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Retry { reason, .. } => reason,
            Self::Refused { .. } => "refused",
        }
    }
}

impl Client {
    /// A client for `path` below the endpoint's URL. The error names what the settings lack.
    pub(crate) fn new(
        endpoint: &Endpoint,
        path: &[&str],
        settings: &config::Client,
    ) -> Result<Self> {
        let mut url = endpoint.url().clone();
        if let Ok(mut segments) = url.path_segments_mut()
            && !path.is_empty()
        {
            segments.pop_if_empty().extend(path);
        }
        // Another part of the process may have installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .user_agent(concat!("sensor/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(settings)?)
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout)
            // A redirected POST becomes a GET: an error is clearer than an alert that vanishes.
            .redirect(redirect::Policy::none());
        let builder = if url.scheme() == "https" {
            builder.tls_certs_merge(certificates(settings)?)
        } else {
            // An image without certificates is enough for plain HTTP.
            builder.tls_certs_only([])
        };
        let http =
            builder.build().with_context(|| format!("set up HTTP for {}", endpoint.public()))?;
        Ok(Self { http, url, settings: settings.clone() })
    }

    /// Posts JSON. Anything but a status of 2xx is a failure.
    pub(crate) async fn post(&self, json: String) -> Result<(), Failure> {
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let request = self.authorized(request).await?;
        let response = request.body(json).send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let after = response.headers().get(RETRY_AFTER).and_then(retry_after);
        let body = response.text().await.unwrap_or_default();
        Err(failure(status, after, &body))
    }

    /// Credentials are read for each request, so that they can be rotated.
    async fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, Failure> {
        if let Some(path) = &self.settings.bearer_token_file {
            let token = secret(path).await?;
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|error| unreadable(path, error))?;
            value.set_sensitive(true);
            return Ok(request.header(AUTHORIZATION, value));
        }
        if let (Some(username), Some(path)) =
            (&self.settings.username, &self.settings.password_file)
        {
            return Ok(request.basic_auth(username, Some(secret(path).await?)));
        }
        Ok(request)
    }
}

fn headers(settings: &config::Client) -> Result<HeaderMap> {
    settings
        .headers
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::try_from(name).with_context(|| format!("header {name}"))?;
            let mut value =
                HeaderValue::try_from(value).with_context(|| format!("header {name}"))?;
            value.set_sensitive(true);
            Ok((name, value))
        })
        .collect()
}

fn certificates(settings: &config::Client) -> Result<Vec<Certificate>> {
    let Some(path) = &settings.ca_file else { return Ok(Vec::new()) };
    let pem = std::fs::read(path).with_context(|| format!("read ca_file {}", path.display()))?;
    Certificate::from_pem_bundle(&pem).with_context(|| format!("read ca_file {}", path.display()))
}

async fn secret(path: &Path) -> Result<String, Failure> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| unreadable(path, error))?;
    Ok(text.trim_end().to_owned())
}

/// A secret that is being replaced may be there in a moment.
fn unreadable(path: &Path, why: impl std::fmt::Display) -> Failure {
    let why = format!("cannot read {}: {why}", path.display());
    Failure::Retry { reason: "secret", why, after: None }
}

fn unreachable(error: &reqwest::Error) -> Failure {
    let reason = if error.is_timeout() { "timeout" } else { "connection" };
    // The innermost cause is the one that says what to do; the outer ones hold the URL, which may
    // hold a password.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let why = if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() };
    Failure::Retry { reason, why, after: None }
}

/// What a status other than 2xx means.
fn failure(status: StatusCode, after: Option<Duration>, body: &str) -> Failure {
    /// Enough of the answer to see what is wrong.
    const BODY_MAX: usize = 200;
    let body: String = body.trim().chars().filter(|c| !c.is_control()).take(BODY_MAX).collect();
    let why = if body.is_empty() { status.to_string() } else { format!("{status}: {body}") };
    // Wrong credentials and wrong paths are put right by people while the sensor runs.
    let retry = status.is_server_error()
        || matches!(status.as_u16(), 401 | 403 | 404 | 407 | 408 | 425 | 429);
    if retry {
        Failure::Retry { reason: "status", why, after }
    } else {
        Failure::Refused { status, why }
    }
}

/// Seconds; the form with a date is rare, and the back-off does for it.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    const LONGEST: u64 = 300;
    let seconds: u64 = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

/// How long to wait after so many failures in a row: 0.5 s doubled to at most 30 s, of which half
/// is random so that many sensors do not come back at one moment.
pub(crate) fn back_off(failures: u32, random: u64) -> Duration {
    const SHORTEST_MS: u64 = 500;
    const LONGEST_MS: u64 = 30_000;
    let longest =
        SHORTEST_MS.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_MS);
    let half = longest / 2;
    Duration::from_millis(half + random % (half + 1))
}

/// A number that differs between processes and calls; no secret depends on it.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(base: &str, path: &[&str]) -> String {
        let endpoint = Endpoint::parse(base).unwrap();
        Client::new(&endpoint, path, &config::Client::default()).unwrap().url.to_string()
    }

    #[test]
    fn paths_are_appended_to_any_base() {
        const API: &[&str] = &["api", "v2", "alerts"];
        for (base, path, expected) in [
            ("http://am:9093", API, "http://am:9093/api/v2/alerts"),
            ("http://am:9093/", API, "http://am:9093/api/v2/alerts"),
            ("https://am/prefix", API, "https://am/prefix/api/v2/alerts"),
            ("https://am/prefix/", API, "https://am/prefix/api/v2/alerts"),
            ("http://sidekick:2801/", &[], "http://sidekick:2801/"),
            ("http://x/hook?key=1", &[], "http://x/hook?key=1"),
        ] {
            assert_eq!(url_of(base, path), expected);
        }
    }

    #[test]
    fn a_missing_ca_file_is_named() {
        let settings = config::Client {
            ca_file: Some("/nonexistent/ca.pem".into()),
            ..config::Client::default()
        };
        let endpoint = Endpoint::parse("https://am").unwrap();
        let error = Client::new(&endpoint, &[], &settings).err().unwrap();
        assert_eq!(error.to_string(), "read ca_file /nonexistent/ca.pem");
    }

    #[test]
    fn statuses_are_retried_or_refused() {
        for (status, retried) in [
            (500, true),
            (503, true),
            (429, true),
            (401, true),
            (404, true),
            (400, false),
            (413, false),
            (302, false),
        ] {
            let failure = failure(StatusCode::from_u16(status).unwrap(), None, "why\n");
            assert_eq!(matches!(failure, Failure::Retry { .. }), retried, "{status}");
            assert!(failure.to_string().ends_with(": why"), "{failure}");
        }
    }

    #[test]
    fn waits_grow_to_a_limit() {
        for (failures, shortest, longest) in [
            (1, 250, 500),
            (2, 500, 1_000),
            (3, 1_000, 2_000),
            (7, 15_000, 30_000),
            (u32::MAX, 15_000, 30_000),
        ] {
            for random in [0, 1, 12_345, u64::MAX] {
                let wait = back_off(failures, random).as_millis();
                assert!((shortest..=longest).contains(&wait), "{failures} failures: {wait} ms");
            }
        }
    }

    #[test]
    fn retry_after_is_read_and_bounded() {
        for (value, expected) in [("7", Some(7)), ("100000", Some(300)), ("Wed, 21 Oct", None)] {
            let read = retry_after(&HeaderValue::from_static(value));
            assert_eq!(read, expected.map(Duration::from_secs));
        }
    }
}
