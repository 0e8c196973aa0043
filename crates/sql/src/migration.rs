//! What brings a database from one model to a schema: changes in words, and steps in SQL.
//!
//! Pure: the model it starts from was recorded, or read of a database by somebody else. What cannot be decided here is asked
//! for: a column that went and one that came may be one that was renamed, and nobody guesses. What would lose values is
//! marked, what needs values for rows that are there asks for them, and what may be refused by the rows that there are is looked
//! for before anything is changed.

mod alter;
mod baseline;
mod checks;
pub mod drift;
pub mod file;
mod ground;
mod indexes;
pub mod ledger;
mod log;
mod names;
mod pieces;
mod planner;
mod rebuild;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_lang::schema::Schema;

use crate::dialect::Dialect;
use crate::model::Model;

pub use baseline::baseline;
pub use ground::ground;

/// A way from a model to a schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What is different, for people, in the order in which it is done.
    pub changes: Vec<Change>,
    /// What is done.
    pub steps: Vec<Step>,
    /// The recorded lines that go.
    pub removed: BTreeSet<String>,
    /// The recorded lines that come.
    pub added: BTreeSet<String>,
}

/// A difference in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `Product.price is renamed to cost`
    pub words: String,
    /// What it may do to what is there.
    pub effect: Effect,
}

/// What a change may do to the rows that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing is lost or means something else.
    Safe,
    /// Values are filled in, converted, or have to fit what was not asked of them before.
    Values,
    /// Values are lost.
    Destructive,
}

/// Statements that stand together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub words: String,
    /// How it stands to its neighbours.
    pub mode: Mode,
    /// Whether its statement looks for what is in the way instead of changing anything: each row of its result is a text that
    /// says what.
    pub is_check: bool,
    /// Whether values are lost.
    pub is_destructive: bool,
    /// The table that it builds anew, with whose own triggers and indexes somebody else has to deal.
    pub rebuilds: Option<String>,
    /// The statements.
    pub statements: Vec<String>,
}

/// How a step stands to its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// In one transaction with those beside it that are so too.
    #[default]
    Joined,
    /// In a transaction of its own: it takes long, and what came before it should not be locked meanwhile.
    Alone,
    /// In none, because the database does not let it. It has to stand being run again when it did not come to its end.
    Outside,
}

/// How much a plan has to mind others who use the database meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// They go on: locks are held briefly, and what takes long is done in pieces, each of which is durable.
    Online,
    /// There are none, or few enough to wait: everything in one transaction.
    AtOnce,
}

/// What an author says of a change, by declared names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The new name of what had another: `Product` or `Product.price` to `Article` or `cost`.
    pub renames: BTreeMap<String, String>,
    /// What really goes, though something that came could be the same under another name.
    pub drops: BTreeSet<String>,
    /// What rows that are there get: `Product.rank` to an expression over the row.
    pub fills: BTreeMap<String, String>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// One is gone and others are new, and one of them may be it.
    #[error(
        "{from} is gone and {} new: say --rename {from}={} if it is the same under another name, or --drop {from} if its \
         values may go",
        is_or_are(.to), .to[0]
    )]
    Renamed {
        /// `Product` or `Product.price`.
        from: String,
        /// The names that it may have now.
        to: Vec<String>,
    },
    /// What is asked for cannot be done, or not without more being said.
    #[error("{place}: {words}")]
    Refused {
        /// `Table` or `Table.column`.
        place: String,
        /// Why, and what could be done.
        words: String,
    },
}

fn is_or_are(names: &[String]) -> String {
    let (last, others) = names.split_last().expect("a question has an answer");
    if others.is_empty() { format!("{last} is") } else { format!("{} and {last} are", others.join(", ")) }
}

/// The way from a model to a schema.
///
/// # Errors
/// All that has to be said or decided first.
pub fn plan(
    schema: &Schema,
    dialect: &dyn Dialect,
    from: &Model,
    hints: &Hints,
    way: Way,
) -> Result<Plan, Vec<Obstacle>> {
    planner::Planner::new(schema, dialect, from, hints, way).run()
}

impl Plan {
    /// Whether nothing is different, not even in the record.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }

    /// The worst that it may do.
    pub fn effect(&self) -> Effect {
        self.changes.iter().map(|change| change.effect).max().unwrap_or(Effect::Safe)
    }

    /// All statements in order, for one transaction.
    pub fn statements(&self) -> impl Iterator<Item = &String> {
        self.steps.iter().flat_map(|step| &step.statements)
    }
}
