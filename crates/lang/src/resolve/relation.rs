//! To-many relations: the reverse of a column, many-to-many with its link table, and the other side of one.

use super::modifier::keyword;
use super::{Resolver, with_help};
use crate::diagnostic::Diagnostic;
use crate::naming;
use crate::schema::{ColumnId, LinkTable, Member, Relation, RelationId, RelationKind, TableId};
use crate::source::Span;
use crate::syntax::{self, Member as Line, ModifierKind, Name};
use std::collections::HashMap;
use std::sync::Arc;

/// What is said of a relation behind its type.
struct RelationWords {
    hidden: bool,
    db_name: Option<String>,
    was: Option<String>,
    /// The columns of its link table that lead to this table and to the other.
    sides: Option<(String, String)>,
}

impl<'a> Resolver<'a> {
    pub(super) fn relations(&mut self) {
        for (table, members) in self.tables() {
            for line in members {
                if let Line::Column(declared) = line
                    && self.is_to_many(declared)
                    && let Some(target) = self.type_table(&declared.ty)
                {
                    self.relation(table, declared, target);
                }
            }
        }
        // The other sides come last: they may name a relation of a table further down.
        for index in 0..self.drafts.len() {
            let table = TableId(u32::try_from(index).expect("an app has fewer than 2^32 tables"));
            for (id, declared) in self.drafts[index].relations.clone() {
                if let Some(by) = &declared.ty.by {
                    self.other_side(table, id, declared, by);
                }
            }
        }
        self.unique_link_names();
    }

    fn relation(&mut self, table: TableId, declared: &'a syntax::Column, target: TableId) {
        let of = &self.schema.tables[table.0 as usize];
        let id =
            RelationId(u32::try_from(of.relations.len()).expect("a table has fewer than 2^32 relations"));
        let link_name = format!("{}_{}", of.name, declared.name.text);
        if !self.add_member(table, &declared.name, Member::Relation(id)) {
            return;
        }
        if !declared.ty.args.is_empty() {
            self.error("type.argument", declared.ty.span, "a table takes no arguments");
        }
        if declared.nullable {
            let message = "many rows may be none, but never null: leave `?` away";
            self.error("modifier.misplaced", declared.span, message);
        }
        let RelationWords { hidden, db_name, was, sides } = self.relation_modifiers(declared);
        let db_name = db_name.unwrap_or(link_name);
        if declared.ty.by.is_none() && db_name.len() > naming::NAME_BYTES_MAX {
            let message = format!("the link table's name `{db_name}` is too long for databases");
            self.report(
                Diagnostic::error("name.style", declared.name.span, message)
                    .help("give it a shorter one with `db \"…\"`"),
            );
        }
        let kind = if declared.ty.by.is_some() {
            // Set by `other_side`.
            RelationKind::Reverse { column: ColumnId::ID }
        } else {
            if self.drafts[table.0 as usize].is_stream {
                let message =
                    "a stream changes only by its events: it cannot declare a many-to-many relation";
                self.error("stream.relation", declared.ty.span, message);
            }
            let (owner_column, target_column) =
                sides.unwrap_or_else(|| ("owner".to_owned(), "target".to_owned()));
            RelationKind::Link(Arc::new(LinkTable {
                db_name,
                owner: table,
                target,
                owner_column,
                target_column,
            }))
        };
        let relation = Relation {
            id,
            name: declared.name.text.clone(),
            was,
            docs: declared.docs.clone(),
            target,
            kind,
            hidden,
            span: declared.name.span,
        };
        self.schema.tables[table.0 as usize].relations.push(relation);
        self.drafts[table.0 as usize].relations.push((id, declared));
    }

    fn relation_modifiers(&mut self, declared: &syntax::Column) -> RelationWords {
        let mut hidden = false;
        let mut was = None;
        let mut db_name = None;
        let mut sides = None;
        for modifier in &declared.modifiers {
            match &modifier.kind {
                ModifierKind::Hidden => hidden = true,
                ModifierKind::Db(text, columns) if declared.ty.by.is_none() => {
                    db_name = self.db_name(text);
                    sides = self.link_columns(columns, modifier.span);
                }
                ModifierKind::Was(name) if declared.ty.by.is_none() => was = Some(name.text.clone()),
                ModifierKind::OnDelete(_) => self.misplaced(modifier, "it stands at the column that refers"),
                kind => {
                    let message = format!("`{}` does not fit a relation to many rows", keyword(kind));
                    self.error("modifier.misplaced", modifier.span, message);
                }
            }
        }
        RelationWords { hidden, db_name, was, sides }
    }

    /// The columns that a link table of a database made by others has.
    fn link_columns(&mut self, columns: &[syntax::Text], span: Span) -> Option<(String, String)> {
        match columns {
            [] => None,
            [owner, target] => Some((self.db_name(owner)?, self.db_name(target)?)),
            _ => {
                let message =
                    "a table between two others has two columns: first the one that leads to this table";
                self.error("type.argument", span, message);
                None
            }
        }
    }

    /// `T[] by name`: the name is a column of T that refers here, or a many-to-many relation of T that leads here.
    fn other_side(&mut self, table: TableId, id: RelationId, declared: &syntax::Column, by: &Name) {
        let Some(target) = self.type_table(&declared.ty) else { return };
        let of = self.schema.table(target);
        let here = self.schema.table(table).name.clone();
        let kind = match of.members.get(&by.text) {
            Some(Member::Column(column)) if of.column(*column).target() == Some(table) => {
                Some(RelationKind::Reverse { column: *column })
            }
            Some(Member::Relation(relation)) => match &of.relation(*relation).kind {
                RelationKind::Link(link) if link.target == table => {
                    Some(RelationKind::LinkReverse { relation: *relation, link: Arc::clone(link) })
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(kind) = kind {
            self.schema.tables[table.0 as usize].relations[id.0 as usize].kind = kind;
            return;
        }
        let message = if of.members.contains_key(&by.text) {
            format!("`{}.{}` does not refer to `{here}`", of.name, by.text)
        } else {
            format!("`{}` has no column `{}`", of.name, by.text)
        };
        let candidates: Vec<&str> = of
            .columns
            .iter()
            .filter(|column| column.target() == Some(table))
            .map(|column| column.name.as_str())
            .chain(
                of.relations
                    .iter()
                    .filter(|r| matches!(&r.kind, RelationKind::Link(link) if link.target == table))
                    .map(|r| r.name.as_str()),
            )
            .collect();
        let help = match candidates.as_slice() {
            [] => Some(format!(
                "`{}` needs a column such as `{} {here}`",
                of.name,
                naming::to_snake_case(&here)
            )),
            [only] => Some(format!("did you mean `{only}`?")),
            many => Some(format!("it may be one of {}", many.join(", "))),
        };
        self.report(with_help(Diagnostic::error("relation.unknown", by.span, message), help));
    }

    fn unique_link_names(&mut self) {
        let mut seen: HashMap<String, Span> =
            self.schema.tables.iter().map(|table| (self.told_apart(&table.db_name), table.span)).collect();
        let links: Vec<(String, Span)> = self
            .schema
            .tables
            .iter()
            .flat_map(|table| &table.relations)
            .filter_map(|relation| match &relation.kind {
                RelationKind::Link(link) => Some((link.db_name.clone(), relation.span)),
                _ => None,
            })
            .collect();
        for (name, span) in links {
            if let Some(first) = seen.insert(self.told_apart(&name), span) {
                self.duplicate(span, format!("two tables are called `{name}` in the database"), first);
            }
        }
    }
}
