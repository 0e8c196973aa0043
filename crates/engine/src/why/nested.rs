//! From rows to those that the parts nested in theirs are about.

use std::borrow::Cow;
use std::collections::HashSet;

use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::schema::{Column, ColumnId, Member, Relation, RelationKind, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use super::read::{Reading, Shown};
use crate::document::join_path;
use crate::error::Error;
use crate::expression::{column_here, expr};
use crate::part::{Get, Part};
use crate::resolve::constraint::nested_part;
use crate::resolve::{Params, name};

/// Rows that may hang on those of one part.
const KEYS_MAX: usize = 10_000;

/// The rows that a nested part is about.
pub(super) struct Among {
    keys: Vec<Value>,
    /// The column of theirs that leads back, and the rule under which it may be read, when it has one.
    pub(super) through: Option<(ColumnId, Expr)>,
}

impl Among {
    /// The row is one of them.
    pub(super) fn condition(&self, table: &Table, params: &mut Params) -> Expr {
        let id = column_here(table, ColumnId::ID);
        let items = self.keys.iter().map(|key| params.add(key.clone(), &id.ty)).collect();
        expr(Node::In { value: Box::new(id), items }, Type::Bool)
    }
}

impl Reading<'_> {
    /// Asks the parts nested in one about what hangs on the rows that are shown.
    pub(super) async fn nested(&mut self, table: &Table, part: &Part, shown: &[Shown]) -> Result<(), Error> {
        let schema = self.engine.schema();
        for (member, nested) in self.members(table, part)? {
            let (target, keys, through) = match member {
                Member::Column(id) => {
                    let column = table.column(id);
                    let Some(target) = column.target() else { continue };
                    (schema.table(target), keys_of(column, shown), None)
                }
                Member::Relation(id) => {
                    let relation = table.relation(id);
                    let through = match relation.kind {
                        RelationKind::Reverse { column } => {
                            self.guard().relation_filter(table.id, id).map(|rule| (column, rule))
                        }
                        RelationKind::Link(_) | RelationKind::LinkReverse { .. } => None,
                    };
                    (schema.table(relation.target), self.linked(relation, shown).await?, through)
                }
            };
            let mut seen = HashSet::new();
            let mut keys: Vec<Value> =
                keys.into_iter().filter(|key| !key.is_null() && seen.insert(key.to_json())).collect();
            self.beyond(&nested.path, target, keys.len().saturating_sub(KEYS_MAX));
            keys.truncate(KEYS_MAX);
            if !keys.is_empty() {
                self.part(target, &nested, Some(Among { keys, through })).await?;
            }
        }
        Ok(())
    }

    /// The parts in a part that read, with the relations that they are about.
    fn members<'p>(&self, table: &Table, part: &'p Part) -> Result<Vec<(Member, Cow<'p, Part>)>, Error> {
        let mut members = Vec::new();
        for item in part.get.iter().flatten() {
            let Get::Member(name, got) = item else { continue };
            let path = join_path(&part.path, "get");
            let member = name::member(table, name, &path)?;
            let is_key = matches!(member, Member::Column(_)) && got.is_empty();
            if !is_key && !part.fields.iter().any(|(field, _)| field == name) {
                let nested = Part { path, get: Some(got.clone()), ..Part::default() };
                members.push((member, Cow::Owned(nested)));
            }
        }
        for (name, field) in &part.fields {
            let path = join_path(&part.path, name);
            let member = name::member(table, name, &path)?;
            let parts = match member {
                Member::Column(id) => nested_part(table.column(id), field)?.into_iter().collect(),
                Member::Relation(id) => self.resolver().parts_of_many(table.relation(id), field, &path)?,
            };
            let reading = parts.into_iter().filter(|part| {
                !part.create && part.add.is_empty() && part.remove.is_empty() && part.aggregate.is_empty()
            });
            members.extend(reading.map(|part| (member, Cow::Borrowed(part))));
        }
        Ok(members)
    }

    /// The keys of a relation's rows.
    async fn linked(&self, relation: &Relation, shown: &[Shown]) -> Result<Vec<Value>, Error> {
        let schema = self.engine.schema();
        let (link, from_owner) = match &relation.kind {
            RelationKind::Reverse { column } => {
                let target = schema.table(relation.target);
                let mut params = Params::default();
                let back = column_here(target, *column);
                let items = shown.iter().map(|shown| params.add(shown.row[0].clone(), &back.ty)).collect();
                let among = expr(Node::In { value: Box::new(back), items }, Type::Bool);
                // One more than are looked at tells that there are more.
                let rows = self.images(target.id, vec![among], KEYS_MAX + 1);
                let rows = self.values(rows, params.values()).await?;
                return Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).collect());
            }
            RelationKind::Link(link) => (link, true),
            RelationKind::LinkReverse { link, .. } => (link, false),
        };
        let mut keys = Vec::new();
        for shown in shown {
            let statement = mainstay_sql::linked(schema, self.engine.dialect, link, from_owner);
            keys.extend(self.values(statement, &shown.row[..1]).await?.into_iter().flatten());
        }
        Ok(keys)
    }
}

/// What a to-one column refers to, where it may be read.
fn keys_of(column: &Column, shown: &[Shown]) -> Vec<Value> {
    let readable = shown.iter().filter(|shown| !shown.withheld.contains(&column.id));
    readable.map(|shown| shown.row[column.id.0 as usize].clone()).collect()
}
