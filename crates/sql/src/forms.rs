//! How a database that others made keeps what an app declares, where that is not how Mainstay would keep it.
//!
//! Every column has a [`Form`]: what is read of it so that the rest of the crate meets the language's own types, and what is
//! written so that the database gets back what it had. Found out once, when an app is opened, from what the database tells of itself;
//! which form fits is its dialect's to say. Where a table has a form that is more than its plain columns, statements read a derived table
//! in its place, which every planner merges with the statement around it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mainstay_lang::schema::{Column, ColumnId, LinkTable, Schema, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::catalogue::{Catalogue, FoundColumn, FoundTable};
use crate::ddl;
use crate::dialect::Dialect;
use crate::statement::{Bind, ResultShape, Statement};
use crate::writer::Writer;

/// How one column is kept; templates of `{0}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// What is read of the column; none: the column itself.
    pub read: Option<String>,
    /// What is written of a value; none: the value itself.
    pub write: Option<String>,
}

/// What a dialect is told of a column that it shall find a form for.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The column in the database.
    pub found: &'a FoundColumn,
    /// The language's type, as it is stored.
    pub ty: &'a Type,
    /// Whether an index begins with it, which serves the column alone and nothing made of it.
    pub is_indexed: bool,
    /// One of its values as text and the database's name of its type, where there is one and the dialect asked for it.
    pub sample: Option<(&'a str, &'a str)>,
}

/// The forms of an app's columns in one database.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    columns: HashMap<(TableId, ColumnId), Form>,
    derived: Vec<bool>,
    triggered: Vec<bool>,
    /// Shared: what others have made of it may change while an app is open.
    log: Arc<AtomicBool>,
}

impl Forms {
    /// The form of a column.
    pub(crate) fn of(&self, table: TableId, column: ColumnId) -> Option<&Form> {
        self.columns.get(&(table, column))
    }

    /// Whether rows of a table are read through a derived one.
    pub(crate) fn is_derived(&self, table: TableId) -> bool {
        self.derived.get(table.0 as usize).copied().unwrap_or(false)
    }

    /// Whether triggers of others may change rows of a table once more behind what is written.
    pub fn is_triggered(&self, table: TableId) -> bool {
        self.triggered.get(table.0 as usize).copied().unwrap_or(false)
    }

    /// Whether the database keeps a change log.
    pub fn keeps_log(&self) -> bool {
        self.log.load(Ordering::Acquire)
    }

    /// The database has come to keep one.
    pub fn begin_log(&self) {
        self.log.store(true, Ordering::Release);
    }

    /// Finds the form of every column, or says in words what does not fit.
    ///
    /// # Errors
    /// Whatever keeps the app from working with the database.
    pub fn find(
        schema: &Schema,
        dialect: &dyn Dialect,
        catalogue: &Catalogue,
        samples: &[Sample],
    ) -> Result<Forms, Vec<String>> {
        let mut forms = Forms {
            derived: vec![false; schema.tables.len()],
            triggered: vec![false; schema.tables.len()],
            log: Arc::new(catalogue.table(crate::system::CHANGE.name).is_some().into()),
            ..Forms::default()
        };
        let mut problems = Vec::new();
        for table in &schema.tables {
            let Some(found) = catalogue.table(&table.db_name) else {
                let what = match catalogue.views.iter().any(|view| view.name == table.db_name) {
                    true => "is a view, not a table",
                    false => "is not in the database",
                };
                problems.push(format!("{}: the table {} {what}", table.name, table.db_name));
                continue;
            };
            forms.triggered[table.id.0 as usize] =
                found.triggers.iter().any(|name| !crate::triggers::is_ours(name));
            if !table.key_of.is_empty() {
                forms.derived[table.id.0 as usize] = true;
            }
            for column in &table.columns {
                if column.id == ColumnId::ID && !table.key_of.is_empty() {
                    continue;
                }
                match form(schema, dialect, table, column, found, samples) {
                    Ok(form) => forms.put(table.id, column.id, form),
                    Err(words) => problems.push(words),
                }
            }
            key_fits(table, found, &mut problems);
        }
        for link in ddl::links(schema) {
            link_fits(schema, dialect, catalogue, link, &mut problems);
        }
        if problems.is_empty() { Ok(forms) } else { Err(problems) }
    }

    fn put(&mut self, table: TableId, column: ColumnId, form: Form) {
        if form == Form::default() {
            return;
        }
        self.derived[table.0 as usize] |= form.read.is_some();
        self.columns.insert((table, column), form);
    }
}

/// A value of a column that shows how the database keeps such values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The table.
    pub table: TableId,
    /// The column.
    pub column: ColumnId,
    /// The value as text.
    pub text: String,
    /// The database's name of its type.
    pub kind: String,
}

/// The statements that read a value of each column whose form its dialect tells by one; each answers at most a row of two texts.
pub fn samples(
    schema: &Schema,
    dialect: &dyn Dialect,
    catalogue: &Catalogue,
) -> Vec<(TableId, ColumnId, Statement)> {
    let columns =
        schema.tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let asked = columns.filter_map(|(table, column)| {
        let template = dialect.sample(schema.storage_type(&column.ty))?;
        catalogue.table(&table.db_name)?.column(&column.db_name)?;
        let mut w = Writer::new(schema, dialect);
        w.text("SELECT ");
        w.template(template, |w, _| w.identifier(&column.db_name));
        w.text(" FROM ");
        w.identifier(&table.db_name);
        w.text(" WHERE ");
        w.identifier(&column.db_name);
        w.text(" IS NOT NULL LIMIT 1");
        let text = Type::Text { max: None };
        Some((table.id, column.id, w.finish(ResultShape::Values(vec![text.clone(), text]))))
    });
    asked.collect()
}

impl Sample {
    /// Of the row that a statement of [`samples`] answered.
    pub fn read(table: TableId, column: ColumnId, row: &[Value]) -> Option<Sample> {
        match row {
            [Value::Text(text), Value::Text(kind)] => {
                Some(Sample { table, column, text: text.clone(), kind: kind.clone() })
            }
            _ => None,
        }
    }
}

fn form(
    schema: &Schema,
    dialect: &dyn Dialect,
    table: &Table,
    column: &Column,
    found: &FoundTable,
    samples: &[Sample],
) -> Result<Form, String> {
    let place = format!("{}.{}", table.name, column.name);
    let Some(there) = found.column(&column.db_name) else {
        return Err(format!("{place}: the table {} has no column {}", found.name, column.db_name));
    };
    if let Some(target) = column.target().filter(|target| !schema.table(*target).key_of.is_empty()) {
        let target = &schema.table(target).name;
        return Err(format!(
            "{place}: {target} has a key of several columns, which one column cannot lead to"
        ));
    }
    if there.nullable && !column.nullable && column.id != ColumnId::ID {
        return Err(format!(
            "{place}: {} may be null in the database; write `?` behind its type",
            there.name
        ));
    }
    let ty = schema.storage_type(&column.ty);
    let sample = samples.iter().find(|sample| sample.table == table.id && sample.column == column.id);
    let kept = Kept {
        found: there,
        ty,
        is_indexed: is_indexed(column, found),
        sample: sample.map(|sample| (sample.text.as_str(), sample.kind.as_str())),
    };
    dialect.form(kept).ok_or_else(|| {
        format!("{place}: {} is {} in the database, which is no {ty}", there.name, there.type_name)
    })
}

/// Whether an index serves comparisons of the column itself.
fn is_indexed(column: &Column, found: &FoundTable) -> bool {
    column.id == ColumnId::ID
        || column.target().is_some()
        || found.key.first() == Some(&column.db_name)
        || found.indexes.iter().any(|index| {
            index.columns.first().is_some_and(|first| first.name == column.db_name) && !index.has_expressions
        })
}

fn key_fits(table: &Table, found: &FoundTable, problems: &mut Vec<String>) {
    let declared: Vec<&str> = match table.key_of.as_slice() {
        [] => vec![&table.column(ColumnId::ID).db_name],
        columns => columns.iter().map(|column| table.column(*column).db_name.as_str()).collect(),
    };
    let is_same = |columns: &mut dyn Iterator<Item = &str>| {
        let mut columns: Vec<&str> = columns.collect();
        let mut declared = declared.clone();
        columns.sort_unstable();
        declared.sort_unstable();
        columns == declared
    };
    let is_unique = found
        .indexes
        .iter()
        .filter(|index| index.unique && index.is_plain())
        .any(|index| is_same(&mut index.columns.iter().map(|column| column.name.as_str())));
    if !is_unique && !is_same(&mut found.key.iter().map(String::as_str)) {
        problems.push(format!(
            "{}: nothing in the database keeps {} of {} unique, so it is no key",
            table.name,
            declared.join(", "),
            found.name
        ));
    }
}

fn link_fits(
    schema: &Schema,
    dialect: &dyn Dialect,
    catalogue: &Catalogue,
    link: &LinkTable,
    problems: &mut Vec<String>,
) {
    let Some(found) = catalogue.table(&link.db_name) else {
        problems.push(format!("the table {} is not in the database", link.db_name));
        return;
    };
    for (name, table) in [(&link.owner_column, link.owner), (&link.target_column, link.target)] {
        let Some(column) = found.column(name) else {
            problems.push(format!("the table {} has no column {name}", link.db_name));
            continue;
        };
        let kept = Kept { found: column, ty: schema.key_type(table), is_indexed: true, sample: None };
        // What stands between two tables is compared as it is.
        if dialect.form(kept).is_none_or(|form| form != Form::default() && !dialect.is_bare_key(&form)) {
            problems.push(format!(
                "{}.{name} is {} and cannot lead to {} as it is: declare {0} as a table",
                link.db_name,
                column.type_name,
                schema.table(table).name
            ));
        }
    }
}

impl Writer<'_> {
    /// A table's rows: the table itself, or what is read of it where its columns are kept in other forms.
    pub(crate) fn rows_of(&mut self, table: TableId) {
        let schema = self.schema;
        let of = schema.table(table);
        if !self.dialect.forms().is_some_and(|forms| forms.is_derived(table)) {
            return self.identifier(&of.db_name);
        }
        self.text("(SELECT ");
        self.separated(", ", &of.columns, |w, column| {
            w.kept_column(of, column);
            w.text(" AS ");
            w.identifier(&column.db_name);
        });
        self.text(" FROM ");
        self.identifier(&of.db_name);
        self.text(")");
    }

    /// What is read of a column of its table.
    pub(crate) fn kept_column(&mut self, table: &Table, column: &Column) {
        if column.id == ColumnId::ID && !table.key_of.is_empty() {
            return self.composed_key(table);
        }
        match self.form_of(table.id, column.id).and_then(|form| form.read.clone()) {
            Some(template) => self.template(&template, |w, _| w.identifier(&column.db_name)),
            None => self.identifier(&column.db_name),
        }
    }

    /// A key that is put together: the texts of its columns with commas between them, those in them escaped.
    fn composed_key(&mut self, table: &Table) {
        self.text("(");
        self.separated(" || ',' || ", &table.key_of, |w, id| {
            let column = table.column(*id);
            let template = w.dialect.key_part(w.schema.storage_type(&column.ty));
            let value = w.capture(|w| w.kept_column(table, column));
            w.template(&template, |w, _| w.text(&value));
        });
        self.text(")");
    }

    /// ` AND column = …` for each column of a key that is put together, where the whole key equals a bind: what indexes serve. The key
    /// itself is compared too, because texts that mean the same parts are not the same key.
    pub(crate) fn key_parts_equal(
        &mut self,
        table: TableId,
        key: &Bind,
        mut column: impl FnMut(&mut Self, &Column),
    ) {
        let of = self.schema.table(table);
        for (part, id) in of.key_of.iter().enumerate() {
            let declared = of.column(*id);
            self.text(" AND ");
            column(self, declared);
            self.text(" = ");
            self.key_part(key, part, declared);
        }
    }

    /// The value of one column of a key that is put together.
    pub(crate) fn key_part(&mut self, key: &Bind, part: usize, column: &Column) {
        let ty = self.schema.storage_type(&column.ty).clone();
        self.bind(Bind::KeyPart { key: Box::new(key.clone()), part, ty }, &column.ty);
    }

    fn form_of(&self, table: TableId, column: ColumnId) -> Option<&Form> {
        self.dialect.forms()?.of(table, column)
    }

    /// A value as the database keeps it in a column.
    pub(crate) fn kept_value(&mut self, table: TableId, column: ColumnId, value: &str) {
        match self.form_of(table, column).and_then(|form| form.write.clone()) {
            Some(template) => self.template(&template, |w, _| w.text(value)),
            None => self.text(value),
        }
    }

    /// A value of a type to be sorted by: text by code point, whatever its column collates by.
    pub(crate) fn in_order(&mut self, ty: &Type, value: &str) {
        match self.dialect.ordered(self.schema.storage_type(ty)) {
            Some(template) => self.template(template, |w, _| w.text(value)),
            None => self.text(value),
        }
    }
}

/// The key that is put together from values, as [`Writer::composed_key`] does.
pub fn compose_key<'v>(values: impl Iterator<Item = &'v Value>) -> Value {
    let parts = values.map(|value| match value {
        Value::Text(text) => text.replace('%', "%25").replace(',', "%2C"),
        value => value.to_string(),
    });
    Value::Text(parts.collect::<Vec<_>>().join(","))
}

/// The value of one column within a key that [`compose_key`] has put together; null where the key has no such part, which is then
/// the key of no row.
pub fn key_part(key: &Value, part: usize, ty: &Type) -> Value {
    let Value::Text(key) = key else { return Value::Null };
    let Some(text) = key.split(',').nth(part) else { return Value::Null };
    match ty {
        Type::Text { .. } | Type::Enum(_) => Value::Text(text.replace("%2C", ",").replace("%25", "%")),
        ty => Value::parse_text(text, ty).unwrap_or(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_apart_into_what_it_was_put_together_from() {
        let values = [Value::Text("a,%2C%25\u{20ac}".into()), Value::Int(-7), Value::Text(String::new())];
        let key = compose_key(values.iter());
        let types = [Type::Text { max: None }, Type::Int, Type::Text { max: Some(3) }];
        for (part, (value, ty)) in values.iter().zip(&types).enumerate() {
            assert_eq!(key_part(&key, part, ty), *value, "{key:?}");
        }
        assert_eq!(key_part(&key, 3, &Type::Int), Value::Null);
        assert_eq!(key_part(&Value::Text("x,99999999999999999999".into()), 1, &Type::Int), Value::Null);
    }
}
