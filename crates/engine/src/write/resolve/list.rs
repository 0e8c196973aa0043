//! Parts under to-many relations: rows that are made, added, taken out, or changed where they are.

use mainstay_lang::schema::{Relation, RelationKind};

use super::{Planner, Role, malformed, shown};
use crate::document::join_path;
use crate::error::Error;
use crate::part::{Field, Part};
use crate::write::plan::{ListChange, ListStep, Step};

impl<'a> Planner<'a> {
    /// Under a new row: every part makes or finds one row and adds it. `is_shown`: the answer shows those rows.
    pub(super) fn created_list(
        &mut self,
        relation: &'a Relation,
        field: &Field,
        path: &str,
        is_shown: bool,
    ) -> Result<Vec<ListStep>, Error> {
        let mut steps = Vec::new();
        for part in rows_of(field, path)? {
            if part.keywords.contains(&"remove") {
                return Err(malformed(&part.path, "a new row has nothing to remove"));
            }
            if part.keywords.contains(&"add") {
                for added in &part.add {
                    steps.push(self.added(relation, added, path, is_shown)?);
                }
                continue;
            }
            let step = self.row_step(relation, &part)?;
            steps.push(list_step(relation, path, ListChange::Add { step, one: true }, is_shown));
        }
        Ok(steps)
    }

    /// Under rows that were found. Once one part under a relation writes, all of them run as steps, in order.
    pub(super) fn found_list(
        &mut self,
        relation: &'a Relation,
        field: &Field,
        path: &str,
    ) -> Result<Vec<ListStep>, Error> {
        let target = self.schema.table(relation.target);
        let mut steps = Vec::new();
        for part in rows_of(field, path)? {
            if part.create {
                let step = self.row_step(relation, &part)?;
                steps.push(list_step(relation, path, ListChange::Add { step, one: true }, true));
                continue;
            }
            let is_container = part.keywords.iter().any(|word| matches!(*word, "add" | "remove"));
            if !is_container {
                let step = self.step(target, &part, Role::Plain, None)?;
                steps.push(list_step(relation, path, ListChange::Within(step), true));
                continue;
            }
            super::refuse_keywords(&part, "add` and `remove", &["set", "delete", "if_updated", "all"])?;
            let asks = shown::asks_beside_change(field);
            if part.get.is_some() && !asks {
                return Err(malformed(
                    &part.path,
                    "`add` and `remove` with `get` stand alone, not in an array",
                ));
            }
            for added in &part.add {
                steps.push(self.added(relation, added, path, !asks)?);
            }
            for removed in &part.remove {
                self.require_constraint(target, removed, "remove")?;
                let step = self.step(target, removed, Role::Removed, None)?;
                steps.push(list_step(relation, path, ListChange::Remove(step), false));
            }
        }
        Ok(steps)
    }

    /// `set: {"receivers": […]}`
    pub(super) fn replaced_list(
        &mut self,
        relation: &'a Relation,
        field: &Field,
        path: &str,
    ) -> Result<ListStep, Error> {
        let parts = rows_of(field, path)?;
        let steps = parts.iter().map(|part| self.row_step(relation, part)).collect::<Result<_, _>>()?;
        Ok(list_step(relation, path, ListChange::Replace(steps), false))
    }

    fn added(
        &mut self,
        relation: &'a Relation,
        part: &Part,
        path: &str,
        is_shown: bool,
    ) -> Result<ListStep, Error> {
        if !part.create {
            self.require_constraint(self.schema.table(relation.target), part, "add")?;
        }
        let step = self.row_step(relation, part)?;
        Ok(list_step(relation, path, ListChange::Add { step, one: false }, is_shown))
    }

    /// A row that a relation shall have.
    fn row_step(&mut self, relation: &'a Relation, part: &Part) -> Result<Step, Error> {
        let target = self.schema.table(relation.target);
        let given = match relation.kind {
            RelationKind::Reverse { column } => Some(target.column(column).name.as_str()),
            _ => None,
        };
        self.step(target, part, Role::Linked, given)
    }
}

fn list_step(relation: &Relation, path: &str, change: ListChange, is_shown: bool) -> ListStep {
    ListStep { relation: relation.id, path: path.to_owned(), change, is_shown }
}

/// The parts under a to-many relation; a scalar is the key of a row.
fn rows_of(field: &Field, path: &str) -> Result<Vec<Part>, Error> {
    let Field::Array(_, items) = field else { return Ok(vec![row_of(field, path)?]) };
    items.iter().enumerate().map(|(index, item)| row_of(item, &join_path(path, &index.to_string()))).collect()
}

fn row_of(field: &Field, path: &str) -> Result<Part, Error> {
    match field {
        Field::Object(..) => Ok(field.part()?.cloned().unwrap_or_default()),
        Field::Scalar(_) if !field.is_null() => Ok(Part {
            path: path.to_owned(),
            fields: vec![("id".to_owned(), field.clone())],
            by_key: true,
            ..Part::default()
        }),
        _ => Err(malformed(path, "must be a part (an object), the id of a row, or an array of these")),
    }
}
