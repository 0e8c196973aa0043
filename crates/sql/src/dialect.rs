//! What differs between databases, as one trait.
//!
//! Templates are SQL text in which `{0}`, `{1}`… stand for the operands; an operand may stand twice. Everything that a
//! dialect is asked for is a matter of spelling: what a statement does is decided by the rest of the crate.

mod change;
mod postgres;
mod sqlite;

use std::borrow::Cow;
use std::fmt::{Debug, Write as _};

use mainstay_lang::expr::{ArithmeticOp, Clock, Function};
use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::catalogue::{CatalogueQueries, FoundColumn, FoundEnum};
use crate::forms::{Form, Forms, Kept};
use crate::pull::Candidate;
use crate::triggers::TriggerSpelling;

pub use change::TypeChange;
pub use postgres::Postgres;
pub use sqlite::Sqlite;

/// The embedded database.
pub const SQLITE: &dyn Dialect = &Sqlite { forms: None };

/// PostgreSQL, 14 or later.
pub const POSTGRES: &dyn Dialect = &Postgres { forms: None };

/// An operation whose spelling depends on the database; types are storage types.
#[derive(Clone, Copy, Debug)]
pub enum Operator<'a> {
    /// `{0} op {1}`
    Arithmetic {
        /// Which.
        op: ArithmeticOp,
        /// Type of `{0}`.
        left: &'a Type,
        /// Type of `{1}`.
        right: &'a Type,
        /// Type of the result.
        result: &'a Type,
    },
    /// `-{0}`
    Negate(&'a Type),
    /// `function({0}, …)`
    Call {
        /// Which; [`Function::Concat`] is written without a dialect.
        function: Function,
        /// Type of `{0}`.
        subject: &'a Type,
        /// Type of the result.
        result: &'a Type,
    },
    /// `{0}` of one type as another.
    Convert {
        /// From.
        from: &'a Type,
        /// To.
        to: &'a Type,
    },
    /// `{0}` contains `{1}`, without regard to ASCII case.
    Contains,
    /// `{0}` is an item of the list `{1}`.
    InList(&'a Type),
    /// The scalar, as text, in the json `{0}` at the path of so many names: `{1}`, `{2}`…
    JsonPath(usize),
    /// Aggregate: least of `{0}`, null of nothing.
    Least(&'a Type),
    /// Aggregate: greatest of `{0}`, null of nothing.
    Greatest(&'a Type),
    /// Aggregate: sum of `{0}`, 0 of nothing.
    Sum(&'a Type),
    /// Aggregate: mean of `{0}` as float, null of nothing.
    Avg(&'a Type),
    /// The opaque text of a cursor from its tag `{0}` and its values `{1}`, a JSON array.
    Cursor,
}

/// How rows are counted that are put together within others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowCounting {
    /// Whoever reads the result counts them exactly by what stands in each: a tab, which is no part of the JSON.
    Mark(&'static str),
    /// A function of the database counts one that stands alone and shows nothing that `concat` would show; of lists
    /// [`Dialect::list_counter`] is exact, and one that nobody limited is cut off behind the cap.
    Call(&'static str),
}

impl RowCounting {
    pub(crate) fn is_mark(&self) -> bool {
        matches!(self, RowCounting::Mark(_))
    }
}

/// What a column is in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnRole {
    /// The primary key by itself.
    Key,
    /// Numbered by the database, ascending, never reused; the primary key.
    Serial,
    /// The transaction that wrote the row, filled by the database where it knows: see [`Dialect::transaction`].
    Transaction,
    /// Anything else.
    Plain,
}

/// Which lists are counted where counting takes time. A result's rows come one by one and are counted exactly then; the
/// statement itself only has to stop before a single row takes far too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All of them: lists stand around this one, and others in it.
    Always,
    /// Long ones: there are at most as many short ones as rows that are counted.
    WhenLong,
}

/// Why a row is locked: the later ones are the stronger ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// What was read of it must stay true until the end of the transaction.
    Hold,
    /// It will be written.
    Write,
    /// It will be deleted, so that nobody may come to refer to it.
    Delete,
}

/// The template of a value's JSON text, which is what [`Value::write_json`] writes.
#[derive(Clone, Debug)]
pub enum JsonText {
    /// JSON already, `null` too.
    Whole(Cow<'static, str>),
    /// JSON, but null stays null.
    NotNull(Cow<'static, str>),
    /// What `concat` shows as JSON though it may not be text yet; null stays null.
    Plain(Cow<'static, str>),
    /// What stands between the quotes of a JSON string and needs no escape; null stays null.
    Quoted(Cow<'static, str>),
}

impl JsonText {
    /// As one template.
    pub fn template(self, nullable: bool) -> Cow<'static, str> {
        match self {
            JsonText::Whole(text) => text,
            JsonText::NotNull(text) if nullable => format!("coalesce({text}, 'null')").into(),
            JsonText::Plain(text) if nullable => format!("coalesce({text}::text, 'null')").into(),
            JsonText::NotNull(text) | JsonText::Plain(text) => text,
            JsonText::Quoted(text) if nullable => format!("coalesce('\"' || {text} || '\"', 'null')").into(),
            JsonText::Quoted(text) => format!("'\"' || {text} || '\"'").into(),
        }
    }
}

/// How positions in the change log are told: by text that means something to the database alone.
#[derive(Clone, Copy, Debug)]
pub struct ChangeLog {
    /// The position now.
    pub position: &'static str,
    /// Whether a line stands behind the position `{0}` and not behind `{1}`, or now when that is null: in words by which an index finds
    /// such lines among all there are.
    pub between: &'static str,
    /// The order of the lines that are found so, in words that do not offer to walk the whole log in that order instead.
    pub order: &'static str,
    /// The same as `between`, of lines that are walked in the order of their numbers.
    pub is_between: &'static str,
    /// The same question to a position and a line in memory: whether the line (its transaction, its `seq`) is not behind the
    /// position. `None` when the text is no position.
    pub holds: fn(&str, i64, i64) -> Option<bool>,
    /// A number that never falls from one position to a later one; `None` when the text is no position.
    pub progress: fn(&str) -> Option<i64>,
}

/// How a statement changes a row that it sees before and after: [`Dialect::outright`].
#[derive(Clone, Copy, Debug)]
pub struct OutrightSpelling {
    /// Whether the row of the alias `{0}` is still of the version in which it is seen under the alias `{1}`.
    pub same: &'static str,
    /// The later one of the instant `{0}` and the instant next to `{1}`, which may be null.
    pub later: &'static str,
    /// How long the value `{0}` is as a text, in bytes; 0 of null.
    pub bytes: &'static str,
}

/// The spelling of one database.
pub trait Dialect: Debug + Send + Sync {
    /// What this kind of database is called where migrations are kept.
    fn kind(&self) -> &'static str;

    /// A name, quoted.
    fn identifier(&self, sql: &mut String, name: &str) {
        sql.push('"');
        for part in name.split_inclusive('"') {
            sql.push_str(part);
            if part.ends_with('"') {
                sql.push('"');
            }
        }
        sql.push('"');
    }

    /// The placeholder of the bind of a number (from 1), which has a storage type.
    fn placeholder(&self, sql: &mut String, number: usize, ty: &Type);

    /// Null of a storage type.
    fn null(&self, _: &Type) -> Cow<'static, str> {
        "NULL".into()
    }

    /// The place of an enum's value in the declared order, as an int.
    fn rank(&self, sql: &mut String, rank: usize) {
        write!(sql, "{rank}").expect("writing to a string does not fail");
    }

    /// A truth value.
    fn boolean(&self, value: bool) -> &'static str {
        if value { "TRUE" } else { "FALSE" }
    }

    /// The present as the database knows it, for scripts: a request brings its own.
    fn clock(&self, clock: Clock) -> &'static str;

    /// A value as a literal, for column defaults.
    fn literal(&self, value: &Value) -> Option<String>;

    /// The template of an operation.
    fn operator(&self, operator: Operator<'_>) -> Cow<'static, str>;

    /// Nothing that `concat` would show, behind the rows of a list that were aggregated: counts them against the cap of the
    /// request.
    fn list_counter(&self, counted: Counted) -> &'static str;

    /// Where there is an aggregate that puts objects together from a template and values, and counts them:
    /// [`mainstay_lang::ops::sqlite::OBJECTS`].
    fn objects(&self) -> Option<&'static str> {
        None
    }

    /// The mark for a value of a storage type in such a template; none: [`Dialect::json`] has to make text of it first.
    fn object_mark(&self, _: &Type) -> Option<Cow<'static, str>> {
        None
    }

    /// How a row is counted that stands alone within others, and each row of a list.
    fn row_counting(&self) -> RowCounting;

    /// Whether a way to the rows is chosen, and kept, before the values of a statement are known. Then the text says how many
    /// rows there may be at most, roughly: a way to ten rows is another than one to all of them.
    fn plans_before_values(&self) -> bool {
        false
    }

    /// Where a row has a version that is another one after every change, and others write at the same time: how it is read, as a text,
    /// and whether a row of the table at hand is the one of `{0}`.
    fn row_version(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// How a row is changed by a statement that sees it before and after, where there are such and others write at the same time.
    fn outright(&self) -> Option<OutrightSpelling> {
        None
    }

    /// What numbers the rows of a page in a column of theirs, where [`Dialect::is_among_first`] asks for that.
    fn row_number(&self) -> Option<&'static str> {
        None
    }

    /// Whether the rows of a list can come as arrays of their values, and joined to the row that they stand in; and go as such.
    fn has_arrays(&self) -> bool {
        false
    }

    /// The placeholder of the bind of a number (from 1) that is an array of values of a storage type, where there are such. Its items
    /// are values of the type once they are cast to it.
    fn array_placeholder(&self, _: &mut String, _: usize, _: &Type) {
        unreachable!("who binds an array has asked whether there are such")
    }

    /// A condition that sets the cap on the rows of nested lists to `{0}`, where a statement itself has to; true.
    fn row_cap(&self) -> Option<&'static str> {
        None
    }

    /// Whether the row at hand, whose alias is `{1}`, is one of the first `{0}` of the result.
    fn is_among_first(&self) -> &'static str;

    /// What stands around a subselect in which a column is looked for: `IN (…)`, or what an index can serve as well when it is
    /// one of several alternatives.
    fn among(&self, _is_alternative: bool) -> (&'static str, &'static str) {
        (" IN (", ")")
    }

    /// How a value of a storage type becomes JSON text.
    fn json(&self, ty: &Type) -> JsonText;

    /// What follows `ASC` or `DESC` so that nulls come where they are wanted.
    fn nulls(&self, descending: bool, first: bool) -> &'static str;

    /// What follows a column of an index that may be null, so that nulls come last in it wherever they can.
    fn index_nulls(&self, _descending: bool) -> &'static str {
        ""
    }

    /// What stands before `OFFSET` when there is no limit.
    fn unlimited(&self) -> &'static str;

    /// What follows a read of rows that are to be locked.
    fn lock(&self, lock: Lock) -> &'static str;

    /// What follows a read of rows that are to be taken by one of many: those that somebody else has under a lock are passed over.
    fn lock_free(&self) -> &'static str {
        ""
    }

    /// A statement that keeps the others of its transaction to their indexes, where the database might believe that reading a whole
    /// table costs less.
    fn steady(&self) -> Option<&'static str> {
        None
    }

    /// A statement after which nobody waits for the disk at the end of its transaction, where that can be chosen: a crash of the database
    /// may undo it, and never what was committed behind it alone.
    fn lazy_commit(&self) -> Option<&'static str> {
        None
    }

    /// Rows of these columns out of the JSON text `{0}`, an array of objects, as something that stands behind FROM, named `given`.
    fn json_rows(&self, columns: &[(&str, &Type)]) -> String;

    /// Where others write at the same time: a truth value that comes once no other transaction has asked for the text `{0}`.
    fn turn(&self) -> Option<&'static str> {
        None
    }

    /// What is compared of a value `{0}` of a storage type by `=` and `<>`.
    fn compared(&self, _: &Type) -> Option<&'static str> {
        None
    }

    /// Type and nullability of a column, and `PRIMARY KEY` when its role says so.
    fn column(&self, schema: &Schema, ty: &Type, nullable: bool, role: ColumnRole) -> String;

    /// Whether a table can refer to one that is made later, so that references may stand with their columns.
    fn refers_ahead(&self) -> bool;

    /// Whether the JSON object `{0}` has a member named `{1}`.
    fn json_has(&self) -> &'static str;

    /// The JSON object `{0}` without its member named `{1}`.
    fn json_remove(&self) -> &'static str;

    /// The JSON object `{0}` with its member named `{1}` under the name `{2}`.
    fn json_rename(&self) -> &'static str;

    /// Whether several releases may work on one database, for which it keeps the defaults of columns.
    fn keeps_defaults(&self) -> bool {
        false
    }

    /// What follows the closing parenthesis of `CREATE TABLE`.
    fn table_options(&self, keyed_by_columns: bool) -> &'static str;

    /// Where the database knows the number of a transaction, which nobody then gives: how it is read of the column `{0}`.
    fn transaction(&self) -> Option<&'static str> {
        None
    }

    /// How positions in the change log are told.
    fn change_log(&self) -> ChangeLog;

    /// A type's name as the database tells it, for comparing with what exists.
    fn type_name(&self, ty: &Type) -> Cow<'static, str>;

    /// Whether a column of one type can become one of another without a look at its values.
    fn widens(&self, _from: &str, _to: &str) -> bool {
        false
    }

    /// How the values of a type become those of another without a loss; none: they do not.
    fn change_type(&self, from: &Type, to: &Type) -> Option<TypeChange>;

    /// Whether a column can be changed where it is. Otherwise its table is built anew, and whatever changes a table has it
    /// for itself: then nothing is done in pieces either.
    fn alters_columns(&self) -> bool;

    /// Bytes of the longest name; none: any length. Declared names are short enough for every database, those of indexes are
    /// put together from them.
    fn name_bytes_max(&self) -> Option<usize> {
        None
    }

    /// Scripts that make what statements call, run once in a database before its tables are made.
    fn setup(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether many rows come and go as binary `COPY`; else they are read by `SELECT` and written by one `INSERT` each.
    fn copies(&self) -> bool {
        false
    }

    /// What a column of [`ColumnRole::Transaction`] gets for a line that was written elsewhere at the instant `{0}`; none:
    /// nothing, because the database knows its transactions.
    fn transaction_of(&self) -> Option<&'static str>;

    /// What makes a column that the database numbers go on behind its greatest number; none: it does so by itself. `{0}` and
    /// `{1}` are texts that hold the names of table (quoted) and column, `{2}` and `{3}` the names of column and table.
    fn continue_numbers(&self) -> Option<&'static str> {
        None
    }

    /// How columns are kept in a database that others made; none: as Mainstay keeps them.
    fn forms(&self) -> Option<&Forms> {
        None
    }

    /// The same spelling for a database whose columns are kept in these forms. It lives as long as the process does, as the app that is
    /// opened with it.
    fn with_forms(&self, forms: Forms) -> &'static dyn Dialect;

    /// How a column of a database that others made keeps the values of a type; none: it cannot.
    fn form(&self, kept: Kept<'_>) -> Option<Form>;

    /// How triggers are spelled that write the change log.
    fn triggers(&self) -> TriggerSpelling;

    /// The JSON text of a value that a trigger meets in a column of a form, never null itself; none: a trigger cannot tell it.
    fn trigger_json(&self, ty: &Type, form: Option<&Form>, value: &str) -> Option<String>;

    /// The JSON text `{0}` as the change log keeps it.
    fn trigger_image(&self) -> &'static str;

    /// The types that a column of a database that others made may have, the best first.
    fn candidates(&self, found: &FoundColumn, enums: &[FoundEnum]) -> Vec<Candidate>;

    /// Whether keys in this form are compared as they are.
    fn is_bare_key(&self, _: &Form) -> bool {
        false
    }

    /// Whether an index serves `(a, b) IN (VALUES (…), (…))`.
    fn finds_rows_in_values(&self) -> bool {
        true
    }

    /// Where one value tells how a column keeps those of a storage type: the value `{0}` as text, and the name of its type.
    fn sample(&self, _: &Type) -> Option<&'static str> {
        None
    }

    /// The text of `{0}`, a value of a storage type, in a key that is put together from several.
    fn key_part(&self, ty: &Type) -> Cow<'static, str>;

    /// What is sorted and compared by `<` of a value `{0}` of a storage type, where the value itself is in another order.
    fn ordered(&self, _: &Type) -> Option<&'static str> {
        None
    }

    /// The questions to the database about what it holds.
    fn catalogue(&self) -> CatalogueQueries;
}
