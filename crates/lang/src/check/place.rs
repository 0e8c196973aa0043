//! Where an expression stands, and what may be said there.
//!
//! One constructor for each kind of place, so that what a default or a fold may read is written down once.

use crate::schema::{Field, TableId};

/// How much of the caller an expression may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerUse {
    /// Nothing.
    Nothing,
    /// Facts and the plain columns of the caller's row.
    OwnColumns,
    /// Facts, the caller's row and all that it leads to.
    All,
}

/// What an expression may read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// For messages: `a default`.
    pub(crate) what: &'static str,
    /// The table whose row bare names read.
    pub(crate) row: Option<TableId>,
    /// Why there is no row, for messages.
    pub(crate) no_row: &'static str,
    /// Whether `old.` and `new.` are keywords.
    pub(crate) images: bool,
    /// The caller.
    pub(crate) caller: CallerUse,
    /// `now()` and `today()`.
    pub(crate) clock: bool,
    /// Relations of the row.
    pub(crate) relations: bool,
    /// Named parameters, which come before columns.
    pub(crate) params: &'a [Field],
    /// The fields of `event.`, in a fold.
    pub(crate) event: Option<&'a [Field]>,
    /// Whether `$name` is a parameter of the text itself.
    pub(crate) open_params: bool,
    /// Whether all rows are seen: an author's expression, not a caller's.
    pub(crate) trusted: bool,
    /// Whether secret columns have names here.
    pub(crate) secrets: bool,
}

impl<'a> Place<'a> {
    const AUTHOR: Place<'static> = Place {
        what: "an expression",
        row: None,
        no_row: "there is no row here",
        images: false,
        caller: CallerUse::All,
        clock: true,
        relations: true,
        params: &[],
        event: None,
        open_params: false,
        trusted: true,
        secrets: true,
    };

    /// `= expr` of a column: known before the row is.
    pub(crate) fn default() -> Place<'a> {
        Place {
            what: "a default",
            no_row: "a default cannot read other columns: it is known before the row is",
            ..Place::AUTHOR
        }
    }

    /// A value known when the schema is read: bounds, settings, flags.
    pub(crate) fn constant() -> Place<'a> {
        Place {
            what: "a constant",
            no_row: "a constant is expected here",
            caller: CallerUse::Nothing,
            clock: false,
            ..Place::AUTHOR
        }
    }

    /// A selector of `auto per (…)`: reads the new row alone.
    pub(crate) fn selector(table: TableId) -> Place<'a> {
        Place {
            what: "a counter's selector",
            row: Some(table),
            caller: CallerUse::Nothing,
            clock: false,
            relations: false,
            ..Place::AUTHOR
        }
    }

    /// What rows that are there get in a column: reads the row alone.
    pub(crate) fn fill(table: TableId) -> Place<'a> {
        Place { what: "a back-fill", clock: true, ..Place::selector(table) }
    }

    /// The condition of an `allow` line; `images`: it is about updates.
    pub(crate) fn rule(table: TableId, images: bool) -> Place<'a> {
        Place { what: "this rule", row: Some(table), images, ..Place::AUTHOR }
    }

    /// The condition of a rule that is added to an app while it runs. Whoever adds it could find out by it what no rule lets anybody
    /// read, so secret columns have no names there.
    pub(crate) fn added_rule(table: TableId, images: bool) -> Place<'a> {
        Place { what: "the condition", secrets: false, ..Place::rule(table, images) }
    }

    /// The condition of a `check` or `warn` line.
    pub(crate) fn check(table: TableId) -> Place<'a> {
        Place { what: "a check", row: Some(table), images: true, ..Place::AUTHOR }
    }

    /// A line of a command; one that creates has no row yet.
    pub(crate) fn command(table: TableId, creates: bool, params: &'a [Field]) -> Place<'a> {
        Place {
            what: "a command",
            row: if creates { None } else { Some(table) },
            no_row: "a command that creates has no row yet: it reads its parameters and the caller",
            params,
            ..Place::AUTHOR
        }
    }

    /// A line of an `on` block: the row, the event and nothing else, so that a rebuild gives the same rows.
    pub(crate) fn fold(table: TableId, event: &'a [Field]) -> Place<'a> {
        Place {
            what: "an `on` block",
            row: Some(table),
            caller: CallerUse::Nothing,
            clock: false,
            relations: false,
            event: Some(event),
            ..Place::AUTHOR
        }
    }

    /// A caller's `where`.
    pub(crate) fn filter(table: TableId) -> Place<'a> {
        Place { what: "a filter", open_params: true, ..Place::value(table) }
    }

    /// A caller's `order`, `group` or `aggregate`.
    pub(crate) fn value(table: TableId) -> Place<'a> {
        Place {
            what: "a value in a request",
            row: Some(table),
            caller: CallerUse::OwnColumns,
            trusted: false,
            secrets: false,
            ..Place::AUTHOR
        }
    }
}
