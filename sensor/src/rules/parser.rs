//! Condition text → [`Expr`], by recursive descent with one function for each level of precedence.

use std::sync::Arc;

use crate::fields::near::did_you_mean;
use crate::rules::ast::{
    Argument, Arity, Check, Constant, Expr, ExprKind, Function, Modifier, Operator, Right, Span,
    Term, TermKind,
};
use crate::rules::error::{Code, Fault};
use crate::rules::hints;
use crate::rules::lexer::Lexer;
use crate::rules::text::Text;

/// Deeper nesting is an accident or an attack: conditions of people stay below 20. It must fit a
/// thread's stack in a debug build.
const DEPTH_MAX: usize = 200;

/// After this many errors in one condition the rest of it is not read.
const FAULTS_MAX: usize = 20;

type Parsed<T> = Result<T, Fault>;

/// A condition with errors: all of them, and what could be read beside them.
#[derive(Clone, Debug)]
pub struct Broken {
    pub faults: Vec<Fault>,
    pub readable: Option<Expr>,
}

/// Parses a condition.
pub fn parse(text: &Arc<Text>) -> Result<Expr, Broken> {
    let mut parser = Parser::new(text);
    let read = parser.condition();
    let mut faults = parser.faults;
    match read {
        Ok(expr) if faults.is_empty() => Ok(expr),
        Ok(expr) => Err(Broken { faults, readable: Some(expr) }),
        Err(fault) => {
            faults.push(fault);
            Err(Broken { faults, readable: None })
        }
    }
}

/// Parses a transformer call or a field as outputs name them; returns it with its length.
pub fn parse_term(text: &Arc<Text>) -> Parsed<(Term, usize)> {
    let mut parser = Parser::new(text);
    let term = parser.term()?.ok_or_else(|| parser.lexer.expected("a field"))?;
    Ok((term, parser.lexer.at()))
}

/// Parses the values that a list's item stands for: usually one.
pub fn parse_item(text: &Arc<Text>) -> Parsed<Vec<Constant>> {
    let mut parser = Parser::new(text);
    let mut items = Vec::new();
    loop {
        parser.lexer.blanks();
        items.push(parser.constant()?);
        parser.lexer.blanks();
        if parser.lexer.at_end() {
            return Ok(items);
        }
        if !parser.lexer.take(",") {
            return Err(parser.lexer.expected("the end of the list's item"));
        }
    }
}

struct Parser {
    lexer: Lexer,
    depth: usize,
    /// What was wrong where reading could go on.
    faults: Vec<Fault>,
    /// Reading cannot go on.
    given_up: bool,
}

impl Parser {
    fn new(text: &Arc<Text>) -> Self {
        let lexer = Lexer::new(Arc::clone(text));
        Self { lexer, depth: 0, faults: Vec::new(), given_up: false }
    }

    fn condition(&mut self) -> Parsed<Expr> {
        self.lexer.blanks();
        if self.lexer.at_end() {
            return Err(self.lexer.expected("a condition"));
        }
        let start = self.lexer.at();
        let mut parts = vec![self.or()?];
        self.lexer.blanks();
        while !self.lexer.at_end() {
            let fault = self.lexer.expected("`and` or `or`");
            let hint = hints::instead_of_joining(self.lexer.rest());
            self.faults.push(fault.maybe_hint(hint));
            self.skip_to_next_part();
            if self.lexer.at_end() || self.faults.len() >= FAULTS_MAX {
                break;
            }
            parts.push(self.or()?);
            self.lexer.blanks();
        }
        Ok(self.joined(start, parts, ExprKind::And))
    }

    /// After a word that joins nothing: behind it when it was meant to join, else behind the next
    /// word that does.
    fn skip_to_next_part(&mut self) {
        if hints::take_joining(&mut self.lexer) {
            return;
        }
        self.lexer.skip_operand(self.lexer.at());
        self.lexer.take(")");
        self.lexer.blanks();
        for keyword in ["and", "or"] {
            if self.lexer.keyword(keyword) {
                return;
            }
        }
    }

    /// An operand of `and`; where it cannot be read, reading goes on after it.
    fn operand(&mut self) -> Parsed<Expr> {
        self.lexer.blanks();
        let (start, depth) = (self.lexer.at(), self.depth);
        match self.not() {
            Err(fault) if !self.given_up && self.faults.len() + 1 < FAULTS_MAX => {
                self.faults.push(fault);
                self.depth = depth;
                self.lexer.skip_operand(start);
                Ok(Expr { kind: ExprKind::Unreadable, span: self.lexer.span(start) })
            }
            other => other,
        }
    }

    fn or(&mut self) -> Parsed<Expr> {
        let start = self.lexer.at();
        let mut operands = vec![self.and()?];
        while self.joined_by("or") {
            operands.push(self.and()?);
        }
        Ok(self.joined(start, operands, ExprKind::Or))
    }

    fn and(&mut self) -> Parsed<Expr> {
        let start = self.lexer.at();
        let mut operands = vec![self.operand()?];
        while self.joined_by("and") {
            operands.push(self.operand()?);
        }
        Ok(self.joined(start, operands, ExprKind::And))
    }

    fn joined_by(&mut self, keyword: &str) -> bool {
        self.lexer.blanks();
        self.lexer.keyword(keyword)
    }

    fn joined(
        &self,
        start: usize,
        mut operands: Vec<Expr>,
        join: fn(Vec<Expr>) -> ExprKind,
    ) -> Expr {
        if operands.len() == 1 {
            return operands.swap_remove(0);
        }
        let end = operands.last().map_or(start, |last| last.span.end);
        let start = operands.first().map_or(start, |first| first.span.start);
        Expr { kind: join(operands), span: Span { start, end, ..self.lexer.span(start) } }
    }

    fn not(&mut self) -> Parsed<Expr> {
        self.lexer.blanks();
        let start = self.lexer.at();
        let mut negated = false;
        while self.lexer.keyword("not") {
            negated = !negated;
            self.lexer.blanks();
        }
        let expr = self.primary()?;
        if !negated {
            return Ok(expr);
        }
        let span = Span { start, ..expr.span.clone() };
        Ok(Expr { kind: ExprKind::Not(Box::new(expr)), span })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.lexer.at();
        if self.lexer.take("(") {
            self.descend(start)?;
            let expr = self.or()?;
            self.depth -= 1;
            self.lexer.blanks();
            if !self.lexer.take(")") {
                if self.lexer.at_end() {
                    let open = self.lexer.text().place(start..start + 1);
                    let message = "this `(` is not closed";
                    return Err(Fault::new(Code::CompileCondition, open, message));
                }
                let fault = self.lexer.expected("`and`, `or` or `)`");
                let hint = hints::instead_of_joining(self.lexer.rest());
                return Err(fault.maybe_hint(hint));
            }
            return Ok(Expr { span: self.lexer.span(start), ..expr });
        }
        if let Some(left) = self.term()? {
            return self.check(start, left);
        }
        let Some(name) = self.lexer.identifier().map(str::to_owned) else {
            let fault = self.lexer.expected("a field, a macro, `not` or `(`");
            return Err(fault.maybe_hint(hints::instead_of_operand(self.lexer.rest())));
        };
        let span = self.lexer.span(start);
        Ok(Expr { kind: ExprKind::Macro(name), span })
    }

    fn descend(&mut self, start: usize) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.given_up = true;
            return Err(self.lexer.fault(start, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }

    /// A field or a transformer, if one comes next.
    fn term(&mut self) -> Parsed<Option<Term>> {
        let start = self.lexer.at();
        if let Some(name) = self.lexer.call().map(str::to_owned) {
            return self.call(start, &name).map(Some);
        }
        let Some(name) = self.lexer.field().map(str::to_owned) else { return Ok(None) };
        let argument = self.lexer.argument()?;
        let kind = TermKind::Field { name, argument };
        Ok(Some(Term { kind, span: self.lexer.span(start) }))
    }

    fn call(&mut self, start: usize, name: &str) -> Parsed<Term> {
        let Some(function) = Function::named(name) else {
            let fault = self.lexer.fault(start, format!("`{name}` is not a transformer"));
            return Err(fault.maybe_hint(if name == "val" {
                Some("`val()` stands only to the right of an operator".to_owned())
            } else {
                did_you_mean(name, Function::ALL.iter().map(|function| function.name()))
            }));
        };
        self.descend(start)?;
        let arguments = self.arguments(matches!(function, Function::Join | Function::Getopt))?;
        self.depth -= 1;
        let index = self.lexer.argument()?;
        let kind = TermKind::Call { function, arguments, index };
        Ok(Term { kind, span: self.lexer.span(start) })
    }

    /// The rest of an argument list, with its closing parenthesis.
    fn arguments(&mut self, lists: bool) -> Parsed<Vec<Argument>> {
        let mut arguments = Vec::new();
        loop {
            self.lexer.blanks();
            let start = self.lexer.at();
            if lists && self.lexer.take("(") {
                self.descend(start)?;
                arguments.push(Argument::List(self.arguments(false)?));
                self.depth -= 1;
            } else if let Some(term) = self.term()? {
                arguments.push(Argument::Term(term));
            } else {
                arguments.push(Argument::Constant(self.call_constant()?));
            }
            self.lexer.blanks();
            if self.lexer.take(")") {
                return Ok(arguments);
            }
            if !self.lexer.take(",") {
                return Err(self.lexer.expected("`,` or `)`"));
            }
        }
    }

    /// Constants inside calls are quoted or numbers: a bare word would be a mistyped field.
    fn call_constant(&mut self) -> Parsed<Constant> {
        let fault = self.lexer.expected("a field, a quoted string or a number");
        let constant = self.lexer.constant()?.ok_or(fault.clone())?;
        let number = constant.value.iter().all(u8::is_ascii_digit);
        if constant.quoted || number { Ok(constant) } else { Err(fault) }
    }

    fn check(&mut self, start: usize, left: Term) -> Parsed<Expr> {
        self.lexer.blanks();
        let operator_start = self.lexer.at();
        let Some(operator) = self.lexer.operator()? else {
            let fault = self.lexer.expected("a comparison operator");
            return Err(fault.maybe_hint(hints::instead_of_operator(self.lexer.rest())));
        };
        let operator_span = self.lexer.span(operator_start);
        let right = match operator.arity() {
            Arity::Nothing => Right::Nothing,
            Arity::Number => self.number()?,
            Arity::Value => self.value(operator)?,
            Arity::List => self.list_value()?,
        };
        let check = Check { left, operator, operator_span, right };
        Ok(Expr { kind: ExprKind::Check(Box::new(check)), span: self.lexer.span(start) })
    }

    fn number(&mut self) -> Parsed<Right> {
        self.lexer.blanks();
        if let Some(right) = self.right_term()? {
            return Ok(right);
        }
        let fault = self.lexer.expected("a number");
        let constant = self.lexer.constant()?.ok_or_else(|| fault.clone())?;
        let digits = constant
            .value
            .strip_prefix(b"-")
            .or(constant.value.strip_prefix(b"+"))
            .unwrap_or(&constant.value);
        if !digits.first().is_some_and(u8::is_ascii_digit) {
            return Err(fault);
        }
        Ok(Right::Constant(constant))
    }

    fn value(&mut self, operator: Operator) -> Parsed<Right> {
        let word = operator.name().starts_with(|char: char| char.is_ascii_alphabetic());
        if !self.lexer.blanks() && word {
            return Err(self.lexer.expected(&format!("a blank after `{}`", operator.name())));
        }
        if let Some(right) = self.right_term()? {
            return Ok(right);
        }
        if let Some(modifier) = self.modifier() {
            self.lexer.blanks();
            return Ok(Right::Modified(modifier, self.list()?));
        }
        Ok(Right::Constant(self.constant()?))
    }

    /// `oneof`, `anyof` or `allof`, if a list follows: otherwise the word is a value.
    fn modifier(&mut self) -> Option<Modifier> {
        let rest = self.lexer.rest();
        let modifier = Modifier::ALL.iter().copied().find(|modifier| {
            rest.strip_prefix(modifier.name())
                .is_some_and(|after| after.trim_start().starts_with('(') && !after.starts_with('('))
        })?;
        self.lexer.take(modifier.name());
        Some(modifier)
    }

    fn list_value(&mut self) -> Parsed<Right> {
        let blank = self.lexer.blanks();
        if self.lexer.rest().starts_with('(') {
            return Ok(Right::List(self.list()?));
        }
        if !blank {
            return Err(self.lexer.expected("`(`"));
        }
        if let Some(right) = self.right_term()? {
            return Ok(right);
        }
        Ok(Right::Item(self.constant()?))
    }

    fn list(&mut self) -> Parsed<Vec<Constant>> {
        if !self.lexer.take("(") {
            return Err(self.lexer.expected("`(`"));
        }
        let mut items = Vec::new();
        self.lexer.blanks();
        if self.lexer.take(")") {
            return Ok(items);
        }
        loop {
            self.lexer.blanks();
            if !items.is_empty() && self.lexer.rest().starts_with(')') {
                let fault = self.lexer.expected("a value");
                return Err(fault.hint("remove the comma before it"));
            }
            items.push(self.constant()?);
            self.lexer.blanks();
            if self.lexer.take(")") {
                return Ok(items);
            }
            if !self.lexer.take(",") {
                let fault = self.lexer.expected("`,` or `)`");
                return Err(fault.maybe_hint(hints::instead_of_comma(self.lexer.rest())));
            }
        }
    }

    fn constant(&mut self) -> Parsed<Constant> {
        let fault = self.lexer.expected("a value");
        self.lexer.constant()?.ok_or(fault)
    }

    /// `val(field)` or a transformer to the right of an operator.
    fn right_term(&mut self) -> Parsed<Option<Right>> {
        let start = self.lexer.at();
        if self.lexer.take("val(") {
            self.lexer.blanks();
            let fault = self.lexer.expected("a field");
            let field = self.term()?.filter(|term| matches!(term.kind, TermKind::Field { .. }));
            let field = field.ok_or(fault)?;
            self.lexer.blanks();
            if !self.lexer.take(")") {
                return Err(self.lexer.expected("`)`"));
            }
            return Ok(Some(Right::Term(Term { span: self.lexer.span(start), ..field })));
        }
        let is_call = Function::ALL.iter().any(|function| {
            let after = self.lexer.rest().strip_prefix(function.name());
            after.is_some_and(|after| after.starts_with('('))
        });
        if is_call { Ok(self.term()?.map(Right::Term)) } else { Ok(None) }
    }
}
