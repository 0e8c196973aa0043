//! What differs between databases, as one trait.
//!
//! Templates are SQL text in which `{0}`, `{1}`… stand for the operands; an operand may stand twice. Everything that a
//! dialect is asked for is a matter of spelling: what a statement does is decided by the rest of the crate.

mod sqlite;

use std::borrow::Cow;
use std::fmt::Debug;

use mainstay_lang::expr::{ArithmeticOp, Function};
use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

pub use sqlite::Sqlite;

/// The embedded database.
pub const SQLITE: &dyn Dialect = &Sqlite;

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
    /// The scalar, as text, in the json `{0}` at the path `{1}`, a JSON array of names.
    JsonPath,
    /// Aggregate: sum of `{0}`, 0 of nothing.
    Sum(&'a Type),
    /// Aggregate: mean of `{0}` as float, null of nothing.
    Avg(&'a Type),
    /// The opaque text of a cursor from its tag `{0}` and its values `{1}`, a JSON array.
    Cursor,
    /// `''`, once for each nested row: counts it against the cap of the request.
    Row,
}

/// What a column is in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnRole {
    /// The primary key by itself.
    Key,
    /// Numbered by the database, ascending, never reused; the primary key.
    Serial,
    /// Anything else.
    Plain,
}

/// The template of a value's JSON text, which is what [`Value::write_json`] writes.
#[derive(Clone, Debug)]
pub enum JsonText {
    /// JSON already, `null` too.
    Whole(Cow<'static, str>),
    /// JSON, but null stays null.
    NotNull(Cow<'static, str>),
    /// What stands between the quotes of a JSON string and needs no escape; null stays null.
    Quoted(Cow<'static, str>),
}

impl JsonText {
    /// As one template.
    pub fn template(self, nullable: bool) -> Cow<'static, str> {
        match self {
            JsonText::Whole(text) => text,
            JsonText::NotNull(text) if nullable => format!("coalesce({text}, 'null')").into(),
            JsonText::NotNull(text) => text,
            JsonText::Quoted(text) if nullable => format!("coalesce('\"' || {text} || '\"', 'null')").into(),
            JsonText::Quoted(text) => format!("'\"' || {text} || '\"'").into(),
        }
    }
}

/// The spelling of one database.
pub trait Dialect: Debug + Send + Sync {
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

    /// A truth value.
    fn boolean(&self, value: bool) -> &'static str {
        if value { "TRUE" } else { "FALSE" }
    }

    /// A value as a literal, for column defaults.
    fn literal(&self, value: &Value) -> Option<String>;

    /// The template of an operation.
    fn operator(&self, operator: Operator<'_>) -> Cow<'static, str>;

    /// How a value of a storage type becomes JSON text.
    fn json(&self, ty: &Type) -> JsonText;

    /// What follows `ASC` or `DESC` so that nulls come where they are wanted.
    fn nulls(&self, descending: bool, first: bool) -> &'static str;

    /// What stands before `OFFSET` when there is no limit.
    fn unlimited(&self) -> &'static str;

    /// What follows a read whose rows will be written.
    fn lock(&self) -> &'static str;

    /// Type and nullability of a column, and `PRIMARY KEY` when its role says so.
    fn column(&self, schema: &Schema, ty: &Type, nullable: bool, role: ColumnRole) -> String;

    /// What follows the closing parenthesis of `CREATE TABLE`.
    fn table_options(&self, keyed_by_columns: bool) -> &'static str;

    /// A type's name as the database tells it, for comparing with what exists.
    fn type_name(&self, ty: &Type) -> &'static str;

    /// Three statements that tell what the database holds: columns (table, name, type, nullable, in the primary
    /// key), references (table, column, table referred to), and columns of indexes other than the primary key's (table,
    /// index, unique, column, descending), each in order.
    fn existing(&self) -> [&'static str; 3];
}
