//! The constraints of a part as conditions on its rows.
//!
//! A scalar is equality, null a test for null, an array any of its items (of none: nothing), an object all of its
//! operators. A nested part says which rows of its relation are meant; only with `required` does it also restrict the
//! rows around it. Conditions see all rows until the guard has rewritten them, so they can be moved before.

use mainstay_lang::expr::{Ask, CompareOp, Expr, Hop, Many, Node, Root, RowPath};
use mainstay_lang::schema::{Column, ColumnId, Member, Relation, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use super::Resolver;
use super::name;
use super::params::{Reading, Source};
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::expression::{and, asked_behind, column_at, column_here, compare, expr, is_null, or, prefixed};
use crate::part::{Field, Part};

mod filter;
mod operator;

use operator::is_operators;

/// Values in the constraints of one part, those nested in it included: PostgreSQL binds twice as many, and more at a
/// time are a list that the database should hold itself.
const VALUES_MAX: usize = 32_000;

impl Resolver<'_> {
    /// All that a part says about its rows, seen by the caller, and the rule for reading them: ready for a plan.
    ///
    /// # Errors
    /// Unknown names, values that their columns cannot hold, malformed expressions.
    pub fn seen_filter(&mut self, table: TableId, part: &Part) -> Result<Vec<Expr>, Error> {
        let conditions = self.conditions(table, part)?;
        Ok(self.seen(table, conditions))
    }

    /// A caller's conditions, seen by the caller, and the rule for reading the rows.
    pub(crate) fn seen(&self, table: TableId, conditions: Vec<Expr>) -> Vec<Expr> {
        let rule = self.guard.read_filter(table);
        let seen = conditions.iter().map(|condition| self.guard.eyes(table, condition));
        let seen = seen.map(|condition| asked_behind(rule.as_ref(), condition));
        let mut filter: Vec<Expr> = seen.collect();
        filter.extend(rule);
        filter
    }

    /// What a part says about its own rows, before it is seen by the caller.
    ///
    /// # Errors
    /// Unknown names, values that their columns cannot hold, malformed expressions.
    pub fn conditions(&mut self, table: TableId, part: &Part) -> Result<Vec<Expr>, Error> {
        let table = self.schema.table(table);
        let mut conditions = Vec::new();
        for (name, field) in &part.fields {
            let path = join_path(&part.path, name);
            match name::member(table, name, &path)? {
                Member::Column(id) => {
                    let column = table.column(id);
                    match nested_part(column, field)? {
                        Some(nested) if nested.required => {
                            conditions.push(self.has_one(table, column, nested)?);
                        }
                        Some(_) => {}
                        None => conditions.push(self.constraint(table, column, field, &path)?),
                    }
                }
                Member::Relation(id) => {
                    let nested = self.parts_of_many(table.relation(id), field, &path)?;
                    for nested in nested.into_iter().filter(|nested| nested.required) {
                        conditions.push(self.has_some(table, table.relation(id), nested)?);
                    }
                }
            }
        }
        if part.filter.is_some() {
            conditions.push(self.filter_text(table, part)?);
        } else if let Some((name, _)) = part.params.first() {
            let path = join_path(&join_path(&part.path, "params"), name);
            return Err(Error::at(
                Key::Query,
                path,
                "params",
                "`params` stand beside the `where` that names them",
            ));
        }
        Ok(conditions)
    }

    /// The parts given for a to-many relation.
    pub(crate) fn parts_of_many<'p>(
        &self,
        relation: &Relation,
        field: &'p Field,
        path: &str,
    ) -> Result<Vec<&'p Part>, Error> {
        let refused = || {
            let words = format!(
                "`{0}` is many rows: give a part such as {{\"{0}\": {{\"id\": …, \"required\": true}}}}",
                relation.name
            );
            Error::at(Key::Query, path, "form", words)
        };
        match field {
            Field::Object(..) => Ok(field.part()?.into_iter().collect()),
            Field::Array(_, items) if !items.is_empty() => {
                items.iter().map(|item| item.part()?.ok_or_else(refused)).collect()
            }
            _ => Err(refused()),
        }
    }

    /// Some row of the relation passes the part.
    fn has_some(&mut self, table: &Table, relation: &Relation, part: &Part) -> Result<Expr, Error> {
        let conditions = self.conditions(relation.target, part)?;
        let body = if conditions.is_empty() { None } else { Some(and(conditions)) };
        let many = Many {
            row: RowPath::here(),
            table: table.id,
            relation: relation.id,
            target: relation.target,
            ask: Ask::Any,
            body,
            visible: None,
        };
        Ok(expr(Node::Many(Box::new(many)), Type::Bool))
    }

    /// The row that the relation leads to is there and passes the part.
    fn has_one(&mut self, table: &Table, column: &Column, part: &Part) -> Result<Expr, Error> {
        let target =
            column.target().ok_or_else(|| Error::internal(format!("{} is no relation", table.name)))?;
        let hop = Hop { column: column.id, target, visible: None };
        let row = RowPath { root: Root::Scope(0), hops: vec![hop] };
        let key = column_at(row.clone(), target, ColumnId::ID, self.schema.key_type(target).clone());
        let mut conditions = vec![is_null(key, true)];
        conditions.extend(self.conditions(target, part)?.iter().map(|condition| prefixed(condition, &row)));
        Ok(and(conditions))
    }

    /// A constraint on a column of the row.
    fn constraint(
        &mut self,
        table: &Table,
        column: &Column,
        field: &Field,
        path: &str,
    ) -> Result<Expr, Error> {
        match field {
            Field::Scalar(raw) => self.equals(table, column, raw.get(), path),
            Field::Array(raw, items) => {
                let is_list = matches!(column.ty, Type::List(_));
                let is_one_list = is_list && items.iter().any(|item| !matches!(item, Field::Array(..)));
                if is_one_list {
                    self.equals(table, column, raw.get(), path)
                } else {
                    self.any_of(table, column, items, path)
                }
            }
            Field::Object(raw, part) => match part {
                Ok(part) if column.ty != Type::Json || is_operators(part) => {
                    self.operators(table, column, part, path)
                }
                Err(error) if column.ty != Type::Json => Err(Error::clone(error)),
                _ => self.equals(table, column, raw.get(), path),
            },
        }
    }

    fn equals(&mut self, table: &Table, column: &Column, raw: &str, path: &str) -> Result<Expr, Error> {
        let here = column_here(table, column.id);
        if raw == "null" {
            return Ok(is_null(here, false));
        }
        let value = self.value(column, raw, path)?;
        Ok(compare(CompareOp::Eq, here, value))
    }

    fn any_of(&mut self, table: &Table, column: &Column, items: &[Field], path: &str) -> Result<Expr, Error> {
        let (values, with_null) = self.values(column, items, path)?;
        let here = || column_here(table, column.id);
        let mut alternatives = Vec::new();
        if !values.is_empty() {
            alternatives.push(expr(Node::In { value: Box::new(here()), items: values }, Type::Bool));
        }
        if with_null {
            alternatives.push(is_null(here(), false));
        }
        Ok(or(alternatives))
    }

    /// The items of an array as parameters, and whether null is one of them.
    fn values(&mut self, column: &Column, items: &[Field], path: &str) -> Result<(Vec<Expr>, bool), Error> {
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_null()) {
            values.push(self.value(column, item.raw(), &format!("{path}/{index}"))?);
        }
        let with_null = values.len() < items.len();
        Ok((values, with_null))
    }

    /// A value of a column as a parameter.
    fn value(&mut self, column: &Column, raw: &str, path: &str) -> Result<Expr, Error> {
        let ty = self.schema.storage_type(&column.ty);
        self.typed_value(raw, ty, path)
    }

    /// A value of a storage type as a parameter.
    fn typed_value(&mut self, raw: &str, ty: &Type, path: &str) -> Result<Expr, Error> {
        if self.params.values().len() >= VALUES_MAX {
            let words = format!("a part may be constrained by {VALUES_MAX} values: ask in several requests");
            return Err(Error::at(Key::Limit, path, "values", words));
        }
        let value = read_value(raw, ty, path)?;
        Ok(self.params.add_from(value, ty, from_request(path, Reading::Value(ty.clone()))))
    }
}

/// The part that an object given for a to-one relation is; `None` for a scalar, an array or operators on its key.
pub(crate) fn nested_part<'p>(column: &Column, field: &'p Field) -> Result<Option<&'p Part>, Error> {
    if column.target().is_none() {
        return Ok(None);
    }
    Ok(field.part()?.filter(|part| !is_operators(part)))
}

/// The source of a parameter that stands at a place of the request.
pub(super) fn from_request(path: &str, reading: Reading) -> Source {
    Source::Request { path: path.to_owned(), reading }
}

/// A value of a storage type.
pub(crate) fn read_value(raw: &str, ty: &Type, path: &str) -> Result<Value, Error> {
    Value::from_json(raw, ty)
        .and_then(|value| value.check_length(ty).map(|()| value))
        .map_err(|error| Error::at(Key::Invalid, path, error.kind.key(), error.message))
}
