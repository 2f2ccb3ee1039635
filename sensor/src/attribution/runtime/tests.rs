use super::{attribute, plain_names, unescape};
use proptest::prelude::*;

const A: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const B: &str = "1111111111111111222222222222222233333333333333334444444444444444";
const UID: &str = "c2e1a3a4-5b6c-4d7e-8f90-a1b2c3d4e5f6";
const SCOPED_UID: &str = "c2e1a3a4_5b6c_4d7e_8f90_a1b2c3d4e5f6";
const STATIC_UID: &str = "8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a";

/// `runtime id [pod uid]`, or `unit NAME`, or `-`.
fn summary(path: &str) -> String {
    let attribution = attribute(path);
    assert_eq!(attribution.cgroup_path, path);
    match (attribution.container, attribution.unit) {
        (Some(container), None) => {
            let pod = container.pod.map(|pod| format!(" {}", pod.uid)).unwrap_or_default();
            format!("{} {}{pod}", container.runtime, container.id)
        }
        (None, Some(unit)) => format!("unit {unit}"),
        (None, None) => "-".into(),
        (Some(_), Some(unit)) => panic!("{path}: a container and the unit {unit}"),
    }
}

/// `A`, `B`, `UID`, `SCOPED` and `STATIC` stand for the constants above.
fn check(cases: &[(&str, &str)]) {
    let fill = |text: &str| {
        text.replace("<A>", A)
            .replace("<B>", B)
            .replace("<UID>", UID)
            .replace("<SCOPED>", SCOPED_UID)
            .replace("<STATIC>", STATIC_UID)
    };
    for (path, expected) in cases {
        assert_eq!(summary(&fill(path)), fill(expected), "{path}");
    }
}

#[test]
fn names_containers_of_cgroupfs_drivers() {
    check(&[
        ("/docker/<A>", "docker <A>"),
        ("/x/<A>", "oci <A>"),
        ("/libpod_parent/libpod-<A>", "podman <A>"),
        ("/libpod_parent/libpod-<A>/container", "podman <A>"),
        ("/default/<A>", "containerd <A>"),
        ("/kubepods/burstable/pod<UID>/<A>", "containerd <A> <UID>"),
        ("/kubepods/besteffort/pod<UID>/<A>", "containerd <A> <UID>"),
        ("/kubepods/pod<UID>/<A>", "containerd <A> <UID>"),
        ("/kubepods/burstable/pod<STATIC>/<A>", "containerd <A> <STATIC>"),
        ("/kubepods/burstable/pod<UID>/crio-<A>", "cri-o <A> <UID>"),
        ("/ecs/0123456789abcdef0123456789abcdef/<A>", "docker <A>"),
        ("/actions_job/<A>", "docker <A>"),
        ("/libpod_parent/libpod-<A>/supervisor", "podman <A>"),
        // Fargate's tasks, on the host that runs them.
        (
            "/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890",
            "containerd 0123456789abcdef0123456789abcdef-1234567890",
        ),
        ("/nomad/<UID>.server", "oci <UID>.server"),
        ("/k8s.io/<A>", "containerd <A>"),
        ("/moby/<A>", "docker <A>"),
        ("/kubepods/guaranteed/pod<UID>/<A>", "containerd <A> <UID>"),
        ("/kubepods/burstable/pod<UID>/kata_<A>", "kata <A> <UID>"),
        ("/kata_overhead/<A>", "kata <A>"),
        ("/vc/kata_<A>", "kata <A>"),
        ("/vc/kubepods/besteffort/pod<UID>/kata_<A>", "kata <A> <UID>"),
        ("/firecracker/demo-1", "firecracker demo-1"),
        ("/system.slice/jailer.service/firecracker/demo-1", "firecracker demo-1"),
        // k3s, k0s and rke2 begin at the root as everybody does, microk8s and k3d in a place of their own.
        ("/kubepods/besteffort/pod<STATIC>/<A>", "containerd <A> <STATIC>"),
        (
            "/system.slice/snap.microk8s.daemon-containerd.service/kubepods/pod<UID>/<A>",
            "containerd <A> <UID>",
        ),
        ("/lxc.payload.web", "lxc web"),
        ("/lxc.payload.project_web", "lxc project_web"),
        ("/lxc.payload.web/system.slice/nginx.service", "lxc web"),
        ("/lxc/web", "lxc web"),
        ("/machine.slice/machine-web.scope/payload", "nspawn web"),
    ]);
}

#[test]
fn names_containers_of_systemd_drivers() {
    check(&[
        ("/system.slice/docker-<A>.scope", "docker <A>"),
        ("/system.slice/docker-<A>.scope/init.scope", "docker <A>"),
        ("/user.slice/user-1001.slice/user@1001.service/user.slice/docker-<A>.scope", "docker <A>"),
        ("/machine.slice/libpod-<A>.scope/container", "podman <A>"),
        ("/machine.slice/libpod-<A>.scope", "podman <A>"),
        ("/machine.slice/machine-libpod_pod_<B>.slice/libpod-<A>.scope/container", "podman <A>"),
        (
            "/user.slice/user-1001.slice/user@1001.service/user.slice/libpod-<A>.scope/container",
            "podman <A>",
        ),
        ("/system.slice/web.service/libpod-payload-<A>", "podman <A>"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<SCOPED>.slice/cri-containerd-<A>.scope",
            "containerd <A> <UID>",
        ),
        (
            "/kubepods.slice/kubepods-pod<SCOPED>.slice/cri-containerd-<A>.scope",
            "containerd <A> <UID>",
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<STATIC>.slice/crio-<A>.scope",
            "cri-o <A> <STATIC>",
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<SCOPED>.slice/docker-<A>.scope",
            "docker <A> <UID>",
        ),
        (
            "/system.slice/containerd.service/kubepods-burstable-pod<SCOPED>.slice:cri-containerd:<A>",
            "containerd <A> <UID>",
        ),
        ("/system.slice/runc-web.scope", "oci web"),
        ("/user.slice/crun-web.scope/container", "oci web"),
        (
            "/ecstasks.slice/ecstasks-0123456789abcdef0123456789abcdef.slice/docker-<A>.scope",
            "docker <A>",
        ),
        ("/nomad.slice/reserve.slice/docker-<A>.scope", "docker <A>"),
        (
            "/user.slice/user-1001.slice/user@1001.service/user.slice/nerdctl-<A>.scope",
            "containerd <A>",
        ),
        // Rootless k3s.
        (
            "/user.slice/user-1001.slice/user@1001.service/app.slice/k3s-rootless.service/kubepods/besteffort/pod<UID>/<A>",
            "containerd <A> <UID>",
        ),
        ("/machine.slice/kata-<A>.scope", "kata <A>"),
        // k0s, whose agent is a service, and minikube with Podman.
        (
            "/system.slice/k0scontroller.service/kubepods.slice/kubepods-pod<SCOPED>.slice/cri-containerd-<A>.scope",
            "containerd <A> <UID>",
        ),
        ("/machine.slice/libpod-<A>.scope/container/init.scope", "podman <A>"),
        ("/machine.slice/lxc.payload.web/system.slice/cron.service", "lxc web"),
        (r"/machine.slice/machine-my\x2dweb.scope/payload/system.slice/a.service", "nspawn my-web"),
        ("/machine.slice/systemd-nspawn@web.service/payload", "nspawn web"),
        ("/nomad.slice/share.slice/<UID>.server.scope", "oci <UID>.server"),
    ]);
}

#[test]
fn the_innermost_container_wins() {
    check(&[
        ("/docker/<A>/docker/<B>", "docker <B>"),
        ("/system.slice/docker-<A>.scope/docker/<B>", "docker <B>"),
        ("/lxc.payload.web/docker/<A>", "docker <A>"),
        // kind and minikube: the node is a container of Docker.
        ("/docker/<A>/kubelet/kubepods/burstable/pod<UID>/<B>", "containerd <B> <UID>"),
        (
            "/docker/<A>/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod<SCOPED>.slice/cri-containerd-<B>.scope",
            "containerd <B> <UID>",
        ),
        // minikube with Podman, and with systemd's driver.
        (
            "/machine.slice/libpod-<A>.scope/container/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod<SCOPED>.slice/crio-<B>.scope",
            "cri-o <B> <UID>",
        ),
        (
            "/system.slice/docker-<A>.scope/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<SCOPED>.slice/cri-containerd-<B>.scope",
            "containerd <B> <UID>",
        ),
        // k3d: k3s in Docker.
        ("/docker/<A>/kubepods/burstable/pod<UID>/<B>", "containerd <B> <UID>"),
        // Docker in a pod: the pod still holds.
        ("/kubepods/burstable/pod<UID>/<A>/docker/<B>", "docker <B> <UID>"),
        ("/docker/<A>/system.slice/cron.service", "docker <A>"),
        ("/../../docker/<A>", "docker <A>"),
        ("/../<A>", "oci <A>"),
    ]);
}

#[test]
fn the_chain_of_nested_containers_is_kept() {
    for (path, expected) in [
        ("/docker/<A>", ""),
        ("/docker/<A>/init.scope", ""),
        ("/docker/<A>/docker/<B>", "docker <A>"),
        ("/lxc.payload.web/docker/<A>/kubepods/pod<UID>/<B>", "lxc web, docker <A>"),
        ("/docker/<A>/kubepods/besteffort/pod<UID>/<B>", "docker <A>"),
        // minikube with systemd's driver.
        (
            "/system.slice/docker-<A>.scope/kubepods.slice/kubepods-pod<SCOPED>.slice/crio-<B>.scope",
            "docker <A>",
        ),
        // One container whose id stands there twice.
        ("/machine.slice/libpod-<A>.scope/libpod-payload-<A>", ""),
    ] {
        let path = path.replace("<A>", A).replace("<B>", B).replace("<UID>", UID);
        let container = attribute(&path.replace("<SCOPED>", SCOPED_UID)).container.unwrap();
        let chain: Vec<_> =
            container.outer.iter().map(|outer| format!("{} {}", outer.runtime, outer.id)).collect();
        assert_eq!(chain.join(", "), expected.replace("<A>", A), "{path}");
    }
}

#[test]
fn the_rest_is_the_hosts() {
    check(&[
        ("/", "-"),
        ("", "-"),
        ("/web", "-"),
        ("/default/web", "-"),
        ("/init.scope", "unit init.scope"),
        ("/system.slice/ssh.service", "unit ssh.service"),
        ("/system.slice", "unit system.slice"),
        ("/system.slice/ssh.service/web", "unit ssh.service"),
        ("/user.slice/user-1000.slice/session-3.scope", "unit session-3.scope"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/vim.service", "unit vim.service"),
        ("/system.slice/crio-conmon-<A>.scope", "unit crio-conmon-<A>.scope"),
        ("/machine.slice/libpod-conmon-<A>.scope", "unit libpod-conmon-<A>.scope"),
        ("/libpod_parent/conmon", "-"),
        ("/lxc.monitor.web", "-"),
        ("/lxc.pivot", "-"),
        ("/machine.slice/machine-web.scope/supervisor", "unit machine-web.scope"),
        (
            r"/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/emulator",
            r"unit machine-qemu\x2d1\x2dweb.scope",
        ),
        ("/kubepods/burstable/pod<UID>", "-"),
        ("/kubepods.slice/kubepods-pod<SCOPED>.slice", "unit kubepods-pod<SCOPED>.slice"),
        ("/docker/0f1e2d3c4b5a", "-"),
        ("/ecs/0123456789abcdef0123456789abcdef", "-"),
        ("/firecracker", "-"),
        ("/lxc", "-"),
        // As it is seen from another cgroup namespace.
        ("/../../system.slice/ssh.service", "unit ssh.service"),
        ("/docker/buildkit", "-"),
        ("/system.slice/docker-.scope", "unit docker-.scope"),
        ("/user.slice", "unit user.slice"),
        ("/user.slice/user-1000.slice", "unit user-1000.slice"),
        ("/user.slice/user-1000.slice/user@1000.service", "unit user@1000.service"),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-<A>.scope",
            "unit libpod-conmon-<A>.scope",
        ),
        ("/system.slice/k3s.service", "unit k3s.service"),
        ("/kubepods.slice/kubepods-burstable.slice", "unit kubepods-burstable.slice"),
    ]);
}

#[test]
fn what_has_a_kernel_of_its_own_is_hardly_seen() {
    for (path, expected) in [
        ("/vc/kata_<A>", "machine"),
        ("/kata_overhead/<A>", "machine"),
        ("/machine.slice/kata-<A>.scope", "machine"),
        ("/firecracker/demo-1", "machine"),
        // Of gVisor, WasmEdge and Kata in groups of Kubernetes only metadata tells.
        ("/kubepods/burstable/pod<UID>/<A>", "full"),
        ("/docker/<A>", "full"),
    ] {
        let container = attribute(&path.replace("<A>", A).replace("<UID>", UID)).container;
        let visibility = container.unwrap().details.visibility.unwrap_or_default();
        assert_eq!(visibility.name(), expected, "{path}");
    }
}

#[test]
fn a_supervisor_in_a_container_belongs_to_that_container() {
    check(&[("/docker/<A>/machine.slice/machine-web.scope/supervisor", "docker <A>")]);
}

#[test]
fn lists_what_may_be_a_plain_name() {
    let cases: [(&str, &[(&str, &str)]); 6] = [
        ("/web", &[("", "web")]),
        ("/default/web", &[("default", "web"), ("", "default")]),
        ("/tests/run-1/web/container", &[("run-1", "web"), ("tests", "run-1"), ("", "tests")]),
        ("/system.slice/ctlab-my-web.scope", &[("system.slice", "my-web")]),
        ("/system.slice/ssh.service", &[]),
        ("/", &[]),
    ];
    for (path, expected) in cases {
        assert_eq!(plain_names(path).collect::<Vec<_>>(), expected, "{path}");
    }
}

#[test]
fn undoes_escapes() {
    for (text, expected) in
        [("a", "a"), (r"a\x2db", "a-b"), (r"\xzz", r"\xzz"), (r"\x2", r"\x2"), (r"é\x", r"é\x")]
    {
        assert_eq!(unescape(text), expected);
    }
}

proptest! {
    #[test]
    fn takes_any_path(path in r"(/|pod|kubepods|-|:|\.scope|\.slice|\\x2d|[0-9a-f]{8}|é){0,12}") {
        assert_eq!(attribute(&path).cgroup_path, path);
        plain_names(&path).for_each(drop);
    }
}
