//! The distribution's package archive, with suites that this host does not use, through a state of
//! apt's of its own: this host's lists, sources and packages are neither used nor changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::command;

/// Between them they have every kernel branch that is tested.
const SUITES: [&str; 4] =
    ["bullseye-security", "bookworm-security", "trixie-security", "trixie-backports"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

pub(crate) struct Archive {
    state: PathBuf,
    /// As Debian calls it: `amd64`.
    architecture: &'static str,
}

impl Archive {
    /// Opens the archive; its lists are fetched if there are none, or if `refresh` says so.
    pub(crate) fn open(cache: &Path, architecture: &'static str, refresh: bool) -> Result<Self> {
        let archive = Self { state: cache.join("apt").join(architecture), architecture };
        let fetched = archive.state.join("fetched");
        if refresh || !fetched.exists() {
            println!("fetching the {architecture} package lists of {}", SUITES.join(", "));
            archive.prepare()?;
            command::capture(archive.apt("apt-get").args(["--quiet", "--quiet", "update"]))?;
            write(&fetched, "")?;
        }
        Ok(archive)
    }

    fn prepare(&self) -> Result<()> {
        for directory in ["lists/partial", "archives/partial", "sources"] {
            let directory = self.state.join(directory);
            fs::create_dir_all(&directory)
                .with_context(|| format!("create {}", directory.display()))?;
        }
        ensure!(Path::new(KEYRING).exists(), "no {KEYRING}: install debian-archive-keyring");
        let targets = command::capture(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(CODENAME) $(REPO_URI)",
            "Created-By: Packages",
        ]))?;
        let bases = Bases::of(&String::from_utf8_lossy(&targets.stdout))?;
        write(&self.state.join("status"), "")?;
        write(&self.state.join("sources/debian.sources"), &bases.sources())
    }

    /// The versions `V` for which there is a package `linux-image-V-cloud-amd64`, `V` of `branch`.
    pub(crate) fn images(&self, branch: &str) -> Result<Vec<String>> {
        let prefix = format!("linux-image-{branch}.");
        let names = command::capture(self.apt("apt-cache").args(["pkgnames", &prefix]))?;
        let suffix = format!("-cloud-{}", self.architecture);
        let names = String::from_utf8_lossy(&names.stdout).into_owned();
        Ok(names
            .lines()
            .filter(|name| name.ends_with(&suffix))
            .filter_map(|name| name.strip_prefix("linux-image-"))
            .map(str::to_owned)
            .collect())
    }

    /// The packages that `package` needs directly, alternatives included.
    pub(crate) fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let output =
            command::capture(self.apt("apt-cache").args(["depends", "--important", package]))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.trim_start_matches([' ', '|']).strip_prefix("Depends: "))
            .map(str::to_owned)
            .collect())
    }

    /// Downloads `package` into the empty directory `to`; apt checks its signature.
    pub(crate) fn download(&self, package: &str, to: &Path) -> Result<()> {
        fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
        let mut download = self.apt("apt-get");
        download.args(["--quiet", "--quiet", "download", package]).current_dir(to);
        command::capture(&mut download).map(drop)
    }

    fn apt(&self, program: &str) -> Command {
        let state = |name: &str| self.state.join(name).display().to_string();
        let mut command = Command::new(program);
        for option in [
            "Dir::Etc::sourcelist=/dev/null".to_owned(),
            format!("Dir::Etc::sourceparts={}", state("sources")),
            format!("Dir::State::Lists={}", state("lists")),
            format!("Dir::State::status={}", state("status")),
            format!("Dir::Cache::archives={}", state("archives")),
            format!("Dir::Cache::pkgcache={}", state("pkgcache.bin")),
            "Dir::Cache::srcpkgcache=".to_owned(),
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures={}", self.architecture),
            "APT::Default-Release=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::IndexTargets::deb::CNF::DefaultEnabled=false".to_owned(),
            // The user `_apt` may not be able to enter the target directory.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("--option").arg(option);
        }
        command
    }
}

/// Where this host gets its packages from, and its security updates.
#[derive(Debug, PartialEq)]
struct Bases {
    main: String,
    security: String,
}

impl Bases {
    /// Reads `CODENAME URI` lines, one for each configured source.
    fn of(targets: &str) -> Result<Self> {
        let sources: Vec<(&str, &str)> =
            targets.lines().filter_map(|line| line.split_once(' ')).collect();
        let security = sources
            .iter()
            .find(|(name, _)| name.ends_with("-security"))
            .context("no security updates of Debian are configured as a package source")?;
        let release = security.0.trim_end_matches("-security");
        let main = sources
            .iter()
            .find(|(name, _)| *name == release)
            .with_context(|| format!("no package source for {release} itself is configured"))?;
        Ok(Self { main: main.1.to_owned(), security: security.1.to_owned() })
    }

    fn sources(&self) -> String {
        let stanza = |suite: &str| {
            let base = if suite.ends_with("-security") { &self.security } else { &self.main };
            format!(
                "Types: deb\nURIs: {base}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n\n"
            )
        };
        SUITES.map(stanza).concat()
    }
}

/// The files in a directory, such as downloaded packages.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<_, _>>().with_context(|| format!("list {}", directory.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::Bases;

    #[test]
    fn bases_are_those_of_the_host() {
        let targets = "bookworm http://a/debian/\nbookworm-updates http://a/debian/\nbookworm-security http://b/security/\n";
        let bases = Bases::of(targets).unwrap();
        assert_eq!(
            bases,
            Bases { main: "http://a/debian/".into(), security: "http://b/security/".into() }
        );
        let sources = bases.sources();
        assert!(sources.contains("URIs: http://b/security/\nSuites: trixie-security\n"));
        assert!(sources.contains("URIs: http://a/debian/\nSuites: trixie-backports\n"));
        assert!(Bases::of("noble http://a/ubuntu/\n").is_err());
    }
}
