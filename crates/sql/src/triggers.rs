//! Triggers that write the change log for those who write past Mainstay.
//!
//! A table's triggers write the lines that the engine would: the row's image before and after, without secrets. They stay silent in transactions of
//! the engine, which marks its own ([`mark`]). On PostgreSQL the mark is a setting of the transaction, and the triggers' functions stand in
//! a schema of their own and write with the rights of whoever made them; on SQLite it is a row that no other connection ever sees, and the triggers
//! call nothing but what every program that opens the file has.

use mainstay_lang::schema::{Column, ColumnId, LinkTable, RelationKind, Schema, Table};
use mainstay_lang::types::Type;

use crate::dialect::Dialect;
use crate::select::json::{Pieces, key};
use crate::statement::{ResultShape, Statement};
use crate::writer::Writer;

/// What is done to a row, with the names of its images and the line's kind.
const EVENTS: [(&str, Option<&str>, Option<&str>, &str); 3] = [
    ("INSERT", None, Some("NEW"), "create"),
    ("UPDATE", Some("OLD"), Some("NEW"), "update"),
    ("DELETE", Some("OLD"), None, "delete"),
];

/// The table whose rows say that the engine is writing, on databases of one writer.
pub const WRITING: &str = "_writing";

/// How a database spells its triggers.
#[derive(Clone, Copy, Debug)]
pub struct TriggerSpelling {
    /// What is made once, before any trigger.
    pub setup: &'static [&'static str],
    /// What makes a trigger for one event, given by names in braces: `{name}`, `{table}`, `{event}`, `{lines}` (statements, each ended),
    /// `{literal}` (the name within a literal).
    pub create: &'static str,
    /// What takes one away.
    pub drop: &'static str,
    /// Values of a line that nobody gives: columns and what they get.
    pub given: (&'static str, &'static str),
    /// What tells a trigger that the engine writes.
    pub mark: &'static str,
    /// Whether there are triggers to be told, where they are told in every transaction of the engine; none: the connections tell them.
    pub ask: Option<&'static str>,
    /// Whether there is a change log.
    pub ask_log: &'static str,
    /// What ends the mark before the commit; none: it ends with the transaction.
    pub unmark: Option<&'static str>,
}

/// The name of a trigger; whoever finds one of such a name knows whose it is.
pub fn trigger_name(table: &str, event: &str) -> String {
    format!("{table}.mainstay.{}", event.to_ascii_lowercase())
}

/// Whether a trigger is one of these.
pub fn is_ours(name: &str) -> bool {
    EVENTS.iter().any(|(event, ..)| name.ends_with(&format!(".mainstay.{}", event.to_ascii_lowercase())))
}

/// What makes the triggers of one declared table, and of the link tables that it declares; anew where they are there.
pub fn create(schema: &Schema, dialect: &dyn Dialect, table: &Table) -> Vec<String> {
    let mut statements = drop(dialect, table);
    for (event, before, after, kind) in EVENTS {
        let lines = row_lines(schema, dialect, table, before, after, kind);
        statements.extend(trigger(dialect, &table.db_name, event, &lines));
    }
    for (relation, link) in declared_links(table) {
        for (event, image, kind) in [("INSERT", "NEW", "link"), ("DELETE", "OLD", "unlink")] {
            let lines = link_line(schema, dialect, table, relation, link, image, kind);
            statements.extend(trigger(dialect, &link.db_name, event, &lines));
        }
    }
    statements
}

/// What takes the triggers of a table away.
pub fn drop(dialect: &dyn Dialect, table: &Table) -> Vec<String> {
    let links = declared_links(table).map(|(_, link)| link.db_name.as_str());
    let mut statements = Vec::new();
    for name in std::iter::once(table.db_name.as_str()).chain(links) {
        for (event, ..) in EVENTS {
            statements.push(spelled(dialect, dialect.triggers().drop, name, event, ""));
        }
    }
    statements
}

/// What is there before any trigger.
pub fn setup(dialect: &dyn Dialect) -> Vec<String> {
    dialect.triggers().setup.iter().map(|&statement| statement.to_owned()).collect()
}

/// Marks a transaction as the engine's, whose lines the engine writes.
pub fn mark(dialect: &dyn Dialect) -> Statement {
    Statement { sql: dialect.triggers().mark.into(), binds: Vec::new(), result: ResultShape::Nothing }
}

/// Whether there are triggers that have to be told which transactions are the engine's: a row, or none. Nothing where connections say so
/// by themselves.
pub fn ask(dialect: &dyn Dialect) -> Option<Statement> {
    dialect.triggers().ask.map(row_or_none)
}

/// Whether the database keeps a change log: a row, or none.
pub fn ask_log(dialect: &dyn Dialect) -> Statement {
    row_or_none(dialect.triggers().ask_log)
}

fn row_or_none(sql: &str) -> Statement {
    Statement { sql: sql.into(), binds: Vec::new(), result: ResultShape::Values(vec![Type::Int]) }
}

/// Ends the mark, where it does not end with the transaction.
pub fn unmark(dialect: &dyn Dialect) -> Option<Statement> {
    let sql = dialect.triggers().unmark?;
    Some(Statement { sql: sql.into(), binds: Vec::new(), result: ResultShape::Nothing })
}

fn declared_links(table: &Table) -> impl Iterator<Item = (&str, &LinkTable)> {
    table.relations.iter().filter_map(|relation| match &relation.kind {
        RelationKind::Link(link) => Some((relation.name.as_str(), &**link)),
        _ => None,
    })
}

fn trigger(dialect: &dyn Dialect, table: &str, event: &str, lines: &str) -> Vec<String> {
    let all = spelled(dialect, dialect.triggers().create, table, event, lines);
    all.split("\n;;\n").map(str::to_owned).collect()
}

fn spelled(dialect: &dyn Dialect, template: &str, table: &str, event: &str, lines: &str) -> String {
    let identifier = |name: &str| {
        let mut text = String::new();
        dialect.identifier(&mut text, name);
        text
    };
    let name = trigger_name(table, event);
    let name = match dialect.name_bytes_max() {
        Some(most) if name.len() > most => {
            let ending = format!(".mainstay.{}", event.to_ascii_lowercase());
            let room = table.floor_char_boundary(most - ending.len());
            format!("{}{ending}", &table[..room])
        }
        _ => name,
    };
    template
        .replace("{name}", &identifier(&name))
        .replace("{table}", &identifier(table))
        .replace("{event}", event)
        .replace("{literal}", &identifier(&name).replace('\'', "''"))
        .replace("{lines}", lines)
}

/// The statements that write the lines of a row; ended each.
fn row_lines(
    schema: &Schema,
    dialect: &dyn Dialect,
    table: &Table,
    before: Option<&str>,
    after: Option<&str>,
    kind: &str,
) -> String {
    let text = |write: &dyn Fn(&mut Writer<'_>)| {
        let mut w = Writer::new(schema, dialect);
        write(&mut w);
        w.into_text()
    };
    // As text, which can be compared; and as the log keeps it.
    let image = |row: Option<&str>| row.map(|row| text(&|w| w.image(table, row)));
    let kept = |image: &Option<String>| match image {
        Some(image) => dialect.trigger_image().replace("{0}", image),
        None => "NULL".to_owned(),
    };
    let key_of = |row: &str| text(&|w| w.key_text(table, row));
    let row = after.or(before).unwrap_or("NEW");
    let tenant = match table.tenant {
        Some(tenant) => text(&|w| w.row_text(table, table.column(tenant), row)),
        None => "NULL".to_owned(),
    };
    let insert = |key: &str, kind: &str, before: &str, after: &str, condition: &str| {
        let (columns, values) = dialect.triggers().given;
        let name = quoted(&table.name);
        format!(
            "INSERT INTO \"_change\" ({columns}, \"table\", \"row\", \"kind\", \"before\", \"after\", \"tenant\") \
             SELECT {values}, {name}, {key}, '{kind}', {before}, {after}, {tenant}{condition};\n"
        )
    };
    match (before, after) {
        // A row that gets another key is gone, and there is another one.
        (Some(old), Some(new)) => {
            let (before, after) = (image(before), image(after));
            let changed =
                format!("{} <> {}", before.as_deref().unwrap_or("''"), after.as_deref().unwrap_or("''"));
            let (before, after) = (kept(&before), kept(&after));
            let (old_key, new_key) = (key_of(old), key_of(new));
            let (same, other) = (format!("{old_key} = {new_key}"), format!("{old_key} <> {new_key}"));
            insert(&new_key, kind, &before, &after, &format!(" WHERE {same} AND {changed}"))
                + &insert(&old_key, "delete", &before, "NULL", &format!(" WHERE {other}"))
                + &insert(&new_key, "create", "NULL", &after, &format!(" WHERE {other}"))
        }
        _ => insert(&key_of(row), kind, &kept(&image(before)), &kept(&image(after)), ""),
    }
}

fn link_line(
    schema: &Schema,
    dialect: &dyn Dialect,
    table: &Table,
    relation: &str,
    link: &LinkTable,
    row: &str,
    kind: &str,
) -> String {
    let column = |name: &str| {
        let mut text = format!("{row}.");
        dialect.identifier(&mut text, name);
        text
    };
    let mut w = Writer::new(schema, dialect);
    let ty = schema.key_type(link.target).clone();
    w.json_object([(relation, Some((&ty, column(&link.target_column))))].into_iter());
    let image = dialect.trigger_image().replace("{0}", &w.into_text());
    let (before, after) = if kind == "link" { ("NULL", image.as_str()) } else { (image.as_str(), "NULL") };
    let (columns, values) = dialect.triggers().given;
    let owner = column(&link.owner_column);
    format!(
        "INSERT INTO \"_change\" ({columns}, \"table\", \"row\", \"kind\", \"before\", \"after\", \"tenant\") \
         SELECT {values}, {}, CAST({owner} AS TEXT), '{kind}', {before}, {after}, NULL;\n",
        quoted(&table.name)
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Writer<'_> {
    /// The row's image, as the engine writes it.
    pub(crate) fn image(&mut self, table: &Table, row: &str) {
        let columns: Vec<(&Column, Option<String>)> = table
            .columns
            .iter()
            .filter(|column| !column.secret)
            .map(|column| (column, self.bare_json(table, column, row)))
            .collect();
        let members = columns
            .iter()
            .filter_map(|(column, json)| json.as_ref().map(|json| (column.name.as_str(), json.clone())));
        let members: Vec<(&str, String)> = members.collect();
        let mut pieces = Pieces::default();
        pieces.literal("{");
        for (index, (name, json)) in members.into_iter().enumerate() {
            pieces.literal(if index == 0 { "" } else { "," });
            pieces.literal(&key(name));
            pieces.sql(json);
        }
        pieces.literal("}");
        self.joined_json(&pieces);
    }

    fn json_object<'m>(&mut self, members: impl Iterator<Item = (&'m str, Option<(&'m Type, String)>)>) {
        let mut pieces = Pieces::default();
        pieces.literal("{");
        for (name, member) in members {
            let Some((ty, value)) = member else { continue };
            pieces.literal(&key(name));
            pieces.sql(self.dialect.trigger_json(ty, None, &value).unwrap_or_else(|| "'null'".to_owned()));
        }
        pieces.literal("}");
        self.joined_json(&pieces);
    }

    /// The JSON text of a column of a row of a trigger; none: it cannot be told there.
    fn bare_json(&mut self, table: &Table, column: &Column, row: &str) -> Option<String> {
        let value = self.row_column(table, column, row);
        if column.id == ColumnId::ID && !table.key_of.is_empty() {
            return self.dialect.trigger_json(&Type::Text { max: None }, None, &value);
        }
        let form = self.dialect.forms().and_then(|forms| forms.of(table.id, column.id));
        self.dialect.trigger_json(self.schema.storage_type(&column.ty), form, &value)
    }

    /// A column of a row of a trigger, as it is kept.
    fn row_column(&mut self, table: &Table, column: &Column, row: &str) -> String {
        if column.id == ColumnId::ID && !table.key_of.is_empty() {
            return self.capture(|w| w.key_text(table, row));
        }
        self.capture(|w| {
            w.text(row);
            w.text(".");
            w.identifier(&column.db_name);
        })
    }

    /// The text of a row's key.
    fn key_text(&mut self, table: &Table, row: &str) {
        if table.key_of.is_empty() {
            return self.row_text(table, table.column(ColumnId::ID), row);
        }
        self.text("(");
        self.separated(" || ',' || ", &table.key_of, |w, id| {
            let column = table.column(*id);
            let template = w.dialect.key_part(w.schema.storage_type(&column.ty));
            let value = w.row_column(table, column, row);
            let value = if matches!(w.schema.storage_type(&column.ty), Type::Text { .. } | Type::Enum(_)) {
                format!("CAST({value} AS TEXT)")
            } else {
                value
            };
            w.template(&template, |w, _| w.text(&value));
        });
        self.text(")");
    }

    fn row_text(&mut self, table: &Table, column: &Column, row: &str) {
        let value = self.row_column(table, column, row);
        self.text("CAST(");
        self.text(&value);
        self.text(" AS TEXT)");
    }

    /// Pieces as one text of JSON, by what every program that opens the database can call.
    fn joined_json(&mut self, pieces: &Pieces) {
        self.joined_pieces(pieces);
    }
}
