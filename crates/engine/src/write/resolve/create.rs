//! `create: true`: the values of a new row.

use mainstay_lang::schema::{Column, ColumnId, Member, Table};
use mainstay_lang::types::Type;

use super::{Planner, Role, malformed, refuse_keywords};
use crate::document::join_path;
use crate::error::Error;
use crate::part::{Field, Part};
use crate::resolve::output::is_asked_into;
use crate::write::plan::{Assign, NewValue, Source, Step};
use crate::write::value;

/// What `create` knows beside itself is `get`.
const REFUSED: &[&str] = &[
    "add",
    "after",
    "aggregate",
    "all",
    "count",
    "delete",
    "group",
    "if_updated",
    "limit",
    "offset",
    "order",
    "params",
    "remove",
    "required",
    "set",
    "where",
];

impl<'a> Planner<'a> {
    /// A new row; the column `given` is filled by the row around it.
    pub(super) fn create(
        &mut self,
        table: &'a Table,
        part: &Part,
        given: Option<&str>,
    ) -> Result<Step, Error> {
        refuse_keywords(part, "create", REFUSED)?;
        let mut step = Step {
            path: part.path.clone(),
            table: table.id,
            source: Source::Create,
            ones: Vec::new(),
            assigns: Vec::new(),
            lists: Vec::new(),
            deletes: false,
            shown: self.shown(table, part)?,
        };
        for (name, field) in &part.fields {
            let path = join_path(&part.path, name);
            match self.member(table, name, &path)? {
                Member::Column(id) => {
                    if given == Some(name) {
                        return Err(malformed(&path, "is given by the row around it"));
                    }
                    let column = table.column(id);
                    if let Some(value) = self.created_value(table, column, field, &path)? {
                        let is_shown = !is_asked_into(part, name);
                        step.assigns.push(Assign { column: id, path, is_shown, value });
                    }
                }
                Member::Relation(id) => {
                    let is_shown = !is_asked_into(part, name);
                    step.lists.extend(self.created_list(table.relation(id), field, &path, is_shown)?);
                }
            }
        }
        self.note_missing(table, part, given);
        Ok(step)
    }

    fn created_value(
        &mut self,
        table: &Table,
        column: &Column,
        field: &Field,
        path: &str,
    ) -> Result<Option<NewValue>, Error> {
        if column.id == ColumnId::ID && !table.key_of.is_empty() {
            self.problems.add(path, "managed", "is put together from other columns");
            return Ok(None);
        }
        if column.is_managed() || (Some(column.id) == table.tenant && !self.gives_tenant) {
            self.problems.add(path, "managed", "is kept by the server");
            return Ok(None);
        }
        self.new_value(column, field, path)
    }

    /// A value that a column is given, at creation or by `set`.
    pub(super) fn new_value(
        &mut self,
        column: &Column,
        field: &Field,
        path: &str,
    ) -> Result<Option<NewValue>, Error> {
        let Some(target) = column.target() else {
            let ty = &column.ty;
            let value = value::read(column, ty, field.raw(), path, &mut self.problems);
            return Ok(value.map(NewValue::Given));
        };
        let target = self.schema.table(target);
        match field {
            Field::Object(..) => {
                let Some(part) = field.part()? else { return Ok(None) };
                let step = self.step(target, part, Role::Linked, None)?;
                Ok(Some(NewValue::Row(Box::new(step))))
            }
            _ => {
                let key = value::read(
                    column,
                    &target.column(ColumnId::ID).ty,
                    field.raw(),
                    path,
                    &mut self.problems,
                );
                Ok(key.map(|key| if key.is_null() { NewValue::Given(key) } else { NewValue::Key(key) }))
            }
        }
    }

    /// Columns that must have a value and get none.
    fn note_missing(&mut self, table: &Table, part: &Part, given: Option<&str>) {
        // A hook may fill them; then they are looked at behind it.
        if !self.planning.hooks.table(table.id).on_processing.is_empty() {
            return;
        }
        for column in &table.columns {
            // Of keys in databases that others made nobody here draws numbers.
            let is_drawn = match column.ty {
                Type::Text { .. } => false,
                Type::Int => !self.schema.existing,
                _ => true,
            };
            let is_key = column.id == ColumnId::ID;
            let is_generated = column.is_managed()
                || column.generated.is_some()
                || Some(column.id) == table.tenant
                || is_key && (is_drawn || !table.key_of.is_empty());
            let is_named = part.fields.iter().any(|(name, _)| *name == column.name);
            let is_needed = !column.nullable && column.default.is_none() && !is_generated;
            if is_needed && !is_named && given != Some(column.name.as_str()) {
                self.problems.add(join_path(&part.path, &column.name), "required", "is required");
            }
        }
    }
}
