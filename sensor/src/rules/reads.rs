//! Which fields a compiled condition reads.

use std::collections::BTreeSet;

use crate::rules::program::{ColumnId, ColumnKind, Comparison, Node, NodeId, Program};
use crate::rules::transform::Input;

/// The names of the fields, without arguments.
pub fn fields(program: &Program, node: NodeId) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut nodes = vec![node];
    while let Some(node) = nodes.pop() {
        match &program.nodes[node] {
            Node::Constant(_) => {}
            Node::Not(inner) => nodes.push(*inner),
            Node::And(inner) | Node::Or(inner) => nodes.extend(inner),
            Node::Check(check) => {
                let check = &program.checks[*check];
                column(program, check.column, &mut found);
                if let Comparison::Column(_, other) = &check.comparison {
                    column(program, *other, &mut found);
                }
            }
        }
    }
    found
}

fn column(program: &Program, id: ColumnId, found: &mut BTreeSet<&'static str>) {
    match &program.columns[id].kind {
        ColumnKind::Field(operand) => {
            found.insert(operand.field.name);
        }
        ColumnKind::Call(call) => inputs(program, &call.inputs, found),
    }
}

fn inputs(program: &Program, list: &[Input], found: &mut BTreeSet<&'static str>) {
    for input in list {
        match input {
            Input::Column(id) => column(program, *id, found),
            Input::List(list) => inputs(program, list, found),
            Input::Constant(_) => {}
        }
    }
}
