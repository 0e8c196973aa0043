//! The tree of a `.stay` file as written: names unresolved, every node with its place.
//!
//! Made by [`crate::parser`], read by [`crate::resolve`] and [`crate::format`]. It keeps what the author wrote, so that
//! formatting loses nothing: comments are kept beside it as [`File::comments`].

use crate::source::Span;

/// One file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// `app name "title"`
    pub app: Option<App>,
    /// Names after `use`, of every `use` line.
    pub uses: Vec<Name>,
    /// Declarations in order.
    pub items: Vec<Item>,
    /// `//` comments (not `///`) in order.
    pub comments: Vec<Comment>,
}

/// `app festival "Festival operations" existing`
#[derive(Clone, Debug)]
pub struct App {
    /// The name.
    pub name: Name,
    /// The title.
    pub title: Option<Text>,
    /// `existing`: others made its database.
    pub existing: Option<Span>,
    /// All of it.
    pub span: Span,
}

/// A name with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A text literal with its place, escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// With its quotes.
    pub span: Span,
}

/// A `//` comment.
#[derive(Clone, Debug)]
pub struct Comment {
    /// With its slashes, without the line's end.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// Whether something else stands before it on its line.
    pub trailing: bool,
}

/// A declaration.
#[derive(Clone, Debug)]
pub enum Item {
    /// `table Name { … }`
    Table(Table),
    /// `extend Name { … }`
    Extend(Table),
    /// `stream Name { … }`
    Stream(Table),
    /// `dataset Table.name { … }`
    Dataset(Dataset),
    /// `flag name = false "words"`
    Flag(Flag),
    /// `setting name type = value "words"`
    Setting(Setting),
}

/// `table`, `extend` or `stream`.
#[derive(Clone, Debug)]
pub struct Table {
    /// `///` lines without their slashes, joined by newlines.
    pub docs: String,
    /// The name.
    pub name: Name,
    /// `(tenant)`
    pub tenant: Option<Span>,
    /// `db "legacy_name"`
    pub db: Option<Text>,
    /// `was OldName`
    pub was: Option<Name>,
    /// What stands between the braces, in order.
    pub members: Vec<Member>,
    /// All of it.
    pub span: Span,
}

/// A line of a table or stream.
#[derive(Clone, Debug)]
pub enum Member {
    /// A column or relation.
    Column(Column),
    /// `label name`
    Label(Name),
    /// `index (a, b)`
    Index {
        /// The columns.
        columns: Vec<Name>,
        /// All of it.
        span: Span,
    },
    /// `unique (a, b)`
    Unique {
        /// The columns.
        columns: Vec<Name>,
        /// All of it.
        span: Span,
    },
    /// `order -created, name`
    Order {
        /// Columns; true: descending.
        items: Vec<(Name, bool)>,
        /// All of it.
        span: Span,
    },
    /// `without created, updated`
    Without {
        /// The columns that rows do not have.
        columns: Vec<Name>,
        /// All of it.
        span: Span,
    },
    /// `history 90 days`
    History {
        /// The duration literal.
        duration: Expr,
        /// All of it.
        span: Span,
    },
    /// `allow read, update(severity) if …`
    Allow(Allow),
    /// `check expr "message"`
    Check(Check),
    /// `warn expr "message"`
    Warn(Check),
    /// `event Name { … }` (streams)
    Event(Event),
    /// `command name(…) { … }` (streams)
    Command(Command),
    /// `on Name { … }` (streams)
    On(On),
}

/// A column or relation: `name type modifiers`.
#[derive(Clone, Debug)]
pub struct Column {
    /// `///` lines without their slashes, joined by newlines.
    pub docs: String,
    /// The name.
    pub name: Name,
    /// The type as written.
    pub ty: TypeExpr,
    /// `?` behind the type.
    pub nullable: bool,
    /// Modifiers in order.
    pub modifiers: Vec<Modifier>,
    /// All of it.
    pub span: Span,
}

/// A type as written.
#[derive(Clone, Debug)]
pub struct TypeExpr {
    /// `text`, `enum`, `Team`, …; empty when it is missing and that has been said.
    pub name: Name,
    /// `(100)`, `(10, 2)`, `(bar, security)`.
    pub args: Vec<TypeArg>,
    /// `[]`
    pub list: bool,
    /// `by column`
    pub by: Option<Name>,
    /// All of it.
    pub span: Span,
}

/// An argument of a type.
#[derive(Clone, Debug)]
pub enum TypeArg {
    /// A number.
    Number(i64, Span),
    /// A name.
    Name(Name),
}

/// What may follow a column's type.
#[derive(Clone, Debug)]
pub struct Modifier {
    /// Which.
    pub kind: ModifierKind,
    /// All of it.
    pub span: Span,
}

/// Which modifier.
#[derive(Clone, Debug)]
pub enum ModifierKind {
    /// `= expr`
    Default(Expr),
    /// `unique`
    Unique,
    /// `index`
    Index,
    /// `trim`
    Trim,
    /// `lower`
    Lower,
    /// `min n`
    Min(Expr),
    /// `max n`
    Max(Expr),
    /// `match "regex"`
    MatchRegex(Text),
    /// `match email`, `match url`
    MatchNamed(Name),
    /// `immutable`
    Immutable,
    /// `secret`
    Secret,
    /// `hidden`
    Hidden,
    /// `on delete cascade|restrict|null`
    OnDelete(Name),
    /// `db "legacy_name"`; of a link table also its two columns: `db "film_actor" ("film_id", "actor_id")`
    Db(Text, Vec<Text>),
    /// `generated`, `generated always`
    Generated {
        /// Nobody else may give it.
        always: bool,
    },
    /// `of (order, product)`: the columns that a key is put together from.
    Of(Vec<Name>),
    /// `was old_name`
    Was(Name),
    /// `auto`, `auto per (expr, …)`
    Auto(Vec<Expr>),
}

/// `allow operations [if condition]`
#[derive(Clone, Debug)]
pub struct Allow {
    /// Operations, each with the columns in its parentheses.
    pub operations: Vec<(Name, Vec<Name>)>,
    /// The condition.
    pub condition: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// `check condition "message"`, `warn …`, `require …`
#[derive(Clone, Debug)]
pub struct Check {
    /// The condition.
    pub condition: Expr,
    /// The message.
    pub message: Text,
    /// All of it.
    pub span: Span,
}

/// A parameter or field: `name type`
#[derive(Clone, Debug)]
pub struct Field {
    /// The name.
    pub name: Name,
    /// The type.
    pub ty: TypeExpr,
    /// `?` behind the type.
    pub nullable: bool,
}

/// `event Name { field type, … }`
#[derive(Clone, Debug)]
pub struct Event {
    /// `///` lines without their slashes, joined by newlines.
    pub docs: String,
    /// The name.
    pub name: Name,
    /// The fields.
    pub fields: Vec<Field>,
    /// All of it.
    pub span: Span,
}

/// `command name(param type, …) [creates] { … }`
#[derive(Clone, Debug)]
pub struct Command {
    /// `///` lines without their slashes, joined by newlines.
    pub docs: String,
    /// The name.
    pub name: Name,
    /// The parameters.
    pub params: Vec<Field>,
    /// `creates`
    pub creates: bool,
    /// What stands between the braces, in order.
    pub body: Vec<CommandLine>,
    /// All of it.
    pub span: Span,
}

/// A line of a command.
#[derive(Clone, Debug)]
pub enum CommandLine {
    /// `allow [if condition]`
    Allow(Option<Expr>, Span),
    /// `require condition "message"`
    Require(Check),
    /// `emit Event { field, field = expr }`
    Emit {
        /// The event.
        event: Name,
        /// Fields and their values; none: the parameter of that name.
        values: Vec<(Name, Option<Expr>)>,
        /// All of it.
        span: Span,
    },
}

/// `on Event { column = expr … }`
#[derive(Clone, Debug)]
pub struct On {
    /// The event.
    pub event: Name,
    /// Columns and their new values.
    pub sets: Vec<(Name, Expr)>,
    /// All of it.
    pub span: Span,
}

/// `dataset Order.main { Order  OrderLine  Customer reference }`
#[derive(Clone, Debug)]
pub struct Dataset {
    /// `///` lines without their slashes, joined by newlines.
    pub docs: String,
    /// The table.
    pub table: Name,
    /// The name behind the point.
    pub name: Name,
    /// Tables; true: `reference`.
    pub members: Vec<(Name, bool)>,
    /// All of it.
    pub span: Span,
}

/// `flag name = false "words"`
#[derive(Clone, Debug)]
pub struct Flag {
    /// `///` lines without their slashes, joined by newlines.
    pub docs: String,
    /// The name.
    pub name: Name,
    /// The value until somebody changes it.
    pub default: Expr,
    /// For people.
    pub description: Option<Text>,
    /// All of it.
    pub span: Span,
}

/// `setting name type = value "words"`
#[derive(Clone, Debug)]
pub struct Setting {
    /// `///` lines without their slashes, joined by newlines.
    pub docs: String,
    /// The name.
    pub name: Name,
    /// The type.
    pub ty: TypeExpr,
    /// The value until somebody changes it.
    pub default: Expr,
    /// For people.
    pub description: Option<Text>,
    /// All of it.
    pub span: Span,
}

/// An expression as written.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// All of it, parentheses left out.
    pub span: Span,
}

/// What an expression is, as written.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `12`
    Int(i64),
    /// `1.5`, digits as written.
    Number(String),
    /// `"text"`
    Text(String),
    /// `true`, `false`
    Bool(bool),
    /// `null`
    Null,
    /// `@2026-01-31`, without the `@`.
    Date(String),
    /// `@2026-01-31T10:00:00Z`, without the `@`.
    Timestamp(String),
    /// `30 days`
    Duration(i64, Name),
    /// `$name` (filters with parameters)
    Param(Name),
    /// A bare name: column, parameter, enum value, `user`, `signed_in`, `this`, `old`, `new`, `event`, `tenant`, `session`.
    Name(Name),
    /// `base.name`
    Member(Box<Expr>, Name),
    /// `function(args)`: `now()`, `lower(x)`
    Call(Name, Vec<Expr>),
    /// `base.method(args)`: `members.any(active)`, `user.can("a")`
    Method(Box<Expr>, Name, Vec<Expr>),
    /// `not x`
    Not(Box<Expr>),
    /// `-x`
    Negate(Box<Expr>),
    /// `a op b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x in y`, `x not in y` (true: negated)
    In(Box<Expr>, Box<Expr>, bool),
    /// `[a, b]`, on the right of `in`
    List(Vec<Expr>),
    /// `if a then b else c`
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `(x)`: kept for the formatter.
    Paren(Box<Expr>),
    /// Text that could not be parsed; a diagnostic has been given, and nothing about it needs saying again.
    Error,
}

/// An infix operator, loosest first; `in` and `not in` bind as comparisons do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `~`
    Contains,
    /// `!~`
    NotContains,
    /// `??`
    Coalesce,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
}
