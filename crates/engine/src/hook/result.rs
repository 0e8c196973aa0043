//! Rows of the answer in the hands of a hook.
//!
//! Values stay the text that the database gave: what a hook does not touch goes out as it came.

use mainstay_lang::schema::Table;
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Answers, Hooking};
use crate::error::Error;
use crate::part::{Document, Part};
use crate::response::Response;

/// Rows of one table in the answer.
#[derive(Debug)]
pub struct Results {
    /// Each of them; the order and number of rows is the request's.
    pub rows: Vec<ResultRow>,
}

/// A row of the answer: its members in their order.
#[derive(Clone, Debug, Default)]
pub struct ResultRow(pub(crate) Vec<(String, Box<RawValue>)>);

impl ResultRow {
    /// A member, if it is shown.
    ///
    /// # Errors
    /// When the type cannot hold it.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let member = self.0.iter().find(|(member, _)| member == name);
        let value = member.map(|(_, value)| serde_json::from_str(value.get())).transpose();
        value.map_err(|error| Error::internal(format!("`{name}` of a result is read as: {error}")))
    }

    /// Gives a member a value; one that is not there is added.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn set(&mut self, name: &str, value: impl Serialize) -> Result<(), Error> {
        let value = serde_json::value::to_raw_value(&value).map_err(Error::internal)?;
        match self.0.iter_mut().find(|(member, _)| member == name) {
            Some((_, held)) => *held = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(member, _)| member != name);
    }

    /// Names of the members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push('{');
        for (place, (name, value)) in self.0.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push_str(&serde_json::to_string(name).unwrap_or_default());
            out.push(':');
            out.push_str(value.get());
        }
        out.push('}');
    }
}

impl<'de> Deserialize<'de> for ResultRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ResultRow, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = ResultRow;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ResultRow, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(ResultRow(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Rows nested under one member of each of several rows: how many each has, and in which form.
enum Under {
    Nothing,
    One,
    Many(usize),
}

impl Hooking {
    /// Calls `on_result` for the rows of an answer, nested ones before those around them, each table's rows of one level
    /// together.
    ///
    /// # Errors
    /// What a hook refuses.
    pub(crate) async fn results(
        &self,
        answers: &mut dyn Answers,
        documents: &[Document],
        response: &mut Response,
    ) -> Result<(), Error> {
        let schema = self.planning.schema().clone();
        for (document, answer) in documents.iter().zip(&mut response.documents) {
            for (entry, answer) in document.entries.iter().zip(&mut answer.entries) {
                let Some(table) = schema.table_named(&entry.table) else { continue };
                // Groups are no rows of the table.
                let is_grouped = |part: &Part| !part.aggregate.is_empty() || !part.group.is_empty();
                if answer.row_count == 0 || entry.parts.iter().any(is_grouped) {
                    continue;
                }
                let path = entry.parts.first().map_or("", |part| &part.path);
                let rows: Vec<ResultRow> =
                    serde_json::from_str(&format!("[{}]", answer.rows)).map_err(Error::internal)?;
                let rows = self.level(answers, table, path, rows).await?;
                answer.rows.clear();
                for (place, row) in rows.iter().enumerate() {
                    if place > 0 {
                        answer.rows.push(',');
                    }
                    row.write(&mut answer.rows);
                }
            }
        }
        Ok(())
    }

    async fn level(
        &self,
        answers: &mut dyn Answers,
        table: &Table,
        path: &str,
        mut rows: Vec<ResultRow>,
    ) -> Result<Vec<ResultRow>, Error> {
        let schema = self.planning.schema().clone();
        let targets = table
            .relations
            .iter()
            .map(|relation| (&relation.name, relation.target))
            .chain(table.columns.iter().filter_map(|column| Some((&column.name, column.target()?))));
        for (name, target) in targets {
            let (mut unders, mut nested) = (Vec::with_capacity(rows.len()), Vec::new());
            for row in &rows {
                unders.push(take_nested(row, name, &mut nested)?);
            }
            if nested.is_empty() {
                continue;
            }
            let path = format!("{path}/{name}");
            let nested = Box::pin(self.level(answers, schema.table(target), &path, nested)).await?;
            let mut nested = nested.into_iter();
            for (row, under) in rows.iter_mut().zip(unders) {
                put_nested(row, name, &under, &mut nested)?;
            }
        }
        let hooks = &self.planning.hooks.table(table.id).on_result;
        if !hooks.is_empty() && !rows.is_empty() {
            let count = rows.len();
            let site = (Some(table.id), "on_result", path);
            rows = self.call_all(answers, hooks, site, Results { rows }).await?.rows;
            if rows.len() != count {
                let words = format!("on_result of {} changed the number of rows", table.name);
                return Err(Error::internal(words));
            }
        }
        Ok(rows)
    }
}

fn take_nested(row: &ResultRow, name: &str, nested: &mut Vec<ResultRow>) -> Result<Under, Error> {
    let Some((_, value)) = row.0.iter().find(|(member, _)| member == name) else { return Ok(Under::Nothing) };
    let text = value.get().trim_start();
    if text.starts_with('{') {
        nested.push(serde_json::from_str(text).map_err(Error::internal)?);
        return Ok(Under::One);
    }
    // A list of keys is no list of rows.
    if text.starts_with('[') && text[1..].trim_start().starts_with('{') {
        let rows: Vec<ResultRow> = serde_json::from_str(text).map_err(Error::internal)?;
        let count = rows.len();
        nested.extend(rows);
        return Ok(Under::Many(count));
    }
    Ok(Under::Nothing)
}

fn put_nested(
    row: &mut ResultRow,
    name: &str,
    under: &Under,
    nested: &mut impl Iterator<Item = ResultRow>,
) -> Result<(), Error> {
    let count = match under {
        Under::Nothing => return Ok(()),
        Under::One => 1,
        Under::Many(count) => *count,
    };
    let mut text = String::new();
    for (place, row) in nested.take(count).enumerate() {
        if place > 0 {
            text.push(',');
        }
        row.write(&mut text);
    }
    if let Under::Many(_) = under {
        text = format!("[{text}]");
    }
    let value = RawValue::from_string(text).map_err(Error::internal)?;
    if let Some((_, held)) = row.0.iter_mut().find(|(member, _)| member == name) {
        *held = value;
    }
    Ok(())
}
