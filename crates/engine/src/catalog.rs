//! What the engine knows of a schema beside the schema: made once, when an app is opened.
//!
//! The `allow` lines of each table are combined here, so that nothing behind has to remember that several are OR-ed,
//! that none means never, and that rows of a tenant are seen by no other. It also numbers everything that any
//! expression of the app reads of the caller, because the caller's row is read once for each request. It knows no
//! caller: what a rule says to somebody is [`crate::guard`]'s.

mod caller_paths;

use std::sync::Arc;

use foldhash::HashMap;
use mainstay_lang::expr::{CallerFact, CompareOp, Expr, Node, RowPath};
use mainstay_lang::schema::{ColumnId, Operation, RelationId, Schema, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

pub use caller_paths::{CallerPath, CallerPaths};

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

/// The combined rules of a schema and the paths to what they read of the caller.
#[derive(Debug)]
pub struct Catalog {
    schema: Arc<Schema>,
    tables: Vec<TableRules>,
    caller_paths: CallerPaths,
}

#[derive(Debug, Default)]
struct TableRules {
    rows: HashMap<Operation, Rule>,
    columns: HashMap<(Operation, ColumnId), Rule>,
    relations: HashMap<(Operation, RelationId), Rule>,
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
        let tables: Vec<TableRules> = schema.tables.iter().map(TableRules::new).collect();
        let caller_paths = CallerPaths::of(&schema, &tables);
        Catalog { schema, tables, caller_paths }
    }

    /// The schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What is read of the caller's row.
    pub fn caller_paths(&self) -> &CallerPaths {
        &self.caller_paths
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

    /// What is true for the rows of the caller's tenant; `None` when the table's rows belong to no tenant.
    pub fn tenant_scope(&self, table: TableId) -> Option<&Arc<Expr>> {
        self.of(table).tenant.as_ref()
    }

    fn of(&self, table: TableId) -> &TableRules {
        &self.tables[table.0 as usize]
    }
}

impl TableRules {
    fn new(table: &Table) -> TableRules {
        let tenant = table.tenant.map(|column| Arc::new(tenant_condition(table, column)));
        let mut rules = TableRules { tenant, ..TableRules::default() };
        for operation in OPERATIONS {
            let rows = table.rules_of(operation, None).filter(|rule| rule.relations.is_empty());
            let combined = combine(rows.map(|rule| rule.condition.as_ref()));
            let scoped = rules.scoped(combined);
            rules.rows.insert(operation, scoped);
            for column in &table.columns {
                if table.is_guarded(operation, column.id) {
                    let lines = table.rules_of(operation, Some(column.id));
                    let combined = combine(lines.map(|rule| rule.condition.as_ref()));
                    rules.columns.insert((operation, column.id), combined);
                }
            }
        }
        for operation in [Operation::Link, Operation::Unlink] {
            for relation in &table.relations {
                let mut lines = table
                    .rules
                    .iter()
                    .filter(|rule| rule.operations.contains(&operation))
                    .filter(|rule| rule.relations.is_empty() || rule.relations.contains(&relation.id))
                    .peekable();
                if lines.peek().is_some() {
                    let combined = combine(lines.map(|rule| rule.condition.as_ref()));
                    let scoped = rules.scoped(combined);
                    rules.relations.insert((operation, relation.id), scoped);
                }
            }
        }
        rules
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
        self.rows.values().chain(self.columns.values()).chain(self.relations.values())
    }
}

/// Any of the lines; a line without a condition allows everyone.
fn combine<'a>(lines: impl Iterator<Item = Option<&'a Arc<Expr>>>) -> Rule {
    let mut conditions: Vec<&Arc<Expr>> = Vec::new();
    for line in lines {
        match line.map(|condition| (condition, &condition.node)) {
            None | Some((_, Node::Literal(Value::Bool(true)))) => return Rule::Always,
            Some((_, Node::Literal(_))) => {}
            Some((condition, _)) => conditions.push(condition),
        }
    }
    match conditions.as_slice() {
        [] => Rule::Never,
        [one] => Rule::When(Arc::clone(one)),
        [first, ..] => {
            let span = first.span;
            let items = conditions.iter().map(|condition| Expr::clone(condition)).collect();
            Rule::When(Arc::new(Expr { node: Node::Or(items), ty: Type::Bool, span }))
        }
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
