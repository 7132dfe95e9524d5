//! The trees that the checker takes apart and builds.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedEntryExpr, LiteralValue};
use cel::parser::Expression as Ast;

/// The first sign of a name that stands for a read; no source can contain it.
pub(super) const READ: char = '$';
/// The first sign of a name that stands for a compiled pattern.
pub(super) const PATTERN: char = '~';

pub(super) fn node(expr: Expr) -> Ast {
    Ast { id: 0, expr }
}

pub(super) fn call_of(name: &str, args: Vec<Ast>) -> Ast {
    node(Expr::Call(CallExpr {
        func_name: name.to_owned(),
        target: None,
        args,
    }))
}

pub(super) fn member_call(name: &str, target: Ast, args: Vec<Ast>) -> Ast {
    node(Expr::Call(CallExpr {
        func_name: name.to_owned(),
        target: Some(Box::new(target)),
        args,
    }))
}

/// The text of a string literal.
pub(super) fn text(ast: &Ast) -> Option<&str> {
    match &ast.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// A name from a source, short enough for a message.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(60).collect()
}

/// How many nodes a tree has, and how deep it is.
pub(super) fn measure(ast: &Ast) -> (usize, usize) {
    let children: Vec<&Ast> = match &ast.expr {
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => entries(&map.entries),
        Expr::Struct(made) => entries(&made.entries),
        _ => Vec::new(),
    };
    let (mut nodes, mut depth) = (1_usize, 0_usize);
    for child in children {
        let (more, deep) = measure(child);
        nodes = nodes.saturating_add(more);
        depth = depth.max(deep);
    }
    (nodes, depth + 1)
}

fn entries(entries: &[IdedEntryExpr]) -> Vec<&Ast> {
    entries
        .iter()
        .flat_map(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
            EntryExpr::StructField(field) => vec![&field.value],
        })
        .collect()
}
