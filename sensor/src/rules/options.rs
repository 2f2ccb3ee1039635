//! What the configuration decides about a ruleset beside its files.

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

/// Rules to switch on or off.
#[derive(Clone, Debug)]
pub struct Selection {
    pub enable: bool,
    pub which: Which,
}

#[derive(Clone, Debug)]
pub enum Which {
    /// By name; `*` and `?` as in file names.
    Rule(String),
    Tag(String),
}

/// Text and fields that are added to the outputs of matching rules.
#[derive(Clone, Debug, Default)]
pub struct AppendOutput {
    pub rule: Option<String>,
    /// All of them.
    pub tags: Vec<String>,
    pub extra_output: String,
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
    /// What Falco adds to every output with its container plugin.
    pub fn suggested() -> Self {
        Self {
            extra_output: "container_id=%container.id container_name=%container.name \
                container_image_repository=%container.image.repository \
                container_image_tag=%container.image.tag k8s_pod_name=%k8s.pod.name \
                k8s_ns_name=%k8s.ns.name"
                .to_owned(),
            ..Self::default()
        }
    }

    pub fn applies(&self, rule: &str, tags: &[String]) -> bool {
        self.rule.as_deref().is_none_or(|own| own == rule)
            && self.tags.iter().all(|own| tags.contains(own))
    }
}

impl Which {
    pub fn names(&self, rule: &str, tags: &[String]) -> bool {
        match self {
            Self::Rule(pattern) => Glob::new(pattern.as_bytes(), false).matches(rule.as_bytes()),
            Self::Tag(tag) => tags.contains(tag),
        }
    }
}
