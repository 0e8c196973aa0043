//! What the rules say to one caller, planted into expressions.
//!
//! Rules see all rows; what a caller asks sees only what the caller may read. [`Guard::eyes`] makes the second out of an
//! expression: a row that may not be read counts as absent, a value as null, however the expression gets there (over a
//! to-one relation, through a to-many one, back along a guarded column). What is planted is a rule, so it is not
//! rewritten again. Everything that a caller says and that reads rows has to pass through here once; secret columns
//! have no name for callers, and are null here should one slip through.

use std::sync::Arc;

use mainstay_lang::expr::{Ask, Expr, Hop, Many, Node, Root, RowPath};
use mainstay_lang::fold::{specialise_filter, specialise_filter_lasting};
use mainstay_lang::schema::{ColumnId, Operation, RelationId, RelationKind, Schema, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use parking_lot::Mutex;

use crate::bind::CallerEyes;
use crate::catalog::{Besides, Catalog, Rule};
use crate::ctx::Ctx;
use crate::error::{Error, Key};
use crate::expression::{and, asked_behind, boolean, expr, if_else, int, map_children, null, prefixed};

/// The rules as one caller meets them.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a> {
    catalog: &'a Catalog,
    ctx: &'a Ctx,
    trace: Option<&'a Trace>,
    /// Whether what is planted is to hold at any time.
    is_lasting: bool,
}

/// Which rules went into a plan: what they decide for a caller is what the plan depends on.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    rules: Mutex<Vec<Arc<Expr>>>,
}

impl Trace {
    fn add(&self, rule: &Arc<Expr>) {
        let mut rules = self.rules.lock();
        if !rules.iter().any(|known| Arc::ptr_eq(known, rule)) {
            rules.push(rule.clone());
        }
    }

    /// The rules, each once.
    pub(crate) fn into_rules(self) -> Vec<Arc<Expr>> {
        self.rules.into_inner()
    }
}

impl<'a> Guard<'a> {
    /// The rules for the caller of a request.
    pub fn new(catalog: &'a Catalog, ctx: &'a Ctx) -> Guard<'a> {
        Guard { catalog, ctx, trace: None, is_lasting: false }
    }

    /// The same for a plan that is kept while time goes by: it reads the clock wherever the rules do.
    pub(crate) fn lasting(catalog: &'a Catalog, ctx: &'a Ctx) -> Guard<'a> {
        Guard { catalog, ctx, trace: None, is_lasting: true }
    }

    /// The same, noting the rules that are asked.
    pub(crate) fn traced(catalog: &'a Catalog, ctx: &'a Ctx, trace: &'a Trace) -> Guard<'a> {
        Guard { catalog, ctx, trace: Some(trace), is_lasting: false }
    }

    pub(crate) fn ctx(&self) -> &'a Ctx {
        self.ctx
    }

    /// The same for the caller of another request.
    pub(crate) fn with<'b>(&self, ctx: &'b Ctx) -> Guard<'b>
    where
        'a: 'b,
    {
        Guard { catalog: self.catalog, ctx, trace: None, is_lasting: self.is_lasting }
    }

    /// The rule of an operation on whole rows. An administrator passes every rule, within the tenant of the request if it
    /// is for one.
    pub fn rule(&self, table: TableId, operation: Operation) -> Rule {
        if self.ctx.caller.admin { self.scope(table) } else { self.catalog.rule(table, operation).clone() }
    }

    /// The rule of a column's own; `None` when nothing guards it.
    pub fn column_rule(&self, table: TableId, operation: Operation, column: ColumnId) -> Option<&'a Rule> {
        if self.ctx.caller.admin { None } else { self.catalog.column_rule(table, operation, column) }
    }

    /// The rule of `link` or `unlink` for a relation; `None`: that of changing the declaring row governs.
    pub fn relation_rule(&self, table: TableId, operation: Operation, relation: RelationId) -> Option<Rule> {
        if self.ctx.caller.admin {
            Some(self.scope(table))
        } else {
            self.catalog.relation_rule(table, operation, relation).cloned()
        }
    }

    /// What rules that are kept in data say to the links of a relation of which no line of the app speaks; `None`: nothing.
    pub fn relation_besides(
        &self,
        table: TableId,
        operation: Operation,
        relation: RelationId,
    ) -> Option<&'a Besides> {
        if self.ctx.caller.admin { None } else { self.catalog.relation_besides(table, operation, relation) }
    }

    /// What a filter on a table's rows needs so that only readable ones pass; `None`: all are.
    pub fn read_filter(&self, table: TableId) -> Option<Expr> {
        let name = &*self.catalog.schema().table(table).name;
        let _guarding = tracing::debug_span!("guard", table = name).entered();
        condition_of(&self.read_rule(table))
    }

    /// The rule for reading rows as it stands for this caller: facts about the caller are decided, so that
    /// `… or user.can("x")` does not keep the database from using an index.
    fn read_rule(&self, table: TableId) -> Rule {
        self.specialised(&self.rule(table, Operation::Read))
    }

    fn specialised(&self, rule: &Rule) -> Rule {
        if let (Rule::When(condition), Some(trace)) = (rule, self.trace) {
            trace.add(condition);
        }
        self.as_it_stands(rule)
    }

    /// A rule as it stands for this caller.
    pub(crate) fn as_it_stands(&self, rule: &Rule) -> Rule {
        let Rule::When(condition) = rule else { return rule.clone() };
        let eyes = CallerEyes::new(self.ctx);
        let condition = match self.is_lasting {
            true => specialise_filter_lasting(condition, &eyes),
            false => specialise_filter(condition, &eyes, self.ctx.now),
        };
        match condition.node {
            Node::Literal(Value::Bool(true)) => Rule::Always,
            Node::Literal(_) => Rule::Never,
            _ => Rule::When(Arc::new(condition)),
        }
    }

    /// When a column's value is shown, as the guard of an output; `None`: wherever its row is.
    pub fn output_guard(&self, table: TableId, column: ColumnId) -> Option<Expr> {
        if self.schema().table(table).column(column).secret {
            return Some(boolean(false));
        }
        condition_of(&self.specialised(self.column_rule(table, Operation::Read, column)?))
    }

    /// The condition under which a to-many relation's rows may be seen as such: the column that leads back must be
    /// readable. Closed under the relation's rows.
    pub fn relation_filter(&self, table: TableId, relation: RelationId) -> Option<Expr> {
        let relation = self.schema().table(table).relation(relation);
        match relation.kind {
            RelationKind::Reverse { column } => self.output_guard(relation.target, column),
            RelationKind::Link(_) | RelationKind::LinkReverse { .. } => None,
        }
    }

    /// A caller's expression about one row of `table`, seeing what the caller may read.
    pub fn eyes(&self, table: TableId, of: &Expr) -> Expr {
        self.see(of, &mut vec![table])
    }

    /// The same where no value may be hidden, because the place of a row would tell it: order, group.
    ///
    /// # Errors
    /// [`Key::ColumnGuarded`] when a column on the way has a rule that does not hold for every row.
    pub fn eyes_unguarded(&self, table: TableId, of: &Expr, path: &str) -> Result<Expr, Error> {
        let mut refused = None;
        let mut scopes = vec![table];
        self.refuse_guarded(of, &mut scopes, &mut refused);
        match refused {
            None => Ok(self.eyes(table, of)),
            Some(name) => {
                let words = format!(
                    "`{name}` may not be read in every row, so rows cannot be sorted or grouped by it"
                );
                Err(Error::at(Key::ColumnGuarded, path, "guarded", words))
            }
        }
    }

    fn schema(&self) -> &'a Schema {
        self.catalog.schema()
    }

    fn scope(&self, table: TableId) -> Rule {
        match self.catalog.tenant_scope(table) {
            Some(scope) if self.ctx.tenant.is_some() => Rule::When(scope.clone()),
            _ => Rule::Always,
        }
    }

    fn see(&self, of: &Expr, scopes: &mut Vec<TableId>) -> Expr {
        match &of.node {
            Node::Column { row, table, column } => {
                let (row, mut guards) = self.see_path(row, scopes);
                // The own key is known to everyone who has one.
                let is_own_key = row.root == Root::User && row.hops.is_empty() && *column == ColumnId::ID;
                if !is_own_key {
                    guards.extend(self.guard_at(&row, *table, *column));
                }
                let node = Node::Column { row, table: *table, column: *column };
                let seen = Expr { node, ty: of.ty.clone(), span: of.span };
                if guards.is_empty() || is_own_key {
                    seen
                } else {
                    if_else(and(guards), seen, null(of.ty.clone()))
                }
            }
            Node::Many(many) => {
                let (row, guards) = self.see_path(&many.row, scopes);
                scopes.push(many.target);
                let body = many.body.as_ref().map(|body| self.see(body, scopes));
                scopes.pop();
                let visible = self.visible_through(many.table, many.relation);
                let body = body.map(|body| asked_behind(visible.as_deref(), body));
                let node = Node::Many(Box::new(Many { row, visible, body, ..**many }));
                let seen = Expr { node, ty: of.ty.clone(), span: of.span };
                if guards.is_empty() {
                    seen
                } else {
                    if_else(and(guards), seen, of_nothing(many.ask, &of.ty))
                }
            }
            _ => map_children(of, &mut |child, _| self.see(child, scopes)),
        }
    }

    /// A way to a row on which unreadable rows are absent, and the conditions under which it may be gone at all.
    fn see_path(&self, path: &RowPath, scopes: &[TableId]) -> (RowPath, Vec<Expr>) {
        let mut guards = Vec::new();
        let mut seen = RowPath { root: path.root, hops: Vec::new() };
        let mut table = root_table(self.schema(), path.root, scopes);
        if path.root == Root::User {
            let row = self.read_filter(table);
            guards.extend(row.map(|rule| prefixed(&rule, &seen)));
        }
        for hop in &path.hops {
            guards.extend(self.guard_at(&seen, table, hop.column));
            seen.hops.push(Hop { visible: self.visible(hop.target, None), ..hop.clone() });
            table = hop.target;
        }
        (seen, guards)
    }

    /// The rule of a column as one about the row that the expression stands in.
    fn guard_at(&self, row: &RowPath, table: TableId, column: ColumnId) -> Option<Expr> {
        self.output_guard(table, column).map(|rule| prefixed(&rule, row))
    }

    fn visible_through(&self, table: TableId, relation: RelationId) -> Option<Arc<Expr>> {
        let target = self.schema().table(table).relation(relation).target;
        self.visible(target, self.relation_filter(table, relation))
    }

    fn visible(&self, table: TableId, and_also: Option<Expr>) -> Option<Arc<Expr>> {
        match (self.read_rule(table), and_also) {
            (Rule::Never, _) => Some(Arc::new(boolean(false))),
            (Rule::Always, also) => also.map(Arc::new),
            (Rule::When(condition), None) => Some(condition),
            (Rule::When(condition), Some(also)) => Some(Arc::new(and(vec![Expr::clone(&condition), also]))),
        }
    }

    fn refuse_guarded(&self, of: &Expr, scopes: &mut Vec<TableId>, refused: &mut Option<String>) {
        let mut look = |path: &RowPath, last: Option<(TableId, ColumnId)>, scopes: &[TableId]| {
            let mut table = root_table(self.schema(), path.root, scopes);
            let mut steps = Vec::new();
            for hop in &path.hops {
                steps.push((table, hop.column));
                table = hop.target;
            }
            for (table, column) in steps.into_iter().chain(last) {
                let rule = self.column_rule(table, Operation::Read, column);
                let open = rule.is_none_or(|rule| matches!(self.specialised(rule), Rule::Always));
                if !open || self.schema().table(table).column(column).secret {
                    refused.get_or_insert_with(|| self.schema().table(table).column(column).name.clone());
                }
            }
        };
        match &of.node {
            Node::Column { row, table, column } => look(row, Some((*table, *column)), scopes),
            Node::Many(many) => {
                look(&many.row, None, scopes);
                if let RelationKind::Reverse { column } =
                    self.schema().table(many.table).relation(many.relation).kind
                {
                    let back = (many.target, column);
                    look(&RowPath::here(), Some(back), &[many.target]);
                }
                scopes.push(many.target);
                if let Some(body) = &many.body {
                    self.refuse_guarded(body, scopes, refused);
                }
                scopes.pop();
            }
            _ => {
                map_children(of, &mut |child, _| {
                    self.refuse_guarded(child, scopes, refused);
                    child.clone()
                });
            }
        }
    }
}

/// A rule as the condition of an output; `None`: always.
fn condition_of(rule: &Rule) -> Option<Expr> {
    match rule {
        Rule::Always => None,
        Rule::Never => Some(boolean(false)),
        Rule::When(condition) => Some(Expr::clone(condition)),
    }
}

/// The table of the row that a path starts at. `scopes` are the tables of the rows around it, the innermost last.
fn root_table(schema: &Schema, root: Root, scopes: &[TableId]) -> TableId {
    match root {
        Root::Scope(level) => scopes[scopes.len() - 1 - usize::from(level)],
        Root::Old | Root::New => scopes[0],
        Root::User => {
            schema.user_table().map(|user| user.id).expect("checked: paths from `user` need the table")
        }
    }
}

/// What a question to no rows at all answers.
fn of_nothing(ask: Ask, ty: &Type) -> Expr {
    match ask {
        Ask::Any => boolean(false),
        Ask::All | Ask::None => boolean(true),
        Ask::Count => int(0),
        Ask::Sum => match ty {
            Type::Float => expr(Node::Literal(Value::Float(0.0)), Type::Float),
            Type::Int => int(0),
            other => expr(Node::Convert(Box::new(int(0))), other.clone()),
        },
        Ask::Min | Ask::Max => null(ty.clone()),
    }
}
