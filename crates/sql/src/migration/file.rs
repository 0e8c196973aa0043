//! Migrations as files: SQL for people to read, with steps between comments, and what they make of the recorded schema.
//!
//! ```sql
//! -- Migration 0003_cost for sqlite
//! --
//! -- Product.price is renamed to cost
//! -- Product.shelf is dropped: its values are lost (destructive)
//! --
//! -- checksum: 53c2f2ab0ea7d0e4
//! -- schema:
//! --   - column Product.price decimal(9, 2)
//! --   + column Product.cost decimal(9, 2)
//!
//! -- step 1: rename Product.price to cost
//! ALTER TABLE "Product" RENAME COLUMN "price" TO "cost";
//!
//! -- step 2 (destructive): drop Product.shelf with its values
//! ALTER TABLE "Product" DROP COLUMN "shelf";
//! ```
//!
//! The lines under `schema:` of all files, one after the other, are the recorded schema: there is no other file that two
//! branches would both change. A file without a `-- step` line is one step, so that a file written by hand is plain SQL.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Effect, Mode, Plan, Step};
use crate::model::{LineError, Model};
use crate::scan;

/// A migration's file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Its place in the order.
    pub number: u32,
    /// What it is called behind its number.
    pub name: String,
    /// What was written into its head as its checksum; differs from `checksum` once somebody has edited it.
    pub written: Option<String>,
    /// The checksum of what stands in it.
    pub checksum: String,
    /// The recorded lines that it takes away.
    pub removed: BTreeSet<String>,
    /// The recorded lines that it adds.
    pub added: BTreeSet<String>,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// Why a file is no migration, or files do not follow each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Its name.
    #[error(
        "{file}: a migration's file is called like 0007_what_it_does.sql: a number and words of letters, digits and _"
    )]
    Name {
        /// The file.
        file: String,
    },
    /// A line of it.
    #[error("{file}:{line}: {words}")]
    Line {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        words: String,
    },
    /// Two files with one number.
    #[error(
        "{first} and {second} have the same number: two branches have each added one; give the later one the next number"
    )]
    Number {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// A file that follows on something else than what stands before it.
    #[error(
        "{file} takes away `{line}`, which the migrations before it do not leave: it was planned beside another one; delete it and plan \
         it again"
    )]
    Order {
        /// The file.
        file: String,
        /// The line.
        line: String,
    },
    /// What files leave is no schema.
    #[error("{file}: {error}")]
    Schema {
        /// The file.
        file: String,
        /// Why.
        error: LineError,
    },
}

impl File {
    /// `0003_cost`
    pub fn title(&self) -> String {
        title(self.number, &self.name)
    }

    /// Whether somebody has edited it since it was planned.
    pub fn is_edited(&self) -> bool {
        self.written.as_ref().is_some_and(|written| *written != self.checksum)
    }

    /// Reads a file from its name and its text.
    ///
    /// # Errors
    /// What is wrong with the name or the first wrong line.
    pub fn parse(file: &str, text: &str) -> Result<File, FileError> {
        let stem = file.strip_suffix(".sql");
        let parts = stem.and_then(|stem| stem.split_once('_'));
        let number = parts.and_then(|(number, name)| Some((number.parse::<u32>().ok()?, name)));
        let Some((number, name)) = number.filter(|(_, name)| is_name(name)) else {
            return Err(FileError::Name { file: file.to_owned() });
        };
        let mut read = File {
            number,
            name: name.to_owned(),
            written: None,
            checksum: checksum(text),
            removed: BTreeSet::new(),
            added: BTreeSet::new(),
            steps: Vec::new(),
        };
        let error = |line: usize, words: String| FileError::Line { file: file.to_owned(), line, words };
        let (mut in_schema, mut body) = (false, String::new());
        for (index, line) in text.lines().enumerate() {
            if let Some(rest) = line.strip_prefix("-- step") {
                finish(&mut read.steps, &mut body);
                read.steps.push(step_head(rest).map_err(|words| error(index + 1, words))?);
                continue;
            }
            let is_head = read.steps.is_empty();
            match line.strip_prefix("--").map(str::trim) {
                Some("schema:") if is_head => in_schema = true,
                Some(rest) if is_head && in_schema => match rest.split_at_checked(2) {
                    Some(("- ", line)) => drop(read.removed.insert(line.trim().to_owned())),
                    Some(("+ ", line)) => drop(read.added.insert(line.trim().to_owned())),
                    _ => {
                        return Err(error(
                            index + 1,
                            "expected `- ` or `+ ` and a line of the recorded schema".to_owned(),
                        ));
                    }
                },
                Some(rest) if is_head && rest.starts_with("checksum:") => {
                    read.written = rest.strip_prefix("checksum:").map(|rest| rest.trim().to_owned());
                }
                _ => {
                    in_schema = false;
                    body.push_str(line);
                    body.push('\n');
                }
            }
        }
        finish(&mut read.steps, &mut body);
        Ok(read)
    }

    /// The text of a file for a plan.
    pub fn render(number: u32, name: &str, database: &str, plan: &Plan) -> String {
        let mut head = format!("-- Migration {} for {database}\n--\n", title(number, name));
        for change in &plan.changes {
            let mark = match change.effect {
                Effect::Safe | Effect::Values => "",
                Effect::Destructive => " (destructive)",
            };
            writeln!(head, "-- {}{mark}", change.words).expect("writing to a string does not fail");
        }
        let mut body = String::from("-- schema:\n");
        for (sign, lines) in [('-', &plan.removed), ('+', &plan.added)] {
            for line in lines {
                writeln!(body, "--   {sign} {line}").expect("writing to a string does not fail");
            }
        }
        for (index, step) in plan.steps.iter().enumerate() {
            write!(body, "\n-- step {}{}: {}\n", index + 1, flags(step), step.words)
                .expect("writing to a string does not fail");
            for statement in &step.statements {
                writeln!(body, "{statement};").expect("writing to a string does not fail");
            }
        }
        let without = format!("{head}--\n{body}");
        format!("{head}--\n-- checksum: {}\n{body}", checksum(&without))
    }
}

fn title(number: u32, name: &str) -> String {
    format!("{number:04}_{name}")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The words of a name as a file bears it; none when nothing is left of them.
pub fn file_name(words: &str) -> Option<String> {
    let kept: String =
        words.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    let name = kept.split_whitespace().collect::<Vec<_>>().join("_");
    (!name.is_empty()).then_some(name)
}

/// Puts what was read since the last head of a step into its step, or into one of its own.
fn finish(steps: &mut Vec<Step>, body: &mut String) {
    let statements: Vec<String> = scan::statements(body).into_iter().map(str::to_owned).collect();
    body.clear();
    if statements.is_empty() {
        return;
    }
    match steps.last_mut() {
        Some(step) => step.statements = statements,
        None => steps.push(Step { words: "written by hand".to_owned(), statements, ..Step::default() }),
    }
}

const CHECK: &str = "check";
const DESTRUCTIVE: &str = "destructive";
const ALONE: &str = "in a transaction of its own";
const OUTSIDE: &str = "outside a transaction";
const REBUILDS: &str = "rebuilds ";

fn flags(step: &Step) -> String {
    let mut flags = Vec::new();
    flags.extend(step.is_check.then(|| CHECK.to_owned()));
    flags.extend(step.is_destructive.then(|| DESTRUCTIVE.to_owned()));
    match step.mode {
        Mode::Joined => {}
        Mode::Alone => flags.push(ALONE.to_owned()),
        Mode::Outside => flags.push(OUTSIDE.to_owned()),
    }
    flags.extend(step.rebuilds.as_ref().map(|table| format!("{REBUILDS}{table}")));
    if flags.is_empty() { String::new() } else { format!(" ({})", flags.join(", ")) }
}

/// ` 3 (destructive, outside a transaction): words`, of which all but the words may be missing.
fn step_head(rest: &str) -> Result<Step, String> {
    let mut step = Step::default();
    let mut rest = rest.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    if let Some(open) = rest.strip_prefix('(') {
        let (inside, behind) = open.split_once(')').ok_or("the flags of this step are not closed by `)`")?;
        for flag in inside.split(',').map(str::trim) {
            match flag {
                CHECK => step.is_check = true,
                DESTRUCTIVE => step.is_destructive = true,
                ALONE => step.mode = Mode::Alone,
                OUTSIDE => step.mode = Mode::Outside,
                _ => match flag.strip_prefix(REBUILDS) {
                    Some(table) => step.rebuilds = Some(table.trim().to_owned()),
                    None => {
                        return Err(format!(
                            "a step cannot be `{flag}`: {CHECK}, {DESTRUCTIVE}, {ALONE}, {OUTSIDE} or {REBUILDS}TABLE"
                        ));
                    }
                },
            }
        }
        rest = behind.trim_start();
    }
    let words = rest.strip_prefix(':').ok_or("expected `-- step: ` and what it does")?;
    step.words = words.trim().to_owned();
    Ok(step)
}

/// FNV-1a over the lines but for the checksum's own: it finds edits, and keeps out nobody who means harm. Line ends do not count.
fn checksum(text: &str) -> String {
    let lines = text.trim_end().lines().filter(|line| !line.starts_with("-- checksum:"));
    let hash = lines
        .flat_map(|line| line.trim_end().bytes().chain([b'\n']))
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

/// The recorded schema after each of some files, in their order.
///
/// # Errors
/// When two have one number, or one does not follow on what is before it.
pub fn fold(files: &[File]) -> Result<Vec<Model>, FileError> {
    let mut lines: BTreeSet<String> = BTreeSet::new();
    let mut models = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        if let Some(before) =
            index.checked_sub(1).map(|before| &files[before]).filter(|of| of.number >= file.number)
        {
            return Err(FileError::Number { first: before.title(), second: file.title() });
        }
        for line in &file.removed {
            if !lines.remove(line) {
                return Err(FileError::Order { file: file.title(), line: line.clone() });
            }
        }
        lines.extend(file.added.iter().cloned());
        let model = Model::parse(lines.iter().map(String::as_str));
        models.push(model.map_err(|error| FileError::Schema { file: file.title(), error })?);
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::{File, FileError, file_name, fold};
    use crate::migration::{Change, Effect, Mode, Plan, Step};

    fn plan() -> Plan {
        let step = |words: &str, statements: &[&str]| Step {
            words: words.to_owned(),
            statements: statements.iter().map(|text| (*text).to_owned()).collect(),
            ..Step::default()
        };
        Plan {
            changes: vec![
                Change { words: "A.b is new".to_owned(), effect: Effect::Safe },
                Change { words: "A.c is dropped".to_owned(), effect: Effect::Destructive },
            ],
            steps: vec![
                Step { is_check: true, ..step("look", &["SELECT 'a: (b)' WHERE FALSE"]) },
                Step { mode: Mode::Outside, ..step("build", &["DROP INDEX x", "CREATE INDEX x ON t (y)"]) },
                Step {
                    is_destructive: true,
                    rebuilds: Some("A".to_owned()),
                    ..step("build anew", &["SELECT ';'"])
                },
            ],
            removed: ["column A.c int".to_owned()].into(),
            added: ["column A.b int?".to_owned()].into(),
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let text = File::render(7, "less_is_more", "sqlite", &plan());
        let file = File::parse("0007_less_is_more.sql", &text).unwrap();
        let Plan { steps, removed, added, .. } = plan();
        assert_eq!((&file.steps, &file.removed, &file.added), (&steps, &removed, &added));
        assert!(!file.is_edited());
        let edited = text.replace("CREATE INDEX x", "CREATE INDEX z");
        assert!(File::parse("0007_less_is_more.sql", &edited).unwrap().is_edited());
        let ends = text.replace('\n', "\r\n");
        assert!(!File::parse("0007_less_is_more.sql", &ends).unwrap().is_edited());
    }

    #[test]
    fn a_file_by_hand_is_plain_sql() {
        let text = "-- Why.\nUPDATE a SET b = 1; -- all\nDELETE FROM c;";
        let file = File::parse("0002_by_hand.sql", text).unwrap();
        assert_eq!(file.steps.len(), 1);
        assert_eq!(file.steps[0].statements, ["-- Why.\nUPDATE a SET b = 1", "-- all\nDELETE FROM c"]);
        let text = format!("{}\n-- step (alone): more\nSELECT 1;", text);
        let error = File::parse("0002_by_hand.sql", &text).unwrap_err();
        assert!(matches!(error, FileError::Line { line: 4, .. }), "{error}");
        for name in ["2.sql", "x_y.sql", "0001_a-b.sql", "0001_a"] {
            assert!(matches!(File::parse(name, ""), Err(FileError::Name { .. })), "{name}");
        }
    }

    #[test]
    fn files_follow_each_other() {
        let file = |number: u32, lines: &str| {
            File::parse(&format!("{number:04}_x.sql"), &format!("-- schema:\n{lines}")).unwrap()
        };
        let first = file(1, "-- + table A\n-- + column A.id int key\n-- + column A.c int");
        let second = file(2, "-- - column A.c int\n-- + column A.c int?");
        let models = fold(&[first.clone(), second.clone()]).unwrap();
        assert!(
            models[1].column("A", "c").unwrap().nullable && !models[0].column("A", "c").unwrap().nullable
        );
        let twice = fold(&[first.clone(), second.clone(), file(2, "")]).unwrap_err();
        assert!(matches!(twice, FileError::Number { .. }), "{twice}");
        let beside = fold(&[first, second, file(3, "-- - column A.c int")]).unwrap_err();
        assert!(matches!(beside, FileError::Order { .. }), "{beside}");
    }

    #[test]
    fn names_of_files_are_made_of_words() {
        assert_eq!(file_name("Prices, in cents!").as_deref(), Some("prices_in_cents"));
        assert_eq!(file_name(" … "), None);
    }
}
