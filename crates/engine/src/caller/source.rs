//! What plugins say of callers: where permissions and roles stand, and which rows must be there.
//!
//! The engine knows users and what they were granted one by one. Whoever brings roles, tenants or sessions says here in the
//! language how they are read. A source is compiled when the app is set up; it looks past all rules, because what it finds is
//! what rules are asked with.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mainstay_lang::expr::{Ask, CompareOp, Expr, Node, Root};
use mainstay_lang::filter::compile_filter;
use mainstay_lang::schema::{ColumnId, Schema, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{Bind, Statement};
use mainstay_sql::{Dialect, plan};
use mainstay_store::Query;

use crate::ctx::Claims;

/// What the rows of a source are to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallerPart {
    /// Each has a permission: `user.can("…")`.
    Permissions,
    /// Each has the name of a role: `user.has_role("…")`.
    Roles,
    /// A request of a session is one only while there is such a row. Permissions in its column, where that is not null, are
    /// all that the session has of those of its user. Two further columns, after commas, say when it has last shown who it is, and
    /// when a second factor.
    Session,
    /// Somebody asks within a tenant only while there is such a row.
    Membership,
}

/// Rows that make a caller what it is.
#[derive(Clone, Debug)]
pub(crate) struct CallerSource {
    part: CallerPart,
    table: TableId,
    columns: Vec<ColumnId>,
    filter: Expr,
    params: Vec<Fact>,
    /// The tables that it reads, and for each the column that the filter asks to be the user.
    tables: HashMap<TableId, Option<ColumnId>>,
}

/// What a filter may ask of who asks.
#[derive(Clone, Copy, Debug)]
enum Fact {
    User,
    Tenant,
    Session,
}

const FACTS: [(&str, Fact); 3] = [("user", Fact::User), ("tenant", Fact::Tenant), ("session", Fact::Session)];

/// What all plugins have said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// What callers are read from.
    pub(crate) read: Vec<CallerSource>,
    /// Tables whose rows say something of callers without being part of one.
    pub(crate) beside: Vec<TableId>,
}

impl CallerSource {
    /// Rows of a table where a filter of the language is true: `holder == $user and (within == null or within == $tenant)`.
    ///
    /// # Errors
    /// What is wrong with the names or the filter.
    pub(crate) fn compile(
        schema: &Schema,
        part: CallerPart,
        (table, columns, filter): (&str, &str, &str),
    ) -> Result<CallerSource, String> {
        let table = schema.table_named(table).ok_or_else(|| format!("there is no table `{table}`"))?;
        let column = |name: &str| {
            let column = table.column_named(name.trim()).map(|column| column.id);
            column.ok_or_else(|| format!("{} has no column `{name}`", table.name))
        };
        let columns = columns.split(',').map(column).collect::<Result<Vec<ColumnId>, String>>()?;
        let compiled = compile_filter(schema, table.id, filter).map_err(|problems| {
            let words: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            format!("`{filter}`: {}", words.join("; "))
        })?;
        let fact = |(name, _): &(String, Type)| {
            let known = FACTS.iter().find(|(known, _)| known == name);
            known.map(|(_, fact)| *fact).ok_or_else(|| format!("`{filter}`: there is no `${name}`"))
        };
        let params = compiled.params.iter().map(fact).collect::<Result<Vec<Fact>, String>>()?;
        let mut tables: HashMap<TableId, Option<ColumnId>> = HashMap::from([(table.id, None)]);
        tables.extend(tables_in(&compiled.condition).into_iter().map(|table| (table, None)));
        owners_in(&compiled.condition, &params, &mut tables);
        Ok(CallerSource { part, table: table.id, columns, filter: compiled.condition, params, tables })
    }

    /// The tables that it reads. A row of one counts for a single user where a column says which; none: for any.
    pub(crate) fn tables(&self) -> &HashMap<TableId, Option<ColumnId>> {
        &self.tables
    }
}

/// A source with its statement.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) part: CallerPart,
    statement: Arc<Statement>,
    columns: Vec<ColumnId>,
    params: Vec<Fact>,
}

impl Prepared {
    pub(super) fn new(schema: &Schema, dialect: &dyn Dialect, source: &CallerSource) -> Prepared {
        let images = plan::Images {
            table: source.table,
            filter: vec![source.filter.clone()],
            limit: None,
            lock: None,
        };
        Prepared {
            part: source.part,
            statement: Arc::new(mainstay_sql::images(schema, dialect, &images)),
            columns: source.columns.clone(),
            params: source.params.clone(),
        }
    }

    /// Whether it is asked of one who claims this.
    pub(super) fn is_asked(&self, claims: &Claims) -> bool {
        match self.part {
            CallerPart::Permissions | CallerPart::Roles => true,
            CallerPart::Session => claims.session.is_some(),
            CallerPart::Membership => claims.tenant.is_some(),
        }
    }

    pub(super) fn query(&self, claims: &Claims) -> Query {
        let fact = |fact: &Fact| match fact {
            Fact::User => claims.user.clone(),
            Fact::Tenant => claims.tenant.clone().unwrap_or(Value::Null),
            Fact::Session => claims.session.clone().unwrap_or(Value::Null),
        };
        let value = |bind: &Bind| match bind {
            Bind::Value(value) => value.clone(),
            Bind::Param(index) => self.params.get(*index as usize).map_or(Value::Null, fact),
            // A filter knows nothing else of who asks.
            _ => Value::Null,
        };
        Query { values: self.statement.binds.iter().map(value).collect(), statement: self.statement.clone() }
    }

    /// The values in its column, or the first of several.
    pub(super) fn values(&self, rows: Vec<Vec<Value>>) -> Vec<Value> {
        rows.into_iter().filter_map(|row| self.row(row).next()).collect()
    }

    /// The values in its columns of a row.
    pub(super) fn row(&self, mut row: Vec<Value>) -> impl Iterator<Item = Value> {
        let value = move |column: &ColumnId| std::mem::replace(&mut row[column.0 as usize], Value::Null);
        self.columns.iter().map(value)
    }
}

/// Finds the columns that have to be the user for a row to count: those that a filter, or what it asks of some row of a relation,
/// compares so, whatever else is true.
fn owners_in(of: &Expr, params: &[Fact], into: &mut HashMap<TableId, Option<ColumnId>>) {
    let is_user = |of: &Expr| matches!(&of.node, Node::Param(index) if matches!(params.get(*index as usize), Some(Fact::User)));
    match &of.node {
        Node::And(items) => items.iter().for_each(|item| owners_in(item, params, into)),
        Node::Many(many) if many.ask == Ask::Any => {
            many.body.iter().for_each(|body| owners_in(body, params, into));
        }
        Node::Compare { op: CompareOp::Eq, left, right } => {
            for (column, other) in [(left, right), (right, left)] {
                if let Node::Column { row, table, column } = &column.node
                    && matches!(row.root, Root::Scope(0))
                    && row.hops.is_empty()
                    && is_user(other)
                {
                    into.insert(*table, Some(*column));
                }
            }
        }
        _ => {}
    }
}

/// The tables that an expression reads.
fn tables_in(of: &Expr) -> HashSet<TableId> {
    let mut tables = HashSet::new();
    of.walk(&mut |of| match &of.node {
        Node::Column { row, table, .. } => {
            tables.insert(*table);
            tables.extend(row.hops.iter().map(|hop| hop.target));
        }
        Node::Many(many) => {
            tables.insert(many.target);
            tables.extend(many.row.hops.iter().map(|hop| hop.target));
        }
        _ => {}
    });
    tables
}
