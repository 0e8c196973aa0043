//! Random apps: a few tables that point to each other in every way, guarded, secret and hidden columns, and rules.
//!
//! Tables come first; rules are written along the schema that they make, and what the checker refuses is left out.

use std::sync::Arc;

use mainstay_lang::schema::{Schema, Table};

use super::model::{App, Line, TableText};
use crate::author::{Author, Place};
use crate::database::schema_of;
use crate::dice::Dice;

const NAMES: [&str; 4] = ["Alpha", "Beta", "Gamma", "Delta"];

/// Names and types of columns; `?` and modifiers are added.
const COLUMNS: [(&str, &str); 10] = [
    ("n", "int"),
    ("title", "text"),
    ("price", "decimal(8, 2)"),
    ("role", "enum(low, mid, top)"),
    ("day", "date"),
    ("moment", "timestamp"),
    ("flag", "bool"),
    ("ratio", "float"),
    ("note", "text(40)"),
    ("tags", "text[]"),
];

/// A value for a column that has to have one.
fn default_of(name: &str) -> &'static str {
    match name {
        "n" => "1",
        "title" | "note" => "\"a\"",
        "price" => "0.5",
        "role" => "mid",
        "day" => "@2026-01-31",
        "moment" => "now()",
        "flag" => "false",
        "ratio" => "0.5",
        _ => "[]",
    }
}

/// A random app with its schema.
///
/// # Panics
/// When its tables, without rules, are no schema: they are made so that they are one.
pub fn app(dice: &mut Dice, extremes: bool) -> (App, Arc<Schema>) {
    let app = tables(dice);
    ruled(app, dice, extremes)
}

/// A random app that knows who is connected: rows of `Presence` are seen by rules of their own, and others' rules follow them.
///
/// # Panics
/// When its tables, without rules, are no schema.
pub fn app_with_presence(dice: &mut Dice) -> (App, Arc<Schema>) {
    let mut app = tables(dice);
    app.uses = Some("presence");
    app.tables[0].lines.push(Line::Text("online Presence[] by who".into()));
    let name = "Presence".to_owned();
    app.tables.push(TableText { name, extends: true, tenant: false, lines: Vec::new() });
    let (mut app, _) = ruled(app, dice, false);
    // A check that fails would keep out of the table who is there.
    for table in &mut app.tables {
        let is_own = table.name == "Presence";
        table
            .lines
            .retain(|line| !matches!(line, Line::Check { .. }) || !is_own && !line.text().contains("online"));
    }
    let schema = settle(&mut app);
    (app, schema)
}

/// Adds a table without rules, which nobody sees.
///
/// # Panics
/// When it is no table of the app.
pub fn with_table(app: &mut App, name: &str, lines: &[&str]) -> Arc<Schema> {
    let lines = lines.iter().map(|line| Line::Text((*line).into())).collect();
    app.tables.push(TableText { name: name.to_owned(), extends: false, tenant: false, lines });
    settle(app)
}

fn ruled(mut app: App, dice: &mut Dice, extremes: bool) -> (App, Arc<Schema>) {
    let bare = schema_of(&app.text().0).unwrap_or_else(|found| panic!("{}\n{found:?}", app.text().0));
    for at in 0..app.tables.len() {
        let table = bare.table_named(&app.tables[at].name).expect("the table is there");
        app.tables[at].lines.extend(rules(&bare, dice, table, extremes));
    }
    let schema = settle(&mut app);
    (app, schema)
}

/// Takes out the lines that cannot stand until the app is one, and answers its schema.
///
/// # Panics
/// When what is wrong is none of the app's lines.
pub fn settle(app: &mut App) -> Arc<Schema> {
    loop {
        let (text, places) = app.text();
        let problems = match schema_of(&text) {
            Ok(schema) => return schema,
            Err(problems) => problems,
        };
        let mut wrong: Vec<(usize, usize)> = problems
            .iter()
            .filter_map(|problem| places[text[..problem.span.start as usize].matches('\n').count()])
            .collect();
        wrong.sort_unstable();
        wrong.dedup();
        assert!(!wrong.is_empty(), "{text}\n{problems:?}");
        for (table, line) in wrong.into_iter().rev() {
            app.tables[table].lines.remove(line);
        }
    }
}

fn tables(dice: &mut Dice) -> App {
    let count = 2 + dice.below(3);
    let text =
        |name: &str, extends| TableText { name: name.to_owned(), extends, tenant: false, lines: Vec::new() };
    let mut tables = vec![text("User", true)];
    tables.extend(NAMES[..count].iter().map(|name| text(name, false)));
    let push = |tables: &mut Vec<TableText>, at: usize, line: String| tables[at].lines.push(Line::Text(line));
    push(&mut tables, 0, "level int?".into());
    for at in 1..=count {
        tables[at].tenant = dice.one_in(4);
        for (name, ty) in COLUMNS {
            if dice.one_in(2) {
                continue;
            }
            let (null, default) = match dice.below(3) {
                0 => ("", format!(" = {}", default_of(name))),
                _ => ("?", String::new()),
            };
            let kept = match dice.below(12) {
                0 => " secret",
                1 => " hidden",
                4 => " immutable",
                // Rows that exist may lack a value that is another row's already.
                2 | 3 if null == "?" && ty != "text[]" => " unique",
                _ => "",
            };
            push(&mut tables, at, format!("{name} {ty}{null}{default}{kept}"));
        }
    }
    // To-one relations with their reverse; those that need a target lead to a table before.
    for from in 0..=count {
        for _ in 0..1 + dice.below(2) {
            let to = if dice.one_in(3) { 0 } else { dice.below(count + 1) };
            let target = tables[to].name.clone();
            let name = format!("{}_{}", ["owner", "peer"][dice.below(2)], target.to_lowercase());
            let taken =
                |line: &Line| matches!(line, Line::Text(text) if text.starts_with(&format!("{name} ")));
            if tables[from].lines.iter().any(taken) {
                continue;
            }
            let required = from > to && dice.one_in(3);
            let null = if required { "" } else { "?" };
            let deletion = match (dice.below(4), required) {
                (0, _) => " on delete cascade",
                (1, _) => " on delete restrict",
                _ => "",
            };
            let kept = if dice.one_in(10) { " immutable" } else { "" };
            push(&mut tables, from, format!("{name} {target}{null}{deletion}{kept}"));
            if !dice.one_in(4) {
                let own = tables[from].name.clone();
                push(&mut tables, to, format!("{}_by_{name} {own}[] by {name}", own.to_lowercase()));
            }
        }
    }
    for from in 1..=count {
        if dice.one_in(2) {
            let to = dice.below(count + 1);
            let (own, target) = (tables[from].name.clone(), tables[to].name.clone());
            let name = format!("many_{}", target.to_lowercase());
            push(&mut tables, from, format!("{name} {target}[]"));
            if dice.one_in(2) {
                push(&mut tables, to, format!("{}_of_{name} {own}[] by {name}", own.to_lowercase()));
            }
        }
    }
    App { uses: None, tables, keeps_rules: false }
}

/// Random rules, checks and an order of a table; some cannot stand, as the checker says.
pub(super) fn rules(schema: &Schema, dice: &mut Dice, table: &Table, extremes: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for operation in ["read", "create", "update", "delete", "link", "unlink"] {
        let is_link = matches!(operation, "link" | "unlink");
        // Most links follow the rule of changing a row.
        // What refers to rows that nobody may read is where they may shine through.
        let rarity = if operation == "read" && table.platform { 4 } else { 12 };
        if is_link && !dice.one_in(6) || !is_link && dice.one_in(rarity) {
            continue;
        }
        for _ in 0..1 + dice.below(2) {
            lines.push(rule(schema, dice, table, operation, "", extremes));
        }
    }
    let columns: Vec<&str> = table
        .columns
        .iter()
        .filter(|column| column.id.0 > 2 && !column.secret && Some(column.id) != table.tenant)
        .map(|column| column.name.as_str())
        .collect();
    for operation in ["read", "read", "update", "create"] {
        if columns.is_empty() || dice.one_in(2) {
            continue;
        }
        let column = *dice.pick(&columns);
        lines.push(rule(schema, dice, table, operation, column, extremes));
    }
    for word in ["check", "warn"] {
        if dice.one_in(3) {
            lines.push(check(schema, dice, table, word));
        }
    }
    if !columns.is_empty() && dice.one_in(4) {
        let sign = if dice.one_in(2) { "-" } else { "" };
        let sortable: Vec<&&str> = columns.iter().filter(|name| **name != "tags").collect();
        if let Some(column) = (!sortable.is_empty()).then(|| *dice.pick(&sortable)) {
            lines.push(Line::Text(format!("order {sign}{column}")));
        }
    }
    lines
}

/// What must not be false: mostly of rows elsewhere, because those are what may be forgotten.
fn check(schema: &Schema, dice: &mut Dice, table: &Table, word: &'static str) -> Line {
    let place = Place { images: false, trusted: true, extremes: false };
    let follows = !dice.one_in(3);
    let mut author = Author::new(schema, dice, table.id, place);
    let followed = if follows { author.relation_test(1) } else { None };
    let condition = followed.unwrap_or_else(|| author.condition(2));
    Line::Check { word, condition, message: format!("{word} of {}", table.name) }
}

fn rule(
    schema: &Schema,
    dice: &mut Dice,
    table: &Table,
    operation: &str,
    column: &str,
    extremes: bool,
) -> Line {
    let head = match column {
        "" => format!("allow {operation}"),
        column => format!("allow {operation}({column})"),
    };
    if dice.one_in(5) {
        return Line::Rule { head, condition: None };
    }
    let place = Place { images: operation == "update", trusted: true, extremes };
    let depth = 1 + dice.below(3);
    let condition = Author::new(schema, dice, table.id, place).condition(depth);
    Line::Rule { head, condition: Some(condition) }
}
