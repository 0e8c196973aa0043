//! Which hooks a request can meet, and those that see it before it is planned.
//!
//! Looks at names alone: what a name does not say, the planner will refuse. A request is taken to meet a hook when any of its
//! parts, or any row that can go by a cascade, is of a table that has one.

use std::collections::HashSet;

use mainstay_lang::schema::{Member, OnDelete, Schema, Table, TableId};

use super::{Answers, Hooking, Hooks};
use crate::error::Error;
use crate::part::{Document, Field, Part, Raw};

/// The tables that a request names, and those that its deletions reach.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Named by a part.
    pub(crate) tables: HashSet<TableId>,
    /// Written by a deletion of another row.
    reached: HashSet<TableId>,
}

impl Touched {
    /// Of a request.
    pub(crate) fn of(schema: &Schema, documents: &[Document]) -> Touched {
        let mut touched = Touched::default();
        for entry in documents.iter().flat_map(|document| &document.entries) {
            if let Some(table) = schema.table_named(&entry.table) {
                entry.parts.iter().for_each(|part| touched.part(schema, table, part));
            }
        }
        touched
    }

    fn part(&mut self, schema: &Schema, table: &Table, part: &Part) {
        self.tables.insert(table.id);
        if part.delete {
            self.deletion(schema, table.id);
        }
        part.add.iter().chain(&part.remove).for_each(|part| self.part(schema, table, part));
        let set = part.set.as_deref().unwrap_or_default();
        for (name, field) in part.fields.iter().chain(set) {
            let Some(target) = target(schema, table, name) else { continue };
            // Rows of a list are written by being named, even by their keys alone.
            if let Some(Member::Relation(_)) = table.members.get(name) {
                self.tables.insert(target.id);
            }
            items(field).for_each(|part| self.part(schema, target, part));
        }
    }

    fn deletion(&mut self, schema: &Schema, table: TableId) {
        let mut going = vec![table];
        let mut gone = HashSet::new();
        while let Some(to) = going.pop() {
            if !gone.insert(to) {
                continue;
            }
            self.reached.insert(to);
            for other in &schema.tables {
                for column in other.columns.iter().filter(|column| column.target() == Some(to)) {
                    self.reached.insert(other.id);
                    going.extend((column.on_delete == OnDelete::Cascade).then_some(other.id));
                }
                let links = other.relations.iter().any(|relation| relation.target == to);
                self.reached.extend(links.then_some(other.id));
            }
        }
    }

    /// Whether hooks are called inside the transaction of a request that writes.
    pub(crate) fn meets(&self, hooks: &Hooks) -> bool {
        !hooks.request.on_response.is_empty()
            || self.tables.iter().any(|table| {
                let hooks = hooks.table(*table);
                hooks.sees_writes() || !hooks.on_request.is_empty() || !hooks.on_result.is_empty()
            })
            || self.reached.iter().any(|table| hooks.table(*table).sees_writes())
    }

    /// Whether hooks see the request before it is planned.
    pub(crate) fn is_seen(&self, hooks: &Hooks) -> bool {
        self.tables.iter().any(|table| !hooks.table(*table).on_request.is_empty())
    }

    /// Whether hooks see the answer.
    pub(crate) fn is_answered(&self, hooks: &Hooks) -> bool {
        !hooks.request.on_response.is_empty()
            || self.tables.iter().any(|table| !hooks.table(*table).on_result.is_empty())
    }
}

fn target<'s>(schema: &'s Schema, table: &Table, name: &str) -> Option<&'s Table> {
    let target = match table.members.get(name)? {
        Member::Column(id) => table.column(*id).target()?,
        Member::Relation(id) => table.relation(*id).target,
    };
    Some(schema.table(target))
}

fn items(field: &Field) -> impl Iterator<Item = &Part> {
    let items = match field {
        Field::Array(_, items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    items.iter().filter_map(|item| item.part().ok().flatten())
}

impl Hooking {
    /// Calls `on_request` for every part, parents before what is nested in them.
    ///
    /// # Errors
    /// What a hook refuses.
    pub(crate) async fn requests(
        &self,
        answers: &mut dyn Answers,
        documents: &mut [Document],
    ) -> Result<(), Error> {
        let schema = self.planning.schema().clone();
        for entry in documents.iter_mut().flat_map(|document| &mut document.entries) {
            let Some(table) = schema.table_named(&entry.table) else { continue };
            for part in &mut entry.parts {
                self.request(answers, &schema, table, part).await?;
            }
        }
        Ok(())
    }

    async fn request(
        &self,
        answers: &mut dyn Answers,
        schema: &Schema,
        table: &Table,
        part: &mut Part,
    ) -> Result<(), Error> {
        let hooks = &self.planning.hooks.table(table.id).on_request;
        if !hooks.is_empty() {
            let path = part.path.clone();
            let site = (Some(table.id), "on_request", path.as_str());
            *part = self.call_all(answers, hooks, site, std::mem::take(part)).await?;
        }
        for nested in part.add.iter_mut().chain(&mut part.remove) {
            Box::pin(self.request(answers, schema, table, nested)).await?;
        }
        for (name, field) in part.fields.iter_mut().chain(part.set.iter_mut().flatten()) {
            let Some(target) = target(schema, table, name) else { continue };
            let items = match field {
                Field::Array(_, items) => items.as_mut_slice(),
                other => std::slice::from_mut(other),
            };
            for item in items {
                let Field::Object(raw, Ok(part)) = item else { continue };
                Box::pin(self.request(answers, schema, target, part)).await?;
                // Two parts are told apart by their text, which a hook may have made untrue.
                if !self.planning.hooks.table(target.id).on_request.is_empty() {
                    *raw = Raw::of_text(&part.path);
                }
            }
        }
        Ok(())
    }
}
