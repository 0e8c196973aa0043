//! Columns: the ones that every table has, the declared scalars, and to-one relations.
//!
//! Expressions of a column (its default, bounds and selectors) are left for [`super::value`], which needs all columns
//! of all tables.

use super::Resolver;
use crate::diagnostic::Diagnostic;
use crate::schema::{Column, ColumnId, Member, OnDelete, Stamp, TableId};
use crate::source::Span;
use crate::syntax::{self, Member as Line};
use crate::types::Type;
use std::collections::HashMap;

impl<'a> Resolver<'a> {
    pub(super) fn columns(&mut self) {
        for (table, members) in self.tables() {
            let declared: Vec<&'a syntax::Column> = members.into_iter().filter_map(column_line).collect();
            let given = self.given_columns(table, &declared);
            for column in declared {
                if given.iter().any(|given| std::ptr::eq(*given, column)) || self.is_to_many(column) {
                    continue;
                }
                self.declared_column(table, column);
            }
            self.key_columns(table);
            self.unique_column_db_names(table);
        }
    }

    /// Whether a line declares a to-many relation, which is no column.
    pub(super) fn is_to_many(&self, column: &syntax::Column) -> bool {
        column.ty.list && self.type_table(&column.ty).is_some()
    }

    /// The columns that every table has; answers the lines that say more about them.
    fn given_columns(&mut self, table: TableId, declared: &[&'a syntax::Column]) -> Vec<&'a syntax::Column> {
        let draft = &self.drafts[table.0 as usize];
        let (span, tenant) = (draft.name.span, draft.declaration.tenant);
        let named = |name: &str| declared.iter().copied().find(|column| column.name.text == name);
        let id = named("id");
        let without = self.without(table);
        let mut said: Vec<&'a syntax::Column> = id.into_iter().collect();
        let mut key = plain("id", Type::Uuid, id.map_or(span, |id| id.name.span));
        key.immutable = true;
        if let Some(declared) = id {
            self.key(table, &mut key, declared);
        }
        let mut given = vec![key];
        for (name, stamp) in [("created", Stamp::Created), ("updated", Stamp::Updated)] {
            if without.contains(&stamp) {
                continue;
            }
            let mut column = plain(name, Type::Timestamp, span);
            column.stamp = Some(stamp);
            // Elsewhere it is refused with the other names that are given already.
            if let Some(declared) = named(name).filter(|_| self.schema.existing) {
                self.stamp(&mut column, declared);
                said.push(declared);
            }
            given.push(column);
        }
        if let Some(span) = tenant {
            let mut tenant = plain("tenant", Type::Uuid, span);
            tenant.immutable = true;
            given.push(tenant);
        }
        let into = &mut self.schema.tables[table.0 as usize];
        for mut column in given {
            column.id = next_column(&into.columns);
            into.members.insert(column.name.clone(), Member::Column(column.id));
            match column.stamp {
                Some(Stamp::Created) => into.created = Some(column.id),
                Some(Stamp::Updated) => into.updated = Some(column.id),
                None if column.name == "tenant" => into.tenant = Some(column.id),
                None => {}
            }
            into.columns.push(column);
        }
        said
    }

    /// The stamps that a table of a database made by others does not have.
    fn without(&mut self, table: TableId) -> Vec<Stamp> {
        let mut without = Vec::new();
        for line in self.drafts[table.0 as usize].members.clone() {
            let Line::Without { columns, span } = line else { continue };
            if !self.schema.existing {
                let message = "every table has `created` and `updated`, but for those of a database that others made: \
                               `app name existing` says that it is one";
                self.error("existing.only", *span, message);
                continue;
            }
            for name in columns {
                match name.text.as_str() {
                    "created" => without.push(Stamp::Created),
                    "updated" => without.push(Stamp::Updated),
                    _ => self.unknown(
                        name,
                        format!("a table can be without `created` or `updated`, not without `{}`", name.text),
                        ["created", "updated"],
                    ),
                }
            }
        }
        without
    }

    /// `updated timestamp db "last_update"`
    fn stamp(&mut self, column: &mut Column, declared: &'a syntax::Column) {
        column.docs.clone_from(&declared.docs);
        column.span = declared.name.span;
        let is_timestamp = self.value_type(&declared.ty) == Some(Type::Timestamp);
        if !is_timestamp || declared.nullable {
            let message = format!(
                "`{0}` is the server's own: a timestamp that is never null. For a column that is something else choose \
                 another name, and say `without {0}`",
                column.name
            );
            self.error("type.argument", declared.ty.span, message);
        }
        for modifier in &declared.modifiers {
            match &modifier.kind {
                syntax::ModifierKind::Db(text, _) => {
                    if let Some(name) = self.db_name(text) {
                        column.db_name = name;
                    }
                }
                _ => self.misplaced(modifier, "the server keeps this column by itself"),
            }
        }
    }

    /// `id text(n) of (order, product)`: the columns that the key is put together from. They never change, and lead to rows that
    /// have simple keys.
    fn key_columns(&mut self, table: TableId) {
        let of = self.drafts[table.0 as usize].columns.first().filter(|(id, _)| *id == ColumnId::ID);
        let modifiers = of.map(|(_, declared)| declared.modifiers.as_slice()).unwrap_or_default();
        for modifier in modifiers {
            let syntax::ModifierKind::Of(names) = &modifier.kind else { continue };
            if !self.schema.existing {
                let message = "a key is put together from columns only in a database that others made: \
                               `app name existing` says that it is one";
                self.error("existing.only", modifier.span, message);
                continue;
            }
            if !matches!(self.schema.key_type(table), Type::Text { .. }) {
                self.error(
                    "type.argument",
                    modifier.span,
                    "a key that is put together from columns is `text(n)`",
                );
            }
            for name in names {
                let Some(id) = self.column_of(table, name) else { continue };
                let column = &mut self.schema.tables[table.0 as usize].columns[id.0 as usize];
                column.immutable = true;
                let fits = matches!(
                    column.ty,
                    Type::Int | Type::Uuid | Type::Text { .. } | Type::Date | Type::Enum(_) | Type::Ref(_)
                );
                if column.id == ColumnId::ID || column.nullable || !fits {
                    self.error(
                        "type.argument",
                        name.span,
                        "a key is put together from required columns of int, uuid, text, date, enum or of references",
                    );
                    continue;
                }
                self.schema.tables[table.0 as usize].key_of.push(id);
            }
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
            if let Some(first) = seen.insert(self.told_apart(&name), span) {
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
        stamp: None,
        generated: None,
        span,
    }
}
