//! `docs/config.md` and `deploy/sensor.yaml`, from the list of keys.

use std::fmt::Write as _;

use crate::config::Config;
use crate::config::keys::KEYS;

/// The text of `docs/config.md`.
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    let defaults = Config::default();
    for key in KEYS {
        let (name, variable, default) = (key.name, key.variable(), key.render(&defaults));
        // Writing to a string cannot fail.
        let _written = writeln!(text, "| `{name}` | `{default}` | {} | `{variable}` |", key.doc);
    }
    text
}

const INTRODUCTION: &str = "\
# Configuration

Generated from the list of keys by `cargo xtask docs`.

Each setting has a default. The config file (`--config FILE`, else `/etc/sensor/sensor.yaml` if it is there) changes it,
the environment changes that, and the command line (`--set KEY=VALUE`) wins. In the environment and on the command line
a list is separated by commas, and a map is `name=value,name=value`. A key that does not exist is an error that names
the nearest one that does. `SIGHUP` reads everything anew; a file with a mistake changes nothing.

| Key | Default | Meaning | Environment |
|---|---|---|---|
";

/// The text of `deploy/sensor.yaml`: every key with its default and what it means.
pub fn sample_file() -> String {
    let mut text = String::from(
        "# Every setting of sensor with its default. Remove what you do not change.\n",
    );
    let defaults = Config::default();
    let mut sections: Vec<&str> = Vec::new();
    for key in KEYS {
        let mut path: Vec<&str> = key.name.split('.').collect();
        let name = path.pop().unwrap_or_default();
        let shared = sections.iter().zip(&path).take_while(|(left, right)| left == right).count();
        for (depth, section) in path.iter().enumerate().skip(shared) {
            let _written = write!(text, "\n{}{section}:\n", "  ".repeat(depth));
        }
        let indent = "  ".repeat(path.len());
        let _written = writeln!(text, "{indent}# {}", key.doc);
        let _written = writeln!(text, "{indent}{name}: {}", key.render(&defaults));
        sections = path;
    }
    text
}
