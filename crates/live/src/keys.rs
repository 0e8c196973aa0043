//! The keys that rows have under routes, asked of the database: for rows that may have changed and whose images do not say.
//!
//! One read for all rows of a table, whatever the routes: each key is a column, or a column of rows that relations lead to.
//! For the server's own eyes: keys find subscribers and are shown to nobody.

use mainstay_engine::error::Error;
use mainstay_lang::schema::{ColumnId, Schema, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::plan::{Output, OutputKind, Select};
use serde_json::Value as Json;

use crate::clause::{By, key_of_value};
use crate::trail::Step;

/// The keys of one row.
#[derive(Clone, Debug)]
pub(crate) struct RowKeys {
    /// The row.
    pub(crate) key: Value,
    /// The keys that it has, with what they are made of.
    pub(crate) keys: Vec<(By, Box<str>)>,
}

/// What is to be read of a row to know its keys.
pub(crate) fn outputs(of: &[By]) -> Vec<Output> {
    let ways = of.iter().enumerate().flat_map(|(number, by)| match by {
        By::Columns(columns) => {
            columns.iter().map(|column| output(name(number, *column), &[], *column)).collect::<Vec<_>>()
        }
        By::Way(way) => vec![output(name(number, way.column), &way.steps, way.column)],
    });
    ways.collect()
}

fn name(number: usize, column: ColumnId) -> String {
    format!("{number}.{}", column.0)
}

/// The member of a column at the end of some steps.
fn output(name: String, steps: &[Step], column: ColumnId) -> Output {
    let behind = |target: TableId, rest: &[Step]| {
        Box::new(Select { outputs: vec![output("v".to_owned(), rest, column)], ..Select::of(target) })
    };
    let kind = match steps.split_first() {
        None => OutputKind::Column(column),
        Some((Step::One { column, target }, rest)) => {
            OutputKind::One { column: *column, select: behind(*target, rest) }
        }
        Some((Step::Many { relation, target, .. }, rest)) => {
            OutputKind::Many { relation: *relation, select: behind(*target, rest) }
        }
    };
    Output { name, kind, guard: None }
}

/// The keys of a row from what was read of it.
///
/// # Errors
/// When that is not what was asked for.
pub(crate) fn keys_of(
    schema: &Schema,
    table: TableId,
    of: &[By],
    key: Value,
    row: &Json,
) -> Result<RowKeys, Error> {
    let mut keys = Vec::new();
    for (number, by) in of.iter().enumerate() {
        match by {
            By::Columns(columns) => {
                let mut text = String::new();
                for column in columns {
                    let value = typed(schema, table, *column, &row[name(number, *column)])?;
                    text.push_str(&key_of_value(&value));
                }
                keys.push((by.clone(), text.into()));
            }
            By::Way(way) => {
                let mut found = Vec::new();
                collect(&row[name(number, way.column)], &way.steps, &mut found);
                let end = way.steps.last().map_or(table, |step| step.target());
                for json in found {
                    keys.push((by.clone(), key_of_value(&typed(schema, end, way.column, json)?)));
                }
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(RowKeys { key, keys })
}

fn typed(schema: &Schema, table: TableId, column: ColumnId, json: &Json) -> Result<Value, Error> {
    let ty = schema.storage_type(&schema.table(table).column(column).ty);
    if json.is_null() {
        return Ok(Value::Null);
    }
    Value::from_json(&json.to_string(), ty).map_err(Error::internal)
}

/// The values at the end of some steps.
fn collect<'j>(json: &'j Json, steps: &[Step], found: &mut Vec<&'j Json>) {
    match (steps.split_first(), json) {
        (None, json) => found.push(json),
        (Some((_, rest)), Json::Object(row)) => row.values().for_each(|json| collect(json, rest, found)),
        (Some(_), Json::Array(rows)) => rows.iter().for_each(|row| collect(row, steps, found)),
        (Some(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use mainstay_lang::schema::ColumnId;
    use serde_json::json;

    use super::collect;
    use crate::clause::Way;
    use crate::trail::Step;

    #[test]
    fn values_are_found_at_the_end_of_a_way() {
        let table = mainstay_lang::schema::TableId(0);
        let one = Step::One { column: ColumnId(3), target: table };
        let many = Step::Many { table, relation: mainstay_lang::schema::RelationId(0), target: table };
        let check = |steps: &[Step], json: serde_json::Value, expect: serde_json::Value| {
            let way = Way { steps: steps.to_vec(), column: ColumnId(0) };
            let mut found = Vec::new();
            collect(&json, &way.steps, &mut found);
            assert_eq!(json!(found), expect);
        };
        check(&[], json!(7), json!([7]));
        check(&[one], json!({"v": 7}), json!([7]));
        check(&[one], json!(null), json!([]));
        check(&[many], json!([{"v": 7}, {"v": null}]), json!([7, null]));
        check(&[many, one], json!([{"v": {"v": 7}}, {"v": null}]), json!([7]));
        check(&[one, many], json!({"v": [{"v": 1}, {"v": 2}]}), json!([1, 2]));
    }
}
