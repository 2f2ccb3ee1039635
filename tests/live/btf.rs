//! The running kernel's type information: the C prototype of a function or a tracepoint.

use std::fmt::Write as _;
use std::fs;

/// What `/sys/kernel/btf/vmlinux` holds.
pub(crate) struct Btf {
    /// By number; the first is `void`.
    types: Vec<Type>,
    strings: Vec<u8>,
}

struct Type {
    name: u32,
    kind: u32,
    /// The type that this one refers to, for the kinds that do.
    to: u32,
    /// Name and type of each, for the prototype of a function.
    parameters: Vec<(u32, u32)>,
}

const POINTER: u32 = 2;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FORWARD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNCTION: u32 = 12;
const PROTOTYPE: u32 = 13;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

impl Btf {
    /// Of the running kernel.
    pub(crate) fn of_kernel() -> Self {
        Self::parse(&fs::read("/sys/kernel/btf/vmlinux").unwrap())
    }

    fn parse(bytes: &[u8]) -> Self {
        assert_eq!(bytes[..2], 0xeb9f_u16.to_ne_bytes(), "not type information");
        let number =
            |offset: usize| u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap());
        let at = |offset: usize| (number(4) + number(offset)) as usize;
        let (start, end) = (at(8), at(8) + number(12) as usize);
        let strings = bytes[at(16)..at(16) + number(20) as usize].to_vec();
        let mut types = vec![Type { name: 0, kind: 0, to: 0, parameters: Vec::new() }];
        let mut offset = start;
        while offset < end {
            let info = number(offset + 4);
            let (kind, length) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let more = offset + 12;
            let parameter = |index: usize| (number(more + 8 * index), number(more + 8 * index + 4));
            let parameters =
                if kind == PROTOTYPE { (0..length).map(parameter).collect() } else { Vec::new() };
            types.push(Type { name: number(offset), kind, to: number(offset + 8), parameters });
            offset = more + payload(kind, length);
        }
        Self { types, strings }
    }

    /// `long f(int a, struct b *c)` of each function of this name that the kernel describes: a weak
    /// one that another replaces is described as well.
    pub(crate) fn functions(&self, name: &str) -> Vec<String> {
        let declaration = |prototype: &Type| {
            let result = self.declaration(prototype.to, name);
            format!("{result}({})", self.parameters(&prototype.parameters))
        };
        self.prototypes(name).map(declaration).collect()
    }

    /// `t(int a, struct b *c)`, if the kernel has such a tracepoint.
    pub(crate) fn tracepoint(&self, name: &str) -> Option<String> {
        // This function calls the programs of a tracepoint, with its own data before the arguments.
        let prototype = self.prototypes(&format!("__traceiter_{name}")).next()?;
        Some(format!("{name}({})", self.parameters(prototype.parameters.get(1..)?)))
    }

    fn prototypes(&self, function: &str) -> impl Iterator<Item = &Type> {
        let wanted = move |one: &&Type| one.kind == FUNCTION && self.string(one.name) == function;
        self.types.iter().filter(wanted).map(|one| self.get(one.to))
    }

    fn parameters(&self, parameters: &[(u32, u32)]) -> String {
        let mut text = String::new();
        for (index, (name, to)) in parameters.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(text, "{separator}{}", self.declaration(*to, self.string(*name))).unwrap();
        }
        text
    }

    /// `name` as something of this type, in C.
    fn declaration(&self, number: u32, name: &str) -> String {
        let one = self.get(number);
        let own = self.string(one.name);
        let (prefix, own) = match one.kind {
            POINTER => return self.declaration(one.to, &format!("*{name}")),
            // What a pointer points to is const before its type, the pointer itself before its name.
            CONST if self.get(one.to).kind == POINTER => {
                return self.declaration(one.to, &format!("const {name}"));
            }
            CONST => return format!("const {}", self.declaration(one.to, name)),
            VOLATILE | RESTRICT | TYPE_TAG => return self.declaration(one.to, name),
            PROTOTYPE => {
                let result = self.declaration(one.to, &format!("({name})"));
                return format!("{result}({})", self.parameters(&one.parameters));
            }
            STRUCT | FORWARD => ("struct ", own),
            UNION => ("union ", own),
            ENUM | ENUM64 => ("enum ", own),
            TYPEDEF => ("", own),
            _ if number == 0 => ("", "void"),
            _ => ("", own),
        };
        format!("{prefix}{own} {name}").trim_end().to_owned()
    }

    fn get(&self, number: u32) -> &Type {
        &self.types[number as usize]
    }

    fn string(&self, offset: u32) -> &str {
        let bytes = &self.strings[offset as usize..];
        let end = bytes.iter().position(|byte| *byte == 0).unwrap();
        std::str::from_utf8(&bytes[..end]).unwrap()
    }
}

/// The bytes after the three numbers that every type begins with, for `length` members.
fn payload(kind: u32, length: usize) -> usize {
    match kind {
        // An integer, a variable, a declaration tag.
        1 | 14 | 17 => 4,
        // An array.
        3 => 12,
        ENUM | PROTOTYPE => 8 * length,
        // Structures, unions, sections.
        STRUCT | UNION | 15 | ENUM64 => 12 * length,
        POINTER | FORWARD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNCTION | 16 | TYPE_TAG => 0,
        unknown => panic!("type information of kind {unknown}"),
    }
}

#[test]
fn prototypes_are_as_in_the_kernels_headers() {
    let btf = Btf::of_kernel();
    let read = "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)";
    assert_eq!(btf.functions("vfs_read"), [read]);
    assert!(btf.functions("no_such_function").is_empty());
    assert_eq!(btf.tracepoint("no_such_tracepoint"), None);
}
