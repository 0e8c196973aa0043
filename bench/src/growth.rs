//! What becomes of a request when there is much: rows in its table, connections beside it, tables and rules in its app.
//!
//! Told in processor time for each request of the server, and of PostgreSQL where that does the work: it stays the same while
//! a machine does other things, as times on a clock do not. Each curve has a bound, by the steepest power between two of
//! its points; the command fails when one is above.

mod connections;
mod fill;
mod rows;
mod schema;
mod subject;
mod verdict;

use anyhow::{Result, bail};

use self::verdict::Grown;

/// What can be run by itself.
pub(crate) const PARTS: [&str; 4] = ["schema", "connections", "sqlite", "postgres"];

/// Runs some of the parts, writes what came out into `results/`, and says what grew too fast.
pub(crate) fn run(parts: &[&str]) -> Result<()> {
    let mut too_fast = Vec::new();
    for part in parts {
        let grown: Vec<Grown> = match *part {
            "schema" => schema::run()?,
            "connections" => connections::run()?,
            "sqlite" => rows::run(false)?,
            "postgres" => rows::run(true)?,
            other => bail!("{other} is no part: {}", PARTS.join(", ")),
        };
        verdict::write(part, &grown)?;
        too_fast.extend(grown.iter().filter_map(Grown::complaint).map(|words| format!("{part}: {words}")));
    }
    if too_fast.is_empty() { Ok(()) } else { bail!("too fast:\n  {}", too_fast.join("\n  ")) }
}
