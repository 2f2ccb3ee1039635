//! Licences and banned libraries, as `deny.toml` lists them, checked without a further tool.

use std::fs;
use std::process::Command;

use serde_json::Value;

#[test]
fn dependencies_are_allowed() {
    let deny = fs::read_to_string(sensor_tests::root().join("deny.toml")).unwrap();
    let (allowed, banned) = (list(&deny, "allow"), list(&deny, "deny"));
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let license = package["license"].as_str().unwrap_or("no license");
        if !is_allowed(license, &allowed) {
            wrong.push(format!("{name}: {license}"));
        }
        if banned.iter().any(|ban| ban == name) {
            wrong.push(format!("{name} is banned"));
        }
        let source = &package["source"];
        let from_registry = source.as_str().is_some_and(|source| source.starts_with("registry+"));
        if !source.is_null() && !from_registry {
            wrong.push(format!("{name} comes from {source}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(sensor_tests::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The strings of `key = [ … ]`.
fn list(toml: &str, key: &str) -> Vec<String> {
    let start = toml.find(&format!("\n{key} = [")).unwrap();
    let list = &toml[start..];
    let list = &list[..list.find(']').unwrap()];
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be fulfilled: `OR` binds less than `AND`, `/` is an old `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ");
    if let (Some(open), Some(close)) = (expression.find('('), expression.find(')')) {
        let inner = is_allowed(&expression[open + 1..close], allowed);
        let inner = if inner { &allowed[0] } else { "none" };
        let flat = format!("{}{inner}{}", &expression[..open], &expression[close + 1..]);
        return is_allowed(&flat, allowed);
    }
    let listed = |license: &str| allowed.iter().any(|allowed| allowed == license.trim());
    expression.split(" OR ").any(|all| all.split(" AND ").all(listed))
}

#[test]
fn expressions_are_understood() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    let cases = [
        ("MIT", true),
        ("MIT/GPL-3.0", true),
        ("GPL-3.0 OR ISC", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("no license", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
