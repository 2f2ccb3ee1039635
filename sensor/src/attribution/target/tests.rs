use super::{all_meant, nearest, resolve};
use crate::attribution::{Attribution, Container, Pod, Runtime, runtime};
use std::sync::Arc;

const WEB: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const JOB: &str = "0f99999999999999222222222222222233333333333333334444444444444444";
const APP: &str = "aaaaaaaaaaaaaaaa222222222222222233333333333333334444444444444444";
const SIDE: &str = "bbbbbbbbbbbbbbbb222222222222222233333333333333334444444444444444";
const UID: &str = "c2e1a3a4-5b6c-4d7e-8f90-a1b2c3d4e5f6";

/// The cgroups of a host; ids count from 1.
fn host() -> Vec<(u64, Arc<Attribution>)> {
    let pod = format!("/kubepods/burstable/pod{UID}");
    let paths = [
        ("/".to_owned(), None),
        ("/docker".to_owned(), None),
        (format!("/docker/{WEB}"), Some("web")),
        (format!("/docker/{WEB}/init"), Some("web")),
        (format!("/docker/{JOB}"), Some("job")),
        (pod.clone(), None),
        (format!("{pod}/{APP}"), Some("app")),
        (format!("{pod}/{SIDE}"), Some("web")),
        ("/lxc.payload.guest".to_owned(), None),
        ("/system.slice/ssh.service".to_owned(), None),
        ("/system.slice/ssh.service/below".to_owned(), None),
    ];
    (1..)
        .zip(paths)
        .map(|(id, (path, name))| {
            let mut attribution = runtime::attribute(&path);
            if let Some(container) = &mut attribution.container {
                container.name = name.map(str::to_owned);
                if let Some(pod) = &mut container.pod {
                    let (name, namespace) = (Some("checkout".into()), Some("shop".into()));
                    *pod = Pod { uid: pod.uid.clone(), name, namespace, ..Pod::default() };
                }
            }
            (id, Arc::new(attribution))
        })
        .collect()
}

/// Containers that are in others' cgroups.
fn kept() -> Vec<Arc<Attribution>> {
    let container = |id: &str, name: &str| Container {
        id: id.repeat(4),
        runtime: Runtime::Podman,
        name: Some(name.to_owned()),
        ..Container::default()
    };
    [
        (container("cccccccccccccccc", "batch"), "/"),
        (container("dddddddddddddddd", "twin"), "/docker"),
    ]
    .map(|(container, path)| Attribution {
        cgroup_path: path.to_owned(),
        container: Some(container),
        unit: None,
    })
    .map(Arc::new)
    .into()
}

/// The target's cgroup id, level and name in full; or the error.
fn check(text: &str, expected: &str) {
    let found = match resolve(&host(), &kept(), text) {
        Ok(target) => format!("{} {} {target}", target.scope.id, target.scope.level),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn finds_what_is_named() {
    let app = "7 4 container app (containerd aaaaaaaaaaaa, pod shop/checkout)";
    for (text, expected) in [
        ("job", "5 2 container job (docker 0f9999999999)"),
        (JOB, "5 2 container job (docker 0f9999999999)"),
        ("0f9", "5 2 container job (docker 0f9999999999)"),
        (WEB, "3 2 container web (docker 0f1e2d3c4b5a)"),
        ("app", app),
        ("aaaa", app),
        ("shop/checkout", "6 3 pod shop/checkout"),
        ("checkout", "6 3 pod shop/checkout"),
        (UID, "6 3 pod shop/checkout"),
        ("c2e1", "6 3 pod shop/checkout"),
        ("guest", "9 1 container guest (lxc)"),
        ("ssh.service", "10 2 unit ssh.service"),
        ("/docker", "2 1 cgroup /docker"),
        ("batch", "1 0 container batch (podman cccccccccccc)"),
        ("ddd", "2 1 container twin (podman dddddddddddd)"),
    ] {
        check(text, expected);
    }
}

#[test]
fn lists_all_that_may_be_meant() {
    check(
        "web",
        "web may be any of:\
         \n  container web (docker 0f1e2d3c4b5a)\
         \n  container web (containerd bbbbbbbbbbbb, pod shop/checkout)",
    );
    check(
        "0f",
        "0f may be any of:\
         \n  container web (docker 0f1e2d3c4b5a)\
         \n  container job (docker 0f9999999999)",
    );
}

#[test]
fn lists_pods_of_one_name_by_namespace_and_units_by_place() {
    let unit = |user: u32| {
        format!("/user.slice/user-{user}.slice/user@{user}.service/app.slice/vim.service")
    };
    let pod = |uid: &str, container: &str| format!("/kubepods/pod{uid}/{container}");
    let other_uid = UID.replace('c', "d");
    let paths = [unit(1000), unit(1001), pod(UID, APP), pod(&other_uid, SIDE)];
    let pods = [format!("/kubepods/pod{UID}"), format!("/kubepods/pod{other_uid}")];
    let cgroups = (1..).zip(paths.into_iter().chain(pods)).map(|(id, path)| {
        let mut attribution = runtime::attribute(&path);
        let container = attribution.container.as_mut();
        if let Some(pod) = container.and_then(|container| container.pod.as_mut()) {
            let namespace = if pod.uid == UID { "shop" } else { "test" };
            (pod.name, pod.namespace) = (Some("checkout".into()), Some(namespace.into()));
        }
        (id, Arc::new(attribution))
    });
    let cgroups: Vec<_> = cgroups.collect();
    let error = |text| resolve(&cgroups, &[], text).unwrap_err().to_string();
    assert_eq!(
        error("checkout"),
        "checkout may be any of:\n  pod shop/checkout\n  pod test/checkout"
    );
    assert_eq!(
        error("vim.service"),
        format!(
            "vim.service may be any of:\n  unit vim.service in {}\n  unit vim.service in {}",
            unit(1000),
            unit(1001)
        )
    );
    assert_eq!(resolve(&cgroups, &[], "test/checkout").unwrap().scope.id, 6);
}

#[test]
fn names_what_is_near() {
    for (text, expected) in [
        ("chekout", "nothing here is called chekout; did you mean checkout?"),
        ("ssh", "nothing here is called ssh; did you mean ssh.service?"),
        ("jop", "nothing here is called jop; did you mean job?"),
        ("0f1e2d3c4b5b", "nothing here is called 0f1e2d3c4b5b; did you mean 0f1e2d3c4b5a?"),
        ("zzz", "nothing here is called zzz"),
        ("/dock", "nothing here is called /dock"),
        ("", "nothing here is called "),
    ] {
        check(text, expected);
    }
}

#[test]
fn the_nearest_come_first_and_are_few() {
    let names = (0..20).map(|n| format!("web-{n}")).chain(["web".to_owned(), "web".to_owned()]);
    let near = nearest("web", names);
    assert_eq!(near.len(), 5);
    assert_eq!(near[..2], ["web", "web-0"]);
}

#[test]
fn a_wrong_letter_is_near_wherever_it_is() {
    let id = "91cf93ac9d96";
    for (at, _) in id.char_indices() {
        let mistyped = [&id[..at], "0", &id[at + 1..]].concat();
        assert_eq!(nearest(&mistyped, [id.to_owned()].into_iter()), [id], "{mistyped}");
    }
}

#[test]
fn a_container_without_a_cgroup_says_that_it_shares_one() {
    let target = |text| resolve(&host(), &kept(), text).unwrap();
    assert_eq!(target("twin").sharing(), Some("dddddddddddddddd".repeat(4)));
    assert_eq!(target("job").sharing(), None);
    assert_eq!(target("/docker").sharing(), None);
}

#[test]
fn a_list_shows_all_that_is_meant_and_what_is_in_it() {
    for (text, expected) in [
        ("job", Ok(vec!["job"])),
        ("web", Ok(vec!["web", "web"])),
        ("0f", Ok(vec!["web", "job"])),
        ("checkout", Ok(vec!["app", "web"])),
        ("shop/checkout", Ok(vec!["app", "web"])),
        ("twin", Ok(vec!["twin"])),
        ("/docker", Ok(vec!["web", "job", "twin"])),
        ("ssh.service", Ok(vec![])),
        ("zzz", Err("nothing here is called zzz".to_owned())),
    ] {
        let targets = all_meant(resolve(&host(), &kept(), text));
        let held = targets.map_err(|error| error.to_string()).map(|targets| {
            let is_held = |one: &&Arc<Attribution>| targets.iter().any(|target| target.holds(one));
            let all: Vec<_> = host().into_iter().map(|(_, one)| one).chain(kept()).collect();
            let containers = all.iter().filter(is_held).filter_map(|one| one.container.as_ref());
            let mut seen = std::collections::HashSet::new();
            let first = containers.filter(|container| seen.insert(container.id.clone()));
            first.filter_map(|container| container.name.clone()).collect::<Vec<_>>()
        });
        assert_eq!(
            held,
            expected.map(|names| names.into_iter().map(str::to_owned).collect()),
            "{text}"
        );
    }
}
