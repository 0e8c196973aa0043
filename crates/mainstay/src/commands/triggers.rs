//! `mainstay triggers`: whether what others write into the database is seen.

use anyhow::{Result, anyhow};
use mainstay_engine::Engine;
use mainstay_engine::triggers::may_have_triggers;
use mainstay_lang::schema::Table;
use mainstay_lang::suggest::nearest;
use serde_json::json;

use crate::cli::{App, TriggersCommand};
use crate::output::{Output, Usage};
use crate::runtime::{limits, load_settings, open_engine, tokio_runtime};

/// Puts triggers in, takes them away, or lists them.
pub(crate) fn run(output: Output, command: &TriggersCommand) -> Result<()> {
    let (app, tables): (&App, &[String]) = match command {
        TriggersCommand::On { app, tables } | TriggersCommand::Off { app, tables } => (app, tables),
        TriggersCommand::Status { app } => (app, &[]),
    };
    let config = load_settings(output, app)?.config;
    tokio_runtime()?.block_on(async {
        let engine = open_engine(output, app, &config, limits(&config), false).await?;
        let done = act(output, &engine, command, tables).await;
        engine.store().close().await;
        done
    })
}

async fn act(output: Output, engine: &Engine, command: &TriggersCommand, named: &[String]) -> Result<()> {
    let tables = chosen(engine, named)?;
    let changed = match command {
        TriggersCommand::On { .. } => engine.triggers_on(&tables).await,
        TriggersCommand::Off { .. } => engine.triggers_off(&tables).await,
        TriggersCommand::Status { .. } => Ok(()),
    };
    changed.map_err(|error| anyhow!("{error}"))?;
    let states = engine.trigger_states().await.map_err(|error| anyhow!("{error}"))?;
    if output.json {
        let states: serde_json::Map<_, _> =
            states.iter().map(|state| (state.table.clone(), json!(state.on))).collect();
        output.line(&json!({"triggers": states}).to_string())?;
    } else {
        for state in &states {
            output.line(&format!("{:<4} {}", if state.on { "on" } else { "off" }, state.table))?;
        }
    }
    Ok(())
}

/// The tables that are named, or all.
fn chosen<'e>(engine: &'e Engine, named: &[String]) -> Result<Vec<&'e Table>> {
    let schema = engine.schema();
    if named.is_empty() {
        return Ok(schema.tables.iter().filter(|table| may_have_triggers(table)).collect());
    }
    let find = |name: &String| match schema.table_named(name) {
        Some(table) if may_have_triggers(table) => Ok(table),
        Some(_) => Err(Usage(format!("{name} is written by Mainstay alone, and needs no triggers")).into()),
        None => {
            let known = schema.tables.iter().map(|table| table.name.as_str());
            let meant =
                nearest(name, known).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            Err(Usage(format!("there is no table {name}{meant}")).into())
        }
    };
    named.iter().map(find).collect()
}
