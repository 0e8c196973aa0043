//! Requests to a database that others made, foretold like all others: names that are words of SQL or of the query language, keys of several
//! columns, a table between two others, and values kept in forms that are not Mainstay's.
//!
//! The tables are the same in every case; rules, rows, callers and requests are random. Rows are written in the database's own forms by
//! statements of the engine's, and the world is what is read back of them.

use std::sync::Arc;

use mainstay_lang::schema::Schema;

use super::generate;
use super::judge::{self, Verdict};
use super::request::Requests;
use super::run::{Kind, Report, all_apps, asker};
use crate::database::{Database, DatabaseKind, schema_of};
use crate::dice::Dice;
use crate::rows;

/// How many requests are made on one database.
const REQUESTS: usize = 60;

/// The tables, each with a place for its rules.
const TABLES: [(&str, &str); 3] = [
    (
        "User",
        "table User db \"user\" {
  id    uuid
  level int? db \"Level\"
  lines Line[] by owner_user
  without created, updated
",
    ),
    (
        "Group",
        "table Group db \"group\" {
  id      uuid db \"key\"
  title   text? db \"select\"
  limit_  int? db \"limit\"
  price   decimal(8, 2)? db \"unitPrice\"
  role    enum(low, mid, top)?
  day     date? db \"Day\"
  moment  timestamp? db \"order\"
  flag    bool?
  ratio   float? db \"%\"
  tags    text[]? db \"a tag\"
  secret_ text? secret
  owner_user User? db \"from\"
  lines   Line[] by party
  members User[] db \"join\" (\"group\", \"user\")
  without created, updated
",
    ),
    (
        "Line",
        "table Line db \"Order Details\" {
  id     text(400) of (party, kind, n)
  party  Group db \"in\"
  kind   text(40) db \"table\"
  n      int db \"2nd\"
  note   text? db \"where\"
  amount decimal(8, 2)?
  at     timestamp? db \"when\"
  owner_user User?
  without created, updated
",
    ),
];

const POSTGRES: &str = "
CREATE DOMAIN small AS integer CHECK (VALUE < 1000000);
CREATE TYPE role AS ENUM ('low', 'mid', 'top');
CREATE TABLE \"user\" (id uuid PRIMARY KEY, \"Level\" small);
CREATE TABLE \"group\" (\"key\" uuid PRIMARY KEY, \"select\" varchar(80), \"limit\" smallint, \"unitPrice\" numeric, role role, \"Day\" date,
  \"order\" timestamp, flag boolean, \"%\" double precision, \"a tag\" text[], secret_ text, \"from\" uuid REFERENCES \"user\");
CREATE TABLE \"join\" (\"user\" uuid NOT NULL REFERENCES \"user\" ON DELETE CASCADE, \"group\" uuid NOT NULL REFERENCES \"group\" ON DELETE CASCADE,
  PRIMARY KEY (\"group\", \"user\"));
CREATE TABLE \"Order Details\" (\"2nd\" smallint NOT NULL, \"table\" varchar(40) NOT NULL, \"in\" uuid NOT NULL REFERENCES \"group\",
  \"where\" text, amount money, \"when\" timestamp, owner_user uuid REFERENCES \"user\", PRIMARY KEY (\"in\", \"table\", \"2nd\"))";

const SQLITE: &str = "
CREATE TABLE \"user\" (id CHAR(36) PRIMARY KEY, \"Level\" INTEGER);
CREATE TABLE \"group\" (\"key\" TEXT PRIMARY KEY COLLATE NOCASE, \"select\" VARCHAR(80), \"limit\" SMALLINT, \"unitPrice\" DECIMAL(8, 2), role TEXT,
  \"Day\" DATE, \"order\" DATETIME, flag BOOLEAN, \"%\" REAL, \"a tag\" JSON, secret_ TEXT, \"from\" CHAR(36) REFERENCES \"user\");
CREATE TABLE \"join\" (\"user\" CHAR(36) NOT NULL REFERENCES \"user\" ON DELETE CASCADE, \"group\" TEXT NOT NULL REFERENCES \"group\" ON DELETE CASCADE,
  PRIMARY KEY (\"group\", \"user\"));
CREATE TABLE \"Order Details\" (\"2nd\" INTEGER NOT NULL, \"table\" VARCHAR(40) NOT NULL, \"in\" TEXT NOT NULL REFERENCES \"group\",
  \"where\" TEXT, amount NUMERIC, \"when\" DATETIME, owner_user CHAR(36) REFERENCES \"user\", PRIMARY KEY (\"in\", \"table\", \"2nd\"))";

/// An app on these tables with random rules.
fn app(dice: &mut Dice) -> (String, Arc<Schema>) {
    let text = |rules: &[Vec<String>]| {
        let tables = TABLES.iter().zip(rules).map(|((_, head), rules)| {
            let rules: String = rules.iter().map(|rule| format!("  {rule}\n")).collect();
            format!("{head}{rules}}}\n")
        });
        format!("app others existing\n{}", tables.collect::<String>())
    };
    let mut rules = vec![Vec::new(); TABLES.len()];
    let read = |text: &str| schema_of(text).unwrap_or_else(|found| panic!("{text}\n{found:?}"));
    let bare = read(&text(&rules));
    for (at, (name, _)) in TABLES.iter().enumerate() {
        let table = bare.table_named(name).expect("the table is there");
        for line in generate::rules(&bare, dice, table, false) {
            rules[at].push(line.text());
            if schema_of(&text(&rules)).is_err() {
                rules[at].pop();
            }
        }
    }
    let text = text(&rules);
    let schema = read(&text);
    (text, schema)
}

/// Judges `MAINSTAY_ORACLE_CASES` requests, or `usual`, from `MAINSTAY_ORACLE_SEED` on, on one kind of database.
///
/// # Errors
/// When a database cannot be made or used.
pub async fn run(kind: Kind, on: DatabaseKind, usual: usize) -> anyhow::Result<Report> {
    all_apps(usual, async |seed, report| one_app(kind, on, seed, report).await).await
}

async fn one_app(kind: Kind, on: DatabaseKind, seed: u64, report: &mut Report) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    let (text, schema) = app(&mut dice);
    let users = 1 + dice.below(3);
    let made = rows::world(&schema, &mut dice, users, 8, false);
    let tables = match on {
        DatabaseKind::Sqlite => SQLITE,
        DatabaseKind::Postgres => POSTGRES,
    };
    let database = Database::of_others(on, schema.clone(), tables).await?;
    database.fill(&made).await?;
    let mut world = database.world().await?;
    let made = made.sorted();
    anyhow::ensure!(world == made, "seed {seed}: rows come back as they went in\n{world:?}\n{made:?}");
    for _ in 0..REQUESTS {
        let mut requests = Requests { schema: &schema, world: &world, dice: &mut dice, extremes: false };
        let request = if kind == Kind::Reads { requests.read() } else { requests.write() }.json();
        let mut after = world.clone();
        for _ in 0..kind.callers() {
            let mut asker = asker(&mut dice, users);
            asker.tenant = None;
            report.done += 1;
            let verdict = match kind {
                Kind::Reads => judge::read(&database, &world, &asker, &request).await?,
                Kind::Writes => judge::write(&database, &mut after, &asker, &request).await?,
            };
            match verdict {
                Verdict::Agreed { rows } => {
                    report.answered += 1;
                    report.rows += rows;
                }
                Verdict::Refused(key) => *report.refused.entry(key.text()).or_default() += 1,
                Verdict::Undecided => report.undecided += 1,
                Verdict::Differs { expected, found, .. } => {
                    report.failures.push(format!(
                        "seed {seed}\n{text}\n{world:?}\n{asker:?}\n{request:#}\nexpected\n{expected}\nfound\n{found}"
                    ));
                    return Ok(());
                }
            }
        }
        world = after;
    }
    Ok(())
}
