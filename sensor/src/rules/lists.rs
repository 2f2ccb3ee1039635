//! Lists by name, and what a reference to one stands for.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::fields::near::nearest;
use crate::rules::ast::{Constant, Span};
use crate::rules::error::{Code, Fault};
use crate::rules::parser;
use crate::rules::text::Text;

/// A list as it was written: one text for each item.
#[derive(Clone, Debug, Default)]
pub struct List {
    pub items: Vec<Text>,
}

/// All lists, and which of them something refers to.
#[derive(Debug, Default)]
pub struct Lists {
    named: HashMap<String, List>,
    resolved: RefCell<HashMap<String, Arc<Resolved>>>,
    used: RefCell<HashSet<String>>,
}

type Resolved = Result<Vec<Constant>, Vec<Fault>>;

impl Lists {
    pub fn new(lists: HashMap<String, List>) -> Self {
        Self { named: lists, ..Self::default() }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    pub fn is_used(&self, name: &str) -> bool {
        self.used.borrow().contains(name)
    }

    /// Marks the lists that other lists name.
    pub fn use_nested(&self) {
        for (name, list) in &self.named {
            for item in &list.items {
                if item.text != *name && self.named.contains_key(&item.text) {
                    self.used.borrow_mut().insert(item.text.clone());
                }
            }
        }
    }

    /// The constants with every list's name replaced by its items.
    pub fn expand(&self, constants: &[Constant]) -> Result<Vec<Constant>, Vec<Fault>> {
        let mut expanded = Vec::with_capacity(constants.len());
        for constant in constants {
            match self.named_by(constant) {
                Some(name) => match &*self.items(name, &mut Vec::new()) {
                    Ok(items) => expanded.extend_from_slice(items),
                    Err(faults) => return Err(faults.clone()),
                },
                None => expanded.push(constant.clone()),
            }
        }
        Ok(expanded)
    }

    /// The list that a constant names, if it does.
    pub fn named_by<'a>(&self, constant: &'a Constant) -> Option<&'a str> {
        let name = str::from_utf8(&constant.value).ok().filter(|_| !constant.quoted)?;
        self.named.contains_key(name).then_some(name)
    }

    /// The list that a value was probably meant to name. A value that stands alone more likely is
    /// a name than one of several.
    pub fn near(&self, constant: &Constant, is_alone: bool) -> Option<&str> {
        const LENGTH_MIN: usize = 5;
        let name = str::from_utf8(&constant.value).ok().filter(|_| !constant.quoted)?;
        // Names of lists are words joined by underscores, as few values are.
        let is_like_a_name = is_alone || name.contains('_');
        if name.len() < LENGTH_MIN || !is_like_a_name || name.contains(['/', '.', ':']) {
            return None;
        }
        nearest(name, self.named.keys().map(String::as_str))
            .filter(|near| strsim::normalized_damerau_levenshtein(name, near) > 0.8)
    }

    fn items(&self, name: &str, within: &mut Vec<String>) -> Arc<Resolved> {
        self.used.borrow_mut().insert(name.to_owned());
        if let Some(known) = self.resolved.borrow().get(name) {
            return Arc::clone(known);
        }
        within.push(name.to_owned());
        let resolved = Arc::new(self.resolve(name, within));
        within.pop();
        self.resolved.borrow_mut().insert(name.to_owned(), Arc::clone(&resolved));
        resolved
    }

    fn resolve(&self, name: &str, within: &mut Vec<String>) -> Resolved {
        let Some(list) = self.named.get(name) else { return Ok(Vec::new()) };
        let mut constants = Vec::with_capacity(list.items.len());
        let mut faults = Vec::new();
        for item in &list.items {
            // A name that is being resolved is a value: a list may hold its own name.
            if self.named.contains_key(&item.text) && !within.contains(&item.text) {
                match &*self.items(&item.text, within) {
                    Ok(items) => constants.extend_from_slice(items),
                    Err(nested) => faults.extend_from_slice(nested),
                }
                continue;
            }
            match item_constants(item) {
                Ok(parsed) => constants.extend(parsed),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(constants) } else { Err(faults) }
    }
}

/// The values that an item's text stands for. Blanks make it one quoted value.
pub fn item_constants(item: &Text) -> Result<Vec<Constant>, Fault> {
    let text = &item.text;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.contains(' ') && !text.starts_with(['"', '\'']) {
        if text.contains('"') {
            let place = item.place(0..text.len());
            return Err(Fault::new(
                Code::CompileCondition,
                place,
                "a quote inside of a list's item",
            )
            .hint("write the item in quotes of its own: '\"…\"'"));
        }
        return Ok(vec![whole(item)]);
    }
    parser::parse_item(&Arc::new(item.clone()))
}

fn whole(item: &Text) -> Constant {
    let span = Span { text: Arc::new(item.clone()), start: 0, end: item.text.len() };
    Constant { value: item.text.clone().into_bytes(), quoted: true, span }
}
