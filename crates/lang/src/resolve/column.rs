//! Columns: the ones that every table has, the declared scalars, and to-one relations.
//!
//! Expressions of a column (its default, bounds and selectors) are left for [`super::value`], which needs all columns
//! of all tables.

use super::Resolver;
use crate::diagnostic::Diagnostic;
use crate::schema::{Column, ColumnId, Member, OnDelete, TableId};
use crate::source::Span;
use crate::syntax::{self, Member as Line};
use crate::types::Type;
use std::collections::HashMap;

impl<'a> Resolver<'a> {
    pub(super) fn columns(&mut self) {
        for (table, members) in self.tables() {
            let declared: Vec<&'a syntax::Column> = members.into_iter().filter_map(column_line).collect();
            let id = declared.iter().copied().find(|column| column.name.text == "id");
            self.given_columns(table, id);
            for column in declared {
                if id.is_some_and(|id| std::ptr::eq(id, column)) || self.is_to_many(column) {
                    continue;
                }
                self.declared_column(table, column);
            }
            self.unique_column_db_names(table);
        }
    }

    /// Whether a line declares a to-many relation, which is no column.
    pub(super) fn is_to_many(&self, column: &syntax::Column) -> bool {
        column.ty.list && self.type_table(&column.ty).is_some()
    }

    fn given_columns(&mut self, table: TableId, id: Option<&'a syntax::Column>) {
        let draft = &self.drafts[table.0 as usize];
        let (span, tenant) = (draft.name.span, draft.declaration.tenant);
        let mut key = plain("id", Type::Uuid, id.map_or(span, |id| id.name.span));
        key.immutable = true;
        if let Some(declared) = id {
            self.key(table, &mut key, declared);
        }
        let stamp = |name: &str| plain(name, Type::Timestamp, span);
        let mut given = vec![key, stamp("created"), stamp("updated")];
        if let Some(span) = tenant {
            let mut tenant = plain("tenant", Type::Uuid, span);
            tenant.immutable = true;
            given.push(tenant);
        }
        let into = &mut self.schema.tables[table.0 as usize];
        for mut column in given {
            column.id = next_column(&into.columns);
            into.members.insert(column.name.clone(), Member::Column(column.id));
            if column.name == "tenant" {
                into.tenant = Some(column.id);
            }
            into.columns.push(column);
        }
    }

    /// `id int`, `id text(n)`: another key than a uuid.
    fn key(&mut self, table: TableId, key: &mut Column, declared: &'a syntax::Column) {
        key.docs.clone_from(&declared.docs);
        match self.value_type(&declared.ty) {
            Some(ty @ (Type::Uuid | Type::Int | Type::Text { max: Some(_) })) => key.ty = ty,
            Some(Type::Text { max: None }) => {
                self.error(
                    "type.argument",
                    declared.ty.span,
                    "a key of text says its longest length, such as text(64)",
                );
            }
            Some(_) => self.error("type.argument", declared.ty.span, "a key is `uuid`, `int` or `text(n)`"),
            None => {}
        }
        if declared.nullable {
            self.error("modifier.misplaced", declared.span, "a key cannot be null");
        }
        self.key_modifiers(table, key, declared);
        self.drafts[table.0 as usize].columns.push((ColumnId::ID, declared));
    }

    fn declared_column(&mut self, table: TableId, declared: &'a syntax::Column) {
        let id = next_column(&self.schema.table(table).columns);
        if !self.add_member(table, &declared.name, Member::Column(id)) {
            return;
        }
        // A column of a type that is not known still has its name, so that nothing else is said about it.
        let ty = self.value_type(&declared.ty).unwrap_or(Type::Null);
        let is_stream = self.drafts[table.0 as usize].is_stream;
        let mut column = plain(&declared.name.text, ty, declared.name.span);
        column.id = id;
        column.docs.clone_from(&declared.docs);
        column.nullable = declared.nullable;
        if column.target().is_some() && column.nullable && !is_stream {
            column.on_delete = OnDelete::Null;
        }
        if let Some(target) = column.target().filter(|target| self.schema.table(*target).is_system()) {
            let name = &self.schema.table(target).name;
            let message = format!("rows of `{name}` come and go by themselves, so nothing can refer to one");
            let help = "keep its id in a column of type uuid";
            self.report(Diagnostic::error("type.reference", declared.ty.span, message).help(help));
        }
        self.column_modifiers(table, &mut column, declared);
        self.schema.tables[table.0 as usize].columns.push(column);
        self.drafts[table.0 as usize].columns.push((id, declared));
    }

    fn unique_column_db_names(&mut self, table: TableId) {
        let mut seen: HashMap<String, Span> = HashMap::new();
        let names: Vec<(String, Span)> =
            self.schema.table(table).columns.iter().map(|c| (c.db_name.clone(), c.span)).collect();
        for (name, span) in names {
            if let Some(first) = seen.insert(name.to_ascii_lowercase(), span) {
                self.duplicate(span, format!("two columns are called `{name}` in the database"), first);
            }
        }
    }
}

fn column_line(line: &Line) -> Option<&syntax::Column> {
    match line {
        Line::Column(column) => Some(column),
        _ => None,
    }
}

fn next_column(columns: &[Column]) -> ColumnId {
    ColumnId(u32::try_from(columns.len()).expect("a table has fewer than 2^32 columns"))
}

fn plain(name: &str, ty: Type, span: Span) -> Column {
    Column {
        id: ColumnId::ID,
        name: name.into(),
        db_name: name.into(),
        was: None,
        docs: String::new(),
        ty,
        nullable: false,
        default: None,
        unique: false,
        trim: false,
        lower: false,
        min: None,
        max: None,
        pattern: None,
        immutable: false,
        secret: false,
        hidden: false,
        on_delete: OnDelete::Restrict,
        auto: None,
        span,
    }
}
