//! `mainstay migrate plan`: the declared schema beside the one that the files lead to. Only where there are no files yet, the
//! app's database is looked at, should it be there.
//!
//! What may be a rename is asked for at a terminal, and refused elsewhere: a column that is dropped by mistake takes its values with
//! it.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use mainstay_engine::migrate::look;
use mainstay_lang::schema::Schema;
use mainstay_sql::Dialect;
use mainstay_sql::migration::file::{File, file_name, fold};
use mainstay_sql::migration::{Effect, Hints, Obstacle, Plan, Step, Way, baseline, plan};
use mainstay_sql::model::Model;
use mainstay_store::DatabaseUrl;
use serde_json::json;

use crate::cli::{App, PlanArgs};
use crate::commands::check;
use crate::migrations::{self, Migrations};
use crate::output::{Output, Usage};
use crate::runtime::{database_url, load_settings, open_store, tokio_runtime};
use crate::settings::Config;

/// What the first migration is called.
const START: &str = "start";

/// The longest name made of a change's own words, in bytes.
const NAME_BYTES_MAX: usize = 48;

/// Writes a file for each kind of database that the app is planned for.
pub(crate) fn run(output: Output, app: &App, args: &PlanArgs) -> Result<()> {
    let loaded = load_settings(output, app)?;
    let own = database_url(&app.folder, &loaded.config)?.dialect();
    let schema = check::own_schema(output, app)?;
    let mut hints = hints(args)?;
    let kinds = migrations::kinds(&app.folder, own, args.kind.as_deref());
    let all = kinds
        .into_iter()
        .map(|dialect| migrations::read(&app.folder, dialect))
        .collect::<Result<Vec<_>>>()?;
    let mut planned = Vec::with_capacity(all.len());
    let mut told = Vec::new();
    for migrations in &all {
        let mut from = recorded(migrations)?;
        if migrations.files.is_empty()
            && migrations.kind == own.kind()
            && let Some(held) = held(output, app, &loaded.config, &schema)?
        {
            let start = baseline(&held, migrations.dialect);
            let text = File::render(1, START, migrations.kind, &start);
            let path = migrations.folder.join(format!("0001_{START}.sql"));
            if args.check {
                bail!(
                    "the database was made without migrations: run `mainstay migrate plan {}`",
                    app.folder.display()
                );
            }
            migrations::write(&path, &text)?;
            output.say(
                "the database that is there was made without migrations: the first one is what it holds",
            );
            told.push(tell(output, &app.folder, &path, migrations.kind, &start)?);
            from = held;
        }
        planned.push((migrations, decided(output, &schema, migrations.dialect, &from, &mut hints)?));
    }
    if !args.by_hand {
        planned.retain(|(_, plan)| !plan.is_empty());
    }
    if planned.is_empty() {
        let words = "nothing is different: the migrations lead to the declared schema";
        output.say(words);
        return if output.json { output.line(&json!({"files": []}).to_string()) } else { Ok(()) };
    }
    if args.check {
        for (migrations, plan) in &planned {
            plan.changes
                .iter()
                .for_each(|change| output.say(format!("{}: {}", migrations.kind, change.words)));
        }
        bail!(
            "the migrations do not lead to the declared schema: run `mainstay migrate plan {}`",
            app.folder.display()
        );
    }
    let last = all.iter().flat_map(|of| &of.files).map(|file| file.number).max();
    let number = 1 + last.unwrap_or(if told.is_empty() { 0 } else { 1 });
    let name = name(args, number, &planned[0].1)?;
    for (migrations, plan) in &planned {
        let text = text(number, &name, migrations.kind, plan, args.by_hand);
        let path = migrations.folder.join(format!("{number:04}_{name}.sql"));
        migrations::write(&path, &text)?;
        told.push(tell(output, &app.folder, &path, migrations.kind, plan)?);
    }
    if output.json { output.line(&json!({"files": told}).to_string()) } else { Ok(()) }
}

/// The schema that the files lead to.
pub(super) fn recorded(migrations: &Migrations) -> Result<Model> {
    let models =
        fold(&migrations.files).map_err(|error| anyhow!("{}: {error}", migrations.folder.display()))?;
    Ok(models.into_iter().next_back().unwrap_or_default())
}

/// What the app's database holds, when there is one that was made without migrations and is not as the app declares it.
fn held(output: Output, app: &App, config: &Config, schema: &Schema) -> Result<Option<Model>> {
    if let DatabaseUrl::Sqlite(path) = database_url(&app.folder, config)?
        && !path.exists()
    {
        return Ok(None);
    }
    let looked = tokio_runtime()?.block_on(async {
        let store = open_store(app, config, false)?;
        let known = look(&store).await;
        store.close().await;
        anyhow::Ok(known?)
    });
    let known = match looked {
        Ok(known) => known,
        Err(error) => {
            output.say(format!(
                "the database could not be looked at, so nothing is known to be there: {error:#}"
            ));
            return Ok(None);
        }
    };
    let declared = Model::of(schema, known.dialect);
    if known.is_empty() {
        return Ok(None);
    }
    let (model, misfits, _) = known.model(&declared).map_err(|error| anyhow!("{error}"))?;
    if let Some(misfit) = misfits.first() {
        bail!(
            "{}.{} is {} in the database, and what it means was never recorded: declare it as it is first",
            misfit.table,
            misfit.column,
            misfit.found
        );
    }
    Ok((model != declared).then_some(model))
}

fn hints(args: &PlanArgs) -> Result<Hints> {
    let pairs = |flag: &str, texts: &[String]| {
        let pair = |text: &String| {
            let (place, value) =
                text.split_once('=').filter(|(place, value)| !place.is_empty() && !value.is_empty())?;
            Some((place.trim().to_owned(), value.trim().to_owned()))
        };
        let read = |text: &String| {
            pair(text).ok_or_else(|| {
                Usage(format!("--{flag} {text:?}: expected OLD=NEW, such as Product.price=cost"))
            })
        };
        texts.iter().map(read).collect::<Result<_, Usage>>()
    };
    Ok(Hints {
        renames: pairs("rename", &args.renames)?,
        drops: args.drops.iter().cloned().collect(),
        fills: pairs("fill", &args.fills)?,
    })
}

/// The plan, with everything decided that has to be.
fn decided(
    output: Output,
    schema: &Schema,
    dialect: &dyn Dialect,
    from: &Model,
    hints: &mut Hints,
) -> Result<Plan> {
    loop {
        let obstacles = match plan(schema, dialect, from, hints, Way::Online) {
            Ok(plan) => return Ok(plan),
            Err(obstacles) => obstacles,
        };
        let question = obstacles.iter().find_map(|obstacle| match obstacle {
            Obstacle::Renamed { from, to } => Some((from, to)),
            Obstacle::Refused { .. } => None,
        });
        match question {
            Some((from, to)) if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => {
                ask(output, from, to, hints)?;
            }
            _ => {
                let words: Vec<String> = obstacles.iter().map(|obstacle| format!("  {obstacle}")).collect();
                bail!("there is no plan yet:\n{}", words.join("\n"));
            }
        }
    }
}

/// Asks whether something was renamed, and remembers the answer.
fn ask(output: Output, from: &str, to: &[String], hints: &mut Hints) -> Result<()> {
    output.say(format!("{from} is gone. Is it now called"));
    to.iter().enumerate().for_each(|(index, name)| output.say(format!("  {}  {name}", index + 1)));
    output.say("  d  nothing any more: its values may be dropped");
    loop {
        output.say("?");
        let mut answer = String::new();
        if std::io::stdin().lock().read_line(&mut answer).context("reading the answer")? == 0 {
            bail!("nothing was planned");
        }
        match answer.trim() {
            "d" => {
                hints.drops.insert(from.to_owned());
                return Ok(());
            }
            answer => {
                let chosen = answer.parse::<usize>().ok().and_then(|number| to.get(number.checked_sub(1)?));
                if let Some(name) = chosen.or_else(|| to.iter().find(|name| *name == answer)) {
                    hints.renames.insert(from.to_owned(), name.clone());
                    return Ok(());
                }
            }
        }
    }
}

fn name(args: &PlanArgs, number: u32, plan: &Plan) -> Result<String> {
    if let Some(words) = &args.name {
        let name = file_name(words);
        return name
            .ok_or_else(|| Usage(format!("--name {words:?}: expected words of letters and digits")).into());
    }
    if number == 1 {
        return Ok(START.to_owned());
    }
    let words = plan.changes.first().map(|change| change.words.split(':').next().unwrap_or_default());
    let mut name = words.and_then(file_name).unwrap_or_else(|| "by_hand".to_owned());
    name.truncate(NAME_BYTES_MAX);
    Ok(name.trim_end_matches('_').to_owned())
}

/// The file's text; by hand, with a last step to be written.
fn text(number: u32, name: &str, kind: &str, plan: &Plan, by_hand: bool) -> String {
    let mut text = File::render(number, name, kind, plan);
    if by_hand {
        let step = plan.steps.len() + 1;
        text.push_str(&format!("\n-- step {step}: SAY WHAT IT DOES\n-- write SQL here\n"));
    }
    text
}

fn tell(output: Output, app: &Path, path: &Path, kind: &str, plan: &Plan) -> Result<serde_json::Value> {
    let shown = path.strip_prefix(app.parent().unwrap_or(app)).unwrap_or(path).display().to_string();
    let checks = plan.steps.iter().filter(|step: &&Step| step.is_check).count();
    if !output.json {
        output.line(&shown)?;
    }
    for change in &plan.changes {
        let mark = if change.effect == Effect::Destructive { " (destructive)" } else { "" };
        output.say(format!("  {}{mark}", change.words));
    }
    output.say(format!("  {} steps, {checks} of them only look whether the rows fit", plan.steps.len()));
    let changes: Vec<_> = plan
        .changes
        .iter()
        .map(|change| {
            let effect = match change.effect {
                Effect::Safe => "safe",
                Effect::Values => "values",
                Effect::Destructive => "destructive",
            };
            json!({"words": change.words, "effect": effect})
        })
        .collect();
    Ok(json!({"path": shown, "database": kind, "steps": plan.steps.len(), "changes": changes}))
}
