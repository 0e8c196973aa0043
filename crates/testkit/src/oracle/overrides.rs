//! Random rules in data: saved through the engine like anybody's, and past it where the engine refuses them, as rows are that
//! an app of before has left behind.

use anyhow::ensure;
use mainstay_engine::error::Key;
use mainstay_lang::schema::{Column, Schema, Table};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use super::judge::execute;
use crate::author::{Author, Place};
use crate::database::Database;
use crate::dice::Dice;
use crate::naive::added::{self, TABLE};
use crate::naive::{Asker, World};
use crate::rows::{NOW, key};

/// How many were kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    /// As they are.
    pub whole: usize,
    /// Though they cannot be read.
    pub broken: usize,
}

/// What becomes of one that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It is written past the engine, and past the change log.
    Kept,
    /// It is not written.
    LeftOut,
}

/// Takes some away, and adds some.
///
/// # Errors
/// When the engine takes what cannot be read, or refuses what can.
pub async fn change(
    database: &Database,
    dice: &mut Dice,
    broken: Broken,
    kept: &mut Kept,
) -> anyhow::Result<()> {
    let schema = database.engine.schema().clone();
    let own = schema.table_named(TABLE).expect("the app keeps rules");
    let admin = Asker { admin: true, ..Asker::default() };
    let left = match dice.below(3) {
        0 => json!({TABLE: {"delete": true, "all": true, "get": []}}),
        1 => json!({TABLE: {"effect": "deny", "set": {"active": false}, "get": []}}),
        _ => json!({TABLE: {"get": []}}),
    };
    if let Err(error) = execute(database, &admin, &left, &[]).await? {
        anyhow::bail!("{left}: {error}");
    }
    for _ in 0..1 + dice.below(3) {
        let id = key(1000 + kept.whole + kept.broken);
        let mut rule = random(&schema, dice);
        rule["id"] = serde_json::from_str(&id.to_json())?;
        let row = row_of(&schema, own, &rule)?;
        let is_whole = added::one(&schema, own, &row).is_some_and(|added| added.is_whole);
        let mut part = rule.clone();
        part["create"] = json!(true);
        match execute(database, &admin, &json!({TABLE: part}), &[]).await? {
            Ok(_) => {
                ensure!(is_whole, "it was kept and cannot be read: {rule}");
                kept.whole += 1;
            }
            Err(error) => {
                ensure!(error.key == Key::Invalid && !is_whole, "{rule}: {error}");
                kept.broken += 1;
                if broken == Broken::LeftOut {
                    continue;
                }
                let mut world = World::empty(&schema);
                world.tables[own.id.0 as usize].push(row);
                database.fill(&world).await?;
            }
        }
    }
    Ok(())
}

fn random(schema: &Schema, dice: &mut Dice) -> Json {
    let tables: Vec<&Table> =
        schema.tables.iter().filter(|table| !table.platform || table.name == "User").collect();
    let table = *dice.pick(&tables);
    let operations = ["read", "read", "read", "create", "update", "delete", "link", "unlink"];
    let operation = *dice.pick(&operations);
    let mut rule = json!({
        "table": if dice.one_in(20) { "Gone" } else { table.name.as_str() },
        "operation": operation,
        "effect": dice.pick(&["allow", "deny"]),
    });
    let mut names: Vec<&str> = match operation {
        "link" | "unlink" => table.relations.iter().map(|relation| relation.name.as_str()).collect(),
        _ => table.columns.iter().map(|column| column.name.as_str()).collect(),
    };
    names.push("gone");
    if dice.one_in(3) && operation != "delete" {
        let names: Vec<&str> = (0..1 + dice.below(2)).map(|_| *dice.pick(&names)).collect();
        rule["columns"] = json!(names);
    }
    if !dice.one_in(4) {
        let place =
            Place { images: operation == "update" || dice.one_in(20), trusted: true, extremes: false };
        let depth = 1 + dice.below(2);
        let text = Author::new(schema, dice, table.id, place).condition(depth).text();
        if text.chars().count() <= 2000 {
            rule["condition"] = json!(text);
        }
    }
    if dice.one_in(3) {
        rule["role"] = json!(dice.pick(&["r", "r", "other"]));
    }
    rule
}

fn row_of(schema: &Schema, own: &Table, rule: &Json) -> anyhow::Result<Vec<Value>> {
    let value = |column: &Column| -> anyhow::Result<Value> {
        Ok(match (&rule[&column.name], column.name.as_str()) {
            (Json::Null, "created" | "updated") => Value::Timestamp(NOW),
            (Json::Null, "active") => Value::Bool(true),
            (Json::Null, _) => Value::Null,
            (json, _) => Value::from_json(&json.to_string(), schema.storage_type(&column.ty))?,
        })
    };
    own.columns.iter().map(value).collect()
}
