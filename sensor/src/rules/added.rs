//! What the configuration adds to the outputs of rules (`append_output`).

use std::sync::Arc;

use crate::rules::column::Columns;
use crate::rules::options::{AppendOutput, ExtraField, Options, SUGGESTED};
use crate::rules::template::Template;
use crate::rules::text::Text;

/// Texts and fields that are added to one rule's output.
#[derive(Debug, Default)]
pub struct Added {
    /// Each begins with a blank.
    pub texts: Vec<Template>,
    pub fields: Vec<AddedField>,
}

/// One more field of `output_fields`.
#[derive(Debug)]
pub struct AddedField {
    pub name: Arc<str>,
    pub template: Template,
    /// The field's own value, not a text.
    pub is_raw: bool,
}

/// What is added to a rule's output.
pub fn of(rule: &str, tags: &[String], options: &Options) -> Result<Added, String> {
    let entries = || options.append_output.iter().filter(|entry| entry.applies(rule, tags));
    let mut added = Added::default();
    if entries().any(|entry| entry.suggested_output) {
        added.texts.push(parse(&format!(" {SUGGESTED}"))?);
    }
    for entry in entries() {
        entry_of(entry, &mut added)?;
    }
    Ok(added)
}

/// What is wrong with an entry, whatever rules it applies to.
pub fn check(entry: &AppendOutput) -> Result<(), String> {
    entry_of(entry, &mut Added::default())
}

fn entry_of(entry: &AppendOutput, added: &mut Added) -> Result<(), String> {
    if !entry.extra_output.is_empty() {
        added.texts.push(parse(&format!(" {}", entry.extra_output))?);
    }
    for field in &entry.extra_fields {
        match field {
            ExtraField::Field(name) => {
                let template = parse(&format!("%{name}"))?;
                if !template.is_one_field() {
                    return Err(format!("append_output: `{name}` is not a field"));
                }
                added.fields.push(AddedField {
                    name: name.as_str().into(),
                    template,
                    is_raw: true,
                });
            }
            ExtraField::Texts(texts) => {
                for (name, text) in texts {
                    let (name, template) = (name.as_str().into(), parse(text)?);
                    added.fields.push(AddedField { name, template, is_raw: false });
                }
            }
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<Template, String> {
    let placed = Arc::new(Text::unplaced(text));
    Template::parse(&placed, &mut Columns::default(), &mut Vec::new()).map_err(|faults| {
        let faults = faults.into_iter().map(|fault| match fault.hint {
            Some(hint) => format!("{}; {hint}", fault.message),
            None => fault.message,
        });
        format!("append_output: `{}`: {}", text.trim(), faults.collect::<Vec<_>>().join("; "))
    })
}
