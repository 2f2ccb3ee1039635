//! YAML nodes → items of a rules file: rules, macros, lists and requirements, not yet merged.

use crate::fields::near::{did_you_mean, nearest};
use crate::rules::error::{Code, Fault, Finding, Item};
use crate::rules::text::{Place, Text};
use crate::rules::yaml::{Kind, Node, Scalar};

/// One item of a file.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: EntryKind,
    pub name: Text,
    /// The values of the item's keys, by the key's name.
    pub keys: Keys,
    pub place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Rule,
    Macro,
    List,
    EngineVersion,
    PluginVersions,
}

/// The keys of a mapping; the first of repeated ones counts, as in Falco.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    entries: Vec<(String, Node)>,
    places: Vec<Place>,
}

impl EntryKind {
    const ALL: [Self; 5] =
        [Self::Rule, Self::Macro, Self::List, Self::EngineVersion, Self::PluginVersions];

    /// The key that makes an item one of this kind.
    const fn key(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Macro => "macro",
            Self::List => "list",
            Self::EngineVersion => "required_engine_version",
            Self::PluginVersions => "required_plugin_versions",
        }
    }

    /// The name in findings.
    pub const fn item(self) -> &'static str {
        match self {
            Self::EngineVersion => "required_engine_version",
            Self::PluginVersions => "required plugin versions",
            other => other.key(),
        }
    }

    const fn known_keys(self) -> &'static [&'static str] {
        match self {
            Self::Rule => &[
                "rule",
                "condition",
                "output",
                "desc",
                "priority",
                "source",
                "enabled",
                "tags",
                "exceptions",
                "warn_evttypes",
                "skip-if-unknown-filter",
                "capture",
                "capture_duration",
                "append",
                "override",
            ],
            Self::Macro => &["macro", "condition", "append", "override"],
            Self::List => &["list", "items", "append", "override"],
            Self::EngineVersion => &["required_engine_version"],
            Self::PluginVersions => &["required_plugin_versions"],
        }
    }
}

impl Entry {
    pub fn item(&self) -> Item {
        Item { kind: self.kind.item(), name: self.name.text.clone(), place: self.place.clone() }
    }

    pub fn finding(&self, code: Code, place: Place, message: impl Into<String>) -> Finding {
        Fault::new(code, place, message).within(vec![self.item()])
    }
}

/// Reads the items of a file's documents.
pub fn read(documents: &[Node], findings: &mut Vec<Finding>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for document in documents {
        match &document.kind {
            Kind::Scalar(scalar) if scalar.is_null() => {}
            Kind::Sequence(items) => {
                entries.extend(items.iter().filter_map(|item| entry(item, findings)));
            }
            Kind::Mapping(entries) => {
                let mut finding =
                    invalid(&document.place, "Rules content is not yaml array of objects");
                let first = entries.first().and_then(|(key, _)| key.scalar());
                let first = first.map_or("", |key| &key.text.text);
                let known = EntryKind::ALL.iter().any(|kind| kind.key() == first);
                finding.hint = Some(if known {
                    format!("begin the item with `- `: `- {first}: …`")
                } else {
                    format!("remove `{first}:`: the items stand in a list of their own")
                });
                findings.push(finding);
            }
            Kind::Scalar(_) => findings
                .push(invalid(&document.place, "Rules content is not yaml array of objects")),
        }
    }
    entries
}

fn invalid(place: &Place, message: &str) -> Finding {
    // The whole document is meant: a caret at its start is enough.
    let place = Place { bytes: place.bytes.start..place.bytes.start, ..place.clone() };
    Fault::new(Code::YamlValidate, place, message).within(Vec::new())
}

fn entry(node: &Node, findings: &mut Vec<Finding>) -> Option<Entry> {
    let Some(keys) = Keys::of(node) else {
        let message = "Unexpected element type. Each element should be a yaml associative array.";
        findings.push(invalid(&node.place, message));
        return None;
    };
    let kind = EntryKind::ALL.into_iter().find(|kind| keys.get(kind.key()).is_some());
    let place = keys.first_place().unwrap_or_else(|| node.place.clone());
    let Some(kind) = kind else {
        let message =
            format!("Unknown rules file item '{}'. The item will be ignored.", keys.first_name());
        let fault = Fault::new(Code::UnknownItem, place, message);
        let known = EntryKind::ALL.iter().map(|kind| kind.key());
        findings.push(fault.maybe_hint(did_you_mean(keys.first_name(), known)).within(Vec::new()));
        return None;
    };
    let name = keys.get(kind.key()).and_then(Node::scalar).map(|scalar| scalar.text.clone());
    let named = !matches!(kind, EntryKind::EngineVersion | EntryKind::PluginVersions);
    let entry = Entry { kind, name: name.unwrap_or_default(), keys, place };
    if named && entry.name.text.is_empty() {
        let message = format!("Item has no value for key '{}'", kind.key());
        findings.push(entry.finding(Code::YamlValidate, entry.place.clone(), message));
        return None;
    }
    unknown_keys(&entry, findings);
    Some(entry)
}

fn unknown_keys(entry: &Entry, findings: &mut Vec<Finding>) {
    let known = entry.kind.known_keys();
    for (key, place) in entry.keys.names() {
        if !known.contains(&key) {
            let message = format!("Unknown key '{key}'. The key will be ignored.");
            let mut finding = entry.finding(Code::UnknownKey, place.clone(), message);
            finding.hint = did_you_mean(key, known.iter().copied());
            findings.push(finding);
        }
    }
}

impl Keys {
    /// The keys of a mapping; `None` for other nodes.
    pub fn of(node: &Node) -> Option<Self> {
        let Kind::Mapping(entries) = &node.kind else { return None };
        let mut keys = Self::default();
        for (key, value) in entries {
            let Some(name) = key.scalar().map(|scalar| scalar.text.text.clone()) else { continue };
            if !keys.entries.iter().any(|(known, _)| *known == name) {
                // A value that is left out has no extent of its own: its key shows where.
                let mut value = value.clone();
                if value.place.bytes.is_empty() {
                    value.place = key.place.clone();
                }
                keys.entries.push((name, value));
                keys.places.push(key.place.clone());
            }
        }
        Some(keys)
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// A hint at a key of another name that stands where this one should.
    pub fn meant(&self, key: &str, known: &[&str]) -> Option<String> {
        let strangers = self.entries.iter().map(|(name, _)| name.as_str());
        let mut strangers = strangers.filter(|name| !known.contains(name));
        let is_meant = |name: &str| {
            let (short, long) = if name.len() < key.len() { (name, key) } else { (key, name) };
            short.len() > 2 && long.starts_with(short) || nearest(name, [key]).is_some()
        };
        let name = strangers.find(|name| is_meant(name))?;
        Some(format!("`{name}` is no key: write `{key}`"))
    }

    pub fn names(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.entries.iter().map(|(name, _)| name.as_str()).zip(&self.places)
    }

    fn first_place(&self) -> Option<Place> {
        self.places.first().cloned()
    }

    fn first_name(&self) -> &str {
        self.entries.first().map_or("", |(name, _)| name)
    }
}

impl Node {
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }

    pub fn sequence(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            Kind::Scalar(_) | Kind::Mapping(_) => None,
        }
    }
}

/// Typed access to an entry's keys; what is wrong becomes a finding.
pub struct Reading<'a> {
    pub entry: &'a Entry,
    pub findings: &'a mut Vec<Finding>,
}

impl Reading<'_> {
    pub fn fail(&mut self, place: Place, message: impl Into<String>) {
        self.findings.push(self.entry.finding(Code::YamlValidate, place, message));
    }

    /// An error about a key that must be there, and is not.
    pub fn missing(&mut self, key: &str) {
        let place = self.entry.place.clone();
        let message = format!("Item has no mapping for key '{key}'");
        let mut finding = self.entry.finding(Code::YamlValidate, place, message);
        finding.hint = self.entry.keys.meant(key, self.entry.kind.known_keys());
        self.findings.push(finding);
    }

    /// A text that must be there.
    pub fn required(&mut self, key: &str) -> Option<Text> {
        if self.entry.keys.get(key).is_none() {
            self.missing(key);
            return None;
        }
        self.text(key)
    }

    /// A text that may be left out.
    pub fn text(&mut self, key: &str) -> Option<Text> {
        let node = self.entry.keys.get(key)?.clone();
        let Some(scalar) = node.scalar() else {
            self.fail(node.place, "Can't decode YAML scalar value");
            return None;
        };
        if scalar.is_null() {
            let place = node.place.clone();
            self.fail(place, format!("Mapping for key '{key}' is empty"));
            return None;
        }
        if scalar.text.text.trim().is_empty() {
            self.fail(node.place.clone(), "Value must be non-empty");
            return None;
        }
        Some(scalar.text.clone())
    }

    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        let node = self.entry.keys.get(key)?.clone();
        let text = node.scalar().map(|scalar| scalar.text.text.to_ascii_lowercase());
        match text.as_deref() {
            Some("true" | "yes" | "on" | "y") => Some(true),
            Some("false" | "no" | "off" | "n") => Some(false),
            _ => {
                self.fail(node.place, "Can't decode YAML scalar value");
                None
            }
        }
    }

    pub fn number(&mut self, key: &str) -> Option<u64> {
        let node = self.entry.keys.get(key)?.clone();
        let number = node.scalar().and_then(|scalar| scalar.text.text.parse().ok());
        if number.is_none() {
            self.fail(node.place, "Can't decode YAML scalar value");
        }
        number
    }

    /// The scalars of a sequence.
    pub fn texts(&mut self, key: &str) -> Option<Vec<Text>> {
        let node = self.entry.keys.get(key)?.clone();
        let Some(items) = node.sequence() else {
            self.fail(node.place, "Value is not a sequence");
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item.scalar() {
                Some(scalar) => texts.push(scalar.text.clone()),
                None => self.fail(item.place.clone(), "Can't decode YAML scalar value"),
            }
        }
        Some(texts)
    }
}
