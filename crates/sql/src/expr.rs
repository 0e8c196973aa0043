//! Typed expressions to SQL.
//!
//! Truth values are written as conditions and read as 0, 1 and null, so there is one way to write an expression, not two.
//! Comparisons stay the database's own, so that indexes serve them; whatever a database computes differently from the
//! language goes through a dialect's template. Every composed expression is enclosed in parentheses or a call: callers
//! never think about precedence.
//!
//! Reading the row of a scope is here, the ways from it in [`path`], questions to its relations in [`many`].

mod conjunct;
mod many;
mod path;

use mainstay_lang::expr::{CallerFact, Clock, CompareOp, Expr, Function, Node, Root};
use mainstay_lang::schema::{ColumnId, Schema, TableId};
use mainstay_lang::types::{EnumType, Type};
use mainstay_lang::value::Value;

use crate::dialect::Operator;
use crate::statement::Bind;
use crate::writer::{ScopeId, Writer};

pub(crate) use many::Relatives;

impl Writer<'_> {
    /// An expression in the scopes that have been entered.
    pub(crate) fn expr(&mut self, expr: &Expr) {
        match &expr.node {
            Node::Literal(value) => self.literal(value, &expr.ty),
            Node::Param(index) => self.bind(Bind::Param(*index), &expr.ty),
            Node::Caller(fact) => self.bind(Bind::Caller(fact.clone()), &expr.ty),
            Node::Clock(clock) => self.bind(Bind::Clock(*clock), &expr.ty),
            Node::EventAt => unreachable!("events are folded in memory"),
            Node::Column { row, column, .. } => self.path_column(row, *column, &expr.ty),
            Node::Not(inner) => self.enclosed("(NOT ", inner, ")"),
            Node::And(items) => self.joined(" AND ", items, Writer::expr),
            Node::Or(items) => self.joined(" OR ", items, Writer::expr),
            Node::Compare { op, left, right } => self.compare(*op, left, right),
            Node::IsNull { value, negated: false } => self.enclosed("(", value, " IS NULL)"),
            Node::IsNull { value, negated: true } => self.enclosed("(", value, " IS NOT NULL)"),
            Node::In { value, items } => self.one_of(value, items),
            Node::InList { value, list } => {
                let item = self.schema.storage_type(&value.ty);
                self.operator(Operator::InList(item), &[list, value]);
            }
            Node::Contains { value, needle } => self.operator(Operator::Contains, &[value, needle]),
            Node::Arithmetic { op, left, right } => {
                let types = (&left.ty, &right.ty, &expr.ty);
                let operator =
                    Operator::Arithmetic { op: *op, left: types.0, right: types.1, result: types.2 };
                self.operator(operator, &[left, right]);
            }
            Node::Negate(inner) => self.operator(Operator::Negate(&expr.ty), &[inner]),
            Node::Coalesce(items) => {
                self.text("coalesce(");
                self.separated(", ", items, Writer::expr);
                // SQLite asks for two at least.
                self.text(if items.len() == 1 { ", NULL)" } else { ")" });
            }
            Node::If { condition, then, otherwise } => {
                self.enclosed("CASE WHEN ", condition, " THEN ");
                self.expr(then);
                self.enclosed(" ELSE ", otherwise, " END");
            }
            Node::Call { function: Function::Concat, args } => {
                self.text("(");
                self.separated(" || ", args, Writer::expr);
                self.text(")");
            }
            Node::Call { function, args } => self.call(*function, args, &expr.ty),
            Node::Convert(inner) => {
                let from = self.schema.storage_type(&inner.ty);
                let to = self.schema.storage_type(&expr.ty);
                self.operator(Operator::Convert { from, to }, &[inner]);
            }
            Node::Rank(inner) => self.rank(inner),
            Node::JsonPath { value, path } => self.json_path(value, path),
            Node::Many(many) => self.many(many),
        }
    }

    fn enclosed(&mut self, before: &str, inner: &Expr, behind: &str) {
        self.text(before);
        self.expr(inner);
        self.text(behind);
    }

    /// A chain of conditions.
    fn joined(&mut self, operator: &str, items: &[Expr], write: fn(&mut Self, &Expr)) {
        self.balanced(operator, items, &write);
    }

    /// A chain as a balanced tree: SQLite counts the depth of `a AND b AND c …` against its limit of 1,000.
    fn balanced<T>(&mut self, operator: &str, items: &[T], write: &impl Fn(&mut Self, &T)) {
        const FLAT_MAX: usize = 16;
        self.text("(");
        if items.len() <= FLAT_MAX {
            self.separated(operator, items, write);
        } else {
            let (left, right) = items.split_at(items.len() / 2);
            self.balanced(operator, left, write);
            self.text(operator);
            self.balanced(operator, right, write);
        }
        self.text(")");
    }

    fn operator(&mut self, operator: Operator<'_>, operands: &[&Expr]) {
        let template = self.dialect.operator(operator);
        self.template(&template, |w, index| w.expr(operands[index]));
    }

    fn call(&mut self, function: Function, args: &[Expr], result: &Type) {
        let subject = args.first().map_or(&Type::Null, |arg| self.schema.storage_type(&arg.ty));
        let template = self.dialect.operator(Operator::Call { function, subject, result });
        self.template(&template, |w, index| w.expr(&args[index]));
    }

    fn literal(&mut self, value: &Value, ty: &Type) {
        match value {
            Value::Null => {
                let text = self.dialect.null(self.schema.storage_type(ty));
                self.text(&text);
            }
            Value::Bool(value) => {
                let text = self.dialect.boolean(*value);
                self.text(text);
            }
            other => self.bind(Bind::Value(other.clone()), ty),
        }
    }

    fn compare(&mut self, op: CompareOp, left: &Expr, right: &Expr) {
        let symbol = match op {
            CompareOp::Eq => " = ",
            CompareOp::Ne => " <> ",
            CompareOp::Lt => " < ",
            CompareOp::Le => " <= ",
            CompareOp::Gt => " > ",
            CompareOp::Ge => " >= ",
        };
        let is_order = matches!(op, CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge);
        self.text("(");
        self.side(left, is_order);
        self.text(symbol);
        self.side(right, is_order);
        if op == CompareOp::Eq {
            let by_key = [(left, right), (right, left)];
            let by_key =
                by_key.into_iter().find_map(|(key, value)| Some((self.composed(key)?, bound(value)?)));
            if let Some(((table, scope), key)) = by_key {
                self.key_parts_equal(table, &key, |w, column| w.scope_column(scope, column.id));
            }
        }
        self.text(")");
    }

    /// The row whose key, put together from several columns, an expression is.
    fn composed(&self, expr: &Expr) -> Option<(TableId, ScopeId)> {
        match &expr.node {
            Node::Column { row, table, column: ColumnId::ID }
                if row.hops.is_empty() && !self.schema.table(*table).key_of.is_empty() =>
            {
                match row.root {
                    Root::Scope(levels) => Some((*table, self.enclosing(usize::from(levels)))),
                    Root::Old | Root::New | Root::User => None,
                }
            }
            _ => None,
        }
    }

    fn side(&mut self, side: &Expr, is_order: bool) {
        match self.dialect.ordered(self.schema.storage_type(&side.ty)).filter(|_| is_order) {
            Some(template) => self.template(template, |w, _| w.expr(side)),
            None => self.compared(side),
        }
    }

    fn compared(&mut self, side: &Expr) {
        match self.dialect.compared(self.schema.storage_type(&side.ty)) {
            Some(template) => self.template(template, |w, _| w.expr(side)),
            None => self.expr(side),
        }
    }

    fn one_of(&mut self, value: &Expr, items: &[Expr]) {
        match items {
            [] => {
                let text = self.dialect.boolean(false);
                self.text(text);
            }
            // SQLite takes `x IN ((SELECT …))` for a search in a result that may be empty, where null is meant.
            [item] => self.compare(CompareOp::Eq, value, item),
            _ => {
                self.text("(");
                self.compared(value);
                self.text(" IN (");
                self.separated(", ", items, Writer::compared);
                self.text(")");
                if let Some((row, keys)) = self.composed(value).zip(items.iter().map(bound).collect()) {
                    self.among_keys(row, keys);
                }
                self.text(")");
            }
        }
    }

    /// The same of several keys as [`Writer::key_parts_equal`] of one.
    fn among_keys(&mut self, (table, scope): (TableId, ScopeId), keys: Vec<Bind>) {
        let of = self.schema.table(table);
        if !self.dialect.finds_rows_in_values() {
            self.text(" AND ");
            return self.balanced(" OR ", &keys, &|w, key| {
                w.text("(TRUE");
                w.key_parts_equal(table, key, |w, column| w.scope_column(scope, column.id));
                w.text(")");
            });
        }
        self.text(" AND (");
        self.separated(", ", &of.key_of, |w, column| w.scope_column(scope, *column));
        self.text(") IN (VALUES ");
        self.separated(", ", keys, |w, key| {
            w.text("(");
            w.separated(", ", of.key_of.iter().enumerate(), |w, (part, id)| {
                w.key_part(&key, part, of.column(*id));
            });
            w.text(")");
        });
        self.text(")");
    }

    fn rank(&mut self, inner: &Expr) {
        let Type::Enum(of) = &inner.ty else { return self.expr(inner) };
        let value = self.capture(|w| w.expr(inner));
        self.rank_of(of, &value);
    }

    /// The place of an enum's value in the declared order.
    pub(crate) fn rank_of(&mut self, of: &EnumType, value: &str) {
        self.text("CASE ");
        self.text(value);
        for (rank, name) in of.values.iter().enumerate() {
            self.text(" WHEN ");
            self.quoted(name);
            self.text(" THEN ");
            self.rank_number(rank);
        }
        self.text(" END");
    }

    /// The names of a path may come from a request, so they are bound too.
    fn json_path(&mut self, value: &Expr, path: &[String]) {
        let template = self.dialect.operator(Operator::JsonPath(path.len()));
        self.template(&template, |w, index| match index {
            0 => w.expr(value),
            name => w.bind(Bind::Value(Value::Text(path[name - 1].clone())), &Type::Text { max: None }),
        });
    }
}

/// Where the value of an expression comes from that is the same for every row.
fn bound(expr: &Expr) -> Option<Bind> {
    match &expr.node {
        Node::Literal(value @ Value::Text(_)) => Some(Bind::Value(value.clone())),
        Node::Param(index) => Some(Bind::Param(*index)),
        _ => None,
    }
}

/// Whether an expression has a value in every row.
pub(crate) fn is_never_null(schema: &Schema, expr: &Expr) -> bool {
    let all = |items: &[Expr]| items.iter().all(|item| is_never_null(schema, item));
    match &expr.node {
        Node::Literal(value) => *value != Value::Null,
        Node::Clock(Clock::Now | Clock::Today) | Node::IsNull { .. } => true,
        Node::Caller(fact) => {
            matches!(
                fact,
                CallerFact::SignedIn | CallerFact::Can(_) | CallerFact::HasRole(_) | CallerFact::Confirmed(_)
            )
        }
        Node::Column { row, table, column } => {
            matches!(row.root, mainstay_lang::expr::Root::Scope(_))
                && row.hops.is_empty()
                && !schema.table(*table).column(*column).nullable
        }
        Node::Rank(inner) | Node::Convert(inner) | Node::Not(inner) | Node::Negate(inner) => {
            is_never_null(schema, inner)
        }
        Node::Coalesce(items) => items.iter().any(|item| is_never_null(schema, item)),
        Node::Call { args, .. } => all(args),
        _ => false,
    }
}
