//! `set: {…}`: new values for rows that were found.

use mainstay_lang::schema::{Column, ColumnId, Member, Table};
use mainstay_lang::types::Type;

use super::Planner;
use crate::document::join_path;
use crate::error::Error;
use crate::part::{Field, Part};
use crate::write::operator::Operator;
use crate::write::plan::{Assign, ListStep, NewValue};
use crate::write::value;

impl<'a> Planner<'a> {
    /// The columns and relations that `set` names.
    pub(super) fn set(
        &mut self,
        table: &'a Table,
        part: &Part,
        fields: &[(String, Field)],
    ) -> Result<(Vec<Assign>, Vec<ListStep>), Error> {
        let base = join_path(&part.path, "set");
        let (mut assigns, mut lists) = (Vec::new(), Vec::new());
        for (name, field) in fields {
            let path = join_path(&base, name);
            match self.member(table, name, &path)? {
                Member::Column(id) => {
                    let column = table.column(id);
                    let is_handed_over = part.hands_over && column.immutable && column.target().is_some();
                    if (is_handed_over || self.may_change(table, column, &path))
                        && let Some(value) = self.changed_value(column, field, &path)?
                    {
                        assigns.push(Assign { column: id, path, is_shown: false, value });
                    }
                }
                Member::Relation(id) => lists.push(self.replaced_list(table.relation(id), field, &path)?),
            }
        }
        Ok((assigns, lists))
    }

    /// Notes a column that keeps the value it was made with.
    pub(super) fn may_change(&mut self, table: &Table, column: &Column, path: &str) -> bool {
        let is_key = column.id == ColumnId::ID;
        if column.is_managed() || Some(column.id) == table.tenant {
            self.problems.add(path, "managed", "is kept by the server");
        } else if column.immutable || is_key {
            self.problems.add(path, "immutable", "can be given at creation only");
        } else {
            return true;
        }
        false
    }

    fn changed_value(
        &mut self,
        column: &Column,
        field: &Field,
        path: &str,
    ) -> Result<Option<NewValue>, Error> {
        let ty = self.schema.storage_type(&column.ty);
        let Some((name, operand)) =
            operator_of(field).filter(|_| column.target().is_none() && *ty != Type::Json)
        else {
            return self.new_value(column, field, path);
        };
        let path = join_path(path, name);
        let Some(operator) = Operator::named(name) else {
            let names: Vec<&str> = Operator::ALL.iter().map(|(name, _)| *name).collect();
            self.problems.add(path, "operator", format!("is none of {}", names.join(", ")));
            return Ok(None);
        };
        let Some(wanted) = operator.operand(ty) else {
            self.problems.add(path, "operator", format!("does not work on {ty}"));
            return Ok(None);
        };
        let operand = value::read_operand(&wanted, operand.raw(), &path, &mut self.problems);
        Ok(operand.map(|operand| NewValue::Computed(operator, operand)))
    }
}

/// `{"$add": 1}`: its name and what stands beside it. A json column takes objects as they are, whatever their names.
fn operator_of(field: &Field) -> Option<(&str, &Field)> {
    let part = field.part().ok().flatten()?;
    match part.fields.as_slice() {
        [(name, operand)] if name.starts_with('$') && part.keywords.is_empty() => Some((name, operand)),
        _ => None,
    }
}
