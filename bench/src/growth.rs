//! What becomes of a request when there is much: rows in its table, connections beside it, tables and rules in its app; and of a job when many
//! wait.
//!
//! Told in processor time for each request of the server, and of PostgreSQL where that does the work: it stays the same while
//! a machine does other things, as times on a clock do not. Each curve has a bound, by the steepest power between two of
//! its points; the command fails when one is above.

mod connections;
mod fill;
mod jobs;
mod plan;
mod rows;
mod schema;
mod subject;
mod verdict;

use anyhow::{Context as _, Result, bail};

use self::verdict::Grown;
use crate::postgres::server::SHARED_BUFFERS;

/// What can be run by itself.
const PARTS: [&str; 5] = ["schema", "connections", "sqlite", "postgres", "jobs"];
/// Rows of the tables that are asked.
const SIZES: [u64; 4] = [1_000, 100_000, 1_000_000, 10_000_000];

/// Which parts, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    parts: Vec<String>,
    rows: Vec<u64>,
    shared_buffers: String,
}

impl Options {
    fn of(words: &[&str]) -> Result<Options> {
        let mut options =
            Options { parts: Vec::new(), rows: SIZES.to_vec(), shared_buffers: SHARED_BUFFERS.to_owned() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--rows" => {
                    let sizes = words.next().context("--rows N,N")?;
                    options.rows = sizes.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "--shared-buffers" => {
                    options.shared_buffers = (*words.next().context("--shared-buffers 256MB")?).to_owned();
                }
                part if PARTS.contains(&part) => options.parts.push(part.to_owned()),
                other => bail!("{other} is no part: {}", PARTS.join(", ")),
            }
        }
        if options.parts.is_empty() {
            options.parts = PARTS.map(str::to_owned).to_vec();
        }
        Ok(options)
    }
}

/// Runs some of the parts, writes what came out into `results/`, and says what grew too fast.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::of(words)?;
    let mut too_fast = Vec::new();
    for part in &options.parts {
        let grown: Vec<Grown> = match part.as_str() {
            "schema" => schema::run()?,
            "connections" => connections::run()?,
            "sqlite" => rows::run(&options.rows, None)?,
            "postgres" => rows::run(&options.rows, Some(&options.shared_buffers))?,
            _ => jobs::run()?,
        };
        verdict::write(part, &grown)?;
        too_fast.extend(grown.iter().filter_map(Grown::complaint).map(|words| format!("{part}: {words}")));
    }
    if too_fast.is_empty() { Ok(()) } else { bail!("too fast:\n  {}", too_fast.join("\n  ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_with_what_they_take() {
        assert_eq!(Options::of(&[]).unwrap().parts, PARTS);
        let told = Options::of(&["postgres", "--rows", "1000,10", "--shared-buffers", "4GB"]).unwrap();
        assert_eq!((told.parts, told.rows), (vec!["postgres".to_owned()], vec![1000, 10]));
        assert_eq!(told.shared_buffers, "4GB");
        assert!(Options::of(&["mysql"]).is_err() && Options::of(&["--rows"]).is_err());
    }
}
