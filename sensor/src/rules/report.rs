//! Findings of a load as JSON: in the shape of `falco_load_results`, and as SARIF.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::rules::error::{Code, Finding, Item, Severity};
use crate::rules::load::Loaded;
use crate::rules::text::{File, Place};

/// One result for each file, as Falco's `-V FILE -o json_output=true` prints them.
pub fn falco(loaded: &Loaded) -> Json {
    let results: Vec<Json> = (0..loaded.files.len())
        .map(|number| {
            let of = |is_error: bool| -> Vec<Json> {
                let findings = loaded.findings.iter().filter(|one| one.place.file == number);
                findings
                    .filter(|one| (one.severity() == Severity::Error) == is_error)
                    .map(|finding| falco_finding(finding, &loaded.files))
                    .collect()
            };
            let errors = of(true);
            let of_schema: Vec<&str> = loaded
                .findings
                .iter()
                .filter(|finding| finding.place.file == number && finding.code.is_of_schema())
                .map(|finding| finding.message.as_str())
                .collect();
            json!({
                "name": loaded.files[number].name,
                "successful": errors.is_empty(),
                "schema_valid": of_schema.is_empty(),
                "schema_warnings": of_schema,
                "errors": errors,
                "warnings": of(false),
            })
        })
        .collect();
    json!({ "falco_load_results": results })
}

fn falco_finding(finding: &Finding, files: &[File]) -> Json {
    let content = Item {
        kind: "rules content",
        name: String::new(),
        place: Place { file: finding.place.file, bytes: 0..0 },
    };
    let mut locations: Vec<Json> = std::iter::once(&content)
        .chain(&finding.within)
        .map(|item| location(item.kind, &item.name, &item.place, files))
        .collect();
    // Falco names the place itself only inside of a condition.
    if finding.within.last().is_some_and(|item| item.kind == "rule condition") {
        locations.push(location("condition expression", "", &finding.place, files));
    }
    let snippet = finding.snippet(files);
    json!({
        "code": finding.code.name(),
        "codedesc": finding.code.description(),
        "message": finding.message,
        "hint": finding.hint,
        "context": { "locations": locations, "snippet": snippet },
    })
}

fn location(kind: &str, name: &str, place: &Place, files: &[File]) -> Json {
    let file = files.get(place.file);
    let position = file.map(|file| file.position(place.bytes.start));
    json!({
        "item_type": kind,
        "item_name": name,
        "position": {
            "name": file.map_or("", |file| &file.name),
            "line": position.map_or(0, |position| position.line),
            "column": position.map_or(0, |position| position.column),
            "offset": place.bytes.start,
        },
    })
}

/// SARIF 2.1.0, for code review tools.
pub fn sarif(loaded: &Loaded) -> Json {
    let rules: Vec<Json> = Code::ALL
        .iter()
        .map(
            |code| json!({ "id": code.name(), "shortDescription": { "text": code.description() } }),
        )
        .collect();
    let results: Vec<Json> =
        loaded.findings.iter().map(|finding| sarif_result(finding, &loaded.files)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sensor",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn sarif_result(finding: &Finding, files: &[File]) -> Json {
    let level = match finding.severity() {
        Severity::Error => "error",
        Severity::Warning | Severity::Lint => "warning",
    };
    let text = match &finding.hint {
        Some(hint) => format!("{}; {hint}", finding.message),
        None => finding.message.clone(),
    };
    let locations: Vec<Json> = files
        .get(finding.place.file)
        .map(|file| {
            let (start, end) =
                (file.position(finding.place.bytes.start), file.position(finding.place.bytes.end));
            json!({ "physicalLocation": {
                "artifactLocation": { "uri": uri(&file.name) },
                "region": {
                    "startLine": start.line,
                    "startColumn": start.column,
                    "endLine": end.line,
                    "endColumn": end.column,
                },
            } })
        })
        .into_iter()
        .collect();
    json!({
        "ruleId": finding.code.name(),
        "level": level,
        "message": { "text": text },
        "locations": locations,
    })
}

/// A path as a reference: what a URI may not hold is written in hexadecimal.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(uri, "%{byte:02X}").ok();
        }
    }
    uri
}
