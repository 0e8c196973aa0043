//! Why a row was left out or a change refused: which rule, which clause of it, with which values.
//!
//! For the people who write the rules, not for callers: what it tells goes past every rule. Conditions are taken apart at
//! `and`, `or` and `not`, and their parts asked of the row as it stands, in one statement. A change is really tried, asked
//! where it is refused, and undone.

mod nested;
mod probe;
mod read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mainstay_lang::source::{Sources, Span};
use parking_lot::Mutex;

pub(crate) use self::probe::Probe;
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::Error;
use crate::part::Operation;
use crate::write;

/// All that a request did not get or was not let do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reasons {
    /// One for each row left out, column withheld, and change refused.
    pub refusals: Vec<Why>,
    /// Where there were more rows than are looked at.
    pub beyond: Vec<Beyond>,
}

/// Rows of a part that were not looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Beyond {
    /// JSON pointer to the part.
    pub path: String,
    /// Whose rows.
    pub table: String,
    /// How many.
    pub rows: usize,
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Why {
    /// JSON pointer to the part of the request.
    pub path: String,
    /// The row's table.
    pub table: String,
    /// The row's key, in its wire form.
    pub row: serde_json::Value,
    /// What was refused: `read`, `create`, `update`, `delete`, `link`, `unlink`, `check`, `warn`, `find`.
    pub operation: &'static str,
    /// The column, when a rule of its own refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The lines that would have allowed it had one of them been true; none: no line speaks of it.
    pub lines: Vec<Line>,
    /// Rules in data that deny it, wherever it is allowed: where one is true or unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Line>,
}

/// One line of the app's text, or one rule that is kept in data, asked about the row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// `festival.stay:34`, `RuleOverride 0192…`
    pub place: String,
    /// The line as written.
    pub text: String,
    /// Whether it is true for the row; `None`: unknown, because a value is null.
    pub result: Option<bool>,
    /// Its clauses.
    pub clauses: Vec<Clause>,
}

/// A part of a condition that is no `and`, `or` or `not`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Clause {
    /// As written.
    pub text: String,
    /// Whether it is true for the row.
    pub result: Option<bool>,
    /// What it read of the row and the caller.
    pub values: Vec<Read>,
}

/// A value that a clause read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Read {
    /// The path: `user.team`.
    pub path: String,
    /// In its wire form.
    pub value: serde_json::Value,
}

/// Collects refusals while a change is tried.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(crate) sources: Arc<Sources>,
    found: Mutex<Vec<Why>>,
    is_complete: AtomicBool,
}

impl Inquiry {
    fn new(sources: Arc<Sources>) -> Inquiry {
        Inquiry { sources, found: Mutex::default(), is_complete: AtomicBool::new(false) }
    }

    /// Forgets what an attempt has said that the store begins anew.
    pub(crate) fn begin(&self) {
        self.found.lock().clear();
        self.is_complete.store(false, Ordering::Release);
    }

    /// Notes a refusal.
    pub(crate) fn note(&self, why: Why) {
        self.found.lock().push(why);
    }

    /// Says that nothing was refused.
    pub(crate) fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }
}

impl Engine {
    /// For each row that a caller's request leaves out, and for each change that is refused, the rules that did it.
    /// Nothing is changed.
    ///
    /// # Errors
    /// When the request fails for another reason than a rule or a check.
    pub async fn why(
        &self,
        ctx: &Ctx,
        operation: &Operation,
        sources: &Arc<Sources>,
    ) -> Result<Reasons, Error> {
        let (planning, ctx) = self.ruling.enter(ctx).await?;
        let (planning, ctx) = (&*planning, &*ctx);
        let mut found = read::left_out(self, planning, ctx, operation, sources).await?;
        if self.writes_in(operation) {
            let inquiry = Arc::new(Inquiry::new(sources.clone()));
            let tried = write::attempt(self, planning, ctx, operation, &inquiry).await;
            let is_complete = inquiry.is_complete.load(Ordering::Acquire);
            let refusals = std::mem::take(&mut *inquiry.found.lock());
            match tried {
                // Something else than a rule or a check is in the way, and says so itself.
                Err(error) if !is_complete && refusals.is_empty() && found.refusals.is_empty() => {
                    return Err(error);
                }
                _ => found.refusals.extend(refusals),
            }
        }
        Ok(found)
    }
}

/// `festival.stay:34`
fn place_of(sources: &Sources, span: Span) -> String {
    let name = sources.files().get(span.file as usize).map_or("", |file| file.name.as_str());
    let (line, _) = sources.position(span);
    format!("{name}:{line}")
}
