//! `{"gt": 1, "not": [2, 3]}`: the operators of a constraint, all of which must hold.
//!
//! `not` keeps null rows out, as SQL does, unless null stands in its array beside other values; `not` of null, or of an
//! array of nothing, is "has a value".

use mainstay_lang::expr::{CompareOp, Expr, Function, Node};
use mainstay_lang::schema::{Column, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::document::join_path;
use crate::error::{Error, Key};
use crate::expression::{and, column_here, compare, expr, is_null, not, or};
use crate::part::{Field, Part};
use crate::resolve::Resolver;
use crate::resolve::constraint::{from_request, read_value};
use crate::resolve::name;
use crate::resolve::params::Reading;

#[derive(Clone, Copy)]
enum Operator {
    Compare(CompareOp),
    Not,
    Like,
    Contains,
}

const OPERATORS: [(&str, Operator); 12] = [
    ("gt", Operator::Compare(CompareOp::Gt)),
    (">", Operator::Compare(CompareOp::Gt)),
    ("ge", Operator::Compare(CompareOp::Ge)),
    (">=", Operator::Compare(CompareOp::Ge)),
    ("lt", Operator::Compare(CompareOp::Lt)),
    ("<", Operator::Compare(CompareOp::Lt)),
    ("le", Operator::Compare(CompareOp::Le)),
    ("<=", Operator::Compare(CompareOp::Le)),
    ("not", Operator::Not),
    ("!", Operator::Not),
    ("like", Operator::Like),
    ("~", Operator::Contains),
];

fn operator_named(name: &str) -> Option<Operator> {
    OPERATORS.iter().find(|(known, _)| *known == name).map(|(_, operator)| *operator)
}

/// Whether an object holds operators and nothing else.
pub(super) fn is_operators(part: &Part) -> bool {
    part.keywords.is_empty()
        && !part.fields.is_empty()
        && part.fields.iter().all(|(name, _)| operator_named(name).is_some())
}

impl Resolver<'_> {
    pub(super) fn operators(
        &mut self,
        table: &Table,
        column: &Column,
        part: &Part,
        path: &str,
    ) -> Result<Expr, Error> {
        if let Some(word) = part.keywords.first() {
            let words = format!("`{}` is no relation, so `{word}` has no place here", column.name);
            return Err(Error::at(Key::Query, join_path(path, word), "keyword", words));
        }
        if part.fields.is_empty() {
            return Err(Error::at(Key::Query, path, "form", "an object without an operator says nothing"));
        }
        let mut conditions = Vec::with_capacity(part.fields.len());
        for (name, field) in &part.fields {
            let path = join_path(path, name);
            let Some(operator) = operator_named(name) else {
                let known = OPERATORS.iter().map(|(name, _)| *name);
                return Err(name::unknown(&path, "operator", name, "there is no operator", known));
            };
            conditions.push(self.operator(table, column, operator, field, &path)?);
        }
        Ok(and(conditions))
    }

    fn operator(
        &mut self,
        table: &Table,
        column: &Column,
        operator: Operator,
        field: &Field,
        path: &str,
    ) -> Result<Expr, Error> {
        let here = column_here(table, column.id);
        match operator {
            Operator::Not => self.negated(table, column, field, path),
            Operator::Compare(op) => self.ordered(here, column, op, one_value(field, path)?, path),
            Operator::Like | Operator::Contains => {
                if !column.ty.is_textual() {
                    let words = format!("compares texts, but `{}` is {}", column.name, column.ty);
                    return Err(Error::at(Key::Query, path, "operator", words));
                }
                let ty = Type::Text { max: None };
                let value = self.typed_value(one_value(field, path)?, &ty, path)?;
                let node = match operator {
                    Operator::Like => Node::Call { function: Function::Like, args: vec![here, value] },
                    _ => Node::Contains { value: Box::new(here), needle: Box::new(value) },
                };
                Ok(expr(node, Type::Bool))
            }
        }
    }

    /// `<` and its kin; an enum's order is the declared one.
    fn ordered(
        &mut self,
        here: Expr,
        column: &Column,
        op: CompareOp,
        raw: &str,
        path: &str,
    ) -> Result<Expr, Error> {
        match &column.ty {
            Type::Json | Type::List(_) | Type::Bytes | Type::Bool => {
                let words = format!("`{}` is {}, which has no order", column.name, column.ty);
                Err(Error::at(Key::Query, path, "operator", words))
            }
            Type::Enum(of) => {
                let value = read_value(raw, &column.ty, path)?;
                let rank = match &value {
                    Value::Text(name) => of.rank(name).and_then(|rank| i64::try_from(rank).ok()),
                    _ => None,
                };
                let rank =
                    rank.ok_or_else(|| Error::internal("an enum's value was read that it does not have"))?;
                let source = from_request(path, Reading::Rank(of.clone()));
                let value = self.params.add_from(Value::Int(rank), &Type::Int, source);
                Ok(compare(op, expr(Node::Rank(Box::new(here)), Type::Int), value))
            }
            _ => {
                let value = self.value(column, raw, path)?;
                Ok(compare(op, here, value))
            }
        }
    }

    fn negated(&mut self, table: &Table, column: &Column, field: &Field, path: &str) -> Result<Expr, Error> {
        let here = || column_here(table, column.id);
        match field {
            Field::Scalar(raw) if raw.get() == "null" => Ok(is_null(here(), true)),
            Field::Scalar(raw) => Ok(compare(CompareOp::Ne, here(), self.value(column, raw.get(), path)?)),
            Field::Array(_, items) if !matches!(column.ty, Type::List(_)) => {
                let (values, with_null) = self.values(column, items, path)?;
                if values.is_empty() {
                    return Ok(is_null(here(), true));
                }
                let outside = not(expr(Node::In { value: Box::new(here()), items: values }, Type::Bool));
                Ok(if with_null { or(vec![outside, is_null(here(), false)]) } else { outside })
            }
            other => Ok(not(self.constraint(table, column, other, path)?)),
        }
    }
}

/// The scalar that an operator compares with.
fn one_value<'f>(field: &'f Field, path: &str) -> Result<&'f str, Error> {
    match field {
        Field::Scalar(raw) if raw.get() != "null" => Ok(raw.get()),
        _ => Err(Error::at(Key::Query, path, "form", "compares with one value that is not null")),
    }
}
