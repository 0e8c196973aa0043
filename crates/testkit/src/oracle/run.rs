//! Many cases in a row: apps, rows, callers and requests from one seed after the other, until enough were judged.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use mainstay_lang::value::Timestamp;

use super::case::{AppText, Case};
use super::generate;
use super::judge::{self, Verdict};
use super::overrides::{self, Broken, Kept};
use super::request::Requests;
use super::shrink::shrink;
use crate::cases::{cases, first_seed, shrinking};
use crate::database::{Database, DatabaseKind};
use crate::dice::Dice;
use crate::naive::Asker;
use crate::rows::{self, NOW, key};

/// How many requests are made on one database.
const REQUESTS: usize = 30;
/// After so many differences there is enough to look at.
const FAILURES_MAX: usize = 4;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Reads,
    /// Writes, each on what the one before left.
    Writes,
}

impl Kind {
    /// How many callers make the same request, one after the other.
    pub(super) fn callers(self) -> usize {
        match self {
            Kind::Reads => 2,
            Kind::Writes => 1,
        }
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests made.
    pub done: usize,
    /// Answered as foretold.
    pub answered: usize,
    /// Rows of those answers.
    pub rows: usize,
    /// Refused as foretold, by key.
    pub refused: BTreeMap<&'static str, usize>,
    /// Not to be foretold.
    pub undecided: usize,
    /// Rules in data.
    pub rules: Kept,
    /// Texts of small cases in which engine and oracle differ.
    pub failures: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { done, answered, rows, refused, undecided, rules, .. } = self;
        write!(
            f,
            "{done} requests: {answered} answered with {rows} rows, {refused:?} refused, {undecided} undecided, {rules:?}"
        )
    }
}

/// Judges `MAINSTAY_ORACLE_CASES` requests, or `usual`, from `MAINSTAY_ORACLE_SEED` on, on one kind of database.
///
/// # Errors
/// When a database cannot be made or used.
pub async fn run(kind: Kind, on: DatabaseKind, usual: usize) -> anyhow::Result<Report> {
    all_apps(usual, async |seed, report| one_app(kind, on, seed, report).await).await
}

/// Tries apps, each by its seed, until so many requests were judged or enough have failed.
pub(super) async fn all_apps(
    usual: usize,
    mut one_app: impl AsyncFnMut(u64, &mut Report) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let count = cases(usual);
    let mut report = Report::default();
    let mut seed = first_seed();
    // Who does not want a small case wants to know whether there is one.
    let failures_max = if shrinking().is_zero() { 1 } else { FAILURES_MAX };
    while report.done < count && report.failures.len() < failures_max {
        one_app(seed, &mut report).await?;
        seed += 1;
    }
    Ok(report)
}

async fn one_app(kind: Kind, on: DatabaseKind, seed: u64, report: &mut Report) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    let extremes = kind == Kind::Reads && dice.one_in(5);
    let (mut app, mut schema) = generate::app(&mut dice, extremes);
    if dice.one_in(3) {
        app.keeps_rules = true;
        schema = generate::settle(&mut app);
    }
    let users = 1 + dice.below(3);
    let made = rows::world(&schema, &mut dice, users, 6, extremes);
    let database = Database::open(on, schema.clone()).await?;
    database.fill(&made).await?;
    let mut world = database.world().await?;
    anyhow::ensure!(world == made.sorted(), "rows come back as they went in");
    for _ in 0..REQUESTS {
        if app.keeps_rules && dice.one_in(4) {
            overrides::change(&database, &mut dice, Broken::Kept, &mut report.rules).await?;
            world = database.world().await?;
        }
        let mut requests = Requests { schema: &schema, world: &world, dice: &mut dice, extremes };
        let request = if kind == Kind::Reads { requests.read() } else { requests.write() };
        // Plans are kept: what one caller asked, another one asks again.
        let askers: Vec<Asker> = (0..kind.callers()).map(|_| asker(&mut dice, users)).collect();
        let mut after = world.clone();
        for asker in askers {
            let verdict = match kind {
                Kind::Reads => judge::read(&database, &world, &asker, &request.json()).await?,
                Kind::Writes => judge::write(&database, &mut after, &asker, &request.json()).await?,
            };
            report.done += 1;
            match verdict {
                Verdict::Agreed { rows } => {
                    report.answered += 1;
                    report.rows += rows;
                }
                Verdict::Refused(key) => *report.refused.entry(key.text()).or_default() += 1,
                Verdict::Undecided => report.undecided += 1,
                Verdict::Differs { sort, expected, found } => {
                    let rows = Case::named_rows(&schema, &world);
                    let case = Case { app: AppText::Model(app), rows, asker, request };
                    let (case, expected, found) = shrink(on, case, &sort, expected, found, shrinking()).await;
                    report.failures.push(write_down(kind, seed, &case, &expected, &found));
                    return Ok(());
                }
            }
        }
        world = after;
    }
    Ok(())
}

/// Somebody, or nobody.
pub(super) fn asker(dice: &mut Dice, users: usize) -> Asker {
    let mut asker = Asker::default();
    if !dice.one_in(4) {
        asker.tenant = Some(rows::tenant(dice.below(rows::TENANTS)));
    }
    match dice.below(8) {
        0 => return asker,
        1 => {
            asker.admin = true;
            return asker;
        }
        // The last one has no row: nobody.
        _ => asker.user = Some(key(dice.below(users + 1) + 1)),
    }
    for name in ["a", "b"] {
        if dice.one_in(3) {
            asker.permissions.insert(name.to_owned());
        }
    }
    if dice.one_in(3) {
        asker.roles.insert("r".to_owned());
    }
    // Just now, too long ago for what rules ask, or never.
    for at in &mut asker.confirmed {
        *at = match dice.below(3) {
            0 => None,
            minutes => Some(Timestamp(NOW.0 - 60_000_000 * if minutes == 1 { 1 } else { 10 })),
        };
    }
    asker
}

/// Keeps a difference in `target/oracle/`, in the form that [`Case::parse`] reads.
fn write_down(kind: Kind, seed: u64, case: &Case, expected: &str, found: &str) -> String {
    let text = format!("{}--- expected\n{expected}\n--- found\n{found}\n", case.text());
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/oracle");
    let path = folder.join(format!("failure-{kind:?}-{seed}.txt").to_lowercase());
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, &text));
    let place = written.map_or_else(|error| error.to_string(), |()| path.display().to_string());
    format!("seed {seed}, written to {place}\n{text}")
}
