//! Documents and what loading them comes to.

use super::*;
use crate::rules::error::Code;

/// A rule with a name, a condition, and further lines.
fn rule(name: &str, condition: &str, more: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n{more}"
    )
}

/// Loads a document; `expected` lists the codes of errors and warnings, without lints.
fn check(yaml: &str, expected: &[&str]) {
    let loaded = load(yaml);
    let mut codes: Vec<&str> = loaded
        .findings
        .iter()
        .filter(|one| one.severity() != Severity::Lint)
        .map(|one| one.code.name())
        .collect();
    codes.dedup();
    let shown: Vec<String> = loaded.findings.iter().map(|one| one.render(&loaded.files)).collect();
    assert_eq!(codes, expected, "{yaml}\n{}", shown.join("\n"));
    let refused = expected.iter().any(|code| code.starts_with("LOAD_ERR"));
    assert_eq!(loaded.ruleset.is_none(), refused, "{yaml}");
}

const OPEN: &str = "evt.type = open";

#[test]
fn documents_have_a_shape() {
    check("", &[]);
    check("# nothing\n", &[]);
    check("- foo", &["LOAD_ERR_YAML_VALIDATE"]);
    check("a: b", &["LOAD_ERR_YAML_VALIDATE"]);
    check("text", &["LOAD_ERR_YAML_VALIDATE"]);
    check("- [a", &["LOAD_ERR_YAML_PARSE"]);
    check("- rle: x", &["LOAD_UNKNOWN_ITEM"]);
    check("- rule: R", &["LOAD_ERR_YAML_VALIDATE"]);
    check("- rule:\n  desc: d", &["LOAD_ERR_YAML_VALIDATE"]);
    check(&rule("R", OPEN, "  foo: bar\n"), &["LOAD_UNKNOWN_KEY"]);
    check(&rule("R", OPEN, "  enabled: maybe\n"), &["LOAD_ERR_YAML_VALIDATE"]);
    check(&rule("R", OPEN, "  tags: x\n"), &["LOAD_ERR_YAML_VALIDATE"]);
    check(&rule("R", OPEN, "  desc: again\n"), &[]);
    check(&rule("R", "", ""), &["LOAD_ERR_YAML_VALIDATE"]);
    check(
        "- rule: R\n  desc: d\n  condition: evt.type = open\n  priority: INFO",
        &["LOAD_ERR_YAML_VALIDATE"],
    );
    check(
        "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: urgent",
        &["LOAD_ERR_YAML_VALIDATE"],
    );
    check(&format!("---\n{}---\n{}", rule("A", OPEN, ""), rule("B", OPEN, "")), &[]);
}

#[test]
fn requirements_are_checked() {
    check("- required_engine_version: 10", &[]);
    check("- required_engine_version: 0.57.0", &[]);
    check("- required_engine_version: abc", &["LOAD_ERR_YAML_VALIDATE"]);
    check("- required_engine_version: 0.999.0", &["LOAD_ERR_VALIDATE"]);
    check("- required_plugin_versions:\n  - {name: container, version: 0.4.0}", &[]);
    check(
        "- required_plugin_versions:\n  - {name: container, version: abc}",
        &["LOAD_ERR_VALIDATE"],
    );
    check("- required_plugin_versions:\n  - {name: container}", &["LOAD_ERR_YAML_VALIDATE"]);
}

#[test]
fn macros_see_what_was_defined_before() {
    let one = |name: &str, condition: &str| format!("- macro: {name}\n  condition: {condition}\n");
    let used = rule("R", "evt.type = open and a", "");
    check(&(one("a", "proc.name = x") + &used), &[]);
    check(&(used.clone() + &one("a", "proc.name = x")), &[]);
    check(&(one("a", "b") + &one("b", "proc.name = x") + &used), &["LOAD_ERR_VALIDATE"]);
    check(&(one("a", "a") + &used), &["LOAD_ERR_VALIDATE"]);
    check(&(one("a", "b") + &one("b", "a") + &used), &["LOAD_ERR_VALIDATE"]);
    check(
        &(one("b", "proc.name = x") + &one("a", "b") + &one("b", "a") + &used),
        &["LOAD_ERR_VALIDATE"],
    );
    check(&one("a", "proc.name = x"), &["LOAD_UNUSED_MACRO"]);
    check(
        &(one("a-b", "proc.name = x") + &rule("R", OPEN, "")),
        &["LOAD_INVALID_MACRO_NAME", "LOAD_UNUSED_MACRO"],
    );
    check(&used, &["LOAD_ERR_VALIDATE"]);
    check(&(one("a", "proc.nope = x") + &rule("R", OPEN, "")), &["LOAD_UNUSED_MACRO"]);
}

#[test]
fn lists_hold_values_and_lists() {
    let used = rule("R", "evt.type = open and proc.name in (l2)", "");
    let one = |name: &str, items: &str| format!("- list: {name}\n  items: [{items}]\n");
    check(&(one("l2", "l1, z") + &one("l1", "a, b") + &used), &[]);
    check(&(one("l2", "a, \"b c\", '\"(x)\"'") + &used), &[]);
    check(&(one("l2", "'d\"e'") + &used), &["LOAD_ERR_COMPILE_CONDITION"]);
    check(&(one("l2", "l2, a") + &used), &[]);
    check(&(one("l1", "l2") + &one("l2", "l1") + &used), &[]);
    check(
        &(one("l1", "a, b") + &rule("R", "evt.type = open and proc.name in l1", "")),
        &["LOAD_ERR_COMPILE_CONDITION"],
    );
    check(&(one("l1", "a") + &rule("R", "evt.type = open and proc.name in l1", "")), &[]);
    check(&one("l1", "a"), &["LOAD_UNUSED_LIST"]);
    check("- list: l\n  items: a", &["LOAD_ERR_YAML_VALIDATE"]);
    check("- list: l", &["LOAD_ERR_YAML_VALIDATE"]);
}

#[test]
fn changes_need_a_base_and_an_entry() {
    let base = rule("R", OPEN, "");
    let change = |lines: &str| format!("{base}- rule: R\n{lines}");
    check(&change("  condition: and proc.name = x\n  override: {condition: append}\n"), &[]);
    check(
        &change(
            "  output: p\n  priority: ERROR\n  override: {output: replace, priority: replace}\n",
        ),
        &[],
    );
    check(&change("  condition: and proc.name = x\n  append: true\n"), &["LOAD_DEPRECATED_ITEM"]);
    check(
        &change("  priority: ERROR\n  override: {priority: append}\n"),
        &["LOAD_ERR_YAML_VALIDATE"],
    );
    check(
        &change("  condition: x\n  output: y\n  override: {condition: replace}\n"),
        &["LOAD_ERR_YAML_VALIDATE"],
    );
    check(
        &change("  output: y\n  override: {condition: replace, output: replace}\n"),
        &["LOAD_ERR_YAML_VALIDATE"],
    );
    check(&change("  output: y\n  override: {output: remove}\n"), &["LOAD_ERR_YAML_VALIDATE"]);
    check(&change("  output: y\n  override: {rule: replace}\n"), &["LOAD_ERR_YAML_VALIDATE"]);
    check(&change("  output: y\n  append: true\n"), &["LOAD_DEPRECATED_ITEM", "LOAD_ERR_VALIDATE"]);
    check(
        &change(
            "  condition: and proc.name = x\n  append: true\n  override: {condition: append}\n",
        ),
        &["LOAD_DEPRECATED_ITEM", "LOAD_ERR_YAML_VALIDATE"],
    );
    check(&change("  enabled: false\n"), &["LOAD_DEPRECATED_ITEM"]);
    check(&change("  enabled: false\n  override: {enabled: replace}\n"), &[]);
    check("- rule: R\n  enabled: false\n", &["LOAD_DEPRECATED_ITEM", "LOAD_ERR_VALIDATE"]);
    check("- rule: R\n  output: x\n  override: {output: append}\n", &["LOAD_ERR_VALIDATE"]);
    check(
        "- macro: m\n  condition: or proc.name = y\n  override: {condition: append}\n",
        &["LOAD_ERR_VALIDATE"],
    );
    check("- list: l\n  items: [a]\n  override: {items: append}\n", &["LOAD_ERR_VALIDATE"]);
    check(&(base.clone() + &rule("R", OPEN, "  source: k8s_audit\n")), &["LOAD_ERR_VALIDATE"]);
    check(&rule("R", OPEN, "  source: k8s_audit\n"), &["LOAD_UNKNOWN_SOURCE"]);
}

#[test]
fn exceptions_are_checked() {
    let one = |lines: &str| rule("R", OPEN, &format!("  exceptions:\n    - {lines}\n"));
    check(&one("{name: e, fields: proc.name, values: [x, \"y z\"]}"), &[]);
    check(&one("{name: e, fields: [proc.name, fd.name], values: [[a, /x], [b, \"/y z\"]]}"), &[]);
    check(
        &one(
            "{name: e, fields: [proc.name, fd.name], comps: [in, startswith], values: [[[a, b], /x], [(c), /y]]}",
        ),
        &[],
    );
    check(&one("{name: e, fields: fd.name, comps: startswith anyof, values: [/x]}"), &[]);
    check(&one("{name: e, fields: [proc.name, fd.name], comps: [=]}"), &["LOAD_ERR_VALIDATE"]);
    check(&one("{name: e, fields: [proc.name, fd.name], values: [[a]]}"), &["LOAD_ERR_VALIDATE"]);
    check(
        &one("{name: e, fields: [proc.name], comps: [no-such], values: [[a]]}"),
        &["LOAD_ERR_VALIDATE"],
    );
    check(&one("{name: e, fields: [no.such], values: [[a]]}"), &["LOAD_ERR_VALIDATE"]);
    check(
        &one("{name: e, fields: proc.name, comps: startswith, values: [a]}"),
        &["LOAD_ERR_VALIDATE"],
    );
    check(&one("{fields: [proc.name]}"), &["LOAD_ERR_YAML_VALIDATE"]);
    check(&one("{name: e}"), &["LOAD_ERR_YAML_VALIDATE"]);
    check(
        &one(
            "{name: e, fields: proc.name, values: [x]}\n    - {name: e, fields: fd.name, values: [y]}",
        ),
        &["LOAD_EXCEPTION_NAME_NOT_UNIQUE"],
    );
    let append = |lines: &str| {
        let base = one("{name: e, fields: proc.name, values: [x]}");
        format!(
            "{base}- rule: R\n  exceptions:\n    - {lines}\n  override: {{exceptions: append}}\n"
        )
    };
    check(&append("{name: e, values: [y]}"), &[]);
    check(&append("{name: e}"), &["LOAD_APPEND_NO_VALUES"]);
    check(&append("{name: new, values: [y]}"), &["LOAD_ERR_VALIDATE"]);
    check(&append("{name: new, fields: fd.name, values: [y]}"), &[]);
}

#[test]
fn unknown_fields_may_skip_a_rule() {
    let condition = "evt.type = open and proc.nope = x";
    check(&rule("R", condition, ""), &["LOAD_ERR_COMPILE_CONDITION"]);
    check(&rule("R", condition, "  skip-if-unknown-filter: true\n"), &["LOAD_UNKNOWN_FILTER"]);
    check(
        &rule("R", "evt.type = opeen", "  skip-if-unknown-filter: true\n"),
        &["LOAD_UNKNOWN_FILTER"],
    );
    check(
        &rule("R", "evt.type = open and proc.pid = x", "  skip-if-unknown-filter: true\n"),
        &["LOAD_ERR_COMPILE_CONDITION"],
    );
}

#[test]
fn warnings_are_falcos() {
    check(&rule("R", "proc.name = cat", ""), &["LOAD_NO_EVTTYPE"]);
    check(&rule("R", "proc.name = cat", "  warn_evttypes: false\n"), &[]);
    check(&rule("R", "not evt.type = open", ""), &["LOAD_NO_EVTTYPE"]);
    check(&rule("R", "evt.type in ()", ""), &["LOAD_NO_EVTTYPE"]);
    check(&rule("R", "evt.num = 0", ""), &["LOAD_NO_EVTTYPE"]);
    check(&rule("R", "evt.type = open and evt.num = 0 or evt.type = close", ""), &[]);
    check(&rule("R", "'evt.type = open and evt.dir = >'", ""), &["LOAD_DEPRECATED_ITEM"]);
    check(
        &rule("R", "evt.type = open and proc.name regex \"cat.*\"", ""),
        &["LOAD_COMPILE_CONDITION"],
    );
    check(
        &rule("R", "evt.type = open and proc.name = proc.pname", ""),
        &["LOAD_COMPILE_CONDITION"],
    );
}

/// The lints of a document.
fn lints(yaml: &str, options: &Options) -> Vec<&'static str> {
    let loaded = load_with(yaml, options);
    let lints = loaded.findings.iter().filter(|one| one.severity() == Severity::Lint);
    lints.map(|one| one.code.name()).collect()
}

#[test]
fn lints_say_what_was_probably_not_meant() {
    let default = Options::default();
    let of = |condition: &str| lints(&rule("R", condition, ""), &default);
    assert_eq!(of("evt.type = open and proc.pname != x"), ["SENSOR_NOT_EQUAL_NULLABLE"]);
    assert_eq!(of("evt.type = open and proc.aname != x"), ["SENSOR_NOT_EQUAL_NULLABLE"]);
    assert_eq!(of("evt.type = open and not proc.pname = x and proc.pid != 1"), Vec::<&str>::new());
    assert_eq!(
        of("evt.type = open and proc.name = a and proc.name in (b, c)"),
        ["SENSOR_NEVER_TRUE"]
    );
    assert_eq!(
        of("evt.type = open and proc.name = a and not proc.name = a"),
        ["SENSOR_NEVER_TRUE"]
    );
    assert_eq!(of("evt.type = open and proc.aname = a and proc.aname = b"), Vec::<&str>::new());
    assert_eq!(of("evt.type = open and evt.type = connect"), ["SENSOR_NEVER_TRUE"]);
    assert_eq!(of("evt.type = getppid"), ["SENSOR_EVENT_NOT_DELIVERED"]);
    assert_eq!(of("evt.type in (open, getppid)"), Vec::<&str>::new());
    let list = "- list: shell_names\n  items: [sh]\n";
    let named = |condition: &str| lints(&(list.to_owned() + &rule("R", condition, "")), &default);
    for unknown in ["shel_names", "shell_names, shellnames_, sh", "shellnames"] {
        let condition = format!("evt.type = open and proc.name in ({unknown})");
        assert_eq!(named(&condition), ["SENSOR_UNKNOWN_LIST_NAME"], "{unknown}");
    }
    assert_eq!(named("evt.type = open and proc.name in (shellnames, sh)"), Vec::<&str>::new());
    assert_eq!(named("evt.type = open and proc.name = shell_names"), ["SENSOR_LIST_AS_VALUE"]);
    assert_eq!(named("evt.type = open and proc.name in (shell_names)"), Vec::<&str>::new());
    let append = |condition: &str, addition: &str| {
        let change =
            format!("- rule: R\n  condition: {addition}\n  override: {{condition: append}}\n");
        lints(&(rule("R", condition, "") + &change), &default)
    };
    let mixed = "evt.type = open or evt.type = connect";
    assert_eq!(append(mixed, "and proc.name = x"), ["SENSOR_MIXED_OPERATORS"]);
    assert_eq!(append(&format!("({mixed})"), "and proc.name = x"), Vec::<&str>::new());
    assert_eq!(append(mixed, "or proc.name = x"), Vec::<&str>::new());
    let joined = "evt.type = open and proc.name = y";
    assert_eq!(append(joined, "or proc.name = x"), ["SENSOR_MIXED_OPERATORS"]);
    assert_eq!(append(&format!("({joined})"), "or proc.name = x"), Vec::<&str>::new());
    assert_eq!(append(joined, "and proc.pid = 1"), Vec::<&str>::new());
    let two =
        rule("A", "evt.type = open", "") + &rule("B", "evt.type = open and proc.name = x", "");
    let first = Options { matching: Matching::First, ..Options::default() };
    assert_eq!(lints(&two, &first), ["SENSOR_SHADOWED"]);
    assert_eq!(lints(&two, &default), Vec::<&str>::new());
}

/// Conditions that no event satisfies, each with the reason that is given; and such as some event does.
#[test]
fn what_can_never_be_true_is_said_with_the_reason() {
    let reasons = |condition: &str| -> Vec<String> {
        let loaded = load(&rule("R", &format!("evt.type = open and {condition}"), ""));
        let findings = loaded.findings.iter().filter(|one| one.code == Code::NeverTrue);
        findings.map(|one| one.message.clone()).collect()
    };
    for (condition, reason) in [
        ("evt.type = connect", "`evt.type = open` and `evt.type = connect` exclude"),
        ("evt.num = 0", "it holds for no event type"),
        ("proc.name in ()", "`proc.name in ()` holds for no value"),
        ("proc.name = a and proc.name = b", "`proc.name = a` and `proc.name = b` exclude"),
        ("proc.name = a and proc.name != a", "`proc.name = a` and `proc.name != a` exclude"),
        ("proc.name = a and not proc.name in (a, b)", "and `not proc.name in (a, b)` exclude"),
        ("proc.name in (a, b) and proc.name startswith c", "and `proc.name startswith c` exclude"),
        ("proc.name startswith a and proc.name startswith b", "exclude each other"),
        ("proc.name endswith a and proc.name endswith b", "exclude each other"),
        ("fd.num > 5 and fd.num < 3", "`fd.num > 5` and `fd.num < 3` exclude"),
        ("fd.num > 5 and fd.num < 6", "exclude each other"),
        ("fd.num = 5 and fd.num >= 6", "`fd.num = 5` and `fd.num >= 6` exclude"),
        ("evt.failed = true and evt.failed = false", "exclude each other"),
        ("fd.sip = 10.0.0.1 and fd.snet in (192.168.0.0/16)", ""),
        ("fd.sip = 10.0.0.1 and fd.sip = 10.0.0.2", "exclude each other"),
        ("proc.name = a and not proc.name = a", "a part of it is also negated"),
        ("proc.name = a and (proc.name = b or (proc.name = c and user.uid = 0))", "exclude"),
        ("proc.name = a and (proc.name = b or user.uid = 0)", ""),
        ("proc.name = a and not (proc.name = b or proc.name = c)", ""),
        ("proc.aname = a and proc.aname = b", ""),
        ("fd.port = 1 and fd.port = 2", ""),
        ("fd.num >= 5 and fd.num <= 5", ""),
        ("not proc.pname = a and not proc.pname != a", ""),
        ("proc.name startswith a and proc.name startswith ab", ""),
    ] {
        let found = reasons(condition);
        let is_right = match reason {
            "" => found.is_empty(),
            reason => found.len() == 1 && found[0].contains(reason),
        };
        assert!(is_right, "{condition}: {found:?}");
    }
}

/// The documents that Falco answered, where they are beside the checkout.
#[test]
fn documents_load_as_in_falco() {
    let name = "rules::tests::loading::documents_load_as_in_falco";
    let Some(path) = beside_the_checkout(name, "falco-cases/loading.txt") else { return };
    let text = fs::read_to_string(path).unwrap();
    // `docs/falco-compat.md`: container fields are always there, and `%%` is a percent sign.
    let differ = ["minimal ok", "container fields absent", "out: %container.id", "out: 50%%"];
    let mut count = 0;
    for document in text.split("\n=== ").skip(1) {
        let (name, rest) = document.split_once('\n').unwrap();
        let is_answer = |line: &&str| line.starts_with('>');
        let yaml: Vec<&str> = rest.lines().filter(|line| !is_answer(line)).collect();
        let answers: Vec<&str> = rest.lines().filter(is_answer).collect();
        let accepted = answers.iter().any(|line| line.contains("--> OK"));
        let mut expected: Vec<&str> = answers
            .iter()
            .filter_map(|line| {
                line.strip_prefix(">  errors: ").or(line.strip_prefix(">  warnings: "))
            })
            .filter_map(|line| line.split(" | ").next())
            .collect();
        expected.sort_unstable();
        let loaded = load(&yaml.join("\n"));
        let mut codes: Vec<&str> = loaded
            .findings
            .iter()
            .filter(|one| one.severity() != Severity::Lint)
            .map(|one| one.code.name())
            .collect();
        codes.sort_unstable();
        codes.dedup();
        let agrees = loaded.ruleset.is_some() == accepted && codes == expected;
        assert_eq!(agrees, !differ.contains(&name), "{name}: {codes:?}, Falco {expected:?}");
        count += 1;
    }
    assert!(count > 60, "{count} documents");
}

#[test]
fn five_errors_are_five_reports() {
    let yaml = "- macro: m\n  condition: proc.nmae = x\n\
        - rule: A\n  desc: d\n  condition: evt.type = opeen\n  output: '%proc.nope'\n  priority: INFO\n\
        - rule: B\n  desc: d\n  condition: evt.type = open and m and (proc.name = x\n  output: o\n  priority: INFO\n\
        - rule: C\n  desc: d\n  condition: evt.type = open and proc.pid = x and m\n  output: o\n  priority: loud\n\
        - rule: D\n  desc: d\n  condition: evt.type = open and proc.pid = x and m\n  output: o\n  priority: INFO\n";
    let loaded = load(yaml);
    let places: Vec<usize> = loaded
        .errors()
        .map(|error| loaded.files[0].position(error.place.bytes.start).line)
        .collect();
    assert_eq!(places, [2, 5, 6, 10, 15, 17, 20]);
}

#[test]
fn a_caret_stands_below_the_offending_token() {
    let loaded = load(&rule("R", "evt.type=open and proc.pid=ssh", ""));
    let error = loaded.errors().next().unwrap().render(&loaded.files);
    let expected = "\
error[LOAD_ERR_COMPILE_CONDITION]: `ssh` is not a valid number
 --> rules.yaml:3:41
  |
3 |   condition: evt.type=open and proc.pid=ssh
  |                                         ^^^
";
    assert_eq!(error, expected);
}

#[test]
fn one_condition_may_have_many_errors() {
    let condition = "evt.type = opn and (proc.name in (sh bash) or fd.num = x) AND user.uid = 0x10 && lower(fd.name) = y";
    let loaded = load(&rule("R", condition, ""));
    let tokens: Vec<&str> =
        loaded.errors().map(|error| &loaded.files[0].content[error.place.bytes.clone()]).collect();
    assert_eq!(tokens, ["opn", "bash", "x", "AND", "0x10", "&&", "lower("]);
}

#[test]
fn what_is_wrong_has_a_hint() {
    let hint = |yaml: &str| {
        let loaded = load(yaml);
        loaded.errors().next().and_then(|error| error.hint.clone()).unwrap_or_default()
    };
    let of = |condition: &str| hint(&rule("R", &format!("'{condition}'"), ""));
    for (condition, expected) in [
        ("evt.type = open && proc.name = x", "write `and`"),
        ("evt.type = open or !proc.name = x", "write `not`"),
        ("evt.type in (open,)", "remove the comma before it"),
        ("evt.type in (open openat)", "put a comma between the values"),
        ("evt.type in open, openat", "several values stand in parentheses: `in (a, b)`"),
        ("evt.type = open)", "no `(` is open here"),
        ("proc.name like x", "write `glob` with `*` and `?`, or `contains`"),
        ("proc.name not in (x)", "`not` stands before the field: `not proc.name in (…)`"),
        ("proc.is_exe_upper_layer", "compare the field (`… = true`), or test that it `exists`"),
        ("proc.is_exe_upper_layer = yes", "write `true`"),
        ("user.uid = 0x10", "write it in decimal: 16"),
        ("proc.duration > 5s", "write whole nanoseconds: 5000000000"),
        ("evt.type = open and not", "`not` needs a condition after it"),
        ("fd.name startsWith /etc", "did you mean `startswith`?"),
    ] {
        assert_eq!(of(condition), expected, "{condition}");
    }
    let whole = rule("R", OPEN, "");
    for (yaml, expected) in [
        (whole.replace("desc:", "description:"), "`description` is no key: write `desc`"),
        (whole.replace("INFO", "WARN"), "did you mean `Warning`?"),
        (format!("rules:\n{whole}"), "remove `rules:`: the items stand in a list of their own"),
        (whole.replace("  desc", "\tdesc"), "YAML is indented with blanks, not with tabs"),
        (
            whole.replace(OPEN, "evt.type = open # x\n    and proc.name = x"),
            "`#` begins a comment in YAML, and conditions hold none",
        ),
    ] {
        assert_eq!(hint(&yaml), expected, "{yaml}");
    }
}
