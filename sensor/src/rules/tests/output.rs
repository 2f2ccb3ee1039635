//! Output texts, and load results as JSON.

use super::*;
use crate::rules::options::{AppendOutput, ExtraField, Matches};
use crate::rules::report;

fn rendered(output: &str, json: &str) -> Rendered {
    let yaml = format!(
        "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: '{output}'\n  priority: INFO\n"
    );
    let options = Options { append_output: Vec::new(), ..Options::default() };
    let loaded = load_with(&yaml, &options);
    let errors: Vec<String> = loaded.errors().map(|error| error.render(&loaded.files)).collect();
    let ruleset = loaded.ruleset.unwrap_or_else(|| panic!("{}", errors.join("\n")));
    ruleset.rules()[0].render(&event(json))
}

const OPEN: &str = r#"{"evt.type":"open","proc.name":"cat","proc.pid":7,"fd.name":"/a\nb","fd.sip":"::1",
    "proc.aname":["cat","sh","sshd"],"evt.is_open_read":true}"#;

#[test]
fn fields_are_filled_in() {
    let message = |output: &str| rendered(output, OPEN).message;
    assert_eq!(message("a %proc.name b"), "a cat b");
    assert_eq!(message("*%proc.name"), "cat");
    assert_eq!(message("%proc.names %proc.name.x"), "cats cat.x");
    assert_eq!(message("%proc.aname[1] %proc.aname[9] %proc.aname[x]"), "sh <NA> sh,sshd[x]");
    assert_eq!(message("%6proc.name| %2proc.name|"), "cat   | ca|");
    assert_eq!(message("100%% %evt.is_open_read %proc.pid %fd.sip"), "100% true 7 ::1");
    assert_eq!(message("%fd.name"), "/a\\nb");
    assert_eq!(message("%toupper(proc.name) %concat(proc.name, \"-\", evt.type)"), "CAT cat-open");
    assert_eq!(message("%join(\",\", (proc.name, evt.type)) %len(proc.name)"), "cat,open 3");
    assert_eq!(message("(%proc.name): %user.name"), "(cat): <NA>");
}

#[test]
fn json_has_every_field() {
    let fields =
        rendered("%proc.name %proc.pid %user.name %evt.is_open_read %toupper(proc.name)", OPEN)
            .fields;
    let expected = serde_json::json!({
        "proc.name": "cat", "proc.pid": 7, "user.name": null, "evt.is_open_read": true,
        "toupper(proc.name)": "CAT",
    });
    assert_eq!(Json::Object(fields), expected);
}

#[test]
fn wrong_outputs_are_refused() {
    for output in [
        "100% sure",
        "%",
        "%nope",
        "%proc.nope",
        "%*fd.name",
        "%-20proc.name",
        "%val(proc.name)",
        "%tolower(proc.pid)",
        "%99999proc.name",
    ] {
        let yaml = format!(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: '{output}'\n  priority: INFO\n"
        );
        let codes: Vec<&str> = load(&yaml).errors().map(|error| error.code.name()).collect();
        assert_eq!(codes, ["LOAD_ERR_COMPILE_OUTPUT"], "{output}");
    }
}

#[test]
fn container_fields_are_added() {
    let yaml = "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  tags: [t]\n";
    let render = |append_output: Vec<AppendOutput>| {
        let options = Options { append_output, ..Options::default() };
        load_with(yaml, &options).ruleset.unwrap().rules()[0].render(&event(OPEN)).message
    };
    assert!(
        render(vec![AppendOutput::suggested()])
            .starts_with("o container_id=<NA> container_name=<NA> ")
    );
    let tagged = |tag: &str| AppendOutput {
        matches: Matches { tags: vec![tag.to_owned()], ..Matches::default() },
        extra_output: "more=%proc.name".to_owned(),
        suggested_output: false,
        ..AppendOutput::suggested()
    };
    assert_eq!(render(vec![tagged("t")]), "o more=cat");
    assert_eq!(render(vec![tagged("u")]), "o");
    let twice = render(vec![AppendOutput::suggested(), AppendOutput::suggested()]);
    assert_eq!(twice.matches("container_id=").count(), 1);
}

#[test]
fn fields_are_added_to_the_json_alone() {
    let text = r#"[{"match": {"rule": "R"}, "suggested_output": false,
        "extra_fields": ["proc.pid", {"who": "%proc.name and %proc.aname[1]"}]}]"#;
    let append_output: Vec<AppendOutput> = serde_json::from_str(text).unwrap();
    assert_eq!(append_output[0].extra_fields[0], ExtraField::Field("proc.pid".to_owned()));
    let options = Options { append_output, ..Options::default() };
    let yaml =
        "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";
    let rendered = load_with(yaml, &options).ruleset.unwrap().rules()[0].render(&event(OPEN));
    assert_eq!(rendered.message, "o");
    let expected = serde_json::json!({ "proc.pid": 7, "who": "cat and sh" });
    assert_eq!(Json::Object(rendered.fields), expected);
}

#[test]
fn what_is_added_is_checked() {
    let wrong = |append_output: &str| {
        let append_output = serde_json::from_str(append_output).unwrap();
        let options = Options { append_output, ..Options::default() };
        let yaml =
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";
        let loaded = load_with(yaml, &options);
        loaded.errors().map(|error| error.message.clone()).collect::<Vec<_>>().join("\n")
    };
    assert!(wrong(r#"[{"extra_output": "%proc.nmae"}]"#).contains("did you mean `proc.name`?"));
    assert!(wrong(r#"[{"extra_fields": ["proc.name and more"]}]"#).contains("is not a field"));
    assert_eq!(wrong(r#"[{"extra_fields": ["proc.name"]}]"#), "");
}

#[test]
fn results_have_falcos_shape() {
    let loaded = load(
        "- rule: R\n  desc: d\n  condition: evt.type = open and proc.nope = x\n  output: o\n  priority: INFO\n",
    );
    let result = &report::falco(&loaded)["falco_load_results"][0];
    assert_eq!(result["successful"], false);
    let error = &result["errors"][0];
    assert_eq!(error["code"], "LOAD_ERR_COMPILE_CONDITION");
    assert_eq!(error["codedesc"], "Error compiling condition");
    let locations = error["context"]["locations"].as_array().unwrap();
    let kinds: Vec<&str> = locations.iter().map(|one| one["item_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["rules content", "rule", "rule condition", "condition expression"]);
    assert_eq!(locations[3]["position"]["line"], 3);
    assert_eq!(locations[3]["position"]["column"], 34);
}

#[test]
fn warnings_of_our_own_stand_beside_falcos() {
    let loaded =
        load("- rule: R\n  desc: d\n  condition: proc.pname != x\n  output: o\n  priority: INFO\n");
    let result = &report::falco(&loaded)["falco_load_results"][0];
    let warnings = result["warnings"].as_array().unwrap();
    let codes: Vec<&str> = warnings.iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["SENSOR_NOT_EQUAL_NULLABLE", "LOAD_NO_EVTTYPE"]);
}

/// What SARIF 2.1.0 requires of a log, of a run and of a result, and what its values may be.
#[test]
fn sarif_is_what_its_standard_says() {
    let file = File {
        name: "my rules/é.yaml".to_owned(),
        content: "- rule: R\n  desc: d\n  condition: >\n    evt.type = open and\n    proc.nope = x\n  output: o\n  priority: INFO\n".to_owned(),
    };
    let log = report::sarif(&Ruleset::load(vec![file], &Options::default()));
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let driver = &run["tool"]["driver"];
    assert!(driver["name"].is_string());
    let ids: Vec<&Json> =
        driver["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    for result in results {
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(ids.contains(&&result["ruleId"]), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20rules/%C3%A9.yaml");
        let region = serde_json::json!({
            "startLine": 5, "startColumn": 5, "endLine": 5, "endColumn": 14,
        });
        assert_eq!(place["region"], region);
    }
}
