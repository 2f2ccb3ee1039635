//! What a rules file asks of the engine: its version, and plugins.

use crate::rules::error::{Code, Item};
use crate::rules::file::{Keys, Reading};

/// Falco's newest engine version whose language this engine has.
pub const ENGINE_VERSION: [u64; 3] = [0, 63, 0];

/// Plugins whose fields are built in.
const BUILT_IN: &[&str] = &["container"];

pub fn engine_version(reading: &mut Reading<'_>) {
    let Some(text) = reading.text("required_engine_version") else { return };
    let place = text.place(0..text.text.len());
    let minor = text.text.parse::<u64>().ok().map(|minor| [0, minor, 0]);
    let Some(required) = minor.or_else(|| version(&text.text)) else {
        let message = format!(
            "Unable to parse engine version '{}' as a semver string. Expected \"x.y.z\" semver format.",
            text.text
        );
        reading.fail(place, message);
        return;
    };
    if required > ENGINE_VERSION {
        let message = format!(
            "Rules require engine version {}, but engine version is {}",
            dotted(required),
            dotted(ENGINE_VERSION)
        );
        reading.findings.push(reading.entry.finding(Code::Validate, place, message));
    }
}

pub fn plugin_versions(reading: &mut Reading<'_>) {
    let Some(node) = reading.entry.keys.get("required_plugin_versions").cloned() else { return };
    let Some(plugins) = node.sequence() else {
        reading.fail(node.place, "Value is not a sequence");
        return;
    };
    for plugin in plugins {
        let Some(keys) = Keys::of(plugin) else {
            reading.fail(plugin.place.clone(), "Value is not a mapping");
            continue;
        };
        let known = one_plugin(reading, &keys);
        let alternatives =
            keys.get("alternatives").and_then(|node| node.sequence()).unwrap_or_default();
        let any_known = alternatives
            .iter()
            .filter_map(Keys::of)
            .fold(known.is_none_or(|(_, known)| known), |any, keys| {
                one_plugin(reading, &keys).is_some_and(|(_, known)| known) || any
            });
        if let Some((name, _)) = one_plugin_name(&keys).filter(|_| !any_known) {
            let message = format!(
                "plugin `{name}` is not part of this program: rules of its sources are skipped"
            );
            let finding =
                reading.entry.finding(Code::PluginNotPresent, plugin.place.clone(), message);
            reading.findings.push(finding);
        }
    }
}

fn one_plugin_name(keys: &Keys) -> Option<(String, bool)> {
    let name = keys.get("name")?.scalar()?.text.text.clone();
    let known = BUILT_IN.contains(&name.as_str());
    Some((name, known))
}

/// The plugin's name and whether it is built in, when the entry is right.
fn one_plugin(reading: &mut Reading<'_>, keys: &Keys) -> Option<(String, bool)> {
    for key in ["name", "version"] {
        if keys.get(key).is_none() {
            let place = reading.entry.place.clone();
            reading.fail(place, format!("Item has no mapping for key '{key}'"));
            return None;
        }
    }
    let (name, known) = one_plugin_name(keys)?;
    let node = keys.get("version")?;
    let text = node.scalar().map_or("", |scalar| scalar.text.text.as_str());
    if version(text).is_none() {
        let message = format!("Invalid required version '{text}' for plugin '{name}'");
        let mut finding = reading.entry.finding(Code::Validate, node.place.clone(), message);
        let kind = "required plugin versions entry";
        finding.within.push(Item { kind, name, place: node.place.clone() });
        reading.findings.push(finding);
        return None;
    }
    Some((name, known))
}

fn version(text: &str) -> Option<[u64; 3]> {
    // Pre-release and build parts do not order before what is required here.
    let core = text.split(['-', '+']).next()?;
    let mut numbers = core.split('.').map(|part| part.parse().ok());
    let version = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(version)
}

fn dotted([major, minor, patch]: [u64; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}
