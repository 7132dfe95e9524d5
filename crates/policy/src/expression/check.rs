//! The type checker that the `cel` crate does not have.
//!
//! It walks a parsed source once, infers the type of every node, and builds the tree that will be
//! evaluated: paths such as `contact.source.channel` become one read each, constant patterns become
//! compiled regular expressions. What it does not know it refuses.

use cel::common::ast::{
    CallExpr, EntryExpr, Expr, ListExpr, LiteralValue, MapEntryExpr, operators,
};
use cel::parser::Expression as Ast;
use regex::Regex;

use super::functions;
use super::reads::{Read, Source};
use super::scan::{DEPTH_MAX, NODES_MAX};
use super::tree::{READ, call_of, measure, member_call, node, shown, text};
use super::types::{Fields, Type};
use super::variables::{ATTRIBUTES, Variable, members, roots};

/// What checking found of one node: its type and the tree to evaluate.
pub(super) type Checked = Result<(Type, Ast), Refused>;

/// The node has a problem, which is on the list.
pub(super) struct Refused;

/// What a checked source needs at evaluation besides its tree.
#[derive(Default)]
pub(super) struct Checker<'a> {
    fields: Option<&'a Fields>,
    pub reads: Vec<Read>,
    pub patterns: Vec<Regex>,
    pub problems: Vec<String>,
}

/// The macros of CEL, which the language of guards leaves out: without them evaluation is linear.
const MACROS: [&str; 9] = [
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "has",
    "optMap",
    "optFlatMap",
];

/// More problems than this help nobody.
const PROBLEMS_MAX: usize = 8;

/// A node that stands for facts: one of them, or a group of them under a path.
enum Path {
    Value(Source, Type, String),
    Group(String),
}

impl<'a> Checker<'a> {
    pub(super) fn new(fields: &'a Fields) -> Self {
        Self {
            fields: Some(fields),
            ..Self::default()
        }
    }

    /// Refuses trees that are too large or too deep.
    pub(super) fn measure(&mut self, ast: &Ast) -> Result<(), Refused> {
        let (nodes, depth) = measure(ast);
        if nodes > NODES_MAX {
            return self.refuse(format!(
                "has {nodes} parts; an expression has at most {NODES_MAX}"
            ));
        }
        if depth > DEPTH_MAX {
            return self.refuse(format!(
                "nests {depth} levels deep; at most {DEPTH_MAX} are allowed"
            ));
        }
        Ok(())
    }

    pub(super) fn refuse<T>(&mut self, problem: impl Into<String>) -> Result<T, Refused> {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem.into());
        }
        Err(Refused)
    }

    /// The type of `ast` and its tree for evaluation.
    pub(super) fn check(&mut self, ast: &Ast) -> Checked {
        match &ast.expr {
            Expr::Literal(literal) => self.literal(ast, literal),
            Expr::Ident(_) | Expr::Select(_) => match self.path(ast)? {
                Some(path) => self.read(path, false),
                None => self.select(ast),
            },
            Expr::List(list) if list.optional_indices.is_empty() => self.list(&list.elements),
            Expr::Map(map) => {
                let entries: Vec<&MapEntryExpr> = map
                    .entries
                    .iter()
                    .filter_map(|entry| match &entry.expr {
                        EntryExpr::MapEntry(entry) if !entry.optional => Some(entry),
                        _ => None,
                    })
                    .collect();
                if entries.len() < map.entries.len() {
                    return self.refuse("optional entries are not part of the guard language");
                }
                self.map(ast, &entries)
            }
            Expr::Call(call) => self.call(call),
            Expr::List(_) => self.refuse("optional elements are not part of the guard language"),
            Expr::Struct(made) => self.refuse(format!(
                "cannot make a `{}`: the guard language has no messages",
                shown(&made.type_name)
            )),
            Expr::Comprehension(_) | Expr::Unspecified => {
                self.refuse("is not part of the guard language")
            }
        }
    }

    /// Like `check`, and the type must be `wanted`.
    pub(super) fn check_as(
        &mut self,
        ast: &Ast,
        wanted: &Type,
        what: &str,
    ) -> Result<Ast, Refused> {
        let (found, tree) = self.check(ast)?;
        if wanted.fits(&found) {
            Ok(tree)
        } else {
            self.refuse(format!("{what} must be {wanted}, not {found}"))
        }
    }

    fn literal(&mut self, ast: &Ast, literal: &LiteralValue) -> Checked {
        let found = match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::String(_) => Type::String,
            LiteralValue::Null => {
                return self.refuse(
                    "null is not part of the guard language: write `.?name.hasValue()` to ask whether something is set",
                );
            }
            LiteralValue::UInt(_) => {
                return self.refuse("unsigned numbers are not part of the guard language");
            }
            LiteralValue::Bytes(_) => {
                return self.refuse("bytes are not part of the guard language");
            }
        };
        Ok((found, ast.clone()))
    }

    fn list(&mut self, elements: &[Ast]) -> Checked {
        let mut element = Type::Any;
        let mut trees = Vec::with_capacity(elements.len());
        for ast in elements {
            let (found, tree) = self.check(ast)?;
            if !element.fits(&found) {
                return self.refuse(format!(
                    "the elements of a list must be of one type, not {element} and {found}"
                ));
            }
            if element == Type::Any {
                element = found;
            }
            trees.push(tree);
        }
        let tree = Expr::List(ListExpr::new(trees));
        Ok((Type::list(element), node(tree)))
    }

    fn map(&mut self, ast: &Ast, entries: &[&MapEntryExpr]) -> Checked {
        let (mut key, mut value) = (Type::Any, Type::Any);
        let Expr::Map(map) = &ast.expr else {
            return Err(Refused);
        };
        let mut lowered = map.clone();
        for (entry, slot) in entries.iter().zip(&mut lowered.entries) {
            let (found_key, key_tree) = self.check(&entry.key)?;
            let (found_value, value_tree) = self.check(&entry.value)?;
            if !matches!(found_key, Type::Bool | Type::Int | Type::String) {
                return self.refuse(format!(
                    "the keys of a map are bool, int or string, not {found_key}"
                ));
            }
            if !key.fits(&found_key) || !value.fits(&found_value) {
                return self.refuse("the entries of a map must be of one type");
            }
            (key, value) = (found_key, found_value);
            slot.expr = EntryExpr::MapEntry(MapEntryExpr {
                key: key_tree,
                value: value_tree,
                optional: false,
            });
        }
        let found = Type::Map(Box::new(key), Box::new(value));
        Ok((found, node(Expr::Map(lowered))))
    }

    /// The facts that `ast` names, where it is a path of names; `None` where it is something else.
    fn path(&mut self, ast: &Ast) -> Result<Option<Path>, Refused> {
        match &ast.expr {
            Expr::Ident(name) => {
                let name = name.strip_prefix('.').unwrap_or(name);
                self.fact(name.to_owned()).map(Some)
            }
            Expr::Select(select) if !select.test => match self.path(&select.operand)? {
                Some(Path::Group(prefix)) => self.member(&prefix, &select.field).map(Some),
                Some(Path::Value(..)) | None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn member(&mut self, prefix: &str, name: &str) -> Result<Path, Refused> {
        if prefix != ATTRIBUTES {
            return self.fact(format!("{prefix}.{name}"));
        }
        let Some(field) = self.fields.and_then(|fields| fields.get(name)) else {
            return self.refuse(format!(
                "the workspace declares no field `{}`, so its type is not known",
                shown(name)
            ));
        };
        Ok(Path::Value(
            Source::Attribute(name.to_owned(), field),
            field.into(),
            format!("{prefix}.{name}"),
        ))
    }

    fn fact(&mut self, path: String) -> Result<Path, Refused> {
        if let Some(variable) = Variable::find(&path) {
            let found = variable.of_type();
            return Ok(Path::Value(Source::Variable(variable), found, path));
        }
        if path == ATTRIBUTES || !members(&path).is_empty() {
            return Ok(Path::Group(path));
        }
        let known = match path.rsplit_once('.') {
            Some((prefix, _)) => members(prefix),
            None => roots(),
        };
        self.refuse(format!(
            "there is no `{}`; known are {}",
            shown(&path),
            known.join(", ")
        ))
    }

    /// The tree that reads a fact, which is listed once however often it is named.
    fn read(&mut self, path: Path, optional: bool) -> Checked {
        let (source, found, path) = match path {
            Path::Value(source, found, path) => (source, found, path),
            Path::Group(path) => {
                return self.refuse(format!(
                    "`{path}` is a group of facts, not one; say which: {}",
                    members(&path).join(", ")
                ));
            }
        };
        let read = Read {
            path,
            source,
            optional,
        };
        let known = self.reads.iter().position(|known| *known == read);
        let index = known.unwrap_or_else(|| {
            self.reads.push(read);
            self.reads.len() - 1
        });
        let found = if optional {
            Type::optional(found)
        } else {
            found
        };
        Ok((found, node(Expr::Ident(format!("{READ}{index}")))))
    }

    /// A field selected from something that is no path: an entry of a map.
    fn select(&mut self, ast: &Ast) -> Checked {
        let Expr::Select(select) = &ast.expr else {
            return self.refuse("is not part of the guard language");
        };
        let key = node(Expr::Literal(LiteralValue::String(
            select.field.clone().into(),
        )));
        self.index(&select.operand, &key, operators::INDEX)
    }

    fn call(&mut self, call: &CallExpr) -> Checked {
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            (operators::OPT_SELECT, [operand, field]) => {
                let Some(field) = text(field).map(str::to_owned) else {
                    return self.refuse("what follows `.?` must be a name");
                };
                if let Some(Path::Group(prefix)) = self.path(operand)? {
                    let path = self.member(&prefix, &field)?;
                    return self.read(path, true);
                }
                let key = node(Expr::Literal(LiteralValue::String(field.into())));
                self.index(operand, &key, operators::OPT_INDEX)
            }
            (operators::INDEX | operators::OPT_INDEX, [operand, key]) => {
                let attribute = text(key).map(str::to_owned);
                match attribute.filter(|_| is_attributes(operand)) {
                    Some(attribute) => {
                        let path = self.member(ATTRIBUTES, &attribute)?;
                        self.read(path, name == operators::OPT_INDEX)
                    }
                    None => self.index(operand, key, name),
                }
            }
            (operators::IN, [key, operand]) if is_attributes(operand) => {
                let Some(attribute) = text(key) else {
                    return self.refuse("which attribute is set must be asked by a constant name");
                };
                let path = self.member(ATTRIBUTES, attribute)?;
                let (_, read) = self.read(path, true)?;
                Ok((Type::Bool, member_call("hasValue", read, Vec::new())))
            }
            _ if MACROS.contains(&name) => self.refuse(format!(
                "the macro `{name}` is not part of the guard language; `in`, `size` and `.?name.hasValue()` are"
            )),
            _ if functions::is_operator(name) => self.operator(call),
            _ => functions::check(self, call),
        }
    }

    /// `operand[key]` or `operand[?key]`.
    fn index(&mut self, operand: &Ast, key: &Ast, operator: &str) -> Checked {
        let (container, operand) = self.check(operand)?;
        let (index, key) = self.check(key)?;
        let found = match &container {
            Type::List(element) if index.fits(&Type::Int) => (**element).clone(),
            Type::Map(keys, value) if keys.fits(&index) => (**value).clone(),
            _ => {
                return self.refuse(format!("a {container} has no entries under a {index}"));
            }
        };
        let found = if operator == operators::OPT_INDEX {
            Type::optional(found)
        } else if found == Type::Any {
            return self.refuse("what is empty has no entries");
        } else {
            found
        };
        Ok((found, call_of(operator, vec![operand, key])))
    }

    fn operator(&mut self, call: &CallExpr) -> Checked {
        // Every argument is looked at, so that one pass lists the problems of all of them.
        let checked: Vec<Checked> = call.args.iter().map(|arg| self.check(arg)).collect();
        let mut types = Vec::with_capacity(checked.len());
        let mut trees = Vec::with_capacity(checked.len());
        for argument in checked {
            let (found, tree) = argument?;
            types.push(found);
            trees.push(tree);
        }
        if let Some(found) = functions::operator_type(&call.func_name, &types) {
            return Ok((found, call_of(&call.func_name, trees)));
        }
        let shown: Vec<String> = types.iter().map(ToString::to_string).collect();
        self.refuse(format!(
            "`{}` does not take {}",
            functions::operator_sign(&call.func_name),
            shown.join(" and ")
        ))
    }
}

/// Whether `ast` is the path `contact.attributes`.
fn is_attributes(ast: &Ast) -> bool {
    match &ast.expr {
        Expr::Select(select) => {
            select.field == "attributes"
                && matches!(&select.operand.expr, Expr::Ident(root) if root == "contact" || root == ".contact")
        }
        _ => false,
    }
}
