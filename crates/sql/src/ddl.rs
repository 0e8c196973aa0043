//! A schema as tables and indexes.
//!
//! Rows are kept honest by the database as a net under the engine: types, NOT NULL, unique indexes, and foreign keys that
//! restrict, because cascades are the engine's. Nothing is dropped or changed here; see [`crate::migration`].
//! Names of indexes follow from what they index, so that the same index is recognised when the schema is read again.

mod index;

use mainstay_lang::schema::{Column, ColumnId, LinkTable, RelationKind, Schema, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::dialect::{ColumnRole, Dialect};
use crate::model::constant_default;
use crate::writer::Writer;

pub use index::{IndexColumn, IndexPlan, indexes};
pub(crate) use index::{is_shortened, plan};

/// Everything that an empty database needs for a schema: what statements call, tables of the system and of the app, then
/// references and indexes.
pub fn create_schema(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    let mut statements = setup(dialect);
    statements.extend(crate::system::create(schema, dialect));
    statements.extend(tables(schema, dialect));
    statements.extend(references(schema, dialect));
    statements.extend(indexes(schema).iter().map(|index| create_index(schema, dialect, index)));
    statements
}

/// One part of [`create_schema`]: what statements call, and tables that take any rows.
pub(crate) fn create_tables(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    let mut statements = setup(dialect);
    statements.extend(crate::system::create_tables(schema, dialect));
    statements.extend(tables(schema, dialect));
    statements
}

/// The other part: references and indexes, which cost least when the rows are there already.
pub(crate) fn finish_tables(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    let mut statements = references(schema, dialect);
    statements.extend(crate::system::create_indexes(schema, dialect));
    statements.extend(indexes(schema).iter().map(|index| create_index(schema, dialect, index)));
    statements
}

fn setup(dialect: &dyn Dialect) -> Vec<String> {
    dialect.setup().iter().map(|&script| script.to_owned()).collect()
}

fn tables(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    let mut statements: Vec<String> =
        schema.own_tables().map(|table| create_table(schema, dialect, table)).collect();
    statements.extend(links(schema).map(|link| create_link(schema, dialect, link)));
    statements
}

fn references(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    let columns =
        schema.own_tables().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let mut statements: Vec<String> =
        columns.filter_map(|(table, column)| add_reference(schema, dialect, table, column)).collect();
    statements.extend(links(schema).flat_map(|link| add_link_references(schema, dialect, link)));
    statements
}

/// The link tables of a schema, each once.
pub fn links(schema: &Schema) -> impl Iterator<Item = &LinkTable> {
    let relations = schema.tables.iter().flat_map(|table| &table.relations);
    relations.filter_map(|relation| match &relation.kind {
        RelationKind::Link(link) => Some(&**link),
        _ => None,
    })
}

/// `CREATE TABLE` of a declared table.
pub(crate) fn create_table(schema: &Schema, dialect: &dyn Dialect, table: &Table) -> String {
    create_table_as(schema, dialect, table, &table.db_name)
}

/// The same under another name.
pub(crate) fn create_table_as(schema: &Schema, dialect: &dyn Dialect, table: &Table, name: &str) -> String {
    let mut w = Writer::new(schema, dialect);
    w.text("CREATE TABLE ");
    w.identifier(name);
    w.text(" (");
    w.separated(", ", &table.columns, Writer::column_definition);
    w.text(")");
    w.text(dialect.table_options(false));
    w.into_text()
}

/// The statement that makes a column refer to its table, where its definition does not.
pub(crate) fn add_reference(
    schema: &Schema,
    dialect: &dyn Dialect,
    table: &Table,
    column: &Column,
) -> Option<String> {
    column.target().filter(|_| !dialect.refers_ahead())?;
    let mut w = Writer::new(schema, dialect);
    w.add_reference(&table.db_name, &column.db_name, &column.ty);
    Some(w.into_text())
}

/// `CREATE TABLE` of a link table. Its key serves the way from the owner; an index serves the way back.
pub(crate) fn create_link(schema: &Schema, dialect: &dyn Dialect, link: &LinkTable) -> String {
    let mut w = Writer::new(schema, dialect);
    w.text("CREATE TABLE ");
    w.identifier(&link.db_name);
    w.text(" (");
    for (name, table) in [(&link.owner_column, link.owner), (&link.target_column, link.target)] {
        let ty = Type::Ref(table);
        w.identifier(name);
        w.text(" ");
        w.text(&dialect.column(schema, schema.storage_type(&ty), false, ColumnRole::Plain));
        if dialect.refers_ahead() {
            w.references(&ty);
        }
        w.text(", ");
    }
    w.text("PRIMARY KEY (");
    w.separated(", ", [&link.owner_column, &link.target_column], |w, name| w.identifier(name));
    w.text("))");
    w.text(dialect.table_options(true));
    w.into_text()
}

/// The statements that make a link table refer to its two sides, where its definition does not.
pub(crate) fn add_link_references(schema: &Schema, dialect: &dyn Dialect, link: &LinkTable) -> Vec<String> {
    if dialect.refers_ahead() {
        return Vec::new();
    }
    let sides = [(&link.owner_column, link.owner), (&link.target_column, link.target)];
    let add = |(name, table): (&String, _)| {
        let mut w = Writer::new(schema, dialect);
        w.add_reference(&link.db_name, name, &Type::Ref(table));
        w.into_text()
    };
    sides.map(add).to_vec()
}

/// `CREATE INDEX`
pub(crate) fn create_index(schema: &Schema, dialect: &dyn Dialect, index: &IndexPlan) -> String {
    let mut w = Writer::new(schema, dialect);
    w.text(if index.unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " });
    w.identifier(&index.name_in(dialect));
    w.text(" ON ");
    w.identifier(&index.table);
    w.text(" (");
    w.separated(", ", &index.columns, |w, column| {
        w.identifier(&column.name);
        w.text(if column.descending { " DESC" } else { "" });
        // As lists are sorted: nulls come last both ways, and nothing is said where there are none.
        if is_nullable(schema, &index.table, &column.name) {
            w.text(dialect.index_nulls(column.descending));
        }
    });
    w.text(")");
    w.into_text()
}

fn is_nullable(schema: &Schema, table: &str, column: &str) -> bool {
    let table = schema.tables.iter().find(|known| known.db_name == table);
    let column = table.and_then(|table| table.columns.iter().find(|known| known.db_name == column));
    column.is_some_and(|column| column.nullable)
}

/// The default that the database keeps of a required column: for a release that does not know the column yet, as long as it
/// works beside one that does.
pub(crate) fn kept_default<'c>(dialect: &dyn Dialect, column: &'c Column) -> Option<&'c Value> {
    let is_kept = dialect.keeps_defaults() && !column.nullable && column.id != ColumnId::ID;
    constant_default(column).filter(|value| is_kept && dialect.literal(value).is_some())
}

impl Writer<'_> {
    /// `"name" TYPE NOT NULL DEFAULT …`, the default where the database keeps it, and `REFERENCES …` where that may lead to a table that is not there yet.
    pub(crate) fn column_definition(&mut self, column: &Column) {
        let role = if column.id == ColumnId::ID { ColumnRole::Key } else { ColumnRole::Plain };
        let ty = self.schema.storage_type(&column.ty);
        let definition = self.dialect.column(self.schema, ty, column.nullable, role);
        self.identifier(&column.db_name);
        self.text(" ");
        self.text(&definition);
        if let Some(default) =
            kept_default(self.dialect, column).and_then(|value| self.dialect.literal(value))
        {
            self.text(" DEFAULT ");
            self.text(&default);
        }
        if self.dialect.refers_ahead() {
            self.references(&column.ty);
        }
    }

    fn add_reference(&mut self, table: &str, column: &str, ty: &Type) {
        self.text("ALTER TABLE ");
        self.identifier(table);
        self.text(" ADD FOREIGN KEY (");
        self.identifier(column);
        self.text(")");
        self.references(ty);
    }

    pub(crate) fn references(&mut self, ty: &Type) {
        let Type::Ref(target) = ty else { return };
        let target = self.schema.table(*target);
        self.text(" REFERENCES ");
        self.identifier(&target.db_name);
        self.text(" (");
        self.identifier(&target.column(ColumnId::ID).db_name);
        self.text(") ON DELETE RESTRICT");
    }
}
