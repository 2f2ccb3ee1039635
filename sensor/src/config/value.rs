//! The types of settings: how each is read, written and named.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::alert::{PRIORITIES, priority_name};
use crate::config::yaml::Node;
use crate::probe::load::{HOOKS, Hooks};
use crate::rules::options::{AppendOutput, Matching, Selection};
use crate::rules::priority::Priority;

/// A setting's value. `render` gives YAML that `assign` reads back to the same value.
pub(crate) trait Value {
    /// The error is what was expected, to follow "expected".
    fn assign(&mut self, node: &Node) -> Result<(), &'static str>;
    fn render(&self) -> String;
    /// Whether its text nests deeper than a list or a map of texts.
    fn is_nested(&self) -> bool {
        false
    }
}

/// The stdout sink's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `Pretty` on a terminal, `Json` otherwise.
    Auto,
    Pretty,
    Json,
    Off,
}

/// What the sensor says about itself on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub const fn name(self) -> &'static str {
        LOG_LEVELS[self as usize].1
    }
}

const FORMATS: [(Format, &str); 4] = [
    (Format::Auto, "auto"),
    (Format::Pretty, "pretty"),
    (Format::Json, "json"),
    (Format::Off, "off"),
];

pub(crate) const LOG_LEVELS: [(LogLevel, &str); 5] = [
    (LogLevel::Error, "error"),
    (LogLevel::Warn, "warn"),
    (LogLevel::Info, "info"),
    (LogLevel::Debug, "debug"),
    (LogLevel::Trace, "trace"),
];

/// An `http` or `https` URL with a host.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(reqwest::Url);

impl Endpoint {
    pub fn parse(text: &str) -> Option<Self> {
        let url = reqwest::Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(Self(url))
    }

    pub fn url(&self) -> &reqwest::Url {
        &self.0
    }

    /// The URL for logs and labels: without user name, password and query, which may be secrets.
    pub fn public(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}{}", self.0.scheme(), self.0.path())
    }
}

/// Which API server tells of pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Kubernetes {
    /// That of the pod that the sensor runs in, if it has a service account.
    #[default]
    Auto,
    Off,
    At(Endpoint),
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.public())
    }
}

pub(super) fn scalar<'a>(node: &'a Node, expected: &'static str) -> Result<&'a str, &'static str> {
    match node {
        Node::Scalar(text) => Ok(text),
        Node::List(_) | Node::Map(_) | Node::Nested(_) => Err(expected),
    }
}

fn parsed<T: std::str::FromStr>(node: &Node, expected: &'static str) -> Result<T, &'static str> {
    scalar(node, expected)?.parse().ok().ok_or(expected)
}

fn one_of<T: Copy>(
    node: &Node,
    names: &[(T, &str)],
    expected: &'static str,
) -> Result<T, &'static str> {
    let text = scalar(node, expected)?;
    names
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(text))
        .map(|(value, _)| *value)
        .ok_or(expected)
}

/// A double-quoted YAML scalar, which is also a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Value for bool {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = parsed(node, "`true` or `false`")?;
        Ok(())
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl Value for usize {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        const EXPECTED: &str = "a whole number from 1 to 1000000";
        let count = parsed(node, EXPECTED)?;
        if !(1..=1_000_000).contains(&count) {
            return Err(EXPECTED);
        }
        *self = count;
        Ok(())
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl Value for f64 {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        const EXPECTED: &str = "a number that is not negative";
        let number: Self = parsed(node, EXPECTED)?;
        if !(number.is_finite() && number >= 0.0) {
            return Err(EXPECTED);
        }
        *self = number;
        Ok(())
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

/// A size in bytes.
impl Value for u64 {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        const EXPECTED: &str = "a size such as `8MiB`";
        let text = scalar(node, EXPECTED)?;
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: Self = number.parse().ok().ok_or(EXPECTED)?;
        let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit.trim()).ok_or(EXPECTED)?;
        *self = number.checked_mul(*factor).ok_or(EXPECTED)?;
        Ok(())
    }

    fn render(&self) -> String {
        let fits = |factor: u64| *self > 0 && self.is_multiple_of(factor);
        let (unit, factor) =
            SIZES.iter().rfind(|(_, factor)| fits(*factor)).copied().unwrap_or(SIZES[0]);
        format!("{}{unit}", self / factor)
    }
}

const SIZES: [(&str, u64); 4] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl Value for String {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        scalar(node, "a text")?.clone_into(self);
        Ok(())
    }

    fn render(&self) -> String {
        quoted(self)
    }
}

impl Value for SocketAddr {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = parsed(node, "an address and a port such as `127.0.0.1:4469`")?;
        Ok(())
    }

    fn render(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for Priority {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = one_of(
            node,
            &PRIORITIES,
            "one of `emergency`, `alert`, `critical`, `error`, `warning`, `notice`, `informational` or `debug`",
        )?;
        Ok(())
    }

    fn render(&self) -> String {
        priority_name(*self).to_lowercase()
    }
}

impl Value for Format {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = one_of(node, &FORMATS, "one of `auto`, `pretty`, `json` or `off`")?;
        Ok(())
    }

    fn render(&self) -> String {
        quoted(FORMATS[*self as usize].1)
    }
}

impl Value for Hooks {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = one_of(node, &HOOKS, "one of `auto` or `exit`")?;
        Ok(())
    }

    fn render(&self) -> String {
        HOOKS[*self as usize].1.to_owned()
    }
}

impl Value for Kubernetes {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        const EXPECTED: &str = "`auto`, `off` or the URL of an API server";
        *self = match scalar(node, EXPECTED)? {
            "auto" => Self::Auto,
            "off" => Self::Off,
            url => Self::At(Endpoint::parse(url).ok_or(EXPECTED)?),
        };
        Ok(())
    }

    fn render(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Off => quoted("off"),
            Self::At(endpoint) => quoted(endpoint.url().as_str()),
        }
    }
}

impl Value for LogLevel {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = one_of(node, &LOG_LEVELS, "one of `error`, `warn`, `info`, `debug` or `trace`")?;
        Ok(())
    }

    fn render(&self) -> String {
        self.name().to_owned()
    }
}

const MATCHINGS: [(Matching, &str); 2] = [(Matching::All, "all"), (Matching::First, "first")];

impl Value for Matching {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = one_of(node, &MATCHINGS, "one of `all` or `first`")?;
        Ok(())
    }

    fn render(&self) -> String {
        MATCHINGS[*self as usize].1.to_owned()
    }
}

impl Value for Vec<Selection> {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        const EXPECTED: &str =
            "a list such as `[{disable: {tag: network}}, {enable: {rule: Netcat*}}]`";
        *self = structure(node).ok_or(EXPECTED)?;
        Ok(())
    }

    fn render(&self) -> String {
        serde_json::json!(self).to_string()
    }

    fn is_nested(&self) -> bool {
        true
    }
}

impl Value for Vec<AppendOutput> {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        const EXPECTED: &str = "a list of entries with `match`, `extra_output`, `extra_fields` and `suggested_output`, such as `[{match: {tags: [network]}, extra_output: \"fd=%fd.name\"}]`";
        *self = structure(node).ok_or(EXPECTED)?;
        Ok(())
    }

    fn render(&self) -> String {
        serde_json::json!(self).to_string()
    }

    fn is_nested(&self) -> bool {
        true
    }
}

/// A structure; in the environment and on the command line it is JSON.
fn structure<T: serde::de::DeserializeOwned>(node: &Node) -> Option<T> {
    match node {
        Node::Nested(json) => serde_json::from_value(json.clone()).ok(),
        Node::Scalar(text) => serde_json::from_str(text).ok(),
        Node::List(_) | Node::Map(_) => None,
    }
}

/// An empty text is no value.
impl Value for Option<PathBuf> {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        let text = scalar(node, "a path")?;
        *self = (!text.is_empty()).then(|| PathBuf::from(text));
        Ok(())
    }

    fn render(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), |path| quoted(&path.to_string_lossy()))
    }
}

/// An empty text is no value.
impl Value for Option<String> {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        let text = scalar(node, "a text")?;
        *self = (!text.is_empty()).then(|| text.to_owned());
        Ok(())
    }

    fn render(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), |text| quoted(text))
    }
}

impl Value for Vec<String> {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = list(node).ok_or("a list of texts")?;
        Ok(())
    }

    fn render(&self) -> String {
        flow(self.iter().map(|text| quoted(text)))
    }
}

impl Value for Vec<PathBuf> {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        *self = list(node).ok_or("a list of paths")?.into_iter().map(PathBuf::from).collect();
        Ok(())
    }

    fn render(&self) -> String {
        flow(self.iter().map(|path| quoted(&path.to_string_lossy())))
    }
}

impl Value for Vec<Endpoint> {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        const EXPECTED: &str = "a list of URLs such as `http://127.0.0.1:9093`";
        let urls = list(node).ok_or(EXPECTED)?;
        *self =
            urls.iter().map(|url| Endpoint::parse(url)).collect::<Option<_>>().ok_or(EXPECTED)?;
        Ok(())
    }

    fn render(&self) -> String {
        flow(self.iter().map(|endpoint| quoted(endpoint.url().as_str())))
    }
}

impl Value for BTreeMap<String, String> {
    fn assign(&mut self, node: &Node) -> Result<(), &'static str> {
        const EXPECTED: &str = "a map of names to texts";
        *self = match node {
            Node::Map(entries) => entries.iter().cloned().collect(),
            Node::List(_) | Node::Nested(_) => return Err(EXPECTED),
            Node::Scalar(text) => parts(text)
                .map(|part| {
                    let (name, value) = part.split_once('=')?;
                    Some((name.trim().to_owned(), value.trim().to_owned()))
                })
                .collect::<Option<_>>()
                .ok_or(EXPECTED)?,
        };
        Ok(())
    }

    fn render(&self) -> String {
        let entries: Vec<String> = self
            .iter()
            .map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)))
            .collect();
        format!("{{{}}}", entries.join(", "))
    }
}

/// A list, or its form in the environment: separated by commas.
fn list(node: &Node) -> Option<Vec<String>> {
    match node {
        Node::List(items) => Some(items.clone()),
        Node::Scalar(text) => Some(parts(text).map(str::to_owned).collect()),
        Node::Map(_) | Node::Nested(_) => None,
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn flow(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}
