//! The resolved schema of an app: what every later crate reads.
//!
//! Built by [`crate::analyse`] from text; immutable afterwards. Every name is resolved to an id and every
//! expression is typed. It knows nothing of databases beyond the names that the author gave (`db "…"`).

// Looked up by every request, and filled by the app's author alone.
use foldhash::HashMap;
use std::sync::Arc;

use crate::expr::Expr;
use crate::source::Span;
use crate::types::Type;

/// Index of a table in [`Schema::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

/// Index of a column in [`Table::columns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u32);

/// Index of a to-many relation in [`Table::relations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationId(pub u32);

impl ColumnId {
    /// The key of the row.
    pub const ID: ColumnId = ColumnId(0);
}

/// A whole app, resolved and typed.
#[derive(Debug, Default)]
pub struct Schema {
    /// The app's name, `app` when no file says it.
    pub app: String,
    /// The app's title for people.
    pub title: String,
    /// Whether its database was made by others, who keep changing it: Mainstay never changes more of it than rows.
    pub existing: bool,
    /// Platform capabilities named by `use`.
    pub uses: Vec<String>,
    /// Tables and streams, the platform's first.
    pub tables: Vec<Table>,
    /// Editable units.
    pub datasets: Vec<Dataset>,
    /// Feature flags.
    pub flags: Vec<Flag>,
    /// Shared settings.
    pub settings: Vec<Setting>,
    /// Names to tables.
    pub table_names: HashMap<String, TableId>,
}

impl Schema {
    /// The tables that are the app's to make and change: all but those that stand over a table of the system.
    pub fn own_tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| !table.is_system())
    }

    /// The table of an id made by this schema.
    pub fn table(&self, id: TableId) -> &Table {
        &self.tables[id.0 as usize]
    }

    /// The table of a name.
    pub fn table_named(&self, name: &str) -> Option<&Table> {
        self.table_names.get(name).map(|id| self.table(*id))
    }

    /// The table of the caller's row.
    pub fn user_table(&self) -> Option<&Table> {
        self.table_named("User")
    }

    /// The type of a table's key.
    pub fn key_type(&self, id: TableId) -> &Type {
        &self.table(id).columns[0].ty
    }

    /// The declared type as it is stored: a reference becomes the type of its target's key.
    pub fn storage_type<'a>(&'a self, ty: &'a Type) -> &'a Type {
        match ty {
            Type::Ref(table) => self.key_type(*table),
            other => other,
        }
    }
}

/// One table, or one stream (its rows are the fold of its events).
#[derive(Debug)]
pub struct Table {
    /// Its own index.
    pub id: TableId,
    /// `UpperCamel` name: on the wire and in the language.
    pub name: String,
    /// Name in the database.
    pub db_name: String,
    /// `was Name`: what it was called before, for whoever brings a database in step.
    pub was: Option<String>,
    /// `///` lines, joined by newlines.
    pub docs: String,
    /// Columns in declared order; the first are `id`, `created`, `updated`, as far as it has them; a tenant table has `tenant` next.
    pub columns: Vec<Column>,
    /// When the row was made; none: nobody keeps it.
    pub created: Option<ColumnId>,
    /// When the row was last changed, which is its version; none: nobody keeps it.
    pub updated: Option<ColumnId>,
    /// The columns that its key is put together from; empty: the key is a column of its own.
    pub key_of: Vec<ColumnId>,
    /// To-many relations in declared order.
    pub relations: Vec<Relation>,
    /// Names of columns and relations.
    pub members: HashMap<String, Member>,
    /// The column that stands for a row in a list.
    pub label: Option<ColumnId>,
    /// `index (…)` and single-column `index`.
    pub indexes: Vec<Index>,
    /// `unique (…)` over several columns and single-column `unique`.
    pub uniques: Vec<Index>,
    /// Order of a list that asks for none.
    pub order: Vec<OrderBy>,
    /// `history 90 days`: how long changes are kept, in microseconds.
    pub history: Option<i64>,
    /// The `allow` lines.
    pub rules: Vec<Rule>,
    /// The `check` lines.
    pub checks: Vec<Check>,
    /// The `warn` lines.
    pub warns: Vec<Check>,
    /// Whether rows belong to a tenant.
    pub tenant: Option<ColumnId>,
    /// Events, commands and folds, when this is a stream.
    pub stream: Option<Stream>,
    /// Whether the platform declared it.
    pub platform: bool,
    /// Where its name stands.
    pub span: Span,
}

/// What a name of a table stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// A column (to-one relations included).
    Column(ColumnId),
    /// A to-many relation.
    Relation(RelationId),
}

impl Table {
    /// Whether it stands over a table of the system, which the platform alone makes and writes.
    pub fn is_system(&self) -> bool {
        self.db_name.starts_with('_')
    }

    /// The column of an id of this table.
    pub fn column(&self, id: ColumnId) -> &Column {
        &self.columns[id.0 as usize]
    }

    /// The relation of an id of this table.
    pub fn relation(&self, id: RelationId) -> &Relation {
        &self.relations[id.0 as usize]
    }

    /// The column of a name.
    pub fn column_named(&self, name: &str) -> Option<&Column> {
        match self.members.get(name) {
            Some(Member::Column(id)) => Some(self.column(*id)),
            _ => None,
        }
    }

    /// The to-many relation of a name.
    pub fn relation_named(&self, name: &str) -> Option<&Relation> {
        match self.members.get(name) {
            Some(Member::Relation(id)) => Some(self.relation(*id)),
            _ => None,
        }
    }

    /// The rules of one operation on whole rows (`column` = `None`) or on one column.
    pub fn rules_of(&self, operation: Operation, column: Option<ColumnId>) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| {
            rule.operations.contains(&operation)
                && match column {
                    None => rule.columns.is_empty(),
                    Some(id) => rule.columns.contains(&id),
                }
        })
    }

    /// Whether a column has rules of its own for an operation.
    pub fn is_guarded(&self, operation: Operation, column: ColumnId) -> bool {
        self.rules_of(operation, Some(column)).next().is_some()
    }
}

/// One column.
#[derive(Debug)]
pub struct Column {
    /// Its own index.
    pub id: ColumnId,
    /// `snake_case` name.
    pub name: String,
    /// Name in the database.
    pub db_name: String,
    /// `was name`: what it was called before, for whoever brings a database in step.
    pub was: Option<String>,
    /// `///` lines, joined by newlines.
    pub docs: String,
    /// Declared type; `Ref` for a to-one relation.
    pub ty: Type,
    /// Whether null is allowed.
    pub nullable: bool,
    /// `= expr`; reads no column, so it is known before the row is.
    pub default: Option<Expr>,
    /// Unique by itself.
    pub unique: bool,
    /// White space at both ends is removed before anything else.
    pub trim: bool,
    /// ASCII letters are made lower-case before anything else.
    pub lower: bool,
    /// Least value (numbers, times), length in code points (text) or number of items (lists).
    pub min: Option<Bound>,
    /// Greatest value, length or number of items.
    pub max: Option<Bound>,
    /// What text must match.
    pub pattern: Option<Pattern>,
    /// Settable at creation only.
    pub immutable: bool,
    /// Never leaves the server.
    pub secret: bool,
    /// Left out of `*`.
    pub hidden: bool,
    /// What happens to this row when its to-one target is deleted.
    pub on_delete: OnDelete,
    /// `auto per (…)`: a gapless counter for each value of the selectors.
    pub auto: Option<Auto>,
    /// `created` or `updated`.
    pub stamp: Option<Stamp>,
    /// Given by the database when nobody else does.
    pub generated: Option<Generated>,
    /// Where its name stands.
    pub span: Span,
}

impl Column {
    /// The table that a to-one relation points to.
    pub fn target(&self) -> Option<TableId> {
        match self.ty {
            Type::Ref(table) => Some(table),
            _ => None,
        }
    }

    /// Whether the server or its database alone writes it (`id` may be given at creation).
    pub fn is_managed(&self) -> bool {
        self.stamp.is_some() || self.auto.is_some() || self.generated == Some(Generated::Always)
    }

    /// Whether every table has it unless it says otherwise: `id`, `created`, `updated`.
    pub fn is_given(&self) -> bool {
        self.id == ColumnId::ID || self.stamp.is_some()
    }
}

/// A time that the server keeps of every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// When it was made.
    Created,
    /// When it was last changed.
    Updated,
}

/// What a database that others made gives a column by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    /// A value for rows that bring none.
    ByDefault,
    /// Every value.
    Always,
}

/// A bound given by `min` or `max`: a literal of the column's type, or a length.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// For text and lists: code points or items.
    Length(u64),
    /// For everything with an order.
    Value(crate::value::Value),
}

/// What `match` asks for.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// An e-mail address.
    Email,
    /// An absolute http or https address.
    Url,
    /// The regex crate's syntax; matches anywhere unless anchored.
    Regex(regex::Regex),
}

/// What a deleted target does to the rows that point to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// The row is deleted too.
    Cascade,
    /// The deletion is refused.
    Restrict,
    /// The column becomes null.
    Null,
}

/// A gapless counter.
#[derive(Debug)]
pub struct Auto {
    /// One sequence for each value of these, which read the new row alone; empty: one for the table.
    pub selectors: Vec<Expr>,
}

/// A to-many relation.
#[derive(Debug)]
pub struct Relation {
    /// Its own index.
    pub id: RelationId,
    /// `snake_case` name.
    pub name: String,
    /// `was name`: what it was called before, for whoever brings a database in step.
    pub was: Option<String>,
    /// `///` lines, joined by newlines.
    pub docs: String,
    /// The table on the other side.
    pub target: TableId,
    /// How rows are joined.
    pub kind: RelationKind,
    /// Left out of `*` anyway; kept for symmetry with columns in documents.
    pub hidden: bool,
    /// Where its name stands.
    pub span: Span,
}

/// How a to-many relation is joined.
#[derive(Debug)]
pub enum RelationKind {
    /// `Target[] by column`: the target's to-one column points here.
    Reverse {
        /// The target's column.
        column: ColumnId,
    },
    /// `Target[]`: declared here, kept in a link table of its own.
    Link(Arc<LinkTable>),
    /// `Target[] by relation`: the other side of a link that the target declares.
    LinkReverse {
        /// The target's relation, which is a [`RelationKind::Link`].
        relation: RelationId,
        /// Its link table.
        link: Arc<LinkTable>,
    },
}

/// The generated join table of a many-to-many relation.
#[derive(Debug)]
pub struct LinkTable {
    /// Name in the database: `Owner_relation` unless the author said otherwise.
    pub db_name: String,
    /// Table that declares the relation.
    pub owner: TableId,
    /// Table on the other side.
    pub target: TableId,
    /// Column that holds the owner's key (`owner`).
    pub owner_column: String,
    /// Column that holds the target's key (`target`).
    pub target_column: String,
}

/// An index or a unique constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Columns in order.
    pub columns: Vec<ColumnId>,
    /// Where it is declared.
    pub span: Span,
}

/// One item of a table's default order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBy {
    /// The column.
    pub column: ColumnId,
    /// Largest first.
    pub descending: bool,
}

/// What a rule can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Seeing a row.
    Read,
    /// Making a row.
    Create,
    /// Changing a row.
    Update,
    /// Removing a row.
    Delete,
    /// Adding to a many-to-many relation.
    Link,
    /// Removing from a many-to-many relation.
    Unlink,
}

/// One `allow` line.
#[derive(Debug)]
pub struct Rule {
    /// What it allows; `write` and `all` are written out.
    pub operations: Vec<Operation>,
    /// The columns that it guards; empty: whole rows. For `link`/`unlink`, see `relations`.
    pub columns: Vec<ColumnId>,
    /// The relations of `allow link(receivers)`; empty: all of the table's.
    pub relations: Vec<RelationId>,
    /// `None`: for everyone.
    pub condition: Option<Arc<Expr>>,
    /// The line as written, for `why`.
    pub span: Span,
}

/// One `check` or `warn` line.
#[derive(Debug)]
pub struct Check {
    /// Fails only when false.
    pub condition: Arc<Expr>,
    /// For people.
    pub message: String,
    /// Where it stands.
    pub span: Span,
}

/// What makes a table a stream.
#[derive(Debug)]
pub struct Stream {
    /// Declared events.
    pub events: Vec<Event>,
    /// Declared commands.
    pub commands: Vec<Command>,
    /// `on` blocks.
    pub folds: Vec<Fold>,
}

/// A parameter of a command or a field of an event.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether null is allowed.
    pub nullable: bool,
    /// Where it stands.
    pub span: Span,
}

/// `event Name { field type, … }`
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Where it stands.
    pub span: Span,
}

/// `command name(param type, …) { … }`
#[derive(Debug)]
pub struct Command {
    /// Its name.
    pub name: String,
    /// Its parameters.
    pub params: Vec<Field>,
    /// Whether it makes the row.
    pub creates: bool,
    /// Conditions under which it is allowed, OR-ed; `None`: for everyone.
    pub allows: Vec<Option<Expr>>,
    /// Conditions with their messages.
    pub requires: Vec<(Expr, String)>,
    /// Events with the expression of each field, in the event's order.
    pub emits: Vec<Emit>,
    /// Where it stands.
    pub span: Span,
}

/// `emit Name { field, field = expr }`
#[derive(Debug)]
pub struct Emit {
    /// Index into [`Stream::events`].
    pub event: usize,
    /// A value for each field of the event.
    pub values: Vec<Expr>,
}

/// `on Name { column = expr … }`
#[derive(Debug)]
pub struct Fold {
    /// Index into [`Stream::events`].
    pub event: usize,
    /// Columns and their new values.
    pub sets: Vec<(ColumnId, Expr)>,
}

/// `dataset Order.main { … }`
#[derive(Debug)]
pub struct Dataset {
    /// The entity's table.
    pub table: TableId,
    /// The name behind the point.
    pub name: String,
    /// Members, the entity first.
    pub members: Vec<DatasetMember>,
    /// Where it stands.
    pub span: Span,
}

/// A table of a dataset.
#[derive(Debug)]
pub struct DatasetMember {
    /// The table.
    pub table: TableId,
    /// Read with it, never written through it.
    pub reference: bool,
}

/// `flag name = false "words"`
#[derive(Debug)]
pub struct Flag {
    /// Its name.
    pub name: String,
    /// Its value until somebody changes it.
    pub default: bool,
    /// For people.
    pub description: String,
    /// Where it stands.
    pub span: Span,
}

/// `setting name type = value "words"`
#[derive(Debug)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Its value until somebody changes it.
    pub default: crate::value::Value,
    /// For people.
    pub description: String,
    /// Where it stands.
    pub span: Span,
}
