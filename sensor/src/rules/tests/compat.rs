//! `docs/falco-compat.md` says what this engine does: every example of it is run.

use super::*;

fn page() -> String {
    fs::read_to_string(in_project("docs/falco-compat.md")).unwrap()
}

/// The fenced blocks of a language, each with the text before it.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<(&'a str, &'a str)> {
    let open = format!("```{language}\n");
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find(&open) {
        let (before, after) = rest.split_at(at);
        let (block, next) = after[open.len()..].split_once("```").unwrap();
        found.push((before, block));
        rest = next;
    }
    found
}

#[test]
fn conditions_differ_as_the_page_says() {
    let page = page();
    let events: HashMap<String, Map<String, Json>> =
        serde_json::from_str(blocks(&page, "json")[0].1).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut count = 0;
    for row in rows {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let (text, name, here, falco) =
            (columns[1].trim_matches('`'), columns[2], columns[3], columns[4]);
        let event = ObjectEvent::from_json(&events[name]).unwrap();
        assert_eq!(answer(text, &event), here, "{text}");
        assert_ne!(here, falco, "{text}: no difference");
        count += 1;
    }
    assert!(count >= 10, "{count} rows");
}

#[test]
fn documents_load_as_the_page_says() {
    let page = page();
    let documents = blocks(&page, "yaml");
    assert!(documents.len() >= 5);
    for (before, yaml) in documents {
        let expected = before.rsplit("Here: ").next().unwrap().trim();
        let loaded = load(yaml);
        let errors: Vec<String> = loaded
            .errors()
            .map(|error| {
                let position = loaded.files[0].position(error.place.bytes.start);
                format!("{} {}:{}", error.code.name(), position.line, position.column)
            })
            .collect();
        let notes: Vec<&str> = loaded
            .warnings()
            .filter(|one| one.severity() == Severity::Lint)
            .map(|one| one.code.name())
            .collect();
        let got = match (errors.is_empty(), notes.is_empty()) {
            (false, _) => errors.join(", "),
            (true, false) => format!("loads with {}", notes.join(", ")),
            (true, true) => "loads".to_owned(),
        };
        assert_eq!(got, expected, "{yaml}");
    }
}
