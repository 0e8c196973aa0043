//! A schema from text, a database that has it, and statements run on it.
//!
//! The same cases run on every database: each is a test program of its own, whose `database` module opens one, binds
//! values and reads typed ones. Here binds come from a [`Run`] and results are read by their shape, so that tests compare
//! answers. It is a reader of statements of its own: the store's must agree with the same shapes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use mainstay_lang::analyse::analyse;
use mainstay_lang::expr::{CallerFact, Clock, Expr, Node};
use mainstay_lang::filter::{compile_filter, compile_value};
use mainstay_lang::schema::{ColumnId, RelationId, Schema, TableId};
use mainstay_lang::source::{Sources, Span};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::catalogue::{self, Catalogue};
use mainstay_sql::ddl::IndexColumn;
use mainstay_sql::plan::{Order, Output, OutputKind, Select};
use mainstay_sql::statement::{Bind, JsonShape, ResultShape, Statement};
use mainstay_sql::{Dialect, ddl};

use crate::database::Database;
use crate::shown;

pub(crate) const PRELUDE: &str = "\
table User { email text(320) unique trim lower match email, name text(200) trim, label name, allow read if id == user.id }
table Grant { user User on delete cascade, permission text(200), unique (user, permission) }
";

/// What a statement is run with.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) params: Vec<Value>,
    pub(crate) user: HashMap<(Vec<ColumnId>, ColumnId), Value>,
    pub(crate) caller: Vec<(CallerFact, Value)>,
    pub(crate) now: Option<Value>,
    pub(crate) old: HashMap<ColumnId, Value>,
    pub(crate) new: HashMap<ColumnId, Value>,
}

impl Run {
    pub(crate) fn params(params: &[Value]) -> Run {
        Run { params: params.to_vec(), ..Run::default() }
    }

    fn value(&self, bind: &Bind) -> Value {
        let value = match bind {
            Bind::Value(value) => Some(value),
            Bind::Param(index) | Bind::Array { param: index, .. } => self.params.get(*index as usize),
            Bind::User { hops, column } => self.user.get(&(hops.clone(), *column)),
            Bind::Caller(fact) => self.caller.iter().find(|(known, _)| known == fact).map(|(_, value)| value),
            Bind::Clock(Clock::Now | Clock::Today) => self.now.as_ref(),
            Bind::Old(column) => self.old.get(column),
            Bind::New(column) => self.new.get(column),
            Bind::KeyPart { .. } => unreachable!("no table here has a key of several columns"),
        };
        value.cloned().unwrap_or(Value::Null)
    }
}

pub(crate) struct Db {
    pub(crate) schema: Schema,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) database: Database,
    /// Keeps rows apart that nobody gave an id.
    made: RefCell<i64>,
    /// Nested rows of the last read that were no JSON.
    listed: Cell<usize>,
}

/// The schema of an app, with the platform's tables.
pub(crate) fn schema(text: &str) -> Schema {
    let mut sources = Sources::default();
    sources.add_platform("<platform>", PRELUDE);
    sources.add("app.stay", text);
    let analysis = analyse(&sources);
    analysis.schema.unwrap_or_else(|| panic!("{:#?}", analysis.diagnostics))
}

impl Db {
    pub(crate) fn new(text: &str) -> Db {
        let db = Db { schema: schema(text), ..Db::empty() };
        for statement in ddl::create_schema(&db.schema, db.dialect) {
            db.database.script(&statement).unwrap_or_else(|error| panic!("{statement}\n{error}"));
        }
        db
    }

    /// A database without a table.
    pub(crate) fn empty() -> Db {
        let schema = Schema::default();
        Db {
            schema,
            dialect: Database::DIALECT,
            database: Database::open(),
            made: RefCell::new(0),
            listed: Cell::new(0),
        }
    }

    pub(crate) fn table(&self, name: &str) -> TableId {
        self.schema.table_named(name).unwrap_or_else(|| panic!("no table {name}")).id
    }

    pub(crate) fn column(&self, table: &str, name: &str) -> ColumnId {
        let table = self.schema.table_named(table).unwrap();
        table.column_named(name).unwrap_or_else(|| panic!("no column {name}")).id
    }

    pub(crate) fn relation(&self, table: &str, name: &str) -> RelationId {
        let table = self.schema.table_named(table).unwrap();
        table.relation_named(name).unwrap_or_else(|| panic!("no relation {name}")).id
    }

    /// A condition on a table's rows, from text.
    pub(crate) fn filter(&self, table: &str, text: &str) -> Expr {
        let filter = compile_filter(&self.schema, self.table(table), text);
        filter.unwrap_or_else(|problems| panic!("{text}: {problems:#?}")).condition
    }

    /// A value of a table's rows, from text.
    pub(crate) fn value(&self, table: &str, text: &str) -> Expr {
        compile_value(&self.schema, self.table(table), text)
            .unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    /// `[-]text [nulls first]`
    pub(crate) fn order(&self, table: &str, text: &str) -> Order {
        let (text, nulls_first) = match text.strip_suffix(" nulls first") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (text, descending) = match text.strip_prefix('-') {
            Some(text) => (text, true),
            None => (text, false),
        };
        Order { by: self.value(table, text), descending, nulls_first }
    }

    /// A read of columns and no more.
    pub(crate) fn select(&self, table: &str, columns: &[&str]) -> Select {
        let outputs = columns.iter().map(|name| output(name, OutputKind::Column(self.column(table, name))));
        Select {
            table: self.table(table),
            filter: Vec::new(),
            outputs: outputs.collect(),
            order: Vec::new(),
            limit: None,
            // Above every limit of these tests.
            limit_bound: Some(16),
            offset: None,
            after: None,
            paged: false,
            cursor_tag: "tag".to_owned(),
        }
    }

    /// Inserts a row from `column: wire JSON` pairs; other columns are null, or their literal default.
    pub(crate) fn insert(&self, table: &str, values: &[(&str, &str)]) -> String {
        let of = self.schema.table_named(table).unwrap();
        *self.made.borrow_mut() += 1;
        let made = *self.made.borrow();
        let params: Vec<Value> = of
            .columns
            .iter()
            .map(|column| {
                let ty = self.schema.storage_type(&column.ty);
                let given = values.iter().find(|(name, _)| *name == column.name);
                match (given, &column.default, column.name.as_str()) {
                    (Some((_, raw)), _, _) => Value::from_json(raw, ty).unwrap(),
                    (None, _, "id") if *ty == Type::Int => Value::Int(made),
                    (None, _, "id") => Value::from_json(&format!("\"{}\"", uuid(made)), ty).unwrap(),
                    (None, _, "created" | "updated") => {
                        Value::from_json("\"2026-01-01T00:00:00.000000Z\"", ty).unwrap()
                    }
                    (None, Some(Expr { node: Node::Literal(value), .. }), _) => value.clone(),
                    _ => Value::Null,
                }
            })
            .collect();
        self.write(&mainstay_sql::insert(&self.schema, self.dialect, of.id), &Run::params(&params));
        params[0].to_json().trim_matches('"').to_owned()
    }

    pub(crate) fn link(&self, table: &str, relation: &str, owner: &str, target: &str) -> usize {
        let table = self.schema.table_named(table).unwrap();
        let relation = table.relation_named(relation).unwrap();
        let mainstay_lang::schema::RelationKind::Link(link) = &relation.kind else { panic!("no link") };
        let key = |table: TableId, text: &str| {
            let ty = self.schema.key_type(table);
            let raw = if *ty == Type::Int { text.to_owned() } else { format!("\"{text}\"") };
            Value::from_json(&raw, ty).unwrap()
        };
        let run = Run::params(&[key(link.owner, owner), key(link.target, target)]);
        self.write(&mainstay_sql::link(&self.schema, self.dialect, link), &run)
    }

    pub(crate) fn write(&self, statement: &Statement, run: &Run) -> usize {
        let written = self.database.write(&statement.sql, &self.binds(statement, run));
        written.unwrap_or_else(|error| panic!("{error}\n{}", statement.sql))
    }

    fn binds(&self, statement: &Statement, run: &Run) -> Vec<Value> {
        let mut values: Vec<Value> = statement.binds.iter().map(|bind| run.value(bind)).collect();
        if let ResultShape::Json(JsonShape { row_cap: Some(at), .. }) = &statement.result {
            values[*at] = Value::Int(ROW_CAP);
        }
        values
    }

    /// Typed values of every row.
    pub(crate) fn values(&self, statement: &Statement, run: &Run) -> Vec<Vec<Value>> {
        self.try_values(statement, run).unwrap_or_else(|error| panic!("{error}\n{}", statement.sql))
    }

    pub(crate) fn try_values(&self, statement: &Statement, run: &Run) -> Result<Vec<Vec<Value>>, String> {
        let ResultShape::Values(types) = &statement.result else { panic!("not values") };
        self.database.read(&statement.sql, &self.binds(statement, run), types)
    }

    /// The rows as JSON texts, and the cursors when there are any.
    pub(crate) fn json(&self, statement: &Statement, run: &Run) -> (Vec<String>, Vec<String>) {
        let ResultShape::Json(shape) = &statement.result else { panic!("not json") };
        let rows = self.database.read(&statement.sql, &self.binds(statement, run), &shown::types(shape));
        let rows = rows.unwrap_or_else(|error| panic!("{error}\n{}", statement.sql));
        let shown = shown::objects(shape, &rows);
        self.listed.set(shown.listed);
        (shown.texts, shown.cursors)
    }

    /// Nested rows counted by the last read.
    pub(crate) fn counted(&self) -> usize {
        self.database.counted() + self.listed.get()
    }

    /// The rows that a select gives, as one JSON array; checked to be JSON.
    pub(crate) fn rows(&self, select: &Select) -> String {
        self.rows_with(select, &Run::default())
    }

    pub(crate) fn rows_with(&self, select: &Select, run: &Run) -> String {
        let statement = mainstay_sql::select(&self.schema, self.dialect, select);
        let text = format!("[{}]", self.json(&statement, run).0.join(","));
        Value::from_json(&text, &Type::Json).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        text
    }

    /// The plan that the database makes for a statement.
    pub(crate) fn plan(&self, statement: &Statement) -> String {
        self.database.plan(statement)
    }
}

/// The most nested rows that a read may have here.
const ROW_CAP: i64 = 1_000_000;

/// An output without a guard.
pub(crate) fn output(name: &str, kind: OutputKind) -> Output {
    Output { name: name.to_owned(), kind, guard: None }
}

pub(crate) fn int(value: i64) -> Expr {
    Expr { node: Node::Literal(Value::Int(value)), ty: Type::Int, span: Span::default() }
}

pub(crate) fn param(index: u32, ty: &Type) -> Expr {
    Expr { node: Node::Param(index), ty: ty.clone(), span: Span::default() }
}

/// The uuid of a number.
pub(crate) fn uuid(number: i64) -> String {
    format!("01900000-0000-7000-8000-{number:012}")
}

/// What a database holds.
pub(crate) fn catalogue(db: &Db) -> Catalogue {
    let results = catalogue::statements(db.dialect);
    catalogue::read(results.iter().map(|statement| db.values(statement, &Run::default())).collect())
}

/// The same as text, a line for each thing; what is as usual is left out.
pub(crate) fn told(catalogue: &Catalogue) -> String {
    let mut lines = Vec::new();
    for table in &catalogue.tables {
        let comment = table.comment.as_deref().map(|text| format!(" -- {text}")).unwrap_or_default();
        lines.push(format!("{:?} {} ({}){comment}", table.kind, table.name, table.key.join(", ")));
        for column in &table.columns {
            let mut line = format!("  {} {}", column.name, column.type_name);
            line.extend(column.base_type.as_ref().map(|base| format!(" over {base}")));
            let words = [
                (column.nullable, " null"),
                (column.identity, " identity"),
                (column.generated, " generated"),
            ];
            line.extend(words.iter().filter(|(is, _)| *is).map(|(_, word)| *word));
            line.extend(column.default.as_ref().map(|default| format!(" = {default}")));
            line.extend(column.comment.as_ref().map(|comment| format!(" -- {comment}")));
            lines.push(line);
        }
        for of in &table.references {
            let (from, to) = (of.columns.join(", "), of.target_columns.join(", "));
            let actions = format!("{:?} {:?}", of.on_delete, of.on_update);
            let checked = if of.validated { "" } else { " not validated" };
            lines.push(format!("  {}: ({from}) -> {} ({to}) {actions}{checked}", of.name, of.table));
        }
        for index in &table.indexes {
            let sign = |column: &IndexColumn| if column.descending { "-" } else { "" };
            let columns: Vec<String> =
                index.columns.iter().map(|column| format!("{}{}", sign(column), column.name)).collect();
            let words = [
                (index.unique, " unique"),
                (index.constraint, " constraint"),
                (index.has_expressions, " expressions"),
                (index.is_partial, " partial"),
                (!index.is_valid, " invalid"),
            ];
            let words: String = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
            lines.push(format!("  {} ({}){words}", index.name, columns.join(", ")));
        }
        lines.extend(table.checks.iter().map(|check| format!("  check {:?} {}", check.name, check.text)));
        lines.extend(table.triggers.iter().map(|name| format!("  trigger {name}")));
    }
    for view in &catalogue.views {
        let definition = view.definition.split_whitespace().collect::<Vec<_>>().join(" ");
        let kind = if view.materialized { "materialized view" } else { "view" };
        lines.push(format!("{kind} {}: {definition}", view.name));
    }
    lines.extend(catalogue.enums.iter().map(|of| format!("enum {}: {:?}", of.name, of.values)));
    lines.join("\n")
}
