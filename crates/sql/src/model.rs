//! A schema as a database remembers it: tables, columns with what their values mean, references and indexes, by the names that
//! they have in the database.
//!
//! Recorded in the database and in the migrations' files as lines of text ([`Model::lines`]), one for each fact and each
//! readable by itself, so that two versions are compared, and changes folded, line by line. Holds what a database cannot tell
//! (the scale of a decimal, the names of an enum, what is kept out of the change log) and nothing that no row depends on
//! (rules, checks, lengths).

mod found;
mod line;

use std::collections::BTreeMap;

use mainstay_lang::expr::Node;
use mainstay_lang::schema::{Column, ColumnId, Operation, Schema, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::ddl::{self, IndexPlan};
use crate::dialect::Dialect;

pub use found::{Beside, Misfit, found};
pub use line::LineError;

/// What a database holds for an app.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Its tables, those of links too, by their names in the database.
    pub tables: BTreeMap<String, ModelTable>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelTable {
    /// Its name in the language; none: it holds links.
    pub declared: Option<String>,
    /// Its columns, by their names in the database.
    pub columns: BTreeMap<String, ModelColumn>,
    /// Its indexes, by their columns: `team.-number` and whether they refuse duplicates.
    pub indexes: BTreeMap<String, IndexPlan>,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelColumn {
    /// Its name in the language.
    pub declared: String,
    /// What its values are: a storage type, without a longest length.
    pub ty: Type,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it is the primary key or part of it.
    pub key: bool,
    /// The table that it refers to.
    pub references: Option<String>,
    /// Whether the change log holds none of its values, or shows them under a rule of the column's own.
    pub guarded: bool,
    /// Whether it is numbered without gaps.
    pub counter: bool,
    /// The database's own default, as JSON, where it keeps one.
    pub default: Option<String>,
}

impl Model {
    /// What a database would hold for a schema.
    pub fn of(schema: &Schema, dialect: &dyn Dialect) -> Model {
        let mut model = Model::default();
        for table in schema.own_tables() {
            let columns = table.columns.iter();
            let columns =
                columns.map(|column| (column.db_name.clone(), model_column(schema, dialect, table, column)));
            let table_model = ModelTable {
                declared: Some(table.name.clone()),
                columns: columns.collect(),
                indexes: BTreeMap::new(),
            };
            model.tables.insert(table.db_name.clone(), table_model);
        }
        for link in ddl::links(schema) {
            let sides = [(&link.owner_column, link.owner), (&link.target_column, link.target)];
            let columns = sides.map(|(name, table)| {
                let column = ModelColumn {
                    key: true,
                    references: Some(schema.table(table).db_name.clone()),
                    ..ModelColumn::plain(name, schema.key_type(table))
                };
                (name.clone(), column)
            });
            let table = ModelTable { columns: columns.into(), ..ModelTable::default() };
            model.tables.insert(link.db_name.clone(), table);
        }
        for index in ddl::indexes(schema) {
            if let Some(table) = model.tables.get_mut(&index.table) {
                table.indexes.insert(index_key(&index), index);
            }
        }
        model
    }

    /// A column of a table.
    pub fn column(&self, table: &str, column: &str) -> Option<&ModelColumn> {
        self.tables.get(table)?.columns.get(column)
    }
}

impl ModelColumn {
    /// A required column with nothing particular about it.
    pub(crate) fn plain(name: &str, ty: &Type) -> ModelColumn {
        ModelColumn {
            declared: name.to_owned(),
            ty: meaning(ty),
            nullable: false,
            key: false,
            references: None,
            guarded: false,
            counter: false,
            default: None,
        }
    }
}

fn model_column(schema: &Schema, dialect: &dyn Dialect, table: &Table, column: &Column) -> ModelColumn {
    let default = ddl::kept_default(dialect, column).map(Value::to_json);
    ModelColumn {
        declared: column.name.clone(),
        nullable: column.nullable,
        key: column.id == ColumnId::ID,
        references: column.target().map(|target| schema.table(target).db_name.clone()),
        guarded: column.secret || table.is_guarded(Operation::Read, column.id),
        counter: column.auto.is_some(),
        default,
        ..ModelColumn::plain(&column.db_name, schema.storage_type(&column.ty))
    }
}

/// A storage type without what changes no value's meaning.
fn meaning(ty: &Type) -> Type {
    match ty {
        Type::Text { .. } => Type::Text { max: None },
        Type::List(of) => Type::List(std::sync::Arc::new(meaning(of))),
        other => other.clone(),
    }
}

/// What tells an index from the others of its table.
pub(crate) fn index_key(index: &IndexPlan) -> String {
    let columns = index.columns.iter().map(|column| {
        let sign = if column.descending { "-" } else { "" };
        format!("{sign}{}", column.name)
    });
    let columns = columns.collect::<Vec<_>>().join(".");
    if index.unique { format!("{columns} unique") } else { columns }
}

/// The constant of a default that is one.
pub(crate) fn constant_default(column: &Column) -> Option<&Value> {
    match &column.default.as_ref()?.node {
        Node::Literal(Value::Null) => None,
        Node::Literal(value) => Some(value),
        _ => None,
    }
}

/// A model as text of a line for each fact, as it is recorded in a database.
impl std::fmt::Display for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
