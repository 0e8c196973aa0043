//! What the engine knows of a schema beside the schema: made once, when an app is opened.
//!
//! The `allow` lines of each table are combined here with the rules that are kept in data, so that nothing behind has to remember
//! that several are OR-ed, that none means never, that a `deny` takes away whatever allows, and that rows of a tenant are seen by
//! no other, whichever rule lets them be. It also numbers everything that any
//! expression of the app reads of the caller, because the caller's row is read once for each request. It knows no
//! caller: what a rule says to somebody is [`crate::guard`]'s.

mod caller_paths;
mod combine;

use std::sync::Arc;

use foldhash::HashMap;
use mainstay_lang::expr::{CallerFact, CompareOp, Confirmed, Expr, Node, RowPath};
use mainstay_lang::schema::{ColumnId, Operation, RelationId, Schema, Table, TableId};
use mainstay_lang::types::Type;

use crate::confirmed::asked_in;
use crate::overrides::{Effect, Overrides};

pub use caller_paths::{CallerPath, CallerPaths};
use combine::{any, none_of};

/// What the rules say to one operation, all lines together.
#[derive(Clone, Debug)]
pub enum Rule {
    /// No line allows it.
    Never,
    /// It is allowed to everyone.
    Always,
    /// It is allowed where this is true. Closed under one row of the table.
    When(Arc<Expr>),
}

/// What rules that are kept in data say to links of which no line of the app speaks, so that the rule of changing the row governs.
#[derive(Clone, Debug)]
pub struct Besides {
    /// What has to be true in any case.
    pub open: Rule,
    /// What allows it without the rule of changing the row.
    pub allowed: Rule,
}

/// The combined rules of a schema and the paths to what they read of the caller.
#[derive(Debug)]
pub struct Catalog {
    schema: Arc<Schema>,
    tables: Vec<TableRules>,
    overrides: Overrides,
    caller_paths: Arc<CallerPaths>,
    confirmations: Vec<Confirmed>,
}

#[derive(Debug, Default)]
struct TableRules {
    rows: HashMap<Operation, Rule>,
    columns: HashMap<(Operation, ColumnId), Rule>,
    relations: HashMap<(Operation, RelationId), Rule>,
    besides: HashMap<(Operation, RelationId), Besides>,
    tenant: Option<Arc<Expr>>,
}

const OPERATIONS: [Operation; 6] = [
    Operation::Read,
    Operation::Create,
    Operation::Update,
    Operation::Delete,
    Operation::Link,
    Operation::Unlink,
];

impl Catalog {
    /// Combines the rules of a schema.
    pub fn new(schema: Arc<Schema>) -> Catalog {
        Catalog::with(schema, Overrides::default())
    }

    /// The same with those that are kept in data.
    pub(crate) fn with(schema: Arc<Schema>, overrides: Overrides) -> Catalog {
        let tables: Vec<TableRules> =
            schema.tables.iter().map(|table| TableRules::new(table, &overrides)).collect();
        let caller_paths = Arc::new(CallerPaths::of(&schema, &tables));
        let mut confirmations = Vec::new();
        for rule in tables.iter().flat_map(TableRules::conditions) {
            if let Rule::When(condition) = rule {
                asked_in(condition, &mut confirmations);
            }
        }
        Catalog { schema, tables, overrides, caller_paths, confirmations }
    }

    /// The rules that are kept in data.
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What is read of the caller's row.
    pub fn caller_paths(&self) -> &Arc<CallerPaths> {
        &self.caller_paths
    }

    /// What rules ask of this kind: `user.confirmed(5 minutes)`.
    pub(crate) fn confirmations(&self) -> &[Confirmed] {
        &self.confirmations
    }

    /// The rule of an operation on whole rows, within the caller's tenant. For `link` and `unlink`: of the lines that
    /// name no relation.
    pub fn rule(&self, table: TableId, operation: Operation) -> &Rule {
        self.of(table).rows.get(&operation).unwrap_or(&Rule::Never)
    }

    /// The rule of a column's own, needed beside the table's; `None` when nothing guards it.
    pub fn column_rule(&self, table: TableId, operation: Operation, column: ColumnId) -> Option<&Rule> {
        self.of(table).columns.get(&(operation, column))
    }

    /// The rule of `link` or `unlink` for one relation, within the caller's tenant; `None` when no line speaks of it, so
    /// that the rule of changing a row governs.
    pub fn relation_rule(&self, table: TableId, operation: Operation, relation: RelationId) -> Option<&Rule> {
        self.of(table).relations.get(&(operation, relation))
    }

    /// What rules that are kept in data say to the links of a relation beside the rule of changing a row; `None`: nothing.
    pub fn relation_besides(
        &self,
        table: TableId,
        operation: Operation,
        relation: RelationId,
    ) -> Option<&Besides> {
        self.of(table).besides.get(&(operation, relation))
    }

    /// What is true for the rows of the caller's tenant; `None` when the table's rows belong to no tenant.
    pub fn tenant_scope(&self, table: TableId) -> Option<&Arc<Expr>> {
        self.of(table).tenant.as_ref()
    }

    /// Every condition that a rule of a table may ask, whichever operation it is about.
    pub fn conditions(&self, table: TableId) -> impl Iterator<Item = &Expr> {
        self.of(table).conditions().filter_map(|rule| match rule {
            Rule::When(condition) => Some(&**condition),
            Rule::Never | Rule::Always => None,
        })
    }

    fn of(&self, table: TableId) -> &TableRules {
        &self.tables[table.0 as usize]
    }
}

impl TableRules {
    fn new(table: &Table, overrides: &Overrides) -> TableRules {
        let tenant = table.tenant.map(|column| Arc::new(tenant_condition(table, column)));
        let mut rules = TableRules { tenant, ..TableRules::default() };
        for operation in OPERATIONS {
            rules.rows(table, operation, overrides);
            for column in &table.columns {
                rules.column(table, operation, column.id, overrides);
            }
        }
        for operation in [Operation::Link, Operation::Unlink] {
            for relation in &table.relations {
                rules.relation(table, operation, relation.id, overrides);
            }
        }
        rules
    }

    fn rows(&mut self, table: &Table, operation: Operation, overrides: &Overrides) {
        let lines = table.rules_of(operation, None).filter(|rule| rule.relations.is_empty());
        let added = overrides.of_rows(table.id, operation, Effect::Allow);
        let allowed =
            any(lines.map(|line| line.condition.as_ref()).chain(added.map(|of| of.condition.as_ref())));
        let denied = overrides.of_rows(table.id, operation, Effect::Deny);
        let rule = self.scoped(none_of(allowed, denied.map(|of| of.condition.as_ref())));
        self.rows.insert(operation, rule);
    }

    fn column(&mut self, table: &Table, operation: Operation, column: ColumnId, overrides: &Overrides) {
        let allowed = if table.is_guarded(operation, column) {
            let lines = table.rules_of(operation, Some(column));
            let added = overrides.of_column(table.id, operation, Effect::Allow, column);
            any(lines.map(|line| line.condition.as_ref()).chain(added.map(|of| of.condition.as_ref())))
        } else {
            Rule::Always
        };
        let mut denied = overrides.of_column(table.id, operation, Effect::Deny, column).peekable();
        if denied.peek().is_some() || table.is_guarded(operation, column) {
            let rule = none_of(allowed, denied.map(|of| of.condition.as_ref()));
            self.columns.insert((operation, column), rule);
        }
    }

    fn relation(&mut self, table: &Table, operation: Operation, relation: RelationId, overrides: &Overrides) {
        let lines = table.rules.iter().filter(|rule| rule.operations.contains(&operation));
        let mut lines = lines
            .filter(|rule| rule.relations.is_empty() || rule.relations.contains(&relation))
            .map(|rule| rule.condition.as_ref())
            .peekable();
        let is_declared = lines.peek().is_some();
        let of = |effect| overrides.of_relation(table.id, operation, effect, relation);
        let conditions = |effect| of(effect).map(|of| of.condition.as_ref());
        let allowed = self.scoped(any(lines.chain(conditions(Effect::Allow))));
        if is_declared {
            let rule = none_of(allowed, conditions(Effect::Deny));
            self.relations.insert((operation, relation), rule);
        } else if of(Effect::Allow).chain(of(Effect::Deny)).next().is_some() {
            let open = none_of(Rule::Always, conditions(Effect::Deny));
            self.besides.insert((operation, relation), Besides { open, allowed });
        }
    }

    fn scoped(&self, rule: Rule) -> Rule {
        let Some(tenant) = &self.tenant else { return rule };
        match rule {
            Rule::Never => Rule::Never,
            Rule::Always => Rule::When(tenant.clone()),
            Rule::When(condition) => {
                let both = vec![Expr::clone(tenant), Expr::clone(&condition)];
                Rule::When(Arc::new(Expr { node: Node::And(both), ty: Type::Bool, span: condition.span }))
            }
        }
    }

    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Rule> {
        let besides = self.besides.values().flat_map(|besides| [&besides.open, &besides.allowed]);
        self.rows.values().chain(self.columns.values()).chain(self.relations.values()).chain(besides)
    }
}

fn tenant_condition(table: &Table, column: ColumnId) -> Expr {
    let declared = table.column(column);
    let span = declared.span;
    let expr = |node| Box::new(Expr { node, ty: declared.ty.clone(), span });
    let left = expr(Node::Column { row: RowPath::here(), table: table.id, column });
    let right = expr(Node::Caller(CallerFact::Tenant));
    Expr { node: Node::Compare { op: CompareOp::Eq, left, right }, ty: Type::Bool, span }
}
