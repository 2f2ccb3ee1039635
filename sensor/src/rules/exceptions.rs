//! Exceptions of rules: `and not (…)` for each tuple of values.

use std::sync::Arc;

use crate::fields::near::did_you_mean;
use crate::rules::ast::{
    Arity, Check, Constant, Expr, ExprKind, Modifier, Operator, Right, Span, Term,
};
use crate::rules::column;
use crate::rules::error::{Code, Fault, Finding, Item};
use crate::rules::file::{Keys, Reading};
use crate::rules::lists::item_constants;
use crate::rules::parser;
use crate::rules::text::{Place, Text};
use crate::rules::yaml::{Kind, Node};

/// One exception of a rule, as it was written.
#[derive(Clone, Debug)]
pub struct Exception {
    pub name: String,
    pub fields: Option<Names>,
    pub comps: Option<Names>,
    pub values: Vec<Node>,
    pub item: Item,
}

/// One name, or several.
#[derive(Clone, Debug)]
pub enum Names {
    One(Text),
    Several(Vec<Text>),
}

impl Names {
    fn all(&self) -> &[Text] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

/// A comparison that an exception names: an operator, perhaps with a modifier.
type Comparison = (Operator, Option<Modifier>);

/// Reads the exceptions of an entry. Complete ones must name their fields.
pub fn read(reading: &mut Reading<'_>, complete: bool) -> Vec<Exception> {
    let Some(node) = reading.entry.keys.get("exceptions").cloned() else { return Vec::new() };
    let Some(items) = node.sequence() else {
        reading.fail(node.place, "Value is not a sequence");
        return Vec::new();
    };
    let mut exceptions: Vec<Exception> = Vec::new();
    for item in items {
        let Some(exception) = one(reading, item, complete) else { continue };
        if exceptions.iter().any(|known| known.name == exception.name) {
            let message = "Multiple definitions of exception in the same rule";
            warn(reading, Code::ExceptionNameNotUnique, &exception, message);
        }
        exceptions.push(exception);
    }
    exceptions
}

/// Adds exceptions to those of a rule: to one of the same name only values.
pub fn append(known: &mut Vec<Exception>, added: Vec<Exception>, reading: &mut Reading<'_>) {
    for exception in added {
        match known.iter_mut().find(|one| one.name == exception.name) {
            Some(base) => {
                if exception.values.is_empty() {
                    warn(
                        reading,
                        Code::AppendNoValues,
                        &exception,
                        "Overriding/appending exception with no values",
                    );
                }
                base.values.extend(exception.values);
            }
            None if exception.fields.is_none() => {
                let message = "Rule exception must have fields property with a list of fields";
                warn(reading, Code::Validate, &exception, message);
            }
            None => known.push(exception),
        }
    }
}

fn warn(reading: &mut Reading<'_>, code: Code, exception: &Exception, message: &str) {
    let mut finding = reading.entry.finding(code, exception.item.place.clone(), message);
    finding.within.push(exception.item.clone());
    reading.findings.push(finding);
}

fn one(reading: &mut Reading<'_>, node: &Node, complete: bool) -> Option<Exception> {
    let Some(keys) = Keys::of(node) else {
        reading.fail(node.place.clone(), "Value is not a mapping");
        return None;
    };
    let start = keys.names().next().map_or_else(|| node.place.clone(), |(_, place)| place.clone());
    let mut item = Item { kind: "exception", name: String::new(), place: start.clone() };
    let Some(name) = keys.get("name").and_then(Node::scalar) else {
        let mut finding =
            reading.entry.finding(Code::YamlValidate, start, "Item has no mapping for key 'name'");
        finding.within.push(item);
        reading.findings.push(finding);
        return None;
    };
    item.name.clone_from(&name.text.text);
    let fields = names(keys.get("fields"));
    let exception = Exception {
        name: item.name.clone(),
        comps: names(keys.get("comps")),
        values: keys.get("values").and_then(Node::sequence).unwrap_or_default().to_vec(),
        fields,
        item,
    };
    if exception.fields.is_none() && complete {
        warn(reading, Code::YamlValidate, &exception, "Item has no mapping for key 'fields'");
        if let Some(finding) = reading.findings.last_mut() {
            finding.hint = keys.meant("fields", KEYS);
        }
        return None;
    }
    let faults = validate(&exception);
    if !faults.is_empty() {
        let within = vec![reading.entry.item(), exception.item];
        reading.findings.extend(faults.into_iter().map(|fault| fault.within(within.clone())));
        return None;
    }
    Some(exception)
}

const KEYS: &[&str] = &["name", "fields", "comps", "values"];

fn names(node: Option<&Node>) -> Option<Names> {
    match &node?.kind {
        Kind::Scalar(scalar) => Some(Names::One(scalar.text.clone())),
        Kind::Sequence(items) => Some(Names::Several(
            items.iter().filter_map(Node::scalar).map(|scalar| scalar.text.clone()).collect(),
        )),
        Kind::Mapping(_) => None,
    }
}

/// Checks fields and comparisons, whether there are values or not; reports all that is wrong.
fn validate(exception: &Exception) -> Vec<Fault> {
    let Some(fields) = &exception.fields else { return Vec::new() };
    let place = exception.item.place.clone();
    let fault = |message: &str| Fault::new(Code::Validate, place.clone(), message);
    let mut faults: Vec<Fault> =
        fields.all().iter().filter_map(|field| term(field).err()).collect();
    match (fields, &exception.comps) {
        (Names::One(_), Some(Names::Several(_))) => {
            faults.push(fault("Fields and comps must both be strings or both be lists"));
        }
        (Names::Several(_), Some(Names::One(_))) => {
            faults.push(fault("Fields and comps lists must have equal length"));
        }
        (Names::Several(fields), Some(Names::Several(comps))) if fields.len() != comps.len() => {
            faults.push(fault("Fields and comps lists must have equal length"));
        }
        _ => {}
    }
    for comp in exception.comps.as_ref().map(Names::all).unwrap_or_default() {
        match comparison(comp) {
            Err(wrong) => faults.push(wrong),
            Ok((operator, modifier)) => {
                let takes_list = operator.arity() == Arity::List || modifier.is_some();
                if matches!(fields, Names::One(_)) && !takes_list {
                    faults.push(fault("When fields is a single value, comps must be one of (in, pmatch, intersects) or a modifier operator (e.g. startswith oneof)"));
                }
            }
        }
    }
    faults
}

fn term(field: &Text) -> Result<Term, Fault> {
    let place = field.place(0..field.text.len());
    let unsupported = || {
        let message = format!("'{}' is not a supported filter field", field.text);
        let known = crate::fields::all().map(|known| known.name);
        Fault::new(Code::Validate, place.clone(), message)
            .maybe_hint(did_you_mean(&field.text, known))
    };
    let (term, length) =
        parser::parse_term(&Arc::new(field.clone())).ok().ok_or_else(unsupported)?;
    if length != field.text.len() {
        return Err(unsupported());
    }
    if let crate::rules::ast::TermKind::Field { name, argument } = &term.kind {
        column::operand(name, argument.as_deref(), &term.span).ok().ok_or_else(unsupported)?;
    }
    Ok(term)
}

fn comparison(text: &Text) -> Result<Comparison, Fault> {
    let mut words = text.text.split_whitespace();
    let operator =
        words.next().and_then(|word| Operator::named(if word == "==" { "=" } else { word }));
    let modifier = words.next().map(Modifier::named);
    match (operator, modifier, words.next()) {
        (Some(operator), None, None) => Ok((operator, None)),
        (Some(operator), Some(Some(modifier)), None) if operator.arity() == Arity::Value => {
            Ok((operator, Some(modifier)))
        }
        _ => {
            let place = text.place(0..text.text.len());
            let message = format!("'{}' is not a supported comparison operator", text.text);
            let known = Operator::ALL.iter().map(|operator| operator.name());
            Err(Fault::new(Code::Validate, place, message)
                .maybe_hint(did_you_mean(&text.text, known)))
        }
    }
}

/// The condition with its rule's exceptions.
pub fn apply(condition: Expr, exceptions: &[Exception], rule: &Item) -> Result<Expr, Vec<Finding>> {
    let mut operands = Vec::new();
    let mut findings = Vec::new();
    for exception in exceptions {
        match expr(exception) {
            Ok(Some(excluded)) => {
                let span = excluded.span.clone();
                operands.push(Expr { kind: ExprKind::Not(Box::new(excluded)), span });
            }
            Ok(None) => {}
            Err(fault) => findings.push(fault.within(vec![rule.clone(), exception.item.clone()])),
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    if operands.is_empty() {
        return Ok(condition);
    }
    let span = condition.span.clone();
    operands.insert(0, condition);
    Ok(Expr { kind: ExprKind::And(operands), span })
}

/// What an exception excludes; nothing without values.
fn expr(exception: &Exception) -> Result<Option<Expr>, Fault> {
    let Some(fields) = &exception.fields else { return Ok(None) };
    if exception.values.is_empty() {
        return Ok(None);
    }
    let comps = if let Some(comps) = &exception.comps {
        comps.all().iter().map(comparison).collect::<Result<Vec<_>, _>>()?
    } else {
        let operator = if matches!(fields, Names::One(_)) { Operator::In } else { Operator::Equal };
        vec![(operator, None); fields.all().len()]
    };
    match fields {
        Names::One(field) => {
            let items: Vec<Constant> = constants_of(&exception.values)?;
            Ok(comps.first().map(|comp| check(term(field)?, *comp, items)).transpose()?)
        }
        Names::Several(fields) => {
            let tuples = exception.values.iter().map(|value| tuple(fields, &comps, value));
            let tuples: Vec<Expr> = tuples.collect::<Result<_, _>>()?;
            Ok(joined(tuples, ExprKind::Or))
        }
    }
}

fn tuple(fields: &[Text], comps: &[Comparison], value: &Node) -> Result<Expr, Fault> {
    let fail = || {
        Fault::new(
            Code::Validate,
            value.place.clone(),
            "Fields and values lists must have equal length",
        )
    };
    let values = value.sequence().filter(|values| values.len() == fields.len()).ok_or_else(fail)?;
    let checks = fields.iter().zip(comps).zip(values).map(|((field, comp), value)| {
        let takes_list = comp.0.arity() == Arity::List || comp.1.is_some();
        let constants = if takes_list { list_constants(value)? } else { one_constant(value)? };
        check(term(field)?, *comp, constants)
    });
    let checks: Vec<Expr> = checks.collect::<Result<_, _>>()?;
    joined(checks, ExprKind::And).ok_or_else(fail)
}

fn joined(mut operands: Vec<Expr>, join: fn(Vec<Expr>) -> ExprKind) -> Option<Expr> {
    if operands.len() < 2 {
        return operands.pop();
    }
    let span = operands.first()?.span.clone();
    Some(Expr { kind: join(operands), span })
}

fn check(
    left: Term,
    (operator, modifier): Comparison,
    mut constants: Vec<Constant>,
) -> Result<Expr, Fault> {
    let span = left.span.clone();
    let right = match (operator.arity(), modifier) {
        (_, Some(modifier)) => Right::Modified(modifier, constants),
        (Arity::List, None) => Right::List(constants),
        (Arity::Nothing, None) => Right::Nothing,
        (Arity::Number | Arity::Value, None) if constants.len() == 1 => {
            Right::Constant(constants.swap_remove(0))
        }
        _ => {
            let message = format!("`{}` takes one value", operator.name());
            return Err(Fault::new(Code::CompileCondition, span.place(), message));
        }
    };
    let check = Check { left, operator, operator_span: span.clone(), right };
    Ok(Expr { kind: ExprKind::Check(Box::new(check)), span })
}

/// A value for a list operator: a list, a list's name, or text with parentheses.
fn list_constants(value: &Node) -> Result<Vec<Constant>, Fault> {
    match &value.kind {
        Kind::Sequence(items) => constants_of(items),
        Kind::Scalar(scalar) => {
            let text = &scalar.text.text;
            let Some(inner) = text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')'))
            else {
                return item_constants(&scalar.text);
            };
            let start = text.find('(').map_or(0, |at| at + 1);
            let text = scalar.text.part(start..start + inner.len());
            if inner.trim().is_empty() {
                Ok(Vec::new())
            } else {
                parser::parse_item(&Arc::new(text))
            }
        }
        Kind::Mapping(_) => Err(not_a_value(&value.place)),
    }
}

fn one_constant(value: &Node) -> Result<Vec<Constant>, Fault> {
    let scalar = value.scalar().ok_or_else(|| not_a_value(&value.place))?;
    if scalar.text.text.is_empty() {
        let span = Span { text: Arc::new(scalar.text.clone()), start: 0, end: 0 };
        return Ok(vec![Constant { value: Vec::new(), quoted: true, span }]);
    }
    item_constants(&scalar.text)
}

fn constants_of(values: &[Node]) -> Result<Vec<Constant>, Fault> {
    let mut constants = Vec::with_capacity(values.len());
    for value in values {
        match &value.kind {
            Kind::Scalar(scalar) => constants.append(&mut item_constants(&scalar.text)?),
            // A list of lists of one, as tuples of one field are written.
            Kind::Sequence(items) => constants.append(&mut constants_of(items)?),
            Kind::Mapping(_) => return Err(not_a_value(&value.place)),
        }
    }
    Ok(constants)
}

fn not_a_value(place: &Place) -> Fault {
    Fault::new(Code::Validate, place.clone(), "expected a value or a list of values")
}
