//! What is wrong with a rules file, and how it is shown: code, place, caret, hint.

use std::fmt::Write as _;

use crate::rules::text::{File, Place};

/// One error or warning about one place in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub code: Code,
    pub message: String,
    /// What to do, where that is known.
    pub hint: Option<String>,
    pub place: Place,
    /// The items that contain the place, the outermost first.
    pub within: Vec<Item>,
}

/// A rule, macro or list, or a part of one, on the way to the place of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// As in Falco's results: `rule`, `rule condition`, `macro`, …
    pub kind: &'static str,
    pub name: String,
    pub place: Place,
}

/// What a finding does to the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is loaded.
    Error,
    /// Falco warns of this too.
    Warning,
    /// A warning that Falco does not know.
    Lint,
}

macro_rules! codes {
    ($($variant:ident $severity:ident $name:literal $description:literal)*) => {
        /// Falco's codes for loading, and this project's own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($variant),* }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),* }
            }

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),* }
            }
        }
    };
}

codes! {
    FileRead Error "LOAD_ERR_FILE_READ" "Error reading file"
    YamlParse Error "LOAD_ERR_YAML_PARSE" "Error parsing YAML"
    YamlValidate Error "LOAD_ERR_YAML_VALIDATE" "Error validating internal structure of YAML file"
    CompileCondition Error "LOAD_ERR_COMPILE_CONDITION" "Error compiling condition"
    CompileOutput Error "LOAD_ERR_COMPILE_OUTPUT" "Error compiling output"
    Validate Error "LOAD_ERR_VALIDATE" "Error validating rule/macro/list/exception objects"
    UnknownSource Warning "LOAD_UNKNOWN_SOURCE" "Unknown event source"
    UnsafeNaCheck Warning "LOAD_UNSAFE_NA_CHECK" "Unsafe <NA> comparison in condition"
    NoEventType Warning "LOAD_NO_EVTTYPE" "Condition has no event-type restriction"
    UnknownFilter Warning "LOAD_UNKNOWN_FILTER" "Unknown field or event-type in condition or output"
    UnusedMacro Warning "LOAD_UNUSED_MACRO" "Unused macro"
    UnusedList Warning "LOAD_UNUSED_LIST" "Unused list"
    UnknownItem Warning "LOAD_UNKNOWN_ITEM" "Unknown rules file item"
    DeprecatedItem Warning "LOAD_DEPRECATED_ITEM" "Used deprecated item"
    AppendNoValues Warning "LOAD_APPEND_NO_VALUES" "Overriding/appending exception with no values"
    ExceptionNameNotUnique Warning "LOAD_EXCEPTION_NAME_NOT_UNIQUE" "Multiple exceptions defined with the same name"
    InvalidMacroName Warning "LOAD_INVALID_MACRO_NAME" "Invalid macro name"
    InvalidListName Warning "LOAD_INVALID_LIST_NAME" "Invalid list name"
    CompileConditionWarning Warning "LOAD_COMPILE_CONDITION" "Warning in rule condition"
    UnknownKey Warning "LOAD_UNKNOWN_KEY" "Unknown key in rules file"
    FieldNotDelivered Lint "SENSOR_FIELD_NOT_DELIVERED" "Field is null: its data is not collected"
    EventNotDelivered Lint "SENSOR_EVENT_NOT_DELIVERED" "Event type is not collected"
    UnknownListName Lint "SENSOR_UNKNOWN_LIST_NAME" "Value looks like the name of a list that does not exist"
    ListAsValue Lint "SENSOR_LIST_AS_VALUE" "Value is also the name of a list"
    NotEqualOnNullable Lint "SENSOR_NOT_EQUAL_NULLABLE" "`!=` is false where the field is absent"
    MixedOperators Lint "SENSOR_MIXED_OPERATORS" "`and` after an appended `or` binds tighter"
    NeverTrue Lint "SENSOR_NEVER_TRUE" "Condition can never be true"
    Shadowed Lint "SENSOR_SHADOWED" "Rule never matches first: an earlier rule has the same condition"
    PluginNotPresent Lint "SENSOR_PLUGIN_NOT_PRESENT" "Required plugin is not part of this program"
}

impl Code {
    /// True for what a schema of rules files would refuse.
    pub const fn is_of_schema(self) -> bool {
        matches!(self, Self::YamlParse | Self::YamlValidate | Self::UnknownKey | Self::UnknownItem)
    }
}

/// A finding before its surroundings are known: what a parser or compiler reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: Code,
    pub message: String,
    pub hint: Option<String>,
    pub place: Place,
}

impl Fault {
    pub fn new(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, place }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub fn within(self, within: Vec<Item>) -> Finding {
        let Self { code, message, hint, place } = self;
        Finding { code, message, hint, place, within }
    }
}

impl Finding {
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// The finding as people read it: message, place, the line, a caret below the place.
    pub fn render(&self, files: &[File]) -> String {
        let severity = match self.severity() {
            Severity::Error => "error",
            Severity::Warning | Severity::Lint => "warning",
        };
        let mut text = format!("{severity}[{}]: {}\n", self.code.name(), self.message);
        let Some(file) = files.get(self.place.file) else { return text };
        let position = file.position(self.place.bytes.start);
        let number = position.line.to_string();
        let gutter = " ".repeat(number.len());
        // Writing to a string cannot fail.
        writeln!(text, "{gutter}--> {}:{}:{}", file.name, position.line, position.column).ok();
        let (line, caret) = self.marked(file, position.column);
        writeln!(text, "{gutter} |").ok();
        writeln!(text, "{number} | {line}").ok();
        write!(text, "{gutter} | {caret}").ok();
        if let Some(hint) = &self.hint {
            text.push(' ');
            text.push_str(hint);
        }
        text.push('\n');
        text
    }

    /// The line, and below it a caret under the place.
    pub fn snippet(&self, files: &[File]) -> String {
        let Some(file) = files.get(self.place.file) else { return String::new() };
        let (line, caret) = self.marked(file, file.position(self.place.bytes.start).column);
        format!("{line}\n{caret}\n")
    }

    /// The line and its caret. Of a line that is longer than a page is wide, the part around it.
    fn marked(&self, file: &File, column: usize) -> (String, String) {
        const WIDTH_MAX: usize = 160;
        const BEFORE_MAX: usize = 60;
        let line = file.line(self.place.bytes.start);
        let is_long = line.len() > WIDTH_MAX;
        let skipped = if is_long { (column - 1).saturating_sub(BEFORE_MAX) } else { 0 };
        let shown = if is_long { WIDTH_MAX } else { usize::MAX };
        let line: String = line.chars().skip(skipped).take(shown).collect();
        let before = column - 1 - skipped;
        let rest = line.chars().count().saturating_sub(before);
        let marked = file
            .content
            .get(self.place.bytes.clone())
            .map_or(1, |marked| marked.lines().next().unwrap_or_default().chars().count());
        let width = marked.clamp(1, rest.max(1));
        let start = if skipped > 0 { "… " } else { "" };
        let indent = " ".repeat(before + start.chars().count());
        (format!("{start}{}", printable(&line)), format!("{indent}{}", "^".repeat(width)))
    }
}

/// Tabs and control characters take one column each, so that the caret stands below its token.
fn printable(line: &str) -> String {
    line.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
