//! Values over groups of rows.

use std::cmp::Ordering;

use mainstay_lang::expr::Expr;
use mainstay_lang::filter::{Aggregate, AggregateFunction, compile_aggregate, compile_value};
use mainstay_lang::schema::Table;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use serde_json::{Map, Value as Json};

use super::order::{ranked, sorted};
use super::{Oracle, Predicted, number, texts};
use crate::naive::{Answer, Eyes, Scene, sum};
use crate::oracle::case::json_of;

impl<'a> Oracle<'a> {
    /// Groups of the rows that a part means, in the order of their values.
    pub(super) fn groups(
        &self,
        table: &Table,
        part: &Map<String, Json>,
        all: &[&'a [Value]],
    ) -> Predicted<Vec<Json>> {
        let rows = self.found(table, part, all)?;
        let names = texts(part, "group");
        let by: Vec<Expr> = names
            .iter()
            .map(|name| compile_value(self.schema(), table.id, name).expect("refused before"))
            .collect();
        let mut groups: Vec<(Vec<Value>, Vec<&'a [Value]>)> = Vec::new();
        if names.is_empty() {
            groups.push((Vec::new(), rows.clone()));
        } else {
            for row in rows {
                let values = by.iter().map(|by| self.naive.eval(by, &Scene::of(table.id, row, Eyes::Caller)));
                let values = values.collect::<Answer<Vec<Value>>>()?;
                match groups.iter_mut().find(|(known, _)| *known == values) {
                    Some((_, rows)) => rows.push(row),
                    None => groups.push((values, vec![row])),
                }
            }
        }
        // Columns of the answer with what they are sorted by: the paths, then what is computed.
        let mut columns: Vec<(&str, Type)> =
            names.iter().zip(&by).map(|(name, by)| (*name, by.ty.clone())).collect();
        let computed: Vec<(&String, &Json)> =
            part.get("aggregate").and_then(Json::as_object).into_iter().flatten().collect();
        let mut answer: Vec<Vec<Value>> = groups.iter().map(|(values, _)| values.clone()).collect();
        for (name, text) in computed {
            let text = text.as_str().unwrap_or_default();
            let aggregate = compile_aggregate(self.schema(), table.id, text).expect("refused before");
            for (values, (_, rows)) in answer.iter_mut().zip(&groups) {
                values.push(self.aggregate(table, &aggregate, rows)?);
            }
            columns.push((name, aggregate.ty));
        }
        let written = texts(part, "order").into_iter().map(|item| {
            let name = item.split(' ').next().unwrap_or_default();
            let at = columns.iter().position(|(known, _)| *known == name.trim_start_matches('-'));
            (at.expect("orders name what is answered"), name.starts_with('-'), item.ends_with("nulls first"))
        });
        let items: Vec<_> = written.chain((0..names.len()).map(|at| (at, false, false))).collect();
        answer.sort_by(|a, b| {
            let compared = items.iter().map(|(at, descending, nulls_first)| {
                let ranked = |value: &Value| ranked(value.clone(), &columns[*at].1);
                sorted(&ranked(&a[*at]), &ranked(&b[*at]), *descending, *nulls_first)
            });
            compared.fold(Ordering::Equal, Ordering::then)
        });
        let shown = answer.iter().skip(number(part, "offset").unwrap_or(0));
        let shown = shown.take(number(part, "limit").unwrap_or(usize::MAX));
        let group = |values: &Vec<Value>| -> Json {
            columns
                .iter()
                .zip(values)
                .map(|((name, _), value)| ((*name).to_owned(), json_of(value)))
                .collect()
        };
        Ok(shown.map(group).collect())
    }

    fn aggregate(&self, table: &Table, aggregate: &Aggregate, rows: &[&'a [Value]]) -> Predicted<Value> {
        let count = |of: usize| Value::Int(i64::try_from(of).expect("a handful of rows"));
        let Some(arg) = &aggregate.arg else { return Ok(count(rows.len())) };
        let values = rows.iter().map(|row| self.naive.eval(arg, &Scene::of(table.id, row, Eyes::Caller)));
        let values = values.collect::<Answer<Vec<Value>>>()?;
        let given: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
        let extreme = |wanted| crate::naive::extreme(&values, wanted);
        Ok(match aggregate.function {
            AggregateFunction::Count => count(given.len()),
            AggregateFunction::Sum => sum(&values, &aggregate.ty)?,
            AggregateFunction::Min => extreme(Ordering::Less),
            AggregateFunction::Max => extreme(Ordering::Greater),
            AggregateFunction::Avg => {
                let numbers: Vec<f64> = given.iter().map(|value| float(value)).collect();
                #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
                let count = numbers.len() as f64;
                if numbers.is_empty() {
                    Value::Null
                } else {
                    Value::Float(numbers.iter().sum::<f64>() / count)
                }
            }
        })
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Float(value) => *value,
        Value::Decimal(value) => value.to_f64(),
        #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
        Value::Int(value) => *value as f64,
        other => panic!("{other:?} has no mean"),
    }
}
