//! A condition as it was written: checks joined by `and`, `or`, `not` and macro names.

use std::sync::Arc;

use crate::rules::text::{Place, Text};

/// Bytes of one text.
#[derive(Clone, Debug)]
pub struct Span {
    pub text: Arc<Text>,
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn place(&self) -> Place {
        self.text.place(self.start..self.end)
    }

    pub fn as_str(&self) -> &str {
        &self.text.text[self.start..self.end]
    }
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Check(Box<Check>),
    /// A macro's name.
    Macro(String),
    /// A part that could not be read; the reason is known already.
    Unreadable,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    pub left: Term,
    pub operator: Operator,
    pub operator_span: Span,
    pub right: Right,
}

/// What is compared: a field, or a transformer's result.
#[derive(Clone, Debug)]
pub struct Term {
    pub kind: TermKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum TermKind {
    Field { name: String, argument: Option<String> },
    Call { function: Function, arguments: Vec<Argument>, index: Option<String> },
}

/// What a transformer is given.
#[derive(Clone, Debug)]
pub enum Argument {
    Term(Term),
    Constant(Constant),
    List(Vec<Argument>),
}

/// A constant, with its quotes and escapes resolved.
#[derive(Clone, Debug)]
pub struct Constant {
    pub value: Vec<u8>,
    pub quoted: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Right {
    /// `exists` has none.
    Nothing,
    Constant(Constant),
    /// `in cat`: a list of one, without parentheses.
    Item(Constant),
    List(Vec<Constant>),
    Modified(Modifier, Vec<Constant>),
    Term(Term),
}

/// Names and enums that must agree, once.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($variant:ident $name:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type { $($variant),* }

        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

named! {
    /// How two values are compared.
    Operator {
        Exists "exists"
        LessOrEqual "<="
        Less "<"
        GreaterOrEqual ">="
        Greater ">"
        Equal "="
        NotEqual "!="
        Glob "glob"
        IGlob "iglob"
        Contains "contains"
        IContains "icontains"
        BContains "bcontains"
        StartsWith "startswith"
        BStartsWith "bstartswith"
        EndsWith "endswith"
        Regex "regex"
        In "in"
        Intersects "intersects"
        PMatch "pmatch"
    }
}

named! {
    /// How many of a list's items must satisfy the operator.
    Modifier { OneOf "oneof" AnyOf "anyof" AllOf "allof" }
}

named! {
    /// A function of a value.
    Function {
        Lower "tolower"
        Upper "toupper"
        Base64 "b64"
        Basename "basename"
        Length "len"
        Join "join"
        Concat "concat"
        Getopt "getopt"
    }
}

/// What takes its right side: one value, a list, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    Nothing,
    /// Numbers only.
    Number,
    Value,
    List,
}

impl Operator {
    pub const fn arity(self) -> Arity {
        match self {
            Self::Exists => Arity::Nothing,
            Self::LessOrEqual | Self::Less | Self::GreaterOrEqual | Self::Greater => Arity::Number,
            Self::In | Self::Intersects | Self::PMatch => Arity::List,
            _ => Arity::Value,
        }
    }
}
