//! What people write in conditions who know other languages, and what to write instead.

use crate::fields::near::did_you_mean;
use crate::rules::ast::Operator;
use crate::rules::lexer::Lexer;

/// Words of other languages, and this language's.
const JOINING: &[(&str, &str)] = &[
    ("&&", "and"),
    ("||", "or"),
    ("AND", "and"),
    ("OR", "or"),
    ("And", "and"),
    ("Or", "or"),
    ("&", "and"),
    ("|", "or"),
];

const OPERATORS: &[(&str, &str)] = &[
    ("like", "`glob` with `*` and `?`, or `contains`"),
    ("LIKE", "`glob` with `*` and `?`, or `contains`"),
    ("matches", "`regex`, `glob` or `pmatch`"),
    ("match", "`regex`, `glob` or `pmatch`"),
    ("=~", "`regex`"),
    ("~", "`regex`"),
    ("is", "`=`, or `exists`"),
    ("has", "`contains`"),
    ("IN", "`in`"),
    ("eq", "`=`"),
    ("ne", "`!=`"),
    ("gt", "`>`"),
    ("lt", "`<`"),
    ("ge", "`>=`"),
    ("le", "`<=`"),
];

/// Takes a word that was meant to join two parts.
pub fn take_joining(lexer: &mut Lexer) -> bool {
    JOINING
        .iter()
        .any(|(foreign, _)| starts_with_word(lexer.rest(), foreign) && lexer.take(foreign))
}

/// A hint where `and` or `or` was expected.
pub fn instead_of_joining(rest: &str) -> Option<String> {
    let joining = JOINING.iter().find(|(foreign, _)| starts_with_word(rest, foreign));
    if let Some((_, own)) = joining {
        return Some(format!("write `{own}`"));
    }
    match rest.chars().next()? {
        ')' => Some("no `(` is open here".to_owned()),
        ',' => Some("several values stand in parentheses: `in (a, b)`".to_owned()),
        _ => None,
    }
}

/// A hint where a field or a macro was expected.
pub fn instead_of_operand(rest: &str) -> Option<String> {
    if rest.starts_with('!') || starts_with_word(rest, "NOT") {
        return Some("write `not`".to_owned());
    }
    let quoted = rest.starts_with(['"', '\'']);
    quoted.then(|| "the field stands on the left, the value on the right".to_owned())
}

/// A hint where a comparison operator was expected.
pub fn instead_of_operator(rest: &str) -> Option<String> {
    let joins = ["and", "or"].iter().any(|word| starts_with_word(rest, word));
    if rest.is_empty() || rest.starts_with(')') || joins {
        return Some("compare the field (`… = true`), or test that it `exists`".to_owned());
    }
    if starts_with_word(rest, "not") {
        return Some("`not` stands before the field: `not proc.name in (…)`".to_owned());
    }
    let foreign = OPERATORS.iter().find(|(foreign, _)| starts_with_word(rest, foreign));
    if let Some((_, own)) = foreign {
        return Some(format!("write {own}"));
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    did_you_mean(&word, Operator::ALL.iter().map(|operator| operator.name()))
}

/// A hint where a list's next comma was expected.
pub fn instead_of_comma(rest: &str) -> Option<String> {
    match rest.chars().next() {
        None => Some("the list is not closed".to_owned()),
        Some('(') => Some("lists do not nest".to_owned()),
        Some(_) => Some("put a comma between the values".to_owned()),
    }
}

fn starts_with_word(rest: &str, word: &str) -> bool {
    let continues = |char: char| {
        char.is_ascii_alphanumeric() && word.ends_with(|last: char| last.is_ascii_alphanumeric())
    };
    rest.strip_prefix(word).is_some_and(|after| !after.starts_with(continues))
}
