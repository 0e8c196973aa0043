//! Rules that ask for somebody who has shown a moment ago who they are, and what is told when that alone is missing.
//!
//! It is told of a caller and a rule, never of a row that the same caller could not have had otherwise: a rule that is false for other
//! reasons stays as silent as ever.

use mainstay_lang::expr::{CallerFact, Confirmed, Expr, Factor, Node};
use mainstay_lang::schema::{Operation, TableId};
use mainstay_lang::value::Timestamp;

use crate::catalog::{Catalog, Rule};
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::{Error, Key};
use crate::expression::walk_all;
use crate::factors::Factors;
use crate::guard::Guard;
use crate::part::{Document, Entry, Field, Operation as Request, Part};

/// What an expression asks of this kind.
pub(crate) fn asked_in(of: &Expr, into: &mut Vec<Confirmed>) {
    walk_all(of, &mut |part| {
        if let Node::Caller(CallerFact::Confirmed(asked)) = part.node
            && !into.contains(&asked)
        {
            into.push(asked);
        }
    });
}

/// Why somebody is refused who has shown it too long ago.
pub(crate) fn recent_required(factor: Factor) -> Error {
    let (words, factors) = match factor {
        Factor::Any => (
            "Show once more who you are: this asks for somebody who has just done so.",
            Factors::PASSWORD | Factors::TOTP | Factors::PASSKEY,
        ),
        Factor::Second => (
            "Show a second factor once more: this asks for somebody who has just done so.",
            Factors::TOTP | Factors::PASSKEY,
        ),
    };
    Error { factors, ..Error::new(Key::AuthRecent, words) }
}

impl Ctx {
    /// What is missing of what a rule asks of this kind: the most of it.
    pub(crate) fn missing_of(&self, rule: &Rule) -> Option<Factor> {
        let Rule::When(condition) = rule else { return None };
        if !self.may_confirm() {
            return None;
        }
        let mut asked = Vec::new();
        asked_in(condition, &mut asked);
        asked.iter().filter(|asked| !self.confirmed(**asked)).map(|asked| asked.factor).max()
    }

    /// Whether there is a session that could show who it is: to anybody else nothing is told of it.
    fn may_confirm(&self) -> bool {
        !self.caller.admin && self.caller.confirmed.is_some()
    }

    /// When the next of what a catalogue's rules ask of this kind is over; none: nothing is, or nothing asks.
    pub(crate) fn confirmed_ends(&self, catalog: &Catalog) -> Option<Timestamp> {
        let ends = catalog.confirmations().iter().filter_map(|asked| self.caller.confirmed_until(*asked));
        ends.filter(|end| *end > self.now).min()
    }
}

impl Engine {
    /// Of a row that a caller does not find: why that is so, where it would have, had it shown a moment ago who it is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn recent_wanted(
        &self,
        ctx: &Ctx,
        table: &str,
        id: (String, Field),
    ) -> Result<Option<Error>, Error> {
        if !ctx.may_confirm() {
            return Ok(None);
        }
        let planning = self.planning().await?;
        let missing = planning.catalog.confirmations().iter().filter(|asked| !ctx.confirmed(**asked));
        let Some(factor) = missing.map(|asked| asked.factor).max() else { return Ok(None) };
        let part = Part { fields: vec![id], ..Part::default() };
        let entries = vec![Entry { table: table.to_owned(), parts: vec![part] }];
        let operation = Request { documents: vec![Document { entries }], ..Request::default() };
        let answer = self.execute(&ctx.if_confirmed(), &operation).await?;
        let is_found =
            answer.documents.iter().flat_map(|document| &document.entries).any(|entry| entry.row_count > 0);
        Ok(is_found.then(|| recent_required(factor)))
    }
}

impl Guard<'_> {
    /// Refuses to read a table of which a caller sees no row as it is, and might have seen some a moment after showing who it is.
    ///
    /// # Errors
    /// [`Key::AuthRecent`] with what would do.
    pub(crate) fn recent_check(&self, table: TableId) -> Result<(), Error> {
        let rule = self.rule(table, Operation::Read);
        let ctx = self.ctx();
        let Some(factor) = ctx.missing_of(&rule) else { return Ok(()) };
        let is_never = |ctx: &Ctx| matches!(self.with(ctx).as_it_stands(&rule), Rule::Never);
        match is_never(ctx) && !is_never(&ctx.if_confirmed()) {
            true => Err(recent_required(factor)),
            false => Ok(()),
        }
    }
}
