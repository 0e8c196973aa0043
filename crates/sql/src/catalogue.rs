//! What a database holds, as the database itself tells it: tables, columns, keys, references, indexes, and what else was
//! made in it that Mainstay did not make.
//!
//! Rich enough for databases that others made: keys of several columns, checks, views, types of their own. Each dialect
//! answers the same questions ([`CatalogueQueries`]) in rows of one form, and nothing here knows which one it was. What a
//! value means beyond its column's type is not in it; see [`crate::model`].

mod read;

use mainstay_lang::types::Type;

use crate::ddl::IndexColumn;
use crate::dialect::Dialect;
use crate::statement::{ResultShape, Statement};

pub use read::read;

/// A database as it is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Its tables by name, the system's too.
    pub tables: Vec<FoundTable>,
    /// Its views.
    pub views: Vec<FoundView>,
    /// Types of its own that list their values.
    pub enums: Vec<FoundEnum>,
    /// Whether it has what [`Dialect::setup`] makes.
    pub has_setup: bool,
}

/// A table that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundTable {
    /// Its name.
    pub name: String,
    /// What kind of table it is.
    pub kind: TableKind,
    /// What was said about it.
    pub comment: Option<String>,
    /// Its columns in order.
    pub columns: Vec<FoundColumn>,
    /// The columns of its primary key, in the key's order.
    pub key: Vec<String>,
    /// Its foreign keys.
    pub references: Vec<FoundReference>,
    /// Its indexes and unique constraints, that of its primary key left out.
    pub indexes: Vec<FoundIndex>,
    /// Its conditions on rows.
    pub checks: Vec<FoundCheck>,
    /// The names of its triggers.
    pub triggers: Vec<String>,
}

/// What kind of table it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableKind {
    /// One whose rows are its own.
    #[default]
    Plain,
    /// One whose rows stand in parts of it, which are tables too.
    Partitioned,
    /// A part of a partitioned one.
    Partition,
    /// One whose rows are elsewhere, or made by a module: foreign and virtual tables.
    Foreign,
}

/// A column that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundColumn {
    /// Its name.
    pub name: String,
    /// Its type as the database tells it, with ` COLLATE "C"` where it collates by code point and the database may not.
    pub type_name: String,
    /// The type that its own one is a domain over.
    pub base_type: Option<String>,
    /// Whether it may be null; a primary key may not.
    pub nullable: bool,
    /// The expression of its default, in the database's own words.
    pub default: Option<String>,
    /// Whether the database numbers it.
    pub identity: bool,
    /// Whether the database computes it from other columns.
    pub generated: bool,
    /// What was said about it.
    pub comment: Option<String>,
}

/// A foreign key that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundReference {
    /// Its name; a number where the database gives it none.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that it leads to; with its schema and a point before it when that is another one.
    pub table: String,
    /// The columns there, one for each of its own.
    pub target_columns: Vec<String>,
    /// What a deletion there does here.
    pub on_delete: ReferenceAction,
    /// What a new key there does here.
    pub on_update: ReferenceAction,
    /// Whether all rows were checked against it.
    pub validated: bool,
}

/// What happens to rows when the row that they refer to goes or changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferenceAction {
    /// It is refused, at the end of the transaction at the latest.
    #[default]
    Restrict,
    /// They go or change too.
    Cascade,
    /// Their columns become null.
    SetNull,
    /// Their columns get their defaults.
    SetDefault,
}

/// An index or unique constraint that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundIndex {
    /// Its name.
    pub name: String,
    /// Its columns in order; expressions have no place among them.
    pub columns: Vec<IndexColumn>,
    /// Whether it refuses duplicates.
    pub unique: bool,
    /// Whether it belongs to a constraint, with which alone it can go.
    pub constraint: bool,
    /// Whether it is over expressions too.
    pub has_expressions: bool,
    /// Whether it is over a part of the rows.
    pub is_partial: bool,
    /// Whether it was built to its end; one that was not serves nobody.
    pub is_valid: bool,
}

impl FoundIndex {
    /// Whether it is over whole columns of all rows, and serves.
    pub fn is_plain(&self) -> bool {
        self.is_valid && !self.is_partial && !self.has_expressions
    }
}

/// A condition on a table's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundCheck {
    /// Its name; empty when it has none.
    pub name: String,
    /// In the database's own words.
    pub text: String,
}

/// A view that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundView {
    /// Its name.
    pub name: String,
    /// Whether its rows are kept.
    pub materialized: bool,
    /// In the database's own words.
    pub definition: String,
}

/// A type that lists its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundEnum {
    /// Its name, as columns' `type_name` has it.
    pub name: String,
    /// Its values in their order.
    pub values: Vec<String>,
}

impl Catalogue {
    /// The table of a name.
    pub fn table(&self, name: &str) -> Option<&FoundTable> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl FoundTable {
    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&FoundColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The foreign key of one column.
    pub fn reference(&self, column: &str) -> Option<&FoundReference> {
        self.references.iter().find(|reference| reference.columns == [column])
    }
}

/// The statements that tell what a database holds, each in order. Texts and truth values alone; a text may be null where it
/// says so.
#[derive(Clone, Copy, Debug)]
pub struct CatalogueQueries {
    /// Tables and views: name, kind (`table`, `partitioned`, `partition`, `foreign`, `view`, `materialized`), comment?, definition?.
    pub tables: &'static str,
    /// Columns: table, name, type, base type?, nullable, default?, identity, generated, comment?.
    pub columns: &'static str,
    /// Columns of primary keys in the key's order: table, column.
    pub keys: &'static str,
    /// Columns of foreign keys: table, name, column, table there, column there?, on delete, on update, validated. Actions as SQL
    /// spells them. No column there: the one of its primary key.
    pub references: &'static str,
    /// Columns of indexes, primary keys' left out: table, index, unique, constraint, partial, valid, column?, descending. No column:
    /// an expression.
    pub indexes: &'static str,
    /// Checks: table, name, text.
    pub checks: &'static str,
    /// Triggers: table, name.
    pub triggers: &'static str,
    /// Values of types that list theirs: type, value.
    pub enums: &'static str,
    /// A row where what [`Dialect::setup`] makes is there.
    pub setup: &'static str,
}

const TEXT: Type = Type::Text { max: None };
const FLAG: Type = Type::Bool;

/// The statements whose results [`read`] takes, in that order.
pub fn statements(dialect: &dyn Dialect) -> Vec<Statement> {
    let queries = dialect.catalogue();
    let statement = |sql: &'static str, types: &[Type]| Statement {
        sql: sql.into(),
        binds: Vec::new(),
        result: ResultShape::Values(types.to_vec()),
    };
    vec![
        statement(queries.tables, &[TEXT, TEXT, TEXT, TEXT]),
        statement(queries.columns, &[TEXT, TEXT, TEXT, TEXT, FLAG, TEXT, FLAG, FLAG, TEXT]),
        statement(queries.keys, &[TEXT, TEXT]),
        statement(queries.references, &[TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, FLAG]),
        statement(queries.indexes, &[TEXT, TEXT, FLAG, FLAG, FLAG, FLAG, TEXT, FLAG]),
        statement(queries.checks, &[TEXT, TEXT, TEXT]),
        statement(queries.triggers, &[TEXT, TEXT]),
        statement(queries.enums, &[TEXT, TEXT]),
        statement(queries.setup, &[TEXT]),
    ]
}
