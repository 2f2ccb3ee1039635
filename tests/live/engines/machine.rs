//! Systems in containers: LXC and systemd-nspawn. Their names are their ids.

use std::fs;

use serde_json::{Value, json};

use super::Engine;
use super::place::{Container, Daemon, MAIN, Place, command, run};
use crate::harness::wait_for;

pub(super) const LXC: Engine = Engine {
    name: "lxc",
    programs: &["lxc-start", "lxc-stop"],
    sources: &[("lxc-root", "lxc")],
    start: lxc,
    known: lxc_known,
    probes: &[],
    address: None,
};

pub(super) const NSPAWN: Engine = Engine {
    name: "nspawn",
    programs: &["systemd-nspawn"],
    sources: &[],
    start: nspawn,
    known: nspawn_known,
    probes: &[],
    address: None,
};

fn lxc(place: &Place) -> Container {
    let (name, root, parent) = (place.name(), place.path("root"), place.cgroup.name());
    let data = place.path("data");
    let config = format!(
        "lxc.uts.name = {name}\nlxc.rootfs.path = dir:{root}\nlxc.net.0.type = empty\n\
         lxc.apparmor.profile = unconfined\nlxc.init.cmd = {MAIN}\nlxc.tty.max = 0\n\
         lxc.mount.entry = {data} data none bind,ro 0 0\nlxc.cgroup.dir = {parent}\n"
    );
    place.file(&format!("lxc/{name}/config"), &config);
    let (directory, log) = (place.path("lxc"), place.path("lxc.log"));
    let of_name = |program| command(&[program, "--lxcpath", &directory, "--name", name]);
    run(of_name("lxc-start").args(["--daemon", "--logfile", &log, "--logpriority", "INFO"]));
    let mut remove = of_name("lxc-stop");
    remove.arg("--kill");
    Container { id: name.to_owned(), remove: vec![remove], daemons: Vec::new() }
}

fn lxc_known(place: &Place, container: &Container) -> Value {
    json!({
        "container.full_id": container.id,
        "container.type": "lxc",
        "container.name": place.name(),
        "container.mounts": format!("{}:/data::false:", place.path("data")),
        "container.privileged": true,
        "container.host_network": false,
    })
}

/// Without systemd nobody makes the scope, in which it has its own part and the container's.
fn nspawn(place: &Place) -> Container {
    let name = place.name();
    let scope = format!("machine.slice/machine-{}.scope", name.replace('-', "\\x2d"));
    let scope = place.cgroup.path().join(scope);
    fs::create_dir_all(&scope).unwrap();
    let script = format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", scope.display());
    let mut nspawn = command(&["sh", "-c", &script, "sh", "systemd-nspawn", "--quiet"]);
    nspawn.args(["--register=no", "--keep-unit", "--private-network", "--as-pid2"]);
    nspawn.args(["--console=pipe", "-M", name, "-D", &place.path("root"), MAIN]);
    let daemon = Daemon::start(&mut nspawn, &place.path("nspawn.log"));
    wait_for(|| scope.join("payload").exists().then_some(()));
    Container { id: name.to_owned(), remove: Vec::new(), daemons: vec![daemon] }
}

fn nspawn_known(place: &Place, container: &Container) -> Value {
    json!({
        "container.full_id": container.id,
        "container.type": "nspawn",
        "container.name": place.name(),
    })
}
