//! Rules that are kept in data, read from all rows and asked one after the other.
//!
//! Written from the book: a `deny` that is true or unknown takes away, an `allow` that is true gives, a row that cannot be
//! read gives nothing and takes what it may have meant. Shares the language's checker with the engine and nothing else.

use mainstay_lang::expr::Expr;
use mainstay_lang::rule::{self, Target};
use mainstay_lang::schema::{ColumnId, Operation, RelationId, Rule, Schema, Table, TableId};
use mainstay_lang::value::Value;

use super::{Answer, Failed, Naive, Scene, World};

/// The table.
pub const TABLE: &str = "RuleOverride";

/// One row that is active.
#[derive(Debug)]
pub struct Added {
    allows: bool,
    role: Option<String>,
    table: TableId,
    operation: Operation,
    target: Target,
    condition: Option<Expr>,
    /// Whether all of it can be read.
    pub is_whole: bool,
}

/// What of a table is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Its rows.
    Rows,
    /// One of its columns.
    Column(ColumnId),
    /// The links of one of its relations.
    Relation(RelationId),
}

/// Those of a world.
pub fn read(schema: &Schema, world: &World) -> Vec<Added> {
    let Some(table) = schema.table_named(TABLE) else { return Vec::new() };
    world.rows(table.id).iter().filter_map(|row| one(schema, table, row)).collect()
}

/// What one row says; `None`: nothing that there is.
pub fn one(schema: &Schema, own: &Table, row: &[Value]) -> Option<Added> {
    let value = |name: &str| &row[own.column_named(name).expect("the table has it").id.0 as usize];
    let text = |name: &str| match value(name) {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    if *value("active") != Value::Bool(true) {
        return None;
    }
    let allows = text("effect").as_deref() == Some("allow");
    let table = schema.table_named(&text("table")?).filter(|table| table.name != TABLE)?;
    let operation = rule::operation(&text("operation")?)?;
    let names: Vec<String> = match value("columns") {
        Value::List(names) => names
            .iter()
            .filter_map(|name| match name {
                Value::Text(name) => Some(name.clone()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let target = rule::target(table, operation, &names).ok();
    let condition = text("condition")
        .map(|text| rule::compile_condition(schema, (table.id, operation), (0, &text)).map_err(drop));
    let is_open = |target: &Target| match target {
        Target::Columns(columns) => columns.iter().any(|column| !table.is_guarded(operation, *column)),
        _ => false,
    };
    let is_idle = allows && target.as_ref().is_some_and(is_open);
    let is_whole = target.is_some() && !matches!(condition, Some(Err(()))) && !is_idle;
    Some(Added {
        allows,
        role: text("role"),
        table: table.id,
        operation,
        target: target.unwrap_or(Target::Rows),
        condition: condition.and_then(Result::ok),
        is_whole,
    })
}

impl Added {
    fn is_about(&self, table: TableId, operation: Operation, of: Of) -> bool {
        self.table == table
            && self.operation == operation
            && match (&self.target, of) {
                (Target::Rows, Of::Rows | Of::Relation(_)) => true,
                (Target::Columns(columns), Of::Column(column)) => columns.contains(&column),
                (Target::Relations(relations), Of::Relation(relation)) => relations.contains(&relation),
                _ => false,
            }
    }

    /// The condition, where reading is what it is about.
    pub fn reads(&self, table: TableId) -> Option<&Expr> {
        self.condition.as_ref().filter(|_| self.table == table && self.operation == Operation::Read)
    }
}

impl<'a> Naive<'a> {
    /// Whether the declared rules and those in data allow something; an administrator passes all.
    pub fn ruled<'r>(
        &self,
        (table, operation, of): (TableId, Operation, Of),
        declared: impl Iterator<Item = &'r Rule>,
        scene: &Scene<'_>,
    ) -> Answer<bool> {
        if self.asker.admin {
            return Ok(true);
        }
        let declared = match of {
            Of::Column(column) if !self.schema.table(table).is_guarded(operation, column) => Ok(true),
            _ => self.any_rule_for(declared, scene),
        };
        let added = self.is_added((table, operation, of), scene);
        let denied = self.is_denied((table, operation, of), scene);
        Ok((declared? | added?) && !denied?)
    }

    /// Whether a rule in data allows it.
    pub fn is_added(&self, what: (TableId, Operation, Of), scene: &Scene<'_>) -> Answer<bool> {
        let mut allowed = false;
        for added in self.about(what).filter(|added| added.allows && added.is_whole) {
            allowed |= self.says(added, scene)? == Value::Bool(true);
        }
        Ok(allowed)
    }

    /// Whether a rule in data denies it, for all that is known.
    pub fn is_denied(&self, what: (TableId, Operation, Of), scene: &Scene<'_>) -> Answer<bool> {
        let mut denied = false;
        for added in self.about(what).filter(|added| !added.allows) {
            denied |= self.says(added, scene)? != Value::Bool(false);
        }
        Ok(denied && !self.asker.admin)
    }

    /// Whether something is or may be said of it that depends on the row, for a caller who is no administrator.
    pub fn is_spoken_of(&self, what: (TableId, Operation, Of)) -> bool {
        self.about(what).next().is_some()
    }

    fn about(&self, (table, operation, of): (TableId, Operation, Of)) -> impl Iterator<Item = &'a Added> {
        self.added.iter().filter(move |added| added.is_about(table, operation, of))
    }

    fn says(&self, added: &Added, scene: &Scene<'_>) -> Answer {
        if added.role.as_ref().is_some_and(|role| !self.asker.roles.contains(role)) {
            return Ok(Value::Bool(false));
        }
        let Some(condition) = &added.condition else { return Ok(Value::Bool(true)) };
        let shorter = Naive { ..*self };
        shorter.eval(condition, scene).map_err(|_| Failed { certain: false })
    }
}
