//! The bounds in `docs/limits.md` are those of the code.

use std::fs;

#[test]
fn bounds_are_the_constants() {
    let root = sensor_tests::root();
    let page = fs::read_to_string(root.join("docs/limits.md")).unwrap();
    let mut rows = 0;
    for line in page.lines() {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, constant, bound, _, _] = columns[..] else { continue };
        let words: Vec<&str> = constant.split('`').collect();
        let ["", file, " ", name, ""] = words[..] else { continue };
        let source = fs::read_to_string(root.join(file)).unwrap();
        let found = source.lines().find_map(|line| value(line, name));
        assert_eq!(found, bound.parse().ok(), "{line}");
        rows += 1;
    }
    assert!(rows > 10, "the table was not found");
}

/// Of `const NAME: usize = 1 << 16;`.
fn value(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("const {name}: "))?;
    let (_, expression) = rest.trim_end_matches(';').split_once(" = ")?;
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    if let Some((left, right)) = expression.split_once("<<") {
        return Some(number(left)? << number(right)?);
    }
    expression.split('*').map(number).product()
}
