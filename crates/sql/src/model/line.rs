//! A model as lines, and lines as a model.
//!
//! ```text
//! table Product
//! column Product.id uuid key
//! column Product.role enum(low, mid) = "mid"
//! column Product.team uuid? refers Team
//! index Product (team, -number)
//! unique Product (name)
//! ```
//!
//! Names that are no plain words stand in double quotes, in which a double quote is doubled. A word that no line of this release
//! has is an error: whoever does not know what was recorded must not change it.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use mainstay_lang::types::{EnumType, Type};

use super::{Model, ModelColumn, ModelTable, index_key};
use crate::ddl::{self, IndexColumn};

/// A line that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{line}`: {words}")]
pub struct LineError {
    /// The line.
    pub line: String,
    /// What is wrong with it.
    pub words: String,
}

impl Model {
    /// The model as a set of lines.
    pub fn lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        for (name, table) in &self.tables {
            let shown = quoted(name);
            let declared = match &table.declared {
                None => " links".to_owned(),
                Some(declared) if declared == name => String::new(),
                Some(declared) => format!(" is {}", quoted(declared)),
            };
            lines.insert(format!("table {shown}{declared}"));
            let columns = table.columns.iter();
            lines.extend(columns.map(|(column, of)| format!("column {shown}.{}", column_text(column, of))));
            lines.extend(table.indexes.values().map(|index| {
                let word = if index.unique { "unique" } else { "index" };
                let columns = index.columns.iter().map(|column| {
                    let sign = if column.descending { "-" } else { "" };
                    format!("{sign}{}", quoted(&column.name))
                });
                format!("{word} {shown} ({})", columns.collect::<Vec<_>>().join(", "))
            }));
        }
        lines
    }

    /// The model that lines tell.
    ///
    /// # Errors
    /// The first line that says nothing, or something of a table that no line tells of.
    pub fn parse<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Model, LineError> {
        let mut lines: Vec<&str> = lines.into_iter().filter(|line| !line.trim().is_empty()).collect();
        // Tables before what they have.
        lines.sort_by_key(|line| !line.starts_with("table "));
        let mut model = Model::default();
        for line in lines {
            let mut reader = Reader { rest: line.chars().peekable() };
            read_line(&mut model, &mut reader).ok_or_else(|| LineError {
                line: line.to_owned(),
                words: "is no line of a recorded schema that this release knows".to_owned(),
            })?;
        }
        Ok(model)
    }
}

fn column_text(name: &str, column: &ModelColumn) -> String {
    let mut text = format!("{} {}", quoted(name), column.ty);
    if column.nullable {
        text.push('?');
    }
    if let Some(table) = &column.references {
        text.push_str(&format!(" refers {}", quoted(table)));
    }
    for (is, word) in [(column.key, " key"), (column.guarded, " guarded"), (column.counter, " counter")] {
        text.push_str(if is { word } else { "" });
    }
    if column.declared != name {
        text.push_str(&format!(" is {}", quoted(&column.declared)));
    }
    if let Some(default) = &column.default {
        text.push_str(&format!(" = {default}"));
    }
    text
}

fn quoted(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn read_line(model: &mut Model, reader: &mut Reader<'_>) -> Option<()> {
    match reader.word()?.as_str() {
        "table" => {
            let name = reader.name()?;
            let declared = match reader.word() {
                None => Some(name.clone()),
                Some(word) if word == "links" => None,
                Some(word) if word == "is" => Some(reader.name()?),
                Some(_) => return None,
            };
            model.tables.insert(name, ModelTable { declared, ..ModelTable::default() });
        }
        "column" => {
            let table = model.tables.get_mut(&reader.name()?)?;
            reader.sign('.')?;
            let name = reader.name()?;
            let column = reader.column(&name)?;
            table.columns.insert(name, column);
        }
        word @ ("index" | "unique") => {
            let name = reader.name()?;
            let table = model.tables.get_mut(&name)?;
            let mut columns = Vec::new();
            reader.sign('(')?;
            loop {
                let descending = reader.sign('-').is_some();
                columns.push(IndexColumn { name: reader.name()?, descending });
                if reader.sign(',').is_none() {
                    break;
                }
            }
            reader.sign(')')?;
            let index = ddl::plan(&name, columns, word == "unique");
            table.indexes.insert(index_key(&index), index);
        }
        _ => return None,
    }
    reader.is_done().then_some(())
}

struct Reader<'l> {
    rest: Peekable<Chars<'l>>,
}

impl Reader<'_> {
    fn space(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn is_done(&mut self) -> bool {
        self.space();
        self.rest.peek().is_none()
    }

    fn sign(&mut self, sign: char) -> Option<()> {
        self.space();
        self.rest.next_if_eq(&sign).map(|_| ())
    }

    fn word(&mut self) -> Option<String> {
        self.space();
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
        }
        (!word.is_empty()).then_some(word)
    }

    fn name(&mut self) -> Option<String> {
        if self.sign('"').is_none() {
            return self.word();
        }
        let mut name = String::new();
        loop {
            match self.rest.next()? {
                '"' if self.rest.next_if_eq(&'"').is_some() => name.push('"'),
                '"' => return Some(name),
                c => name.push(c),
            }
        }
    }

    fn column(&mut self, name: &str) -> Option<ModelColumn> {
        let mut column = ModelColumn::plain(name, &self.ty()?);
        column.nullable = self.sign('?').is_some();
        loop {
            if self.sign('=').is_some() {
                self.space();
                column.default = Some(self.rest.by_ref().collect());
                return Some(column);
            }
            match self.word().as_deref() {
                None => return Some(column),
                Some("refers") => column.references = Some(self.name()?),
                Some("is") => column.declared = self.name()?,
                Some("key") => column.key = true,
                Some("guarded") => column.guarded = true,
                Some("counter") => column.counter = true,
                Some(_) => return None,
            }
        }
    }

    fn ty(&mut self) -> Option<Type> {
        let ty = match self.word()?.as_str() {
            "bool" => Type::Bool,
            "int" => Type::Int,
            "float" => Type::Float,
            "decimal" => {
                let [precision, scale] = <[String; 2]>::try_from(self.list()?).ok()?;
                Type::Decimal { precision: precision.parse().ok()?, scale: scale.parse().ok()? }
            }
            "text" => Type::Text { max: None },
            "uuid" => Type::Uuid,
            "date" => Type::Date,
            "time" => Type::Time,
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            "json" => Type::Json,
            "bytes" => Type::Bytes,
            "enum" => Type::Enum(Arc::new(EnumType { values: self.list()? })),
            "file" => Type::File,
            _ => return None,
        };
        if self.sign('[').is_none() {
            return Some(ty);
        }
        self.sign(']')?;
        Some(Type::List(Arc::new(ty)))
    }

    fn list(&mut self) -> Option<Vec<String>> {
        self.sign('(')?;
        let mut items = vec![self.word()?];
        while self.sign(',').is_some() {
            items.push(self.word()?);
        }
        self.sign(')')?;
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::Model;

    #[test]
    fn lines_tell_a_model_and_a_model_its_lines() {
        let lines = [
            "table Product",
            "table \"old \"\"links\"\"\" links",
            "table people is Person",
            "column Product.id uuid key",
            "column Product.n int? counter is number",
            "column Product.role enum(low, mid) = \"mid\"",
            "column Product.\"the price\" decimal(9, 2) guarded = \"0.00\"",
            "column Product.tags text[]",
            "column Product.team uuid? refers Team",
            "index Product (team, -\"the price\")",
            "unique Product (role)",
        ];
        let model = Model::parse(lines).unwrap();
        let mut sorted = lines.map(str::to_owned).to_vec();
        sorted.sort();
        assert_eq!(model.lines().into_iter().collect::<Vec<_>>(), sorted);
        assert_eq!(Model::parse(model.to_string().lines()).unwrap(), model);
    }

    #[test]
    fn what_says_nothing_is_an_error() {
        for line in ["column Nobody.id int", "table", "tables A", "table A was B", "column A.x int shiny"] {
            let lines = ["table A", line];
            assert_eq!(Model::parse(lines).unwrap_err().line, line);
        }
    }
}
