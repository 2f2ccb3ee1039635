//! What is refused, no rule matches.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::Pushdown;
use super::lower::Tables;
use crate::fields::object::ObjectEvent;
use crate::rules::Ruleset;
use crate::rules::options::Options;
use crate::rules::shipped;
use crate::rules::text::File;

fn ruleset(conditions: &[String]) -> Option<Ruleset> {
    let rules = conditions.iter().enumerate().map(|(number, condition)| {
        format!("- rule: R{number}\n  desc: d\n  condition: >\n    {condition}\n  output: o\n  priority: INFO\n")
    });
    let content = "- list: names\n  items: [sh, bash, cat]\n\
        - macro: reading\n  condition: evt.is_open_read = true and fd.typechar = f\n"
        .to_owned()
        + &rules.collect::<String>();
    let files = vec![File { name: "rules".to_owned(), content }];
    Ruleset::load(files, &Options::default()).ruleset
}

fn tables(ruleset: &Ruleset) -> Tables {
    Tables::of(&Pushdown::of(ruleset))
}

fn event(object: &Json) -> ObjectEvent {
    let object: &Map<String, Json> = object.as_object().unwrap();
    ObjectEvent::from_json(object).unwrap()
}

fn matches(ruleset: &Ruleset, event: &ObjectEvent) -> bool {
    let mut any = false;
    ruleset.evaluate(event, &mut ruleset.scratch(), |_| any = true);
    any
}

/// What is shown of an event type for one condition.
fn shown(condition: &str) -> String {
    let ruleset = ruleset(&[condition.to_owned()]).unwrap_or_else(|| panic!("{condition}"));
    let types: Vec<String> = Pushdown::of(&ruleset)
        .iter()
        .filter(|one| one.event_type == "openat" || one.event_type == "connect")
        .map(|one| one.of_rule("R0").unwrap().to_string())
        .collect();
    types.concat()
}

#[test]
fn conditions_are_weakened_to_what_is_cheap() {
    for (condition, expected) in [
        ("evt.type = openat and fd.name = /etc/shadow", "  fd.name in (/etc/shadow)\n"),
        (
            "evt.type = openat and (fd.name = /a or fd.name in (/b, /c)) and proc.args contains x",
            "  fd.name in (/a, /b, /c)\n",
        ),
        (
            "evt.type = openat and not (fd.name startswith /a or proc.args contains x)",
            "  not fd.name startswith (/a)\n",
        ),
        ("evt.type = openat and (fd.name = /a or proc.args contains x)", "  everything\n"),
        ("evt.type = openat and not proc.name in (names)", "  not proc.name in (bash, cat, sh)\n"),
        ("evt.type = openat and reading", "  evt.is_open_read = true and fd.typechar in (f)\n"),
        ("evt.type = openat and container.id != host", "  container.id != host\n"),
        ("evt.type = openat and container.id = 0123456789ab", "  container.id != host\n"),
        ("evt.type = openat and evt.res = EACCES", "  evt.rawres EACCES\n"),
        ("evt.type = openat and evt.rawres < 0 and evt.rawres >= 0", ""),
        ("evt.type = openat and evt.arg.flags contains O_CREAT", "  evt.arg.flags has O_CREAT\n"),
        (
            "evt.type = openat and thread.cap_effective icontains sys_module",
            "  thread.cap_effective has CAP_SYS_MODULE\n",
        ),
        ("evt.type = openat and fd.name glob /home/*/.ssh/*", "  fd.name startswith (/home/)\n"),
        ("evt.type = openat and fd.name glob */.ssh/*", "  everything\n"),
        ("evt.type = openat and fd.name endswith .so", "  fd.filename endswith (.so)\n"),
        (
            "evt.type = openat and not fd.filename endswith .so",
            "  not fd.filename endswith (.so)\n",
        ),
        (
            "evt.type = openat and fd.name endswith .ssh/authorized_keys",
            "  fd.filename in (authorized_keys)\n",
        ),
        ("evt.type = openat and not fd.name endswith /shadow", "  everything\n"),
        ("evt.type = openat and fd.name endswith /", "  everything\n"),
        ("evt.type = openat and fd.nameraw contains ../", "  fd.nameraw contains ..\n"),
        ("evt.type = openat and fd.nameraw contains ../..", "  fd.nameraw contains .. 2 times\n"),
        ("evt.type = openat and fd.nameraw glob *../*../*", "  fd.nameraw contains .. 2 times\n"),
        ("evt.type = openat and fd.nameraw glob *.?./[.].*", "  everything\n"),
        ("evt.type = openat and not fd.nameraw contains ../", "  everything\n"),
        ("evt.type = openat and fd.nameraw contains ./", "  everything\n"),
        (
            "evt.type = openat and (fd.name = /a or fd.name startswith /b/)",
            "  fd.name in (/a) or startswith (/b/)\n",
        ),
        ("evt.type = openat and fd.name pmatch (/a, /b/c)", "  fd.name startswith (/a, /b/c)\n"),
        (
            "evt.type = connect and (evt.rawres >= 0 or evt.res = EINPROGRESS)",
            "  evt.rawres EINPROGRESS or ≥ 0\n",
        ),
        ("evt.type = connect and fd.sport in (80, 443)", "  fd.rport 80 or 443\n"),
        ("evt.type = connect and not fd.snet in (10.0.0.0/8)", "  not fd.rip in (10.0.0.0/8)\n"),
        ("evt.type = connect and fd.port = 80", "  fd.rport 80\n  fd.lport 80\n"),
    ] {
        assert_eq!(shown(condition), expected, "{condition}");
    }
}

#[test]
fn many_alternatives_are_widened_and_said_to_be() {
    let conditions: Vec<String> = (0..90)
        .map(|number| {
            format!(
                "evt.type = openat and proc.name = p{number} and fd.name startswith /{number}/ and user.uid = {number}"
            )
        })
        .collect();
    let ruleset = ruleset(&conditions).unwrap();
    let pushdown = &Pushdown::of(&ruleset)[0];
    assert!(pushdown.to_string().contains("beyond the limits"), "{pushdown}");
    assert!(!pushdown.is_everything());
    let tables = tables(&ruleset);
    assert!(tables.widened.contains("openat"));
    let open = |name: &str, path: &str, user: u32| {
        event(
            &json!({ "evt.type": "openat", "proc.name": name, "fd.name": path, "user.uid": user }),
        )
    };
    for number in 0..90 {
        assert!(tables.accepts(&open(&format!("p{number}"), &format!("/{number}/x"), number)));
    }
    assert!(!tables.accepts(&open("none", "/none", 1000)));
}

#[test]
fn what_has_no_room_is_not_asked_for() {
    let long = format!("/{}", "x".repeat(200));
    for condition in [
        format!("fd.name = {long}"),
        format!("not fd.name in (/a, {long})"),
        format!("fd.directory = {long} or fd.filename in ({long})"),
        format!("proc.name in (sh, {long})"),
    ] {
        let ruleset = ruleset(&[format!("evt.type = openat and ({condition})")]).unwrap();
        let tables = tables(&ruleset);
        let named = event(&json!({
            "evt.type": "openat", "fd.name": long, "fd.directory": long, "fd.filename": long,
            "proc.name": "sh",
        }));
        assert!(!matches(&ruleset, &named) || tables.accepts(&named), "{condition}");
        // The kernel cuts names: of a longer one nothing is lost.
        let is_name = condition.starts_with("proc.name");
        assert_eq!(tables.widened.contains("openat"), !is_name, "{condition}");
    }
    let ports: Vec<String> = (0..40).map(|port| (port * 2).to_string()).collect();
    let ruleset =
        ruleset(&[format!("evt.type = connect and fd.rport in ({})", ports.join(", "))]).unwrap();
    let tables = tables(&ruleset);
    assert!(tables.widened.contains("connect"));
    for port in 0..200 {
        let event = event(&json!({ "evt.type": "connect", "fd.rport": port }));
        assert!(!matches(&ruleset, &event) || tables.accepts(&event), "{port}");
        assert!(port < 79 || !tables.accepts(&event), "{port}");
    }
}

#[test]
fn the_widest_rule_is_named() {
    let ruleset = ruleset(&[
        "evt.type = openat and fd.name = /etc/shadow".to_owned(),
        "evt.type = openat and evt.is_open_write = true".to_owned(),
    ]);
    let pushdown = &Pushdown::of(&ruleset.unwrap())[0];
    assert_eq!(pushdown.widest().unwrap().0, "R1");
}

#[test]
fn shipped_rules_want_a_part_of_the_opens() {
    let ruleset = Ruleset::load(shipped::files(), &Options::default()).ruleset.unwrap();
    let pushdowns = Pushdown::of(&ruleset);
    let opens = pushdowns.iter().find(|one| one.event_type == "openat").unwrap();
    assert!(!opens.is_everything(), "{opens}");
    let event = event(&json!({
        "evt.type": "openat", "fd.name": "/usr/lib/libc.so.6", "fd.directory": "/usr/lib",
        "fd.filename": "libc.so.6", "evt.is_open_read": true, "evt.is_open_write": false,
        "evt.rawres": 3, "fd.num": 3, "fd.typechar": "f", "container.id": "host", "proc.name": "ls",
    }));
    assert!(!Tables::of(&pushdowns).accepts(&event), "{opens}");
}

/// Checks on facts, and on what only user space knows.
fn check() -> impl Strategy<Value = String> {
    let path = prop::sample::select(vec!["/etc/shadow", "/etc/passwd", "/tmp/x", "/etc", "/"]);
    let name = prop::sample::select(vec!["sh", "cat", "nginx"]);
    let number = prop::sample::select(vec!["0", "1", "3", "1000"]);
    let ordering = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let field = prop::sample::select(vec![
        "evt.rawres",
        "fd.num",
        "user.uid",
        "group.gid",
        "user.loginuid",
        "proc.vpid",
        "fd.rport",
        "fd.lport",
        "fd.sport",
        "fd.cport",
        "fd.port",
    ]);
    let net = prop::sample::select(vec!["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "2000::/3"]);
    let netfield = prop::sample::select(vec!["fd.snet", "fd.cnet", "fd.rnet", "fd.lnet", "fd.net"]);
    let textual = prop::sample::select(vec!["fd.name", "proc.exepath", "proc.name"]);
    let operator =
        prop::sample::select(vec!["=", "!=", "startswith", "endswith", "glob", "contains"]);
    prop_oneof![
        4 => (field, ordering, number.clone()).prop_map(|(a, b, c)| format!("{a} {b} {c}")),
        2 => (netfield.clone(), net.clone(), net).prop_map(|(a, b, c)| format!("{a} in ({b}, {c})")),
        1 => netfield.prop_map(|a| format!("{a} != \"10.0.0.0/8\"")),
        4 => (textual, operator, path.clone()).prop_map(|(a, b, c)| format!("{a} {b} {c}")),
        2 => (path.clone(), path.clone()).prop_map(|(a, b)| format!("fd.name in ({a}, {b})")),
        1 => (path.clone(), path.clone())
            .prop_map(|(a, b)| format!("fd.name startswith anyof ({a}, {b})")),
        1 => (path.clone(), path.clone())
            .prop_map(|(a, b)| format!("fd.name pmatch ({a}, {b})")),
        1 => (path.clone(), path).prop_map(|(a, b)| format!("fd.name endswith oneof ({a}, {b})")),
        2 => name.prop_map(|a| format!("proc.name in ({a}, names)")),
        1 => number.prop_map(|a| format!("user.uid in ({a}, 7)")),
        4 => prop::sample::select(vec![
            "fd.name endswith w", "fd.filename endswith d", "not fd.name endswith dow",
            "fd.filename endswith oneof (shadow, asswd)", "fd.name endswith /etc/shadow",
            "fd.directory = /etc", "fd.directory in (/etc, /tmp)", "fd.filename = shadow",
            "not fd.filename in (x, passwd)", "evt.is_open_read = true", "evt.is_open_write = false",
            "evt.is_open_exec = true", "evt.failed = true", "evt.res = SUCCESS", "evt.res != ENOENT",
            "evt.res startswith E", "evt.res in (EACCES, EPERM)", "container.id = host",
            "container.id != host", "container.id in (host, 0123456789ab)",
            "container.id = 0123456789ab", "container.id in ()", "fd.typechar in (f, d)",
            "fd.typechar = 4", "fd.typechar exists", "evt.arg.flags contains O_CREAT",
            "evt.arg.flags contains O_RDWR", "evt.arg.flags icontains trunc",
            "thread.cap_effective contains CAP_SYS_ADMIN", "thread.cap_permitted contains CAP_SYS",
            "fd.ip = 10.1.2.3", "fd.sip in (10.1.2.3, 192.0.2.7)", "fd.sip != 10.1.2.3",
            "fd.port in (80, 443)", "fd.port != 80", "user.uid exists", "user.uid oneof (0, 1)",
            "reading", "fd.nameraw contains ../", "fd.nameraw contains .",
            "fd.nameraw contains ../..", "fd.nameraw glob *../*../*", "fd.nameraw iglob A*...",
        ]).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["proc.args contains x", "proc.pname = sh", "proc.tty = 0"])
            .prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let of_checks = check().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner, 1..4).prop_map(|any| format!("({})", any.join(" or "))),
        ]
    });
    let types = prop::sample::select(vec![
        "evt.type = openat",
        "evt.type in (open, openat)",
        "evt.type = connect",
        "evt.type = execve",
    ]);
    (types, of_checks).prop_map(|(types, checks)| format!("{types} and {checks}"))
}

/// Fields that say the same are made from one value; any may be absent.
fn object() -> impl Strategy<Value = Json> {
    let some = |names: &[&'static str]| prop::option::of(prop::sample::select(names.to_vec()));
    let number = || prop::option::of(prop::sample::select(vec![0_i64, 1, 2, 3, 7, 1000]));
    let port = || prop::option::of(prop::sample::select(vec![0_i64, 1, 3, 80, 443, 1000]));
    let address = || some(&["10.1.2.3", "10.9.9.9", "192.0.2.7", "198.51.100.1", "2001::1"]);
    let truth = || prop::option::of(any::<bool>());
    let result = prop::option::of(prop::sample::select(vec![-13_i64, -2, -1, -115, -4000, 0, 3]));
    let one = (
        prop::sample::select(vec!["openat", "open", "connect", "execve", "close"]),
        some(&["/etc/shadow", "/etc/passwd", "/tmp/x", "/", "relative"]),
        some(&["sh", "cat", "nginx", "/etc"]),
        some(&["/usr/bin/cat", "/etc/x", "/tmp/x"]),
        result,
        (number(), number(), number(), number(), number()),
        (port(), port(), address(), address()),
        (truth(), truth(), truth()),
        (some(&["f", "d", "4", "u", "odd"]), some(&["host", "0123456789ab"])),
        (
            some(&["O_RDONLY", "O_RDWR|O_CREAT", "O_WRONLY|O_TRUNC|O_STRANGE"]),
            some(&["CAP_SYS_ADMIN", "CAP_CHOWN CAP_SYS_PTRACE", ""]),
            some(&["x", "y"]),
            some(&["a", "../a", "../../a", "b../c../", "a...", "../x/../a"]),
        ),
    );
    one.prop_map(|(kind, path, name, exe, result, numbers, ends, truths, kinds, texts)| {
        let raw = texts.3;
        let (descriptor, user, group, login, vpid) = numbers;
        let (remote_port, local_port, remote, local) = ends;
        let split = path.map(|path| path.rsplit_once('/').unwrap_or(("", path)));
        let directory =
            split.map(|(directory, _)| if directory.is_empty() { "/" } else { directory });
        let errors = [
            (-13, "EACCES"),
            (-2, "ENOENT"),
            (-1, "EPERM"),
            (-115, "EINPROGRESS"),
            (-4000, "4000"),
        ];
        let text = result.map(|result| {
            errors.iter().find(|(errno, _)| *errno == result).map_or("SUCCESS", |(_, name)| name)
        });
        json!({
            "evt.type": kind, "fd.name": path, "fd.directory": directory,
            "fd.nameraw": raw,
            "fd.filename": split.map(|(_, name)| name), "proc.name": name, "proc.exepath": exe,
            "evt.rawres": result, "evt.res": text, "evt.failed": result.map(|result| result < 0),
            "fd.num": descriptor, "user.uid": user, "group.gid": group, "user.loginuid": login,
            "proc.vpid": vpid, "fd.rport": remote_port, "fd.sport": remote_port,
            "fd.lport": local_port, "fd.cport": local_port, "fd.rip": remote, "fd.sip": remote,
            "fd.lip": local, "fd.cip": local, "evt.is_open_read": truths.0,
            "evt.is_open_write": truths.1, "evt.is_open_exec": truths.2, "fd.typechar": kinds.0,
            "container.id": kinds.1, "evt.arg.flags": texts.0, "thread.cap_effective": texts.1,
            "thread.cap_permitted": texts.1, "proc.args": texts.2, "proc.pname": name,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_a_rule_matches_is_let_through(
        conditions in prop::collection::vec(condition(), 1..6),
        objects in prop::collection::vec(object(), 60),
    ) {
        let Some(ruleset) = ruleset(&conditions) else {
            return Err(TestCaseError::reject("a condition that does not load"));
        };
        let tables = tables(&ruleset);
        for object in objects {
            let event = event(&object);
            let is_wanted = matches(&ruleset, &event);
            prop_assert!(!is_wanted || tables.accepts(&event), "{conditions:#?} on {object}");
        }
    }

    #[test]
    fn one_exact_condition_is_what_is_let_through(object in object()) {
        let condition = "evt.type = openat and fd.name in (/etc/shadow, /tmp/x) and not proc.name in (names)";
        let ruleset = ruleset(&[condition.to_owned()]).unwrap();
        let event = event(&object);
        let is_known = object["fd.name"].as_str().is_some_and(|path| path.starts_with('/'))
            && !object["proc.name"].is_null();
        if object["evt.type"] == "openat" && is_known {
            prop_assert_eq!(matches(&ruleset, &event), tables(&ruleset).accepts(&event), "{}", object);
        }
    }
}
