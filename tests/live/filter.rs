//! What no rule can match stays in the kernel: the same alerts, and every event accounted for.

use std::cell::Cell;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Cgroup, Sensor};

/// A sensor that watches `cgroup` with these rules, with or without filters in the kernel.
fn start(cgroup: &Cgroup, rules: &[PathBuf], pushdown: bool) -> Sensor {
    let pushdown = format!("rules.pushdown={pushdown}");
    let quiet = ["run", "--output", "json", "--set", "metrics.enabled=false", "--set", &pushdown];
    let mut arguments: Vec<&str> = quiet.to_vec();
    arguments.extend(["--cgroup", cgroup.name()]);
    for file in rules {
        arguments.extend(["--rules", file.to_str().unwrap()]);
    }
    let mut sensor = Sensor::start(arguments);
    sensor.wait_for_message("watching with");
    sensor
}

/// What the workload's rules are about, with `DIR` for its directory and `PORT` for its listener's.
const RULES: &str = "
- macro: opened
  condition: evt.type in (open, openat, openat2, creat)
- rule: whole
  condition: opened and fd.name in (DIR/a, DIR/b)
- rule: below
  condition: opened and fd.name startswith DIR/deep/ and evt.is_open_read = true
- rule: part of a name
  condition: opened and fd.name startswith DIR/de and evt.rawres >= 0
- rule: directory
  condition: opened and fd.directory = DIR/deep/er
- rule: top directory
  condition: opened and fd.directory = / and fd.typechar = d
- rule: name
  condition: opened and fd.filename in (leaf, bound, other)
- rule: all but
  condition: opened and fd.directory = DIR and not fd.name in (DIR/a) and not proc.name in (head)
- rule: by name
  condition: opened and proc.name = tac and fd.typechar = f
- rule: failed
  condition: opened and evt.rawres < 0 and evt.res != EACCES and fd.name startswith DIR
- rule: cut
  condition: opened and evt.arg.flags contains O_TRUNC and fd.num >= 0
- rule: made to be executed
  condition: opened and evt.is_open_exec = true
- rule: of another
  condition: opened and user.uid != 0 and fd.name pmatch (DIR)
- rule: privileged
  condition: opened and thread.cap_effective contains CAP_SYS_ADMIN and fd.filename = b
- rule: long
  condition: opened and fd.name startswith DIR/long
- rule: ending
  condition: opened and fd.name endswith eaf and proc.name = cat
- rule: long ending
  condition: opened and fd.name endswith ENDING
- rule: no such ending
  condition: opened and fd.directory = DIR and not fd.filename endswith opied
- rule: climbs twice
  condition: opened and fd.nameraw glob *../*../* and fd.name startswith DIR
- rule: climbs
  condition: opened and fd.nameraw contains \"../\" and fd.name startswith DIR
- rule: calls
  condition: evt.type in (unlink, unlinkat, mkdir, mkdirat) and evt.rawres >= 0 and proc.name != mkdir
- rule: connected
  condition: evt.type = connect and fd.snet in (\"127.0.0.0/8\") and fd.sport = PORT
- rule: refused
  condition: evt.type = connect and evt.res = ECONNREFUSED and not fd.sip in (\"127.0.0.2\")
";

/// Opens of every kind that the rules tell apart, and as many that no rule is about.
const WORKLOAD: &str = "
cd DIR
for i in 1 2 3 4 5 6 7 8; do
    head -c1 a >/dev/null; cat b DIR/../${PWD##*/}/b c deep/x deep/er/leaf deep/er/y link >/dev/null
    cat deep/../deep/x deep/er/../../c ../all/b abcdef/../b >/dev/null 2>&1;
    cat none deep/none /none 2>/dev/null; tac c >/dev/null; echo x >c; echo x >>out; : </dev/null
    cat /etc/passwd /proc/self/status /proc/self/root/DIR/a >/dev/null; ls deep / /etc >/dev/null
    cp c copied; rm copied; cp /bin/busybox copied; rm copied; mkdir new; rmdir new; cat long*/*/* >/dev/null
    su -s /bin/sh nobody -c 'cat b' >/dev/null 2>&1
    nc 127.0.0.1 PORT </dev/null >/dev/null 2>&1
    nc 127.0.0.1 1 </dev/null 2>/dev/null; nc 127.0.0.2 1 </dev/null 2>/dev/null
    unshare -m sh -c 'mount --bind deep/er bound && cat bound/leaf bound/y;
        mount --bind a c && cat c' >/dev/null 2>&1
done
true
";

/// The directory that the workload is about.
fn stage(directory: &Path) {
    for below in ["deep/er", "bound"] {
        fs::create_dir_all(directory.join(below)).unwrap();
    }
    let name = "n".repeat(200);
    let long = directory.join(format!("long{name}/{name}"));
    fs::create_dir_all(&long).unwrap();
    for file in ["a", "b", "c", "deep/x", "deep/er/leaf", "deep/er/y"] {
        fs::write(directory.join(file), "x").unwrap();
    }
    fs::write(long.join(name), "x").unwrap();
    std::os::unix::fs::symlink(directory.join("a"), directory.join("link")).unwrap();
}

/// The rules of this file, with what every rule has.
fn rules(directory: &Path, text: &str) -> PathBuf {
    let output = "%evt.type %evt.res %fd.name %fd.nameraw %proc.pid %proc.name %user.uid";
    let all = text.lines().map(|line| match line.split_once("- rule:") {
        Some(_) => format!("{line}\n  desc: d\n  priority: INFO\n  output: \"{output}\"\n"),
        None => format!("{line}\n"),
    });
    let path = directory.join("rules.yaml");
    fs::write(&path, all.collect::<String>()).unwrap();
    path
}

/// Every alert by what it says, but not by what tells one event from another of the same.
fn alerts(lines: &[String]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = lines
        .iter()
        .map(|line| {
            let alert: Value = serde_json::from_str(line).unwrap();
            let mut fields = alert["output_fields"].clone();
            if let Some(fields) = fields.as_object_mut() {
                fields.retain(|name, _| !name.starts_with("evt.time") && name != "evt.num");
            }
            (alert["rule"].to_string(), fields.to_string())
        })
        .collect();
    all.sort_unstable();
    all
}

/// Runs the workload before two sensors, and compares what they say; again where the kernel has kept
/// something from one of them.
fn compare(test: &str, make_rules: impl Fn(&Path, u16) -> Vec<PathBuf>) {
    const ATTEMPTS: usize = 5;
    let differs = (0..ATTEMPTS).all(|_| !is_same(test, &make_rules));
    assert!(!differs, "programs were missed, and alerts differed, {ATTEMPTS} times");
}

/// Whether both say the same; false only where the kernel has missed programs.
fn is_same(test: &str, make_rules: &impl Fn(&Path, u16) -> Vec<PathBuf>) -> bool {
    let temporary = tempfile::tempdir().unwrap();
    let directory = fs::canonicalize(temporary.path()).unwrap();
    let port = listen();
    let all = directory.join("all");
    stage(&all);
    let rules = make_rules(&all, port);
    let cgroup = Cgroup::new(test);
    let (with, without) = (start(&cgroup, &rules, true), start(&cgroup, &rules, false));
    let script = workload(&all, port);
    assert!(cgroup.run(&["busybox", "sh", "-c", &script]).status.success());
    let (with, without) = (with.stop(), without.stop());
    assert!(with.status.success() && without.status.success());
    let (own, other) = (alerts(&with.stdout), alerts(&without.stdout));
    if own != other && with.missed() + without.missed() > 0 {
        return false;
    }
    let missing: Vec<_> = other.iter().filter(|alert| !own.contains(alert)).collect();
    assert!(missing.is_empty(), "only without filters: {missing:#?}");
    assert_eq!(own, other);
    assert!(with.filtered() > 0, "{:?}", with.stderr);
    assert_eq!(without.filtered(), 0);
    true
}

/// A port where whoever connects is let go at once.
fn listen() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends with the tests.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    port
}

fn workload(directory: &Path, port: u16) -> String {
    filled(WORKLOAD, directory, port)
}

fn filled(text: &str, directory: &Path, port: u16) -> String {
    text.replace("DIR", directory.to_str().unwrap())
        .replace("PORT", &port.to_string())
        .replace("ENDING", &"n".repeat(40))
}

#[test]
fn alerts_are_the_same_with_and_without_filters() {
    compare("same", |directory, port| {
        vec![rules(directory.parent().unwrap(), &filled(RULES, directory, port))]
    });
}

#[test]
fn alerts_of_the_shipped_rules_are_the_same() {
    compare("shipped", |_, _| Vec::new());
}

/// Of the files beside the checkout, where there are any.
#[test]
fn alerts_of_official_rules_are_the_same() {
    let official = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco-rules");
    for name in ["falco_rules.yaml", "falco-incubating_rules.yaml"] {
        let file = official.join(name);
        if file.exists() {
            compare("official", |_, _| vec![file.clone()]);
        } else {
            println!("there is no {}", file.display());
        }
    }
}

#[test]
fn every_rule_of_the_workload_fires() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = fs::canonicalize(temporary.path()).unwrap().join("all");
    let port = listen();
    stage(&directory);
    let file = rules(directory.parent().unwrap(), &filled(RULES, &directory, port));
    let cgroup = Cgroup::new("fires");
    let sensor = start(&cgroup, &[file], true);
    let script = workload(&directory, port);
    assert!(cgroup.run(&["busybox", "sh", "-c", &script]).status.success());
    let fired = alerts(&sensor.stop().stdout);
    for line in RULES.lines().filter_map(|line| line.strip_prefix("- rule: ")) {
        let name = Value::from(line).to_string();
        assert!(fired.iter().any(|(rule, _)| *rule == name), "{name}: {fired:#?}");
    }
}

#[test]
fn a_reload_changes_filters_without_losing_an_event() {
    const OPENS: usize = 4000;
    let temporary = tempfile::tempdir().unwrap();
    let directory = fs::canonicalize(temporary.path()).unwrap();
    stage(&directory);
    let name = directory.to_str().unwrap();
    let of = |second: &str| {
        let stays = format!(
            "- rule: stays\n  condition: evt.type in (open, openat) and fd.name = {name}/a\n"
        );
        let comes = format!(
            "- rule: comes\n  condition: evt.type in (open, openat) and fd.name = {name}/{second}\n"
        );
        rules(&directory, &(stays + &comes))
    };
    let file = of("none");
    let cgroup = Cgroup::new("swap");
    let mut sensor = start(&cgroup, &[file], true);
    let script =
        format!("i=0; while [ $i -lt {OPENS} ]; do : <{name}/a; : </dev/null; i=$((i+1)); done");
    let mut worker = cgroup.command("busybox").args(["sh", "-c", &script]).spawn().unwrap();
    let stays = Cell::new(0);
    for second in ["b", "c", "deep/x"] {
        of(second);
        sensor.signal(Signal::HUP);
        sensor.wait_for_message("reloaded: 2 rules");
        // Several times, for the kernels that miss some.
        let script = format!("for i in 1 2 3 4 5; do : <{name}/{second}; done");
        assert!(cgroup.run(&["busybox", "sh", "-c", &script]).status.success());
        // From the message on, nothing that the new rules want is missing.
        let wanted = format!("{name}/{second}");
        sensor.wait_for(|alert| {
            stays.set(stays.get() + usize::from(alert["rule"] == "stays"));
            alert["output_fields"]["fd.name"] == *wanted
        });
    }
    assert!(worker.wait().unwrap().success());
    let ended = sensor.stop();
    let rest = alerts(&ended.stdout).iter().filter(|(rule, _)| rule == "\"stays\"").count();
    let (seen, missed) = (stays.get() + rest, usize::try_from(ended.missed()).unwrap());
    assert!(seen <= OPENS && OPENS <= seen + missed, "{seen}: {:?}", ended.stderr.last());
    assert!(ended.filtered() >= OPENS as u64, "{:?}", ended.stderr.last());
}

/// Who comes into a container's cgroup as its runtime is the host's still, and rules about the host
/// want to know of it.
#[test]
fn a_runtime_in_a_container_s_cgroup_is_not_taken_for_the_container() {
    // Longer than the agent takes to tell the kernel what a cgroup is.
    const RUNTIME: &str = r#"
        my ($group, $file) = @ARGV;
        open my $procs, '>', "$group/cgroup.procs" or die $!;
        print $procs $$; close $procs or die $!;
        for my $number (1 .. 30) {
            open my $read, '<', "$file.$number"; select(undef, undef, undef, 0.1);
        }"#;
    let temporary = tempfile::tempdir().unwrap();
    let directory = fs::canonicalize(temporary.path()).unwrap();
    let file = directory.join("file");
    let name = file.to_str().unwrap();
    let condition = format!("container.id = host and fd.name startswith {name}");
    let of_host =
        format!("- rule: host\n  condition: evt.type in (open, openat) and {condition}\n");
    let rules = rules(&directory, &of_host);
    let cgroup = Cgroup::new("runtime");
    let container = cgroup.path().join("docker").join("c0ffee00".repeat(8));
    fs::create_dir_all(&container).unwrap();
    let mut sensor = start(&cgroup, &[rules], true);
    let mut runtime = cgroup.command("perl");
    // Called runc.
    let start = "exec { '/usr/bin/perl' } 'runc', @ARGV or die $!";
    runtime.args(["-e", start, "--", "-e", RUNTIME, "--"]).args([&container, &file]);
    assert!(runtime.status().unwrap().success());
    for number in 1..=30 {
        let of_this =
            |alert: &Value| alert["output_fields"]["fd.name"] == format!("{name}.{number}");
        sensor.wait_for(of_this);
    }
    assert!(sensor.stop().status.success());
}
