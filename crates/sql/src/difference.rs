//! What an existing database lacks of a schema.
//!
//! Only what cannot lose or reinterpret a value becomes a statement: missing tables, columns that have a value for the rows
//! there are, and indexes. Everything else is said in words and left to a migration. What a type means is not
//! always seen in the database (a decimal's scale is not), so the declared types are recorded beside it as text,
//! [`declared_types`], and compared with what was recorded.

mod types;

use std::borrow::Cow;
use std::collections::HashMap;

use mainstay_lang::expr::Node;
use mainstay_lang::schema::{Column, ColumnId, LinkTable, Schema, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::catalogue::{Catalogue, FoundColumn, FoundIndex, FoundTable};
use crate::ddl::{self, IndexPlan};
use crate::dialect::Dialect;
use crate::system;
use crate::writer::Writer;

pub use types::declared_types;

/// A database as it is found.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// What it holds.
    pub catalogue: Catalogue,
    /// What [`declared_types`] gave when the database was last brought in step; none when never.
    pub declared_types: Option<String>,
}

/// A difference that no statement here may settle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {words}")]
pub struct Unsafe {
    /// `Table` or `Table.column`, as named in the database.
    pub place: String,
    /// What differs, and what could be done.
    pub words: String,
}

/// The statements that bring a database in step with a schema without risk to what it holds, or all the differences
/// that they cannot settle. A unique index over rows that are there may still be refused, by the database.
pub fn differences(
    schema: &Schema,
    dialect: &dyn Dialect,
    existing: &Existing,
) -> Result<Vec<String>, Vec<Unsafe>> {
    let tables = existing.catalogue.tables.iter().map(|table| (table.name.as_str(), table)).collect();
    let mut found = Differences {
        schema,
        dialect,
        tables,
        statements: Vec::new(),
        references: Vec::new(),
        problems: Vec::new(),
    };
    if !existing.catalogue.has_setup {
        found.statements.extend(dialect.setup().iter().map(|&script| script.to_owned()));
    }
    found.system();
    schema.tables.iter().for_each(|table| found.table(table));
    ddl::links(schema).for_each(|link| found.link(link));
    found.statements.append(&mut found.references);
    found.indexes();
    let recorded = existing.declared_types.as_deref().unwrap_or_default();
    found.problems.extend(types::changes(schema, recorded, existing));
    if found.problems.is_empty() { Ok(found.statements) } else { Err(found.problems) }
}

struct Differences<'a> {
    schema: &'a Schema,
    dialect: &'a dyn Dialect,
    tables: HashMap<&'a str, &'a FoundTable>,
    statements: Vec<String>,
    /// References to tables that may be made among `statements`.
    references: Vec<String>,
    problems: Vec<Unsafe>,
}

impl Differences<'_> {
    fn problem(&mut self, place: impl Into<String>, words: impl Into<String>) {
        self.problems.push(Unsafe { place: place.into(), words: words.into() });
    }

    fn system(&mut self) {
        let has_table = |table: &&system::SystemTable| self.tables.contains_key(table.name);
        let indexes = self.tables.values().flat_map(|table| &table.indexes);
        let has_indexes =
            system::indexes(self.dialect).all(|(name, ..)| indexes.clone().any(|index| index.name == *name));
        if !system::TABLES.iter().all(has_table) || !has_indexes {
            self.statements.extend(system::create(self.schema, self.dialect));
        }
    }

    fn table(&mut self, table: &Table) {
        let Some(existing) = self.tables.get(table.db_name.as_str()).copied() else {
            table.columns.iter().for_each(|column| self.reference(table, column));
            return self.statements.push(ddl::create_table(self.schema, self.dialect, table));
        };
        for column in &table.columns {
            match existing.column(&column.db_name) {
                Some(found) => self.column(table, column, existing, found),
                None => self.add_column(table, column),
            }
        }
        for extra in &existing.columns {
            let is_declared = table.columns.iter().any(|column| column.db_name == extra.name);
            if !is_declared && !extra.nullable && extra.default.is_none() && !extra.generated {
                let place = format!("{}.{}", table.db_name, extra.name);
                self.problem(place, "is required in the database but not declared: no row could be made");
            }
        }
    }

    fn column(&mut self, table: &Table, column: &Column, owner: &FoundTable, existing: &FoundColumn) {
        let place = format!("{}.{}", table.db_name, column.db_name);
        let ty = self.dialect.type_name(self.schema.storage_type(&column.ty));
        if self.dialect.widens(&existing.type_name, &ty) && existing.type_name != ty {
            self.widen(table, column, &ty);
        } else if !existing.type_name.eq_ignore_ascii_case(&ty) {
            let words = format!("is {} in the database and is declared to be {ty}", existing.type_name);
            self.problem(&place, words);
        }
        let is_key = owner.key.contains(&existing.name);
        if is_key != (column.id == ColumnId::ID) {
            self.problem(&place, "is the key in only one of the database and the declaration");
        } else if !is_key && existing.nullable != column.nullable {
            let words =
                if column.nullable { "is required in the database" } else { "may be null in the database" };
            self.problem(&place, format!("{words} but not in the declaration"));
        }
        let target = column.target().map(|target| &self.schema.table(target).db_name);
        let found = owner.reference(&existing.name).map(|reference| &reference.table);
        if target != found {
            let name = |table: Option<&String>| table.map_or("no table", String::as_str).to_owned();
            let (was, is) = (name(found), name(target));
            self.problem(&place, format!("refers to {was} in the database and is declared to refer to {is}"));
        }
    }

    fn widen(&mut self, table: &Table, column: &Column, ty: &str) {
        let mut w = Writer::new(self.schema, self.dialect);
        w.text("ALTER TABLE ");
        w.identifier(&table.db_name);
        w.text(" ALTER COLUMN ");
        w.identifier(&column.db_name);
        w.text(" TYPE ");
        w.text(ty);
        self.statements.push(w.into_text());
    }

    fn add_column(&mut self, table: &Table, column: &Column) {
        let constant = constant_default(column).and_then(|value| self.dialect.literal(value));
        let is_settled =
            column.nullable || (constant.is_some() && !column.unique && column.target().is_none());
        if !is_settled {
            let place = format!("{}.{}", table.db_name, column.db_name);
            let words = "is new and required, and nothing says what the rows that are there have in it: make it \
                         nullable or give it a constant default";
            return self.problem(place, words);
        }
        let mut w = Writer::new(self.schema, self.dialect);
        w.text("ALTER TABLE ");
        w.identifier(&table.db_name);
        w.text(" ADD COLUMN ");
        w.column_definition(column);
        // A nullable column stays null for the rows there are: they were made without it.
        if let (false, Some(constant)) = (column.nullable, &constant) {
            w.text(" DEFAULT ");
            w.text(constant);
        }
        self.statements.push(w.into_text());
        self.reference(table, column);
    }

    fn reference(&mut self, table: &Table, column: &Column) {
        self.references.extend(ddl::add_reference(self.schema, self.dialect, table, column));
    }

    fn link(&mut self, link: &LinkTable) {
        let Some(existing) = self.tables.get(link.db_name.as_str()).copied() else {
            self.references.extend(ddl::add_link_references(self.schema, self.dialect, link));
            return self.statements.push(ddl::create_link(self.schema, self.dialect, link));
        };
        for (name, table) in [(&link.owner_column, link.owner), (&link.target_column, link.target)] {
            let column = existing.column(name);
            let leads_to = existing.reference(name).map(|reference| &reference.table);
            let ty = Type::Ref(table);
            let ty = self.dialect.type_name(self.schema.storage_type(&ty));
            let target = &self.schema.table(table).db_name;
            let fits = column
                .is_some_and(|column| column.type_name.eq_ignore_ascii_case(&ty) && leads_to == Some(target));
            if !fits {
                let place = format!("{}.{name}", link.db_name);
                self.problem(place, format!("should be a {ty} that refers to {target}"));
            }
        }
    }

    /// Missing indexes are made. Of the others, those that bear names given here are dropped: a constraint that is
    /// no longer declared would go on refusing rows.
    fn indexes(&mut self) {
        let wanted = ddl::indexes(self.schema);
        let is_there = |tables: &HashMap<&str, &FoundTable>, index: &IndexPlan| {
            tables.get(index.table.as_str()).is_some_and(|table| {
                let same = |other: &FoundIndex| {
                    other.is_plain() && other.unique == index.unique && other.columns == index.columns
                };
                table.indexes.iter().any(same)
            })
        };
        let names: Vec<Cow<'_, str>> = wanted.iter().map(|index| index.name_in(self.dialect)).collect();
        let mut dropped: Vec<&str> = Vec::new();
        for table in self.tables.values() {
            let given = format!("{}.", table.name);
            for index in table.indexes.iter().filter(|index| index.is_plain()) {
                let is_named_here = index.name.starts_with(&given) || ddl::is_shortened(&index.name);
                let is_ours = is_named_here && !table.name.starts_with('_');
                if is_ours && !names.iter().any(|name| *name == index.name) {
                    dropped.push(&index.name);
                }
            }
        }
        dropped.sort_unstable();
        for name in dropped {
            let mut w = Writer::new(self.schema, self.dialect);
            w.text("DROP INDEX ");
            w.identifier(name);
            self.statements.push(w.into_text());
        }
        for index in wanted.iter().filter(|index| !is_there(&self.tables, index)) {
            self.statements.push(ddl::create_index(self.schema, self.dialect, index));
        }
    }
}

fn constant_default(column: &Column) -> Option<&Value> {
    match &column.default.as_ref()?.node {
        Node::Literal(Value::Null) => None,
        Node::Literal(value) => Some(value),
        _ => None,
    }
}
