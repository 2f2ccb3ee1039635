//! Files, variables and flags, and what each makes of the settings.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::docs::{reference, sample_file};
use crate::config::value::Value as _;
use crate::rules::options::{Selection, Which};

fn config_of(text: &str) -> Result<Config, String> {
    let mut config = Config::default();
    let errors = apply_file(&mut config, Path::new("sensor.yaml"), text);
    let mut all = Errors::default();
    all.extend(errors);
    all.extend(keys::inconsistencies(&config));
    all.into_result(config).map_err(|errors| errors.to_string())
}

#[test]
fn the_sample_file_is_the_defaults() {
    let config = config_of(&sample_file()).expect("the sample file is valid");
    assert_eq!(config, Config::default());
}

#[test]
fn committed_files_are_the_generated_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, expected) in [("deploy/sensor.yaml", sample_file()), ("docs/config.md", reference())]
    {
        let path = root.join(path);
        if std::env::var_os("SENSOR_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &expected).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, expected, "{}: write it anew with SENSOR_BLESS=1", path.display());
    }
}

#[test]
fn empty_files_change_nothing() {
    for text in ["", "# nothing\n", "---\n", "sinks:\n", "sinks:\n  http:\n    urls:\n", "{}"] {
        assert_eq!(config_of(text), Ok(Config::default()), "{text:?}");
    }
}

#[test]
fn every_type_of_value_is_read() {
    let config = config_of(
        "log_level: debug
node: worker-7
shutdown_grace: 500ms
rules:
  files: [/etc/sensor/rules, extra.yaml]
  matching: first
  min_priority: notice
  select:
    - disable: {rule: '*'}
    - enable: {tag: network}
  append_output:
    - match: {source: syscall, tags: [network]}
      extra_output: on %evt.hostname
      extra_fields: [proc.pid, {home: '%user.homedir'}]
      suggested_output: false
events:
  ring_size: 16MiB
  cgroup: /kubepods
sinks:
  throttle: {rate: 0.5, burst: 3}
  stdout: {format: json, min_priority: Notice}
  file: {path: /var/log/sensor.jsonl, queue: 10}
  alertmanager:
    urls:
      - http://am-0:9093
      - https://user:secret@am.example/prefix
    resolve_after: 1h
    labels:
      cluster: east
metrics: {enabled: false, listen: '[::1]:9000'}
",
    )
    .expect("the file is valid");
    assert_eq!(config.general.log_level, LogLevel::Debug);
    assert_eq!(config.general.node, "worker-7");
    assert_eq!(config.general.shutdown_grace, Duration::from_millis(500));
    assert_eq!(config.rules.files, ["/etc/sensor/rules", "extra.yaml"].map(PathBuf::from));
    assert_eq!(config.rules.matching, Matching::First);
    assert_eq!(config.rules.min_priority, Priority::Notice);
    let all = Selection::Disable(Which::Rule("*".to_owned()));
    assert_eq!(config.rules.select, [all, Selection::Enable(Which::Tag("network".to_owned()))]);
    let added = &config.rules.append_output[0];
    assert_eq!(added.extra_output, "on %evt.hostname");
    assert_eq!((added.extra_fields.len(), added.suggested_output), (2, false));
    assert_eq!(config.events.ring_size, 16 << 20);
    assert_eq!(config.events.cgroup.as_deref(), Some(Path::new("/kubepods")));
    assert_eq!(config.sinks.throttle, Throttle { rate: 0.5, burst: 3 });
    assert_eq!(config.sinks.stdout.format, Format::Json);
    assert_eq!(config.sinks.stdout.min_priority, Priority::Notice);
    assert_eq!(config.sinks.file.queue, 10);
    let urls: Vec<String> = config.sinks.alertmanager.urls.iter().map(Endpoint::public).collect();
    assert_eq!(urls, ["http://am-0:9093/", "https://am.example/prefix"]);
    assert_eq!(config.sinks.alertmanager.incidents.resolve_after, Duration::from_hours(1));
    assert_eq!(config.sinks.alertmanager.labels["cluster"], "east");
    assert_eq!(config.metrics.listen.to_string(), "[::1]:9000");
    assert!(!config.metrics.enabled);
}

#[test]
fn mistakes_say_where_and_what() {
    for (text, expected) in [
        (
            "metrisc:\n  listen: 1\n",
            "sensor.yaml:1:1: unknown key `metrisc`; did you mean `metrics`?",
        ),
        ("metrics:\n  lisen: a\n", "sensor.yaml:2:3: unknown key `lisen`; did you mean `listen`?"),
        ("qqq: 1\n", "sensor.yaml:1:1: unknown key `qqq`; docs/config.md lists the keys"),
        (
            "metrics: {listen: 9000}",
            "sensor.yaml:1:19: `metrics.listen` is `9000`; expected an address and a port such as `127.0.0.1:4469`",
        ),
        ("metrics: 1", "sensor.yaml:1:10: expected keys and values in `metrics`"),
        ("- a", "sensor.yaml:1:1: expected keys and values in the file"),
        ("node: a\nnode: b\n", "sensor.yaml:2:1: `node` is there twice"),
        ("node: [a]", "sensor.yaml:1:7: `node` is a list; expected a text"),
        (
            "sinks: {http: {urls: [ftp://x]}}",
            "sensor.yaml:1:22: `sinks.http.urls` is a list; expected a list of URLs such as `http://127.0.0.1:9093`",
        ),
        (
            "sinks: {http: {headers: {a: {b: c}}}}",
            "sensor.yaml:1:29: too deep for the value of `sinks.http.headers`",
        ),
        (
            "shutdown_grace: 5",
            "sensor.yaml:1:17: `shutdown_grace` is `5`; expected a duration of up to 24h such as `500ms`, `30s` or `5m`",
        ),
        (
            "sinks: {stdout: {queue: 0}}",
            "sensor.yaml:1:25: `sinks.stdout.queue` is `0`; expected a whole number from 1 to 1000000",
        ),
        (
            "events: {ring_size: 100KiB}",
            "events.ring_size: expected a power of two, at least 64KiB",
        ),
        (
            "rules: {select: [disable]}",
            "sensor.yaml:1:17: `rules.select` is another structure; expected a list such as `[{disable: {tag: network}}, {enable: {rule: Netcat*}}]`",
        ),
        (
            "rules: {append_output: [{extra_output: '%proc.nme'}]}",
            "rules: append_output: `%proc.nme`: `%proc.nme` is not a field; did you mean `proc.name`?",
        ),
        ("sinks: {http: {username: me}}", "sinks.http: `username` and `password_file` go together"),
        (
            "sinks: {http: {headers: {'a b': c}}}",
            "sinks.http.headers: `a b` is no header that HTTP allows",
        ),
        (
            "sinks: {alertmanager: {labels: {a-b: c}}}",
            "sinks.alertmanager.labels: `a-b` is no label name; expected letters, digits and `_`",
        ),
        ("log_level: &a info\nnode: *a\n", "sensor.yaml:2:7: an alias; write the value out"),
        ("node: a\n---\nnode: b\n", "sensor.yaml:2:1: a second document; a config file holds one"),
        ("[[[[[[[[[[[[[[[[[[[[", "sensor.yaml:1:10: too deep for a config file"),
    ] {
        assert_eq!(config_of(text), Err(expected.to_owned()), "{text:?}");
    }
}

#[test]
fn one_may_wait_for_nothing() {
    for (text, expected) in [
        ("0ms", Some(0)),
        ("0s", Some(0)),
        ("24h", Some(86_400_000)),
        ("2s", Some(2_000)),
        ("25h", None),
        ("0", None),
    ] {
        let wait = Wait::parse(text).map(|wait| wait.0.as_millis()).ok();
        assert_eq!(wait, expected, "{text}");
        let config = config_of(&format!("containers: {{metadata_wait: {text}}}"));
        let wait = config.ok().map(|config| config.containers.metadata_wait.0.as_millis());
        assert_eq!(wait, expected, "{text}");
    }
    let again =
        config_of(&format!("containers: {{metadata_wait: {}}}", Wait(Duration::ZERO).render()));
    assert!(again.unwrap().containers.metadata_wait.0.is_zero());
}

#[test]
fn every_mistake_is_reported() {
    let errors = config_of("nod: a\nlog_level: loud\nmetrics:\n  enabled: maybe\n").unwrap_err();
    assert_eq!(
        errors.lines().map(|line| line.split(": ").next().unwrap()).collect::<Vec<_>>(),
        ["sensor.yaml:1:1", "sensor.yaml:2:12", "sensor.yaml:4:12"]
    );
}

#[test]
fn broken_yaml_says_where() {
    for text in ["a: b: c", "\"", "a:\n\t- b", "}", "? [a]\n: b"] {
        let error = config_of(text).unwrap_err();
        assert!(error.starts_with("sensor.yaml:"), "{text:?}: {error}");
    }
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sensor.yaml");
    std::fs::write(&path, "node: file\nlog_level: error\nmetrics: {listen: '127.0.0.1:1'}\n")
        .unwrap();
    let environment = [
        ("SENSOR_NODE", "environment"),
        ("SENSOR_LOG_LEVEL", "warn"),
        ("SENSOR_SINKS_HTTP_URLS", "http://a, http://b"),
        ("SENSOR_SINKS_HTTP_HEADERS", "A=b, C=d"),
        ("SENSOR_SERVICE_HOST", "10.0.0.1"),
        ("OTHER", "x"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut overrides = Overrides::default();
    overrides.set("node", Some("flag"));
    overrides.set("log_level", None::<&str>);
    let config = load(Some(&path), environment, &overrides).expect("all is valid");
    assert_eq!(config.general.node, "flag");
    assert_eq!(config.general.log_level, LogLevel::Warn);
    assert_eq!(config.metrics.listen.port(), 1);
    assert_eq!(config.sinks.http.urls.len(), 2);
    assert_eq!(config.sinks.http.client.headers.len(), 2);
}

#[test]
fn mistakes_outside_the_file_name_their_origin() {
    let environment = [("SENSOR_METRICS_ENABLED".to_owned(), "perhaps".to_owned())];
    let mut overrides = Overrides::default();
    overrides.set("metrics.listne", Some("1"));
    overrides.set("node", Some("fine"));
    overrides.set("sinks.file.queue", Some(0));
    let missing = Path::new("/nonexistent/sensor.yaml");
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.yaml");
    std::fs::write(&empty, "").unwrap();
    assert_eq!(
        load(Some(&empty), environment, &overrides).unwrap_err().to_string(),
        "SENSOR_METRICS_ENABLED: `metrics.enabled` is `perhaps`; expected `true` or `false`\n\
         the command line: unknown key `metrics.listne`; did you mean `metrics.listen`?\n\
         the command line: `sinks.file.queue` is `0`; expected a whole number from 1 to 1000000"
    );
    assert_eq!(
        load(Some(missing), [], &Overrides::default()).unwrap_err().to_string(),
        "/nonexistent/sensor.yaml: cannot read the config file: No such file or directory (os error 2)"
    );
}

#[test]
fn the_daemonset_names_variables_and_keys_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/daemonset.yaml");
    let manifest = std::fs::read_to_string(path).unwrap();
    let variables: Vec<&str> =
        manifest.lines().filter_map(|line| line.trim().strip_prefix("- name: SENSOR_")).collect();
    assert!(!variables.is_empty());
    for name in variables {
        let variable = format!("SENSOR_{name}");
        assert!(KEYS.iter().any(|key| key.variable() == variable), "{variable}");
    }
    let port = Metrics::default().listen.port();
    for place in [
        format!("prometheus.io/port: \"{port}\""),
        format!("value: 0.0.0.0:{port}"),
        format!("containerPort: {port}"),
    ] {
        assert!(manifest.contains(&place), "{place}");
    }
    let (_, rest) = manifest.split_once("sensor.yaml: |\n").unwrap();
    let (embedded, _) = rest.split_once("---").unwrap();
    // The comments show settings, too: they have to be right when somebody takes the `#` away.
    let text = embedded.replace("# alertmanager", "alertmanager").replace("#   urls", "  urls");
    let config = config_of(&text).expect("the embedded settings are valid");
    assert_eq!(config.sinks.alertmanager.urls.len(), 1);
}

#[test]
fn key_names_are_unique_and_none_is_another_ones_section() {
    for (index, key) in KEYS.iter().enumerate() {
        for other in &KEYS[index + 1..] {
            assert_ne!(key.name, other.name);
            assert!(!other.name.starts_with(&format!("{}.", key.name)), "{}", key.name);
        }
        assert!(key.doc.ends_with('.') && !key.doc.contains('|'), "{}: {}", key.name, key.doc);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[ -~\n\t]{0,200}") {
        let _result = config_of(&text);
    }
}
