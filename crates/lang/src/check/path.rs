//! Names and paths: `title`, `sender.name`, `user.team.role`, `old.title`, `this.author`, `data.address.city`.
//!
//! A bare name is a parameter, then a column of the innermost row, then an enum value of the other operand's type, then
//! a word of the context (`user`, `signed_in`, `tenant`, `session`). In a row with a column `user` an author's bare
//! `user` is an error: `user == user.id` would be read either way, and one of them lets everybody in.

use super::{CallerUse, Checker, literal};
use crate::diagnostic::Diagnostic;
use crate::expr::{CallerFact, Expr, Hop, Node, Root, RowPath};
use crate::naming::did_you_mean;
use crate::schema::{ColumnId, Member, RelationId, Table, TableId};
use crate::source::Span;
use crate::syntax::{self, ExprKind, Name};
use crate::types::Type;
use crate::value::Value;

/// How many relations one path may follow: each is a join.
const HOPS_MAX: usize = 16;

/// What a path leads to.
pub(super) enum Thing {
    /// A value that cannot be followed further, but for json.
    Value(Expr),
    /// A row: its key as a value, and the way on.
    Row { key: Expr, path: RowPath, table: TableId },
    /// A to-many relation.
    Many { row: RowPath, table: TableId, relation: RelationId, span: Span },
}

impl Checker<'_> {
    /// A path as a value.
    pub(super) fn path(&mut self, expr: &syntax::Expr, hint: Option<&Type>) -> Option<Expr> {
        match self.thing(expr, hint)? {
            Thing::Value(value) | Thing::Row { key: value, .. } => Some(value),
            Thing::Many { table, relation, span, .. } => {
                let name = &self.schema.table(table).relation(relation).name;
                let message = format!("`{name}` is many rows, where one value is expected");
                let help = format!("ask it something: {name}.any(…), {name}.count(), `x in {name}`");
                self.report(Diagnostic::error("type.mismatch", span, message).help(help))
            }
        }
    }

    /// What a path leads to; `None` when it is no path or a wrong one, which has been said.
    pub(super) fn thing(&mut self, expr: &syntax::Expr, hint: Option<&Type>) -> Option<Thing> {
        let mut names = Vec::new();
        let mut base = expr;
        let root = loop {
            match &base.kind {
                ExprKind::Member(inner, name) => {
                    names.push(name);
                    base = inner;
                }
                ExprKind::Paren(inner) => base = inner,
                ExprKind::Name(name) => break name,
                ExprKind::Error => return None,
                _ => {
                    self.error(
                        "expression.misplaced",
                        base.span,
                        "only a name can be followed by a point and a name",
                    );
                    return None;
                }
            }
        };
        names.reverse();
        let mut names = names.into_iter();
        let mut thing = if names.len() == 0 {
            self.bare(root, hint)?
        } else {
            match self.keyword(root, &mut names)? {
                Some(thing) => thing,
                None => self.bare(root, None)?,
            }
        };
        for name in names {
            thing = self.follow(thing, name)?;
        }
        Some(thing)
    }

    /// `this.`, `old.`, `new.`, `event.`: keywords only before a point. `Some(None)`: no keyword here.
    fn keyword<'e>(
        &mut self,
        root: &Name,
        names: &mut impl Iterator<Item = &'e Name>,
    ) -> Option<Option<Thing>> {
        match root.text.as_str() {
            "this" => match self.current.and_then(|current| self.frames[current].parent) {
                Some(parent) => Some(Some(self.frame_row(parent, root.span))),
                None if self.is_known("this") => Some(None),
                None => {
                    self.report(
                        Diagnostic::error(
                            "expression.misplaced",
                            root.span,
                            "`this` is the outer row inside `any(…)` and its kin",
                        )
                        .help("leave `this.` away: a bare name is a column of the row itself"),
                    );
                    None
                }
            },
            "old" | "new" if self.place.images => {
                let table = self.place.row?;
                let image = if root.text == "old" { Root::Old } else { Root::New };
                Some(Some(self.row(RowPath { root: image, hops: Vec::new() }, table, root.span)))
            }
            "old" | "new" if !self.is_known(&root.text) => {
                let message = format!("`{}.` has no meaning in {}", root.text, self.place.what);
                self.report(Diagnostic::error("expression.misplaced", root.span, message).help(
                    "the rows before and after a change are known to `allow update`, `check` and `warn`",
                ));
                None
            }
            "event" if self.place.event.is_some() => {
                let field = names.next()?;
                self.event_field(field).map(|expr| Some(Thing::Value(expr)))
            }
            _ => Some(None),
        }
    }

    fn event_field(&mut self, name: &Name) -> Option<Expr> {
        let fields = self.place.event?;
        if let Some(index) = fields.iter().position(|field| field.name == name.text) {
            return Some(param(index, fields[index].ty.clone(), name.span));
        }
        if name.text == "at" {
            return Some(Expr { node: Node::EventAt, ty: Type::Timestamp, span: name.span });
        }
        let candidates = fields.iter().map(|field| field.name.as_str()).chain(["at"]);
        let help = did_you_mean(&name.text, candidates);
        self.unknown(name, format!("the event has no field `{}`", name.text), help)
    }

    /// A name without a point before it.
    fn bare(&mut self, name: &Name, hint: Option<&Type>) -> Option<Thing> {
        if let Some(index) = self.place.params.iter().position(|param| param.name == name.text) {
            let ty = self.place.params[index].ty.clone();
            return Some(Thing::Value(param(index, ty, name.span)));
        }
        if let Some(current) = self.current
            && self.visible_member(self.frames[current].table, &name.text).is_some()
        {
            let table = self.frames[current].table;
            if name.text == "user" && self.place.trusted && self.place.caller != CallerUse::Nothing {
                return self.ambiguous_user(name, table);
            }
            let row = self.frame_path(current);
            return self.member(row, table, name);
        }
        if let Some(Type::Enum(of)) = hint
            && of.rank(&name.text).is_some()
        {
            let value = Value::Text(name.text.clone());
            return Some(Thing::Value(literal(value, Type::Enum(of.clone()), name.span)));
        }
        if self.place.caller != CallerUse::Nothing && is_context(&name.text) {
            return self.context(name);
        }
        if let Some(Type::Enum(of)) = hint {
            let mut candidates = of.values.clone();
            candidates.extend(self.known_names());
            let help = did_you_mean(&name.text, candidates.iter().map(String::as_str))
                .unwrap_or_else(|| format!("its values are {}", of.values.join(", ")));
            let message = format!("`{}` is neither a column nor a value of this enum", name.text);
            self.unknown(name, message, Some(help));
            return None;
        }
        self.unknown_bare(name);
        None
    }

    fn ambiguous_user(&mut self, name: &Name, table: TableId) -> Option<Thing> {
        let table = &self.schema.table(table).name;
        let message = format!("`user` could be the column of `{table}` or the caller");
        let help = "give the column another name, such as `owner`; `db \"user\"` keeps it in the database";
        self.report(Diagnostic::error("name.ambiguous", name.span, message).help(help));
        None
    }

    fn unknown_bare(&mut self, name: &Name) {
        let (message, fallback) = match self.current {
            Some(current) => {
                let table = &self.schema.table(self.frames[current].table).name;
                (format!("`{table}` has no column `{}`", name.text), None)
            }
            None if is_context(&name.text) => {
                (format!("`{}` is not known to {}", name.text, self.place.what), None)
            }
            None => (format!("nothing is called `{}` here", name.text), Some(self.place.no_row.to_owned())),
        };
        let outer = self
            .current
            .and_then(|current| self.frames[current].parent)
            .filter(|parent| self.visible_member(self.frames[*parent].table, &name.text).is_some());
        let known = self.known_names();
        let help = match outer {
            Some(parent) => {
                let table = &self.schema.table(self.frames[parent].table).name;
                Some(format!("write `this.{}` for the one of `{table}`", name.text))
            }
            None => did_you_mean(&name.text, known.iter().map(String::as_str)).or(fallback),
        };
        self.unknown(name, message, help);
    }

    fn context(&mut self, name: &Name) -> Option<Thing> {
        let fact = |fact, ty| Some(Thing::Value(Expr { node: Node::Caller(fact), ty, span: name.span }));
        match name.text.as_str() {
            "signed_in" => fact(CallerFact::SignedIn, Type::Bool),
            "tenant" => fact(CallerFact::Tenant, Type::Uuid),
            "session" => fact(CallerFact::Session, Type::Uuid),
            _ => {
                let Some(table) = self.schema.user_table() else {
                    self.unknown(
                        name,
                        "no table `User` is declared, so there is no caller's row".into(),
                        None,
                    );
                    return None;
                };
                let (node, ty) = (Node::Caller(CallerFact::User), Type::Ref(table.id));
                let path = RowPath { root: Root::User, hops: Vec::new() };
                Some(Thing::Row { key: Expr { node, ty, span: name.span }, path, table: table.id })
            }
        }
    }

    /// One step further along a path.
    fn follow(&mut self, thing: Thing, name: &Name) -> Option<Thing> {
        match thing {
            Thing::Row { path, table, key } => {
                if path.hops.len() > HOPS_MAX {
                    let message = format!("a path follows at most {HOPS_MAX} relations");
                    self.error("expression.depth", name.span, message);
                    return None;
                }
                // The key of a to-one target is the column itself; a caller, who may not be able to read the
                // target, has to go through it.
                if name.text == "id" && self.place.trusted && !path.hops.is_empty() {
                    let ty = self.schema.key_type(table).clone();
                    return Some(Thing::Value(Expr { ty, span: key.span.to(name.span), ..key }));
                }
                self.member(path, table, name)
            }
            Thing::Value(Expr { node: Node::JsonPath { value, mut path }, ty, span }) => {
                path.push(name.text.clone());
                let node = Node::JsonPath { value, path };
                Some(Thing::Value(Expr { node, ty, span: span.to(name.span) }))
            }
            Thing::Value(value) if value.ty == Type::Json => {
                let span = value.span.to(name.span);
                let node = Node::JsonPath { value: Box::new(value), path: vec![name.text.clone()] };
                Some(Thing::Value(Expr { node, ty: Type::Text { max: None }, span }))
            }
            Thing::Value(value) => {
                let message = match (&value.ty, &value.node) {
                    (Type::Ref(_), Node::Param(_)) => {
                        "a parameter is a row's id alone: it cannot be followed".to_owned()
                    }
                    (Type::Ref(_), _) => format!("{} cannot follow relations here", self.place.what),
                    _ => format!("{} has no members", self.describe(&value.ty)),
                };
                self.error("type.mismatch", name.span, message);
                None
            }
            Thing::Many { table, relation, span, .. } => {
                let relation = &self.schema.table(table).relation(relation).name;
                let message = format!("`{relation}` is many rows and has no `{}` of its own", name.text);
                let help = format!("ask it something: {relation}.any({} == …)", name.text);
                self.report(Diagnostic::error("type.mismatch", span.to(name.span), message).help(help));
                None
            }
        }
    }

    /// A column or relation of a row.
    fn member(&mut self, row: RowPath, table: TableId, name: &Name) -> Option<Thing> {
        let Some(member) = self.visible_member(table, &name.text) else {
            let of = self.schema.table(table);
            let help = did_you_mean(&name.text, self.member_names(of));
            self.unknown(name, format!("`{}` has no column `{}`", of.name, name.text), help);
            return None;
        };
        match member {
            Member::Column(column) => {
                let declared = self.schema.table(table).column(column);
                let target = declared.target();
                let ty = declared.ty.clone();
                let mut hops = row.hops.clone();
                let root = row.root;
                let key = Expr { node: Node::Column { row, table, column }, ty, span: name.span };
                // A column of a type that is not known: that has been said.
                if key.ty == Type::Null {
                    return None;
                }
                let Some(target) = target else { return Some(Thing::Value(key)) };
                // Here the row cannot be followed; its key still is a value.
                if !self.may_follow(root) {
                    return Some(Thing::Value(key));
                }
                hops.push(Hop { column, target, visible: None });
                Some(Thing::Row { key, path: RowPath { root, hops }, table: target })
            }
            Member::Relation(relation) => {
                if !self.may_follow(row.root) {
                    let message = format!("{} cannot follow relations", self.place.what);
                    self.error("expression.misplaced", name.span, message);
                    return None;
                }
                Some(Thing::Many { row, table, relation, span: name.span })
            }
        }
    }

    fn may_follow(&self, root: Root) -> bool {
        match root {
            Root::User => self.place.caller == CallerUse::All,
            _ => self.place.relations,
        }
    }

    /// A member that this place may name: secret columns have names for the author alone.
    fn visible_member(&self, table: TableId, name: &str) -> Option<Member> {
        let table = self.schema.table(table);
        let member = *table.members.get(name)?;
        match member {
            Member::Column(id) if !self.place.secrets && table.column(id).secret => None,
            _ => Some(member),
        }
    }

    fn member_names<'t>(&self, table: &'t Table) -> impl Iterator<Item = &'t str> + use<'t> {
        let secrets = self.place.secrets;
        let columns = table.columns.iter().filter(move |column| secrets || !column.secret);
        columns
            .map(|column| column.name.as_str())
            .chain(table.relations.iter().map(|relation| relation.name.as_str()))
    }

    /// Everything that a bare name could be here.
    fn known_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.place.params.iter().map(|param| param.name.clone()).collect();
        if let Some(current) = self.current {
            let table = self.schema.table(self.frames[current].table);
            names.extend(self.member_names(table).map(str::to_owned));
        }
        if self.place.caller != CallerUse::Nothing {
            names.extend(CONTEXT.map(str::to_owned));
        }
        names
    }

    /// Whether a bare name is a parameter or column, whatever stands beside it.
    pub(super) fn is_known(&self, name: &str) -> bool {
        self.place.params.iter().any(|param| param.name == name)
            || self
                .current
                .is_some_and(|current| self.visible_member(self.frames[current].table, name).is_some())
    }

    fn frame_path(&self, index: usize) -> RowPath {
        let levels = self.frames.len() - 1 - index;
        let levels = u8::try_from(levels).expect("the depth of expressions is limited well below 256");
        RowPath { root: Root::Scope(levels), hops: Vec::new() }
    }

    fn frame_row(&self, index: usize, span: Span) -> Thing {
        self.row(self.frame_path(index), self.frames[index].table, span)
    }

    fn row(&self, path: RowPath, table: TableId, span: Span) -> Thing {
        let node = Node::Column { row: path.clone(), table, column: ColumnId::ID };
        Thing::Row { key: Expr { node, ty: Type::Ref(table), span }, path, table }
    }

    fn unknown(&mut self, name: &Name, message: String, help: Option<String>) -> Option<Expr> {
        let mut diagnostic = Diagnostic::error("name.unknown", name.span, message);
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic)
    }
}

/// Words that stand for the caller.
const CONTEXT: [&str; 4] = ["user", "signed_in", "tenant", "session"];

fn is_context(name: &str) -> bool {
    CONTEXT.contains(&name)
}

fn param(index: usize, ty: Type, span: Span) -> Expr {
    let index = u32::try_from(index).expect("a command has fewer than 2^32 parameters");
    Expr { node: Node::Param(index), ty, span }
}
