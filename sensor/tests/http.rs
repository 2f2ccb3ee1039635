//! Alerts by POST to a server that is slow to agree.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sensor::alert::{Alert, Origin, id};
use sensor::config::value::{Endpoint, Format};
use sensor::config::{self, Client};
use sensor::metrics::counters::Counters;
use sensor::rules::priority::Priority;
use sensor::sinks::Sinks;
use serde_json::Value;

/// What the server answers, one after the other, and what it was sent.
#[derive(Default)]
struct Exchange {
    answers: VecDeque<u16>,
    requests: Vec<(HeaderMap, Value)>,
}

async fn answer(
    State(exchange): State<Arc<Mutex<Exchange>>>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let mut exchange = exchange.lock().unwrap();
    exchange.requests.push((headers, serde_json::from_str(&body).unwrap()));
    StatusCode::from_u16(exchange.answers.pop_front().unwrap_or(200)).unwrap()
}

fn alert(rule: &str) -> Alert {
    Alert {
        update_of: None,
        uuid: id("node-1", rule, 1, 1),
        time_ns: 1,
        rule: rule.into(),
        priority: Priority::Notice,
        source: "syscall",
        tags: [].into(),
        hostname: "node-1".into(),
        output: "it happened".to_owned(),
        output_fields: serde_json::Map::new(),
        origin: Origin::host(),
    }
}

#[test]
fn posts_are_repeated_until_they_are_taken_or_refused() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let exchange = Arc::new(Mutex::new(Exchange {
        answers: VecDeque::from([503, 200, 400, 204]),
        requests: Vec::new(),
    }));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", post(answer)).with_state(Arc::clone(&exchange));
    runtime.spawn(async { axum::serve(listener, router).await });

    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "s3cret\n").unwrap();
    let settings = config::Sinks {
        stdout: config::Stdout { format: Format::Off, ..config::Stdout::default() },
        http: config::Http {
            urls: vec![Endpoint::parse(&url).unwrap()],
            client: Client {
                bearer_token_file: Some(token.path().to_owned()),
                headers: [("X-Tenant".to_owned(), "blue".to_owned())].into(),
                ..Client::default()
            },
            ..config::Http::default()
        },
        ..config::Sinks::default()
    };
    let counters = Arc::new(Counters::default());
    let sinks = Sinks::start(&settings, Arc::clone(&counters), runtime.handle().clone()).unwrap();
    for rule in ["first", "second", "third"] {
        sinks.dispatch(alert(rule));
    }
    assert_eq!(runtime.block_on(sinks.shutdown(Duration::from_mins(1))), 0);

    let exchange = exchange.lock().unwrap();
    let rules: Vec<&str> =
        exchange.requests.iter().map(|(_, body)| body["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["first", "first", "second", "third"]);
    let (headers, body) = &exchange.requests[0];
    for (name, value) in [
        ("authorization", "Bearer s3cret"),
        ("x-tenant", "blue"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert_eq!(body["output"], "00:00:00.000000001: Notice it happened");
    let sink = &counters.sinks.get()[0];
    assert_eq!((sink.sent.get(), sink.delivered.get()), (3, 2));
    assert_eq!(sink.dropped.get()["refused"], 1);
    let errors = sink.errors.get();
    assert_eq!((errors[&(url.clone(), "status")], errors[&(url, "refused")]), (1, 1));
}
