//! The field tables as `docs/fields.md`.

use std::fmt::Write as _;

use crate::fields::{ArgumentForm, CLASSES, Field, all};

const INTRODUCTION: &str = "# Fields

Generated from the field tables: `sensor rules fields --markdown`. What a rule's condition and output may name.

A field that an event does not have is *absent*: every comparison with it is false, also `!=`, and
`exists` is false; `not` turns that around, so `proc.pname != x` is false and `not proc.pname = x` is
true where there is no parent. Output text shows an absent field as `<NA>`, JSON as `null`.

Fields marked *not collected* load, with one warning, and are absent from every event.

Arguments: `[N]` a number, `[KEY]` a text, `.NAME` a name after a dot; those in parentheses may be left out.
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    let delivered = all().filter(|field| field.is_delivered()).count();
    // Writing to a string cannot fail.
    writeln!(page, "\n{} fields, {delivered} of them collected.", all().count()).ok();
    for (title, fields) in CLASSES {
        writeln!(page, "\n## {title}\n\n| Field | Type | Meaning |\n|---|---|---|").ok();
        for field in *fields {
            writeln!(
                page,
                "| `{}{}` | {} | {}{} |",
                field.name,
                argument(field),
                value_type(field),
                field.doc.replace('|', "\\|"),
                if field.is_delivered() { "" } else { " *Not collected.*" }
            )
            .ok();
        }
    }
    page
}

pub fn value_type(field: &Field) -> &'static str {
    field.get.value_type().map_or("of the argument", super::Type::name)
}

pub const fn argument(field: &Field) -> &'static str {
    match field.argument {
        ArgumentForm::None => "",
        ArgumentForm::OptionalIndex => "([N])",
        ArgumentForm::OptionalKey => "([KEY])",
        ArgumentForm::RequiredKey => "[KEY]",
        ArgumentForm::Parameter | ArgumentForm::Dotted => ".NAME",
    }
}
