//! Files → a [`Ruleset`], or everything that is wrong with them. `check` and `run` both use it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::fields::event_types;
use crate::rules::ast::{Expr, ExprKind};
use crate::rules::collect::{Definitions, RuleDefinition, collect};
use crate::rules::column::Columns;
use crate::rules::compile::{Compiled, Compiler, Macro, Macros, undefined_macro};
use crate::rules::error::{Code, Fault, Finding, Item, Severity};
use crate::rules::index::{Index, Reach, reach};
use crate::rules::lists::Lists;
use crate::rules::options::{Matching, Options};
use crate::rules::program::NodeId;
use crate::rules::template::Template;
use crate::rules::text::{File, Text};
use crate::rules::{Rule, Ruleset, added, exceptions, file, lint, never, parser, yaml};

/// What a load came to.
#[derive(Debug)]
pub struct Loaded {
    /// Nothing when there is an error.
    pub ruleset: Option<Ruleset>,
    /// Errors, warnings and lints, in the order of the files.
    pub findings: Vec<Finding>,
    /// Findings beyond those, which nobody would read to the end.
    pub omitted: usize,
    pub files: Vec<File>,
}

/// Errors, and findings of other kinds, that are kept.
const FINDINGS_MAX: usize = 1000;

impl Loaded {
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity() == Severity::Error)
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity() != Severity::Error)
    }
}

impl Ruleset {
    /// Loads files, given by name and content, in order.
    pub fn load(files: Vec<File>, options: &Options) -> Loaded {
        let mut findings = Vec::new();
        let mut entries = Vec::new();
        for (number, file) in files.iter().enumerate() {
            match yaml::parse(&file.content, number) {
                Ok(documents) => entries.extend(file::read(&documents, &mut findings)),
                Err(fault) => findings.push(fault.within(Vec::new())),
            }
        }
        let definitions = collect(&entries, &mut findings);
        let ruleset = compile(definitions, options, &mut findings);
        findings.sort_by_key(|finding| (finding.place.file, finding.place.bytes.start));
        // What is wrong with a macro is wrong once, however many rules use it.
        let mut said = HashSet::new();
        findings.retain(|one| said.insert((one.place.clone(), one.code, one.message.clone())));
        let failed = findings.iter().any(|finding| finding.severity() == Severity::Error);
        let omitted = shorten(&mut findings);
        Loaded { ruleset: (!failed).then_some(ruleset), findings, omitted, files }
    }
}

/// Keeps the first findings; returns how many went.
fn shorten(findings: &mut Vec<Finding>) -> usize {
    let before = findings.len();
    let (mut errors, mut others) = (0, 0);
    findings.retain(|finding| {
        let is_error = finding.severity() == Severity::Error;
        let count = if is_error { &mut errors } else { &mut others };
        *count += 1;
        *count <= FINDINGS_MAX
    });
    before - findings.len()
}

/// Compiles one condition as a ruleset of one rule; macros and lists come from `files`.
/// The condition is the last of the files that come back.
pub fn condition(text: &str, mut files: Vec<File>) -> (Option<Ruleset>, Vec<Finding>, Vec<File>) {
    let number = files.len();
    let mut findings = Vec::new();
    let mut entries = Vec::new();
    for (number, file) in files.iter().enumerate() {
        match yaml::parse(&file.content, number) {
            Ok(documents) => entries.extend(file::read(&documents, &mut findings)),
            Err(fault) => findings.push(fault.within(Vec::new())),
        }
    }
    let mut definitions = collect(&entries, &mut findings);
    definitions.rules = vec![RuleDefinition::of_condition(Text::verbatim(text, number, 0))];
    files.push(File { name: "condition".to_owned(), content: text.to_owned() });
    let ruleset = compile(definitions, &Options::default(), &mut findings);
    // What is unused there, or wrong with other rules, is of no interest here.
    findings
        .retain(|finding| finding.severity() == Severity::Error || finding.place.file == number);
    findings.retain(|finding| finding.code != Code::NoEventType && finding.code != Code::NeverTrue);
    let failed = findings.iter().any(|finding| finding.severity() == Severity::Error);
    ((!failed).then_some(ruleset), findings, files)
}

fn compile(definitions: Definitions, options: &Options, findings: &mut Vec<Finding>) -> Ruleset {
    let Definitions { rules, macros, lists, .. } = definitions;
    let list_items: Vec<Item> = lists.values().map(|list| list.item.clone()).collect();
    let lists = Lists::new(lists.into_iter().map(|(name, one)| (name, one.list)).collect());
    lists.use_nested();
    let macro_items: Vec<Item> = macros.values().map(|one| one.item.clone()).collect();
    let macros: Macros = macros
        .into_iter()
        .filter_map(|(name, one)| {
            let text = Arc::new(one.condition);
            match parser::parse(&text) {
                Ok(expr) => {
                    Some((name, Macro { expr: Arc::new(expr), first: one.first, last: one.last }))
                }
                Err(broken) => {
                    let within = || vec![one.item.clone()];
                    findings.extend(broken.faults.into_iter().map(|fault| fault.within(within())));
                    let expr = Arc::new(broken.readable?);
                    Some((name, Macro { expr, first: one.first, last: one.last }))
                }
            }
        })
        .collect();
    let broken = check_macros(&macros, &macro_items, findings);
    let mut compiler = Compiler::new(&lists, &macros);
    let mut loaded = Vec::new();
    for definition in rules {
        let item = definition.item.clone();
        if let Some(rule) = rule(definition, options, &mut compiler, broken, findings) {
            if options.matching == Matching::First {
                findings.extend(shadowed(&loaded, &rule, &compiler, item));
            }
            loaded.push(rule);
        }
    }
    unused(&compiler, &lists, &macro_items, &list_items, findings);
    let enabled: Vec<(usize, NodeId)> = loaded
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.enabled)
        .map(|(number, rule)| (number, rule.node))
        .collect();
    let index = Index::build(&mut compiler, &enabled);
    Ruleset { rules: loaded, program: compiler.program, index, matching: options.matching }
}

/// A warning of a rule that an earlier one always hides.
fn shadowed(earlier: &[Rule], rule: &Rule, compiler: &Compiler<'_>, item: Item) -> Option<Finding> {
    let hides = |other: &&Rule| {
        other.enabled && rule.enabled && lint::shadows(&compiler.program, other.node, rule.node)
    };
    let other = earlier.iter().find(hides)?;
    let message = format!("rule `{}` matches whatever this rule does, and comes first", other.name);
    Some(Fault::new(Code::Shadowed, item.place.clone(), message).within(vec![item]))
}

/// Checks that macros refer only to macros before them; true when one does not.
fn check_macros(macros: &Macros, items: &[Item], findings: &mut Vec<Finding>) -> bool {
    let mut broken = false;
    for item in items {
        let Some(own) = macros.get(&item.name) else {
            broken = true;
            continue;
        };
        let mut faults = Vec::new();
        visit_macros(&own.expr, &mut |name, expr| {
            let visible = macros.get(name).is_some_and(|other| other.first < own.last);
            if name == item.name {
                let message = format!("reference loop in macro '{name}'");
                faults.push(Fault::new(Code::Validate, expr.span.place(), message));
            } else if !visible {
                let fault = undefined_macro(name, &expr.span, macros);
                faults.push(if macros.contains_key(name) {
                    fault.hint("a macro sees only macros that are defined before it")
                } else {
                    fault
                });
            }
        });
        broken |= !faults.is_empty();
        findings.extend(faults.into_iter().map(|fault| fault.within(vec![item.clone()])));
    }
    broken
}

fn visit_macros(expr: &Expr, visit: &mut dyn FnMut(&str, &Expr)) {
    match &expr.kind {
        ExprKind::Macro(name) => visit(name, expr),
        ExprKind::Not(inner) => visit_macros(inner, visit),
        ExprKind::And(operands) | ExprKind::Or(operands) => {
            for operand in operands {
                visit_macros(operand, visit);
            }
        }
        ExprKind::Check(_) | ExprKind::Unreadable => {}
    }
}

/// Compiles one rule; `None` when it is wrong or not wanted.
fn rule(
    definition: RuleDefinition,
    options: &Options,
    compiler: &mut Compiler<'_>,
    macros_broken: bool,
    findings: &mut Vec<Finding>,
) -> Option<Rule> {
    let item = definition.item.clone();
    if definition.source != "syscall" {
        let message = format!("Unknown source {}, skipping", definition.source);
        let fault = Fault::new(Code::UnknownSource, item.place.clone(), message);
        findings.push(fault.within(vec![item]));
        return None;
    }
    if definition.priority > options.minimum_priority {
        return None;
    }
    let text = Arc::new(definition.condition.clone());
    let mut problems = Problems::new(&definition, findings);
    let expr = match parser::parse(&text) {
        Ok(expr) => Some(expr),
        Err(broken) => {
            problems.condition(broken.faults);
            broken.readable
        }
    };
    let expr = expr.and_then(|expr| {
        exceptions::apply(expr, &definition.exceptions, &item)
            .map_err(|mut more| problems.findings.append(&mut more))
            .ok()
    });
    let condition = expr.and_then(|expr| {
        let condition = compiler.compile(&expr).map_err(|mut faults| {
            // With a broken macro, errors about it would only repeat.
            faults.retain(|fault| !(macros_broken && fault.code == Code::Validate));
            problems.condition(faults);
        });
        condition.ok()
    });
    problems.notes(std::mem::take(&mut compiler.notes));
    let template = problems.template(&definition, options, &mut compiler.columns);
    let (condition, template) = (condition?, template?);
    let reach = reach(compiler, condition.node);
    match never::reason(&compiler.program, condition.node) {
        Some(reason) => problems.never_true(&reason),
        None if reach == Reach::Nothing => problems.never_true("it holds for no event type"),
        None => {}
    }
    problems.reach(&reach);
    Some(built(definition, options, condition, template))
}

fn built(own: RuleDefinition, options: &Options, condition: Compiled, template: Template) -> Rule {
    let selections = options.selections.iter();
    let enabled = selections
        .rev()
        .find_map(|selection| selection.enables(&own.name, &own.tags))
        .unwrap_or(own.enabled);
    Rule {
        name: own.name.into(),
        desc: own.desc,
        priority: own.priority,
        source: own.source,
        tags: own.tags.into(),
        condition: own.condition.text,
        output: own.output.text,
        enabled,
        capture_ms: own.options.capture.then_some(own.options.capture_duration_ms),
        outline: condition.outline,
        node: condition.node,
        template,
        matched: AtomicU64::new(0),
    }
}

/// Turns faults of one rule into findings.
struct Problems<'a> {
    findings: &'a mut Vec<Finding>,
    item: Item,
    condition: Item,
    skip_unknown: bool,
    warn_event_types: bool,
}

impl<'a> Problems<'a> {
    fn new(definition: &RuleDefinition, findings: &'a mut Vec<Finding>) -> Self {
        let place = definition.condition_place.clone();
        Self {
            findings,
            item: definition.item.clone(),
            condition: Item { kind: "rule condition", name: String::new(), place },
            skip_unknown: definition.options.skip_if_unknown_filter,
            warn_event_types: definition.options.warn_event_types,
        }
    }

    fn condition(&mut self, faults: Vec<Fault>) {
        let within = vec![self.item.clone(), self.condition.clone()];
        self.report(faults, Code::CompileCondition, &within);
    }

    /// Errors, or one warning when the rule is to be skipped for unknown fields.
    fn report(&mut self, faults: Vec<Fault>, code: Code, within: &[Item]) {
        let skip =
            self.skip_unknown && faults.iter().all(|fault| fault.code == Code::UnknownFilter);
        for mut fault in faults {
            if !skip && matches!(fault.code, Code::UnknownFilter | Code::CompileCondition) {
                fault.code = code;
            }
            if skip {
                let hint = fault.hint.map_or(String::new(), |hint| format!("{hint} "));
                fault.hint = Some(format!("{hint}The rule is skipped"));
            }
            self.findings.push(fault.within(within.to_vec()));
        }
    }

    fn notes(&mut self, notes: Vec<Fault>) {
        let within = vec![self.item.clone(), self.condition.clone()];
        self.findings.extend(notes.into_iter().map(|note| note.within(within.clone())));
    }

    fn template(
        &mut self,
        definition: &RuleDefinition,
        options: &Options,
        columns: &mut Columns,
    ) -> Option<Template> {
        let output = &definition.output;
        let place = output.place(0..output.text.len());
        let within =
            vec![self.item.clone(), Item { kind: "rule output", name: String::new(), place }];
        let mut text = output.clone();
        if let Some(at) = text.text.find("%container.info") {
            let message = "%container.info is deprecated and no more useful: the container's fields are added to every output";
            let place = output.place(at..at + "%container.info".len());
            self.findings.push(
                Fault::new(Code::DeprecatedItem, place, message).within(within[..1].to_vec()),
            );
            text.text = text.text.replace("%container.info", "%container.id  ");
        }
        let mut notes = Vec::new();
        let template = Template::parse(&Arc::new(text), columns, &mut notes);
        self.findings.extend(notes.into_iter().map(|note| note.within(within.clone())));
        let template = template.map_err(|faults| self.report(faults, Code::CompileOutput, &within));
        let added = added::of(&definition.name, &definition.tags, options);
        let added = added.map_err(|message| {
            let fault = Fault::new(Code::CompileOutput, self.item.place.clone(), message);
            self.findings.push(fault.within(within[..1].to_vec()));
        });
        let mut template = template.ok()?;
        template.add(added.ok()?);
        Some(template)
    }

    fn never_true(&mut self, reason: &str) {
        let place = self.condition.place.clone();
        let message = format!("no event can match this condition: {reason}");
        self.findings
            .push(Fault::new(Code::NeverTrue, place, message).within(vec![self.item.clone()]));
    }

    fn reach(&mut self, reach: &Reach) {
        const TYPES_MAX: usize = 100;
        let place = self.condition.place.clone();
        let within = vec![self.item.clone()];
        match reach {
            Reach::Types(types) if !types.iter().any(|name| event_types::is_delivered(name)) => {
                let message = format!("no event of type {} is collected", types.join(", "));
                let fault = Fault::new(Code::EventNotDelivered, place.clone(), message);
                self.findings.push(fault.within(within.clone()));
            }
            _ => {}
        }
        let few = matches!(reach, Reach::Types(types) if types.len() <= TYPES_MAX);
        if !few && self.warn_event_types {
            let message = match reach {
                Reach::Nothing => "Rule matches no evt.type value.",
                _ => {
                    "Rule matches too many evt.type values. This has a significant performance penalty."
                }
            };
            self.findings.push(Fault::new(Code::NoEventType, place, message).within(within));
        }
    }
}

fn unused(
    compiler: &Compiler<'_>,
    lists: &Lists,
    macro_items: &[Item],
    list_items: &[Item],
    findings: &mut Vec<Finding>,
) {
    for item in macro_items.iter().filter(|item| !compiler.is_macro_used(&item.name)) {
        let fault = Fault::new(
            Code::UnusedMacro,
            item.place.clone(),
            "Macro not referred to by any other rule/macro",
        );
        findings.push(fault.within(vec![item.clone()]));
    }
    for item in list_items.iter().filter(|item| !lists.is_used(&item.name)) {
        let fault = Fault::new(
            Code::UnusedList,
            item.place.clone(),
            "List not referred to by any other rule/macro/list",
        );
        findings.push(fault.within(vec![item.clone()]));
    }
}
