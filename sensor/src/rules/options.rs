//! What the configuration decides about a ruleset beside its files, in the form of Falco's
//! `falco.yaml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rules::glob::Glob;
use crate::rules::priority::Priority;

/// How rules are loaded and matched.
#[derive(Clone, Debug)]
pub struct Options {
    /// Less urgent rules are not loaded.
    pub minimum_priority: Priority,
    pub matching: Matching,
    /// Applied in order, each to the rules that it names.
    pub selections: Vec<Selection>,
    pub append_output: Vec<AppendOutput>,
}

/// Whether an event may match several rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    #[default]
    All,
    /// The first rule of the files that matches hides those after it.
    First,
}

/// Rules to switch on or off: `disable: {tag: network}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    Enable(Which),
    Disable(Which),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// By name; `*` and `?` as in file names.
    Rule(String),
    Tag(String),
}

/// Text and fields that are added to the outputs of matching rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendOutput {
    #[serde(default, rename = "match", skip_serializing_if = "Matches::is_all")]
    pub matches: Matches,
    /// Added to the text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub extra_output: String,
    /// Added to `output_fields`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_fields: Vec<ExtraField>,
    /// Adds what says in which container it happened; once, whatever other entries say.
    #[serde(default = "yes")]
    pub suggested_output: bool,
}

/// All that is given must apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matches {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The rule has all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A field as it is, or texts by name: `evt.hostname`, `{home: "%user.homedir"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExtraField {
    Field(String),
    Texts(BTreeMap<String, String>),
}

/// What Falco adds to every output with its container plugin.
pub const SUGGESTED: &str = "container_id=%container.id container_name=%container.name \
    container_image_repository=%container.image.repository \
    container_image_tag=%container.image.tag k8s_pod_name=%k8s.pod.name \
    k8s_ns_name=%k8s.ns.name";

fn yes() -> bool {
    true
}

impl Default for Options {
    fn default() -> Self {
        Self {
            minimum_priority: Priority::Debug,
            matching: Matching::All,
            selections: Vec::new(),
            append_output: vec![AppendOutput::suggested()],
        }
    }
}

impl AppendOutput {
    /// Nothing but what is suggested.
    pub fn suggested() -> Self {
        Self {
            matches: Matches::default(),
            extra_output: String::new(),
            extra_fields: Vec::new(),
            suggested_output: true,
        }
    }

    pub fn applies(&self, rule: &str, tags: &[String]) -> bool {
        let Matches { source, rule: own, tags: wanted } = &self.matches;
        source.as_deref().is_none_or(|source| source == "syscall")
            && own.as_deref().is_none_or(|own| own == rule)
            && wanted.iter().all(|own| tags.contains(own))
    }
}

impl Matches {
    fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

impl Selection {
    /// What it says of a rule; nothing when it is about others.
    pub fn enables(&self, rule: &str, tags: &[String]) -> Option<bool> {
        let (enable, which) = match self {
            Self::Enable(which) => (true, which),
            Self::Disable(which) => (false, which),
        };
        which.names(rule, tags).then_some(enable)
    }
}

impl Which {
    fn names(&self, rule: &str, tags: &[String]) -> bool {
        match self {
            Self::Rule(pattern) => Glob::new(pattern.as_bytes(), false).matches(rule.as_bytes()),
            Self::Tag(tag) => tags.contains(tag),
        }
    }
}
