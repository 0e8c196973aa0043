//! A row as the change log holds it.
//!
//! An image may lack columns: secret ones, and those that its table did not have, or had of another type, when the line
//! was written. Which ones it lacks is kept beside the values, because a null that stands for nothing must not decide anything.

use std::collections::HashMap;

use mainstay_lang::schema::{ColumnId, Schema, Table};
use mainstay_lang::value::Value;
use serde_json::value::RawValue;

use crate::error::Error;

/// A row as the change log holds it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The values of the table's columns; null where the image has none.
    pub values: Vec<Value>,
    /// The columns that it has no value of.
    pub missing: Vec<ColumnId>,
}

impl Image {
    /// An image from its JSON object.
    pub(crate) fn read(schema: &Schema, table: &Table, json: &str) -> Result<Image, Error> {
        let members: HashMap<&str, &RawValue> = serde_json::from_str(json).map_err(Error::internal)?;
        let mut image = Image { values: Vec::with_capacity(table.columns.len()), missing: Vec::new() };
        for column in &table.columns {
            let ty = schema.storage_type(&column.ty);
            // What was secret when it was written is not there, what has become so since is not looked at. A value of a
            // type that the column had before is none of its values.
            let value = members.get(column.name.as_str()).filter(|_| !column.secret);
            let value = value.and_then(|raw| Value::from_json(raw.get(), ty).ok());
            if value.is_none() {
                image.missing.push(column.id);
            }
            image.values.push(value.unwrap_or(Value::Null));
        }
        Ok(image)
    }
}
