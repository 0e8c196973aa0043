//! Random apps, rows in them, and the way to another app: afterwards the database is as one that was made for it, and what both have
//! is what it was.
//!
//! Some ways are broken off and gone on with; some are refused because of the rows that there are, and then nothing is changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_engine::migrate::{ApplyOptions, MigrateError, apply, look};
use mainstay_lang::schema::{Column, Schema};
use mainstay_lang::value::Value;
use mainstay_sql::Dialect;
use mainstay_sql::catalogue::Catalogue;
use mainstay_sql::migration::file::File;
use mainstay_sql::migration::{Hints, Mode, Obstacle, Plan, Step, Way, plan};
use mainstay_sql::model::Model;
use mainstay_testkit::cases::{cases, first_seed};
use mainstay_testkit::database::{Database, DatabaseKind, schema_of};
use mainstay_testkit::dice::Dice;
use mainstay_testkit::naive::World;
use mainstay_testkit::oracle::generate::{self, settle};
use mainstay_testkit::oracle::model::{App, Line};
use mainstay_testkit::rows;

/// Everything is allowed: what is refused is refused by the rows.
const OPTIONS: ApplyOptions = ApplyOptions {
    may_destroy: true,
    may_drift: false,
    may_take: false,
    dry_run: false,
    patience: Duration::from_secs(10),
};

/// What became of the cases.
#[derive(Debug, Default)]
struct Report {
    same: usize,
    /// No plan without more being said.
    asked: usize,
    /// Refused by the rows.
    refused: usize,
    done: usize,
    broken_off: usize,
}

#[tokio::test]
async fn a_migrated_database_is_as_one_made_anew() {
    for on in DatabaseKind::ALL {
        let mut report = Report::default();
        let count = cases(on.share(400));
        for seed in first_seed()..first_seed() + u64::try_from(count).unwrap() {
            case(*on, seed, &mut report).await;
        }
        println!("{on:?}: {report:?}");
        assert!(report.done * 4 > count, "many ways are gone to their end: {report:?}");
        assert!(report.broken_off * 10 > count, "some of them in two goes: {report:?}");
    }
}

async fn case(on: DatabaseKind, seed: u64, report: &mut Report) {
    let mut dice = Dice::new(seed);
    let (before, after) = apps(&mut dice);
    let [(text_a, schema_a), (text_b, schema_b)] = [&before, &after].map(|app| {
        let text = app.text().0;
        let schema = schema_of(&text).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
        (text, schema)
    });
    let told = |words: &str| format!("{on:?}, seed {seed}: {words}\n--- from\n{text_a}\n--- to\n{text_b}");
    let dialect = on.dialect();
    let model = Model::of(&schema_a, dialect);
    let whole = plan(&schema_a, dialect, &Model::default(), &Hints::default(), Way::Online).unwrap();
    let Some(way) = way(&schema_b, dialect, &model) else {
        report.asked += 1;
        return;
    };
    if way.is_empty() {
        report.same += 1;
        return;
    }
    let database = Database::open(on, schema_a.clone()).await.unwrap();
    let world = rows::world(&schema_a, &mut dice, 3, 6, false);
    database.fill(&world).await.unwrap();
    let (was, catalogue) = (database.world().await.unwrap(), catalogue(&database).await);
    let file = |number: u32, plan: &Plan| {
        let text = File::render(number, "way", "any", plan);
        let file = File::parse(&format!("{number:04}_way.sql"), &text).unwrap();
        assert_eq!(file.steps, plan.steps, "{}", told(&text));
        file
    };
    let (first, second) = (file(1, &whole), file(2, &way));
    if dice.one_in(2) {
        let stumbling = stumble(&second, dice.below(second.steps.len() + 1));
        let failed = apply(database.engine.store(), &[first.clone(), stumbling], &OPTIONS, &|_| {}).await;
        assert!(failed.is_err(), "{}", told("a step that cannot be run failed nothing"));
        report.broken_off += 1;
    }
    // The files were edited since: the step that could not be run is one that does nothing now.
    let is_broken_off =
        !look(database.engine.store()).await.unwrap().ledger.iter().all(|entry| entry.number == 1);
    let second = match is_broken_off {
        true => mend(&second, look(database.engine.store()).await.unwrap().ledger.len()),
        false => second,
    };
    match apply(database.engine.store(), &[first, second.clone()], &OPTIONS, &|_| {}).await {
        Ok(_) => report.done += 1,
        Err(MigrateError::Step { words, error, .. }) => {
            use mainstay_store::{ScriptError, StoreError};
            // A value that rows are given may be one that no two may have.
            let is_doubled =
                matches!(*error, ScriptError::Statement { error: StoreError::Unique { .. }, .. });
            let is_refusal = is_doubled || matches!(*error, ScriptError::Found { .. });
            assert!(is_refusal, "{}", told(&format!("{words}: {error}\n{:#?}", second.steps)));
            // What stands in no transaction with the step that failed is kept, and the ledger tells of it.
            let ledger = look(database.engine.store()).await.unwrap().ledger;
            let keeps_steps = ledger.iter().any(|entry| entry.number == 2);
            if !(is_broken_off || keeps_steps) {
                let now = self::catalogue(&database).await;
                assert_eq!(
                    canonical(on, &now),
                    canonical(on, &catalogue),
                    "{}",
                    told("something was changed")
                );
                let now = database.world().await.unwrap().sorted();
                assert_eq!(now, was.sorted(), "{}", told("rows were changed"));
            }
            report.refused += 1;
            return;
        }
        Err(error) => panic!("{}", told(&error.to_string())),
    }
    let fresh = Database::open(on, schema_b.clone()).await.unwrap();
    let [found, wanted] = [self::catalogue(&database).await, self::catalogue(&fresh).await];
    let (found, wanted) = (canonical(on, &found), canonical(on, &wanted));
    assert_eq!(found, wanted, "{}", told(&format!("{:#?}", second.steps)));
    let database = match database.reopen(schema_b.clone()).await {
        Ok(database) => database,
        Err(error) => panic!("{}", told(&error.to_string())),
    };
    let is = database.world().await.unwrap();
    kept(&schema_a, &was, &schema_b, &is).unwrap_or_else(|words| panic!("{}", told(&words)));
}

/// The plan, after what it asks for has been answered as far as that can be done without knowing why: rows that need a tenant
/// get one, and what may be renamed is dropped.
fn way(schema: &Schema, dialect: &dyn Dialect, from: &Model) -> Option<Plan> {
    let mut hints = Hints::default();
    for _ in 0..3 {
        let obstacles = match plan(schema, dialect, from, &hints, Way::Online) {
            Ok(plan) => return Some(plan),
            Err(obstacles) => obstacles,
        };
        for obstacle in obstacles {
            match obstacle {
                Obstacle::Renamed { from, .. } => drop(hints.drops.insert(from)),
                Obstacle::Refused { place, words }
                    if words.contains("--fill") && place.ends_with(".tenant") =>
                {
                    hints.fills.insert(place, format!("\"{}\"", rows::tenant(0)));
                }
                Obstacle::Refused { .. } => return None,
            }
        }
    }
    None
}

/// The file with a step that cannot be run at a place, behind which everything is kept.
fn stumble(file: &File, at: usize) -> File {
    let mut file = file.clone();
    let step =
        Step { mode: Mode::Alone, statements: vec!["DELETE FROM \"nowhere\"".to_owned()], ..Step::default() };
    file.steps.insert(at, step);
    file
}

/// The file with a step that does nothing where the ledger ends.
fn mend(file: &File, lines: usize) -> File {
    let mut file = file.clone();
    // One line is that of the first file, which was taken as done.
    let step = Step { statements: vec!["DELETE FROM \"_meta\" WHERE 1 = 0".to_owned()], ..Step::default() };
    file.steps.insert((lines - 1).min(file.steps.len()), step);
    file
}

/// Two apps that have much in common.
fn apps(dice: &mut Dice) -> (App, App) {
    let bare = |dice: &mut Dice| {
        let mut app = generate::app(dice, false).0;
        for table in &mut app.tables {
            table.lines.retain(|line| matches!(line, Line::Text(_)));
        }
        app
    };
    let mut before = bare(dice);
    settle(&mut before);
    let mut after = if dice.one_in(4) { bare(dice) } else { before.clone() };
    let other = bare(dice);
    for table in &mut after.tables {
        let lines = std::mem::take(&mut table.lines);
        for line in lines {
            let Line::Text(text) = &line else { continue };
            match dice.below(8) {
                0 => {}
                1 | 2 if !text.starts_with("order ") => table.lines.push(Line::Text(changed(text, dice))),
                _ => table.lines.push(line),
            }
        }
        let others = other.tables.iter().filter(|other| other.name == table.name);
        for line in others.flat_map(|other| &other.lines) {
            let Line::Text(text) = line else { continue };
            let name = text.split(' ').next().unwrap();
            let is_taken =
                |line: &Line| matches!(line, Line::Text(text) if text.split(' ').next() == Some(name));
            if dice.one_in(3) && !table.lines.iter().any(is_taken) {
                table.lines.push(line.clone());
            }
        }
        table.tenant ^= table.name != "User" && dice.one_in(12);
    }
    settle(&mut after);
    (before, after)
}

/// A line that says something else about its column.
fn changed(line: &str, dice: &mut Dice) -> String {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let changes: &[(&str, &str)] = &[
        ("int", "decimal(20, 0)"),
        ("int", "decimal(12, 2)"),
        ("int", "float"),
        ("int", "text"),
        ("decimal(8, 2)", "decimal(12, 2)"),
        ("decimal(8, 2)", "decimal(12, 3)"),
        ("decimal(8, 2)", "decimal(8, 1)"),
        ("decimal(8, 2)", "text"),
        ("enum(low, mid, top)", "enum(low, mid, top, peak)"),
        ("enum(low, mid, top)", "enum(mid, low)"),
        ("enum(low, mid, top)", "text"),
        ("date", "timestamp"),
        ("date", "text"),
        ("timestamp", "date"),
        ("timestamp", "text"),
        ("bool", "int"),
        ("bool", "json"),
        ("float", "text"),
        ("float", "json"),
        ("text(40)", "json"),
        ("text[]", "json"),
    ];
    let fitting: Vec<_> = changes.iter().filter(|(from, _)| rest.starts_with(from)).collect();
    match dice.below(4) {
        0 if !fitting.is_empty() => {
            let (from, to) = dice.pick(&fitting);
            let behind = &rest[from.len()..];
            // A default of the old type would be none of the new one.
            let (behind, null) = match behind.split_once('=') {
                Some((before, _)) => (before.trim_end().to_owned(), "?"),
                None => (behind.to_owned(), ""),
            };
            format!("{name} {to}{null}{behind}")
        }
        1 if !rest.contains("[]") || rest.starts_with("text[]") => format!("{name}_now {rest} was {name}"),
        2 if rest.contains('?') && !rest.contains('=') => format!("{name} {}", rest.replace('?', "")),
        2 => match rest.split_once(" = ") {
            Some((ty, _)) => format!("{name} {ty}?"),
            None => line.to_owned(),
        },
        _ if rest.contains("secret") => format!("{name} {}", rest.replace(" secret", "")),
        _ if rest.contains('[') || rest.starts_with(|c: char| c.is_ascii_uppercase()) => line.to_owned(),
        _ => format!(
            "{name} {} {}",
            rest.replace(" secret", "").replace(" unique", ""),
            dice.pick(&["secret", "unique", "index"])
        ),
    }
}

async fn catalogue(database: &Database) -> Catalogue {
    database.engine.store().catalogue(Instant::now() + Duration::from_secs(30)).await.unwrap()
}

/// What two databases for one app have in common: not the order of columns, nor names that nobody sees.
fn canonical(on: DatabaseKind, catalogue: &Catalogue) -> Catalogue {
    let mut catalogue = catalogue.clone();
    for table in &mut catalogue.tables {
        table.columns.sort_by(|a, b| a.name.cmp(&b.name));
        if on == DatabaseKind::Sqlite {
            // A column that was added later keeps the default which rows from before were given.
            table.columns.iter_mut().for_each(|column| column.default = None);
        }
        table.references.iter_mut().for_each(|reference| reference.name.clear());
        table.references.sort_by(|a, b| a.columns.cmp(&b.columns));
    }
    catalogue
}

/// Whether what both schemas have is what it was.
fn kept(schema_a: &Schema, was: &World, schema_b: &Schema, is: &World) -> Result<(), String> {
    for b in &schema_b.tables {
        let Some(a) = schema_a.table_named(&b.name) else { continue };
        let rows: BTreeMap<String, &Vec<Value>> =
            is.rows(b.id).iter().map(|row| (row[0].to_json(), row)).collect();
        if rows.len() != was.rows(a.id).len() {
            return Err(format!("{} has {} rows, which were {}", b.name, rows.len(), was.rows(a.id).len()));
        }
        for old in was.rows(a.id) {
            let new = rows.get(&old[0].to_json()).ok_or_else(|| format!("a row of {} is gone", b.name))?;
            for column in &b.columns {
                // A name that the table has again was not given away.
                let was = column.was.as_ref().filter(|was| b.column_named(was).is_none());
                let before = was.and_then(|was| a.column_named(was)).or(a.column_named(&column.name));
                let Some(before) = before else { continue };
                let (old, new) = (&old[before.id.0 as usize], &new[column.id.0 as usize]);
                let place = format!("{}.{}", b.name, column.name);
                match old {
                    Value::Null if column.nullable != new.is_null() => {
                        return Err(format!("{place}: null became {new:?}"));
                    }
                    Value::Null => {}
                    _ if is_same_type(schema_a, before, schema_b, column) && old != new => {
                        return Err(format!("{place}: {old:?} became {new:?}"));
                    }
                    _ if new.is_null() => return Err(format!("{place}: {old:?} was lost")),
                    _ => {}
                }
            }
        }
    }
    for (link, pairs) in &is.links {
        let before = was.links.get(link).map_or(0, Vec::len);
        if was.links.contains_key(link) && pairs.len() != before {
            return Err(format!("{link} has {} links, which were {before}", pairs.len()));
        }
    }
    Ok(())
}

fn is_same_type(schema_a: &Schema, a: &Column, schema_b: &Schema, b: &Column) -> bool {
    schema_a.storage_type(&a.ty) == schema_b.storage_type(&b.ty)
}
