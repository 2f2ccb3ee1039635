//! `sensor rules fields`: the field reference.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::rules::{FAILED, Outcome, print};
use crate::fields::docs::{argument, markdown, value_type};
use crate::fields::near::did_you_mean;
use crate::fields::{Field, Type, all};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only fields whose names begin with this
    prefix: Option<String>,
    /// As JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As the page docs/fields.md
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    if args.markdown {
        print(&markdown())?;
        return Ok(ExitCode::SUCCESS);
    }
    let prefix = args.prefix.as_deref().unwrap_or_default();
    let fields: Vec<&Field> = all().filter(|field| field.name.starts_with(prefix)).collect();
    if fields.is_empty() {
        let hint = did_you_mean(prefix, all().map(|field| field.name)).unwrap_or_default();
        eprintln!("error: no field begins with `{prefix}`; {hint}");
        return Ok(FAILED);
    }
    let output = if args.json {
        let fields: Vec<_> = fields.into_iter().map(as_json).collect();
        format!("{:#}\n", json!(fields))
    } else {
        text(&fields)?
    };
    print(&output)?;
    Ok(ExitCode::SUCCESS)
}

fn text(fields: &[&Field]) -> anyhow::Result<String> {
    let mut out = String::new();
    for field in fields {
        let name = format!("{}{}", field.name, argument(field));
        let missing = if field.is_delivered() { "" } else { " (not collected)" };
        writeln!(out, "{name:<36} {:<16} {}{missing}", value_type(field), field.doc)?;
    }
    Ok(out)
}

fn as_json(field: &Field) -> serde_json::Value {
    json!({
        "name": field.name,
        "type": value_type(field),
        "falco_type": field.get.value_type().map(Type::falco_name),
        "argument": argument(field),
        "collected": field.is_delivered(),
        "description": field.doc,
    })
}
