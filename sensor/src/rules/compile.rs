//! [`Expr`] → nodes of a [`Program`]: names resolved, types checked, equal parts shared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::fields::near::did_you_mean;
use crate::fields::operand::Several;
use crate::fields::{Type, event_types};
use crate::rules::ast::{
    Check as Written, Constant, Expr, ExprKind, Function, Modifier, Operator, Right, Span, Term,
};
use crate::rules::column::Columns;
use crate::rules::constant;
use crate::rules::cost;
use crate::rules::error::{Code, Fault};
use crate::rules::lint;
use crate::rules::lists::Lists;
use crate::rules::outline::Outline;
use crate::rules::posix;
use crate::rules::program::{
    Check, CheckId, ColumnId, ColumnKind, Comparison, Node, NodeId, Over, Program,
};
use crate::rules::test::{Bytes, Test};
use crate::rules::trie::Trie;

/// More checks than this in one condition, macros included, is an accident or an attack.
const CHECKS_MAX: usize = 100_000;

/// Deeper conditions, macros included, do not fit a thread's stack in a debug build.
const DEPTH_MAX: usize = 500;

/// A macro's condition, and where among the definitions it stands.
#[derive(Clone, Debug)]
pub struct Macro {
    pub expr: Arc<Expr>,
    /// Where it was defined first, and where it was defined or changed last. A macro sees those
    /// whose first definition stands before its own last.
    pub first: usize,
    pub last: usize,
}

/// Macros by name.
pub type Macros = HashMap<String, Macro>;

/// A condition that was compiled.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub node: NodeId,
    pub outline: Arc<Outline>,
    /// Checks of the condition with its macros written out.
    pub checks: usize,
    /// How deep it nests with its macros written out.
    pub depth: usize,
}

/// Collects the parts of a program.
pub struct Compiler<'a> {
    pub program: Program,
    pub columns: Columns,
    lists: &'a Lists,
    macros: &'a Macros,
    used_macros: HashSet<String>,
    checks: HashMap<String, CheckId>,
    nodes: HashMap<Node, NodeId>,
    compiled_macros: HashMap<String, Result<Compiled, Vec<Fault>>>,
    /// Levels between the condition and the part that is being compiled.
    depth: usize,
    /// Warnings and lints of the condition that is being compiled, and of macros.
    pub notes: Vec<Fault>,
}

type Outcome<T> = Result<T, Vec<Fault>>;

impl<'a> Compiler<'a> {
    pub fn new(lists: &'a Lists, macros: &'a Macros) -> Self {
        Self {
            program: Program::default(),
            columns: Columns::default(),
            lists,
            macros,
            used_macros: HashSet::new(),
            checks: HashMap::new(),
            nodes: HashMap::new(),
            compiled_macros: HashMap::new(),
            depth: 0,
            notes: Vec::new(),
        }
    }

    pub fn is_macro_used(&self, name: &str) -> bool {
        self.used_macros.contains(name)
    }

    /// Compiles a condition; every error in it is reported.
    pub fn compile(&mut self, expr: &Expr) -> Outcome<Compiled> {
        let compiled = self.expr(expr)?;
        if compiled.checks > CHECKS_MAX {
            let message = format!(
                "the condition has {} checks: at most {CHECKS_MAX} are possible",
                compiled.checks
            );
            return Err(vec![Fault::new(Code::CompileCondition, expr.span.place(), message)]);
        }
        Ok(compiled)
    }

    fn expr(&mut self, expr: &Expr) -> Outcome<Compiled> {
        let too_deep = || {
            let message =
                format!("the condition nests deeper than {DEPTH_MAX} levels, its macros included");
            one(Fault::new(Code::CompileCondition, expr.span.place(), message))
        };
        if self.depth > DEPTH_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        let compiled = self.part(expr);
        self.depth -= 1;
        compiled.and_then(|own| if own.depth > DEPTH_MAX { Err(too_deep()) } else { Ok(own) })
    }

    /// An error without a fault is one that is known already.
    fn part(&mut self, expr: &Expr) -> Outcome<Compiled> {
        match &expr.kind {
            ExprKind::Unreadable => Err(Vec::new()),
            ExprKind::And(operands) => self.join(operands, Node::And, Outline::And),
            ExprKind::Or(operands) => self.join(operands, Node::Or, Outline::Or),
            ExprKind::Not(inner) => {
                let inner = self.expr(inner)?;
                let node = self.node(Node::Not(inner.node));
                let outline = Arc::new(Outline::Not(inner.outline));
                Ok(Compiled { node, outline, depth: inner.depth + 1, ..inner })
            }
            ExprKind::Macro(name) => self.macro_named(name, &expr.span),
            ExprKind::Check(written) => {
                let check = self.check(written, &expr.span)?;
                let outline = Outline::Check { check, text: expr.span.as_str().into() };
                let node = self.node(Node::Check(check));
                Ok(Compiled { node, outline: Arc::new(outline), checks: 1, depth: 1 })
            }
        }
    }

    fn join(
        &mut self,
        operands: &[Expr],
        node: fn(Box<[NodeId]>) -> Node,
        outline: fn(Vec<Arc<Outline>>) -> Outline,
    ) -> Outcome<Compiled> {
        let mut compiled = Vec::with_capacity(operands.len());
        let mut faults = Vec::new();
        let mut is_whole = true;
        for operand in operands {
            match self.expr(operand) {
                Ok(operand) => compiled.push(operand),
                // What is wrong with a macro is said once, however often it is used.
                Err(more) => {
                    is_whole = false;
                    let fresh: Vec<Fault> =
                        more.into_iter().filter(|fault| !faults.contains(fault)).collect();
                    faults.extend(fresh);
                }
            }
        }
        if !is_whole {
            return Err(faults);
        }
        let nodes = compiled.iter().map(|operand| operand.node).collect();
        Ok(Compiled {
            node: self.node(node(nodes)),
            checks: compiled.iter().fold(0, |sum, one| sum.saturating_add(one.checks)),
            depth: compiled.iter().map(|one| one.depth).max().unwrap_or(0) + 1,
            outline: Arc::new(outline(compiled.into_iter().map(|one| one.outline).collect())),
        })
    }

    fn macro_named(&mut self, name: &str, span: &Span) -> Outcome<Compiled> {
        let Some(found) = self.macros.get(name) else {
            return Err(vec![undefined_macro(name, span, self.macros)]);
        };
        self.used_macros.insert(name.to_owned());
        let compiled = if let Some(compiled) = self.compiled_macros.get(name) {
            compiled.clone()
        } else {
            let expr = Arc::clone(&found.expr);
            // While it is compiled, a reference to it is a loop.
            let message = format!("reference loop in macro '{name}'");
            let looped = Fault::new(Code::Validate, span.place(), message);
            self.compiled_macros.insert(name.to_owned(), Err(vec![looped]));
            let compiled = self.compile(&expr);
            self.compiled_macros.insert(name.to_owned(), compiled.clone());
            compiled
        }?;
        let body = compiled.outline;
        let outline = Arc::new(Outline::Macro { name: name.into(), body });
        Ok(Compiled { outline, depth: compiled.depth + 1, ..compiled })
    }

    /// The node's id; equal nodes have one.
    pub fn node(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.nodes.get(&node) {
            return *id;
        }
        let id = self.program.nodes.len();
        self.program.push_node(node.clone());
        self.nodes.insert(node, id);
        id
    }

    fn check(&mut self, written: &Written, span: &Span) -> Outcome<CheckId> {
        let column = self.column(&written.left)?;
        let value_type = self.program.columns[column].value_type;
        self.applies(written, column)?;
        self.deprecated(written, span);
        if let ColumnKind::Field(operand) = &self.program.columns[column].kind {
            self.notes.extend(lint::not_equal(written.operator, operand, span.place()));
        }
        let (comparison, right_text) = match &written.right {
            Right::Nothing => (Comparison::Exists, String::new()),
            Right::Constant(constant) => {
                self.review_constant(written, constant)?;
                let test = constant::one(value_type, written.operator, constant).map_err(one)?;
                (Comparison::Test(test), quoted(constant))
            }
            Right::Item(constant) => {
                let constants = self.expand(written, std::slice::from_ref(constant))?;
                if constants.len() != 1 {
                    let fault = Fault::new(
                        Code::CompileCondition,
                        constant.span.place(),
                        "a list needs parentheses",
                    );
                    return Err(one(fault.hint(format!("write `({})`", constant.span.as_str()))));
                }
                let test = constant::any_of(value_type, written.operator, &constants)?;
                (Comparison::Test(test), quoted_list(&constants))
            }
            Right::List(constants) => {
                let constants = self.expand(written, constants)?;
                let test = constant::any_of(value_type, written.operator, &constants)?;
                (Comparison::Test(test), quoted_list(&constants))
            }
            Right::Modified(modifier, constants) => {
                let constants = self.expand(written, constants)?;
                let tests = self.modified(column, written.operator, &constants)?;
                let text = format!("{} {}", modifier.name(), quoted_list(&constants));
                (modified(*modifier, written.operator, tests, &constants), text)
            }
            Right::Term(term) => {
                let right = self.right_column(written, column, term)?;
                (Comparison::Column(written.operator, right), format!("val({right})"))
            }
        };
        let over = self.over(column, written.operator, &comparison);
        let key = format!("{column} {} {right_text}", written.operator.name());
        let cost = cost::of(&self.program.columns[column], &comparison);
        let text = span.as_str().into();
        Ok(self.intern(key, Check { column, comparison, over, cost, sense: None, text }))
    }

    fn intern(&mut self, key: String, check: Check) -> CheckId {
        *self.checks.entry(key).or_insert_with(|| {
            self.program.push_check(check);
            self.program.checks.len() - 1
        })
    }

    pub fn column(&mut self, term: &Term) -> Outcome<ColumnId> {
        self.columns.compile(term, &mut self.program, &mut self.notes)
    }

    /// Refuses operators that the type does not have.
    fn applies(&self, written: &Written, column: ColumnId) -> Outcome<()> {
        let column = &self.program.columns[column];
        let operator = written.operator;
        let refuse = |message: String| {
            Err(one(Fault::new(Code::CompileCondition, written.operator_span.place(), message)))
        };
        let set = matches!(operator, Operator::Exists | Operator::In | Operator::Intersects);
        if column.is_list && !set {
            return refuse(format!(
                "`{}` has several values: it takes `exists`, `in` and `intersects`, not `{}`",
                written.left.span.as_str(),
                operator.name()
            ));
        }
        if !constant::applies(operator, column.value_type) {
            return refuse(format!(
                "`{}` does not apply to `{}`, which is {}",
                operator.name(),
                written.left.span.as_str(),
                described(column.value_type)
            ));
        }
        Ok(())
    }

    fn modified(
        &self,
        column: ColumnId,
        operator: Operator,
        constants: &[Constant],
    ) -> Outcome<Box<[(Test, Over)]>> {
        let value_type = self.program.columns[column].value_type;
        constants
            .iter()
            .map(|item| {
                let test = constant::one(value_type, operator, item).map_err(one)?;
                let over = self.over(column, operator, &Comparison::Test(test.clone()));
                Ok((test, over))
            })
            .collect()
    }

    /// Which of several values must satisfy the comparison.
    fn over(&self, column: ColumnId, operator: Operator, comparison: &Comparison) -> Over {
        match (self.program.columns[column].several(), comparison) {
            (Some(Several::Ends), Comparison::Test(test)) if test.is_negative() => Over::All,
            (Some(Several::List), _) if operator == Operator::In => Over::All,
            _ => Over::Any,
        }
    }

    /// A list of constants, with its lists' names resolved.
    fn expand(&mut self, written: &Written, constants: &[Constant]) -> Outcome<Vec<Constant>> {
        for constant in constants {
            let near = self.lists.near(constant, constants.len() == 1);
            if let Some(near) = near.filter(|_| self.lists.named_by(constant).is_none()) {
                let message = format!("there is no list `{}`", constant.span.as_str());
                let fault = Fault::new(Code::UnknownListName, constant.span.place(), message);
                self.notes
                    .push(fault.hint(format!("did you mean `{near}`? It is taken as a value")));
            }
        }
        let expanded = self.lists.expand(constants)?;
        for constant in &expanded {
            self.review_constant(written, constant)?;
        }
        Ok(expanded)
    }

    /// Checks the constants of `evt.type`, and warns of constants that look like something else.
    fn review_constant(&mut self, written: &Written, constant: &Constant) -> Outcome<()> {
        let text = String::from_utf8_lossy(&constant.value);
        let place = || constant.span.place();
        let left = written.left.span.as_str();
        if matches!(left, "evt.type" | "syscall.type") {
            if !event_types::is_known(&text) {
                let fault =
                    Fault::new(Code::UnknownFilter, place(), format!("unknown event type {text}"));
                return Err(one(fault.maybe_hint(did_you_mean(&text, event_types::all()))));
            }
            return Ok(());
        }
        if matches!(written.right, Right::Constant(_)) && self.lists.named_by(constant).is_some() {
            let message = format!("`{text}` is compared as a text, though it is a list's name too");
            let fault = Fault::new(Code::ListAsValue, place(), message);
            self.notes.push(fault.hint(format!("to test the list, write `in ({text})`")));
        }
        if looks_like_term(&text) {
            let message = format!("'{text}' may be a valid field misused as a const string value");
            let fault = Fault::new(Code::CompileConditionWarning, place(), message);
            self.notes.push(fault.hint(format!("to compare with the field, write `val({text})`")));
        }
        if written.operator == Operator::Regex && posix::is_simple(&text) {
            let message = format!(
                "regex check with '{text}' may be optimized with simpler operators such as '=', 'contains', 'startswith', 'endswith'"
            );
            self.notes.push(Fault::new(Code::CompileConditionWarning, place(), message));
        }
        Ok(())
    }

    fn deprecated(&mut self, written: &Written, span: &Span) {
        if written.left.span.as_str() == "evt.dir" {
            let message = "there are only exit events: `evt.dir = <` is always true, and `evt.dir = >` always false";
            let fault = Fault::new(Code::DeprecatedItem, span.place(), message);
            self.notes.push(fault.hint("leave the condition on `evt.dir` out"));
        }
    }

    fn right_column(
        &mut self,
        written: &Written,
        left: ColumnId,
        term: &Term,
    ) -> Outcome<ColumnId> {
        let right = self.column(term)?;
        let refuse = |message: String| {
            Err(one(Fault::new(Code::CompileCondition, term.span.place(), message)))
        };
        if matches!(written.operator, Operator::Regex | Operator::PMatch) {
            return refuse(format!("`{}` takes constants only", written.operator.name()));
        }
        let (left_column, right_column) =
            (&self.program.columns[left], &self.program.columns[right]);
        if right_column.is_filter_only() {
            return refuse(format!("`{}` cannot be compared with", term.span.as_str()));
        }
        let (left_type, right_type) = (left_column.value_type, right_column.value_type);
        if left_type != right_type {
            return refuse(format!(
                "`{}` is {} and `{}` is {}: they cannot be compared",
                written.left.span.as_str(),
                described(left_type),
                term.span.as_str(),
                described(right_type)
            ));
        }
        let set = matches!(written.operator, Operator::In | Operator::Intersects);
        if left_column.is_list != right_column.is_list && !set {
            return refuse("one side has several values, the other has one".to_owned());
        }
        Ok(right)
    }
}

/// A comparison with a modifier. Any of many texts or prefixes is one look into a set of them.
fn modified(
    modifier: Modifier,
    operator: Operator,
    tests: Box<[(Test, Over)]>,
    constants: &[Constant],
) -> Comparison {
    if (modifier, operator) == (Modifier::AnyOf, Operator::Equal)
        && let Some(Test::Bytes(Bytes::Equal(_))) = tests.first().map(|(test, _)| test)
    {
        let values = constants.iter().map(|constant| constant.value.clone().into());
        return Comparison::Test(Test::Bytes(Bytes::OneOf(values.collect())));
    }
    if (modifier, operator) == (Modifier::AnyOf, Operator::StartsWith) {
        let trie = Trie::of(constants.iter().map(|constant| &constant.value));
        return Comparison::Test(Test::Bytes(Bytes::AnyPrefix(Box::new(trie))));
    }
    Comparison::Modified(modifier, tests)
}

/// An error about a macro's name that nothing defines.
pub fn undefined_macro(name: &str, span: &Span, macros: &Macros) -> Fault {
    let message = format!("Undefined macro '{name}' used in filter.");
    let hint = match name {
        "not" => Some("`not` needs a condition after it".to_owned()),
        "and" | "or" => Some(format!("`{name}` needs a condition before and after it")),
        _ => did_you_mean(name, macros.keys().map(String::as_str)),
    };
    Fault::new(Code::Validate, span.place(), message).maybe_hint(hint)
}

fn one(fault: Fault) -> Vec<Fault> {
    vec![fault]
}

/// The type with its article.
pub fn described(value_type: Type) -> String {
    let name = value_type.name();
    match value_type {
        Type::Text | Type::Buffer => name.to_owned(),
        Type::Ip | Type::Net => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

fn looks_like_term(text: &str) -> bool {
    crate::fields::named(text).is_some()
        || Function::ALL.iter().any(|function| {
            text.strip_prefix(function.name()).is_some_and(|after| after.starts_with('('))
        })
}

fn quoted(constant: &Constant) -> String {
    format!("\"{}\"", constant.value.escape_ascii())
}

fn quoted_list(constants: &[Constant]) -> String {
    let mut items: Vec<String> = constants.iter().map(quoted).collect();
    items.sort_unstable();
    format!("({})", items.join(","))
}
